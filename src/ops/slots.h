/* SPDX-License-Identifier: MIT */
/* What the processes of a node know of each other: a slot a worker, in shared
 * memory.
 *
 * A worker serves at a position, 0 to the number of workers - 1, and has a row here,
 * whichever is free: while one is being replaced there are two at its position. A row
 * is used again when its worker is dead; one that is NONE belongs to nobody.
 *
 * Each member has one writer, so a worker killed at any instruction leaves
 * nothing half done: `state` and `heartbeat_ns` are the worker's while it
 * lives, everything else (and `state` before the fork and after the death) is
 * the master's. Everybody may read everything, with relaxed atomics.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"

enum { WORKERS_MAX = 256, WORKER_ROWS_MAX = 512 };

/* X(name, text, next states as bits: 1 << state) */
#define WORKER_STATES(X)                                                                               \
    X(WORKER_NONE,     "none",     1 << WORKER_STARTING)                          /* nobody's        */ \
    X(WORKER_STARTING, "starting", 1 << WORKER_READY | 1 << WORKER_DRAINING | 1 << WORKER_DEAD)         \
    X(WORKER_READY,    "ready",    1 << WORKER_DRAINING | 1 << WORKER_DEAD)       /* serves          */ \
    X(WORKER_DRAINING, "draining", 1 << WORKER_DEAD)                              /* accepts no more */ \
    X(WORKER_DEAD,     "dead",     1 << WORKER_STARTING | 1 << WORKER_NONE)       /* will be replaced */

enum worker_state {
#define X(name, text, next) name,
    WORKER_STATES(X)
#undef X
    WORKER_STATE_COUNT
};

/* X(name, label): why a worker ended, as metrics tell it */
#define WORKER_ENDS(X)                                                                                   \
    X(WORKER_END_CRASH,    "crash")        /* by a signal that is not ours, or with a failure        */ \
    X(WORKER_END_STUCK,    "stuck")        /* killed: no heartbeat for TIMEOUT                       */ \
    X(WORKER_END_RECYCLED, "recycled")     /* had answered MAX_REQUESTS                              */ \
    X(WORKER_END_RELOADED, "reloaded")     /* for one with new settings                              */ \
    X(WORKER_END_REMOVED,  "removed")      /* there are to be fewer                                  */

enum worker_end {
#define X(name, label) name,
    WORKER_ENDS(X)
#undef X
    WORKER_END_COUNT
};

enum { SLOT_TEXT = 160 };

struct worker_slot {
    _Atomic int32_t  pid;            /* master; 0 while none lives                     */
    _Atomic int32_t  state;          /* enum worker_state                              */
    _Atomic int32_t  position;       /* master; of its worker                          */
    _Atomic int32_t  master;         /* whose it is: two of them at an upgrade         */
    _Atomic int64_t  started_ms;     /* master; wall clock of the last fork            */
    _Atomic int64_t  heartbeat_ns;   /* worker; monotonic clock, about twice a second  */
    _Atomic uint64_t restarts;       /* master; forks beyond the first, of the position */
    _Atomic uint32_t generation;     /* master; forks in this row                      */
    _Atomic uint32_t epoch;          /* master; of its settings: 1, 2, ...             */
    _Atomic bool     spent;          /* worker; it has answered MAX_REQUESTS           */
    _Atomic uint64_t requests;       /* worker; answered by it, once a second          */
    char             last_request[SLOT_TEXT]; /* worker; route and id of the last that began */
};

struct worker_slots {
    _Atomic int32_t    count;        /* master; rows that were ever used                */
    _Atomic int32_t    positions;    /* master; workers that there are to be           */
    _Atomic int32_t    master_pid;   /* 0: no master                                   */
    _Atomic bool       stopping;     /* master; the node is on its way out             */
    _Atomic uint32_t   epoch;        /* master; of the settings: reloads, + 1          */
    _Atomic int64_t    started_ms;   /* master; wall clock of its own start            */
    _Atomic uint64_t   ends[WORKER_END_COUNT]; /* master; workers that ended, by why   */
    struct worker_slot rows[WORKER_ROWS_MAX];
};

/* Empties the slots; so many rows count as used, at most WORKER_ROWS_MAX. */
void slots_init(struct worker_slots *slots, int count);

/* Takes the first row that is nobody's, for a master: it is WORKER_STARTING. -1: none. */
int slots_claim(struct worker_slots *slots, int master);

/* The one way in which a state changes; asserts that the table allows it. To
 * the state it has already: nothing happens. */
void slot_move(struct worker_slot *slot, enum worker_state to);
enum worker_state slot_state(const struct worker_slot *slot);
const char *worker_state_name(enum worker_state state);   /* "ready"; never NULL */

/* "I am alive": the worker's, from its loop. */
void slot_beat(struct worker_slot *slot);

/* "GET /api/spas 01J...": the worker's, before it begins with a request; cut to what
 * there is room for. */
void slot_note_request(struct worker_slot *slot, struct str method, struct str route, struct str id);

/* Milliseconds since the last beat; -1 when there was none yet. */
int64_t slot_silence_ms(const struct worker_slot *slot, mono_ns now);

void slots_count_end(struct worker_slots *slots, enum worker_end why);
const char *worker_end_name(enum worker_end why);         /* "crash"; never NULL */

/* Whether the worker of each row that is somebody's serves. */
bool slots_all_ready(const struct worker_slots *slots);
