/* SPDX-License-Identifier: MIT */
/* The pool of database connections of one process.
 *
 *              open                     get                 put
 *   connecting ----> idle (LIFO) -----------------> busy --------> idle
 *                      |                             | dirty
 *                      |  age, linger, lost          +--> resetting --> idle
 *                      +----> leaving --> closed <---+ broken, retired, too old
 *
 * How many there may be is the node's budget (db/budget.h): those that this worker is
 * sure of are kept, more are opened for a rush while permits last, and linger before
 * they are closed, so that load that swings opens none. They are closed sooner
 * when another worker waits for a permit.
 * Borrowers wait strictly first come, first served; a waiter takes whatever
 * comes first, a returned connection or a new one. Opening, resetting and
 * replacing happen in coroutines of the pool's own, never in a borrower's time.
 *
 * When the database is away (an open failed and no connection is left) nobody
 * waits: E_UNAVAILABLE at once, while one probe at a time is made after a
 * growing pause.
 *
 * Outside a coroutine (tools, start-up) everything happens in the caller's own
 * time, and what would have to wait for another borrower is E_BUSY.
 *
 * Invariants: permits held == connections; nobody waits while one is idle.
 */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "base/retry.h"
#include "base/str.h"
#include "db/budget.h"
#include "db/db.h"
#include "db/driver.h"

struct bell_watch;
struct coro_pool;

/* clang-format off */
enum pool_state {       /* list it sits on        leaves when                                    */
    POOL_CONNECTING,    /* being opened           opened, or failed                              */
    POOL_IDLE,          /* newest returned first  borrowed; lingered or aged; retired            */
    POOL_BUSY,          /* borrowed               returned                                       */
    POOL_RESETTING,     /* rolled back            clean again, or failed                         */
    POOL_LEAVING,       /* said good-bye          the server has closed it, too                  */
    POOL_CLOSED,        /* none: it is freed      -                                              */
    POOL_STATES
};
/* clang-format on */

enum { POOL_REQUEST_ID_MAX = 64 };

/* A connection with what the pool knows of it. */
struct db_pooled {
    struct db_conn *conn;  /* the driver's; NULL while connecting           */
    const char *statement; /* name of the last statement; set by the user   */

    /* private */
    struct pool *pool;
    struct link link;
    enum pool_state state;
    uint64_t generation; /* older than the pool's: retired                */
    mono_ns expires_at;  /* replaced after that; 0: never                 */
    mono_ns idle_since;
    mono_ns taken_at; /* by the pool's borrower                        */
    mono_ns lent_at;  /* to whom it is named after (pool_lend)         */
    const char *route;
    char request_id[POOL_REQUEST_ID_MAX + 1];
    char trace_id[TRACE_ID_LEN + 1], parent_id[TRACE_PARENT_LEN + 1];
    bool leak_told;
    bool replace; /* another is opened when it is closed           */
};

/* Who borrows, for the log. */
struct pool_holder {
    const char *route;
    struct str request_id;
    struct trace trace;
};

struct pool {
    /* private */
    const struct db_driver *driver;
    const struct db_conf *conf;
    struct budget *budget; /* the node's, or its own when conf has none */
    struct budget_row *row; /* its own in that                           */
    int index;
    struct bell_watch *bell; /* NULL: nobody shares                     */
    struct db_conf again; /* once opened: a database that is gone is not made anew, empty */
    bool opened;
    struct coro_pool *coros;
    mono_ns (*now)(void); /* clock_mono; a test's own       */
    struct link lists[POOL_STATES];
    size_t counts[POOL_STATES];
    struct link waiters;
    size_t waiting;
    size_t line; /* who waits for the lane of a group (group.h), counted as waiting too */
    mono_ns line_since;
    uint64_t generation;    /* grows when a connection is lost               */
    struct retry retry;     /* of opening                                    */
    mono_ns next_open;      /* of the pace of opening: when one is due       */
    bool looking;           /* looks again in a moment                       */
    mono_ns handed_over_at; /* a permit, to a worker that holds fewer        */
    char reason[160];       /* why the last open failed                      */
    bool read_only;         /* the server that was opened last               */
    bool draining; /* keeps nothing that nobody here waits for             */
    bool closing;
};

/* Opens nothing yet. `conf` and its budget must outlive the pool. E_NO_MEMORY. */
MUSTCHECK enum err pool_init(struct pool *p, const struct db_driver *driver, const struct db_conf *conf);

/* Closes what is idle; nothing may be borrowed or under way. */
void pool_done(struct pool *p);

/* Its worker is being replaced: lends as before, but what is not in use is closed at
 * once, since its successor needs it. */
void pool_drain(struct pool *p);

/* Ends lending: waiters fail, idle connections close, borrowed ones on return. */
void pool_shutdown(struct pool *p);

/* Borrows a connection; suspends up to conf->pool_timeout_s in all. E_BUSY (none
 * in time), E_UNAVAILABLE (database away), E_CANCELLED, E_NO_MEMORY. */
MUSTCHECK enum err pool_get(struct pool *p, const struct pool_holder *who, struct db_pooled **ret_conn);

/* Gives it back, whatever its state; never suspends a coroutine. */
void pool_put(struct db_pooled *c);

/* Names another holder of a borrowed connection; held time starts anew. */
void pool_lend(struct db_pooled *c, const struct pool_holder *who);

/* Tells how many wait for the group's lane, and since when the first of them. */
void pool_note_line(struct pool *p, size_t waiting, mono_ns since);

/* Housekeeping, about once a second: replaces the aged, closes what lingered,
 * probes a database that is away, reports leaks. Starts coroutines. */
void pool_tick(struct pool *p);

/* Milliseconds until the next probe of a database that is away; else 0. */
int64_t pool_retry_after_ms(const struct pool *p);

size_t pool_describe(const struct pool *p, char *out, size_t size);

/* Connections that exist, are being opened, or are not quite closed. */
static inline size_t pool_total(const struct pool *p)
{
    return p->counts[POOL_CONNECTING] + p->counts[POOL_IDLE] + p->counts[POOL_BUSY] + p->counts[POOL_RESETTING] +
           p->counts[POOL_LEAVING];
}
