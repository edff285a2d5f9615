/* SPDX-License-Identifier: MIT */
/* Users of one process: each has a connection that it keeps, an address of its
 * own (X-Forwarded-For, as from a proxy), and a timetable.
 *
 * The timetable is the point. A user means to ask at moments that are drawn
 * beforehand, 1..3 s apart, whether the answer before has come or not. One that
 * is still waiting asks as soon as it can, and its latency counts from the
 * moment at which it meant to: so a server that stands still for a second is
 * charged with every request of that second, not only with the one that it held
 * (Gil Tene calls the mistake "coordinated omission"; wrk2 corrects it so).
 * Latency counted from the sending is kept as well, to be held against it, and
 * so is how late the program itself was for users who waited for nothing.
 *
 * A connection that the server closes between two requests is opened anew by
 * the next; one that breaks or is silent during a request is a failure.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "paced/answer.h"
#include "paced/latencies.h"
#include "paced/schedule.h"

/* The specification's scenario: what is asked, and how often of six times. */
#define CROWD_ROUTES(X)                        \
    X("/api/certificates/templates", 3)        \
    X("/api/certificates/public",    2)        \
    X("/health",                     1)

#define CROWD_FAILURES(X)                                                         \
    X(LOCAL,     "local")          /* no port or descriptor left on this side  */ \
    X(CONNECT,   "connect")        /* refused                                  */ \
    X(BROKEN,    "broken")         /* closed or reset before the answer's end  */ \
    X(TIMEOUT,   "timeout")        /* no whole answer in time                  */ \
    X(STATUS,    "status")         /* an answer, but not 200                   */ \
    X(MALFORMED, "malformed")      /* an answer that is none                   */ \
    X(UNSENT,    "unsent")         /* its turn never came                      */

#define X(path, weight) +1
enum { CROWD_ROUTE_COUNT = CROWD_ROUTES(X) };
#undef X
#define X(name, text) FAILED_##name,
enum crowd_failure { CROWD_FAILURES(X) CROWD_FAILURE_COUNT };
#undef X

extern const char *const crowd_routes[CROWD_ROUTE_COUNT];
extern const char *const crowd_failures[CROWD_FAILURE_COUNT];

/* The same for all processes, and constant while they run. Intended moments from
 * `measured` to `end` count; those before are the warm-up. */
struct plan {
    struct sockaddr_in server;
    uint64_t users, seed;
    mono_ns  think_min, think_max, timeout;
    mono_ns  start, ramp, measured, end;
};

struct tally {
    struct latencies intended[CROWD_ROUTE_COUNT];       /* from the moment meant  */
    struct latencies sent[CROWD_ROUTE_COUNT];           /* from the sending       */
    struct latencies late;                              /* this program's own     */
    uint64_t failures[CROWD_FAILURE_COUNT], warm_failures[CROWD_FAILURE_COUNT];
    uint64_t statuses[ANSWER_STATUS_MAX];
    uint64_t warm, bytes, opened, closed_by_server;
};

struct crowd {
    const struct plan *plan;
    uint32_t           first, count;    /* users first..first+count-1 of the plan  */
    struct tally      *tally;           /* the caller's                            */

    struct user       *users;           /* private, from here on */
    struct schedule    schedule;
    struct random      random;
    uint32_t           left;            /* users whose timetable goes on */
    int                loop;
    char               received[64 * 1024];
};

/* `c` and `tally` are zeroed memory. */
MUSTCHECK enum err crowd_init(struct crowd *c, const struct plan *plan, struct tally *tally, uint32_t first,
                              uint32_t count);
void crowd_done(struct crowd *c);

/* Until every timetable is over and answered, or the plan's timeout after its end. */
void crowd_run(struct crowd *c);
