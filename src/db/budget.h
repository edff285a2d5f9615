/* SPDX-License-Identifier: MIT */
/* The connections that all workers of a node may have together, in shared memory.
 *
 * A connection needs a permit, and there are as many as connections are allowed: a
 * slot each, which holds its owner and is taken by one compare-and-swap. So the
 * total is never exceeded, and the master gives back what a killed worker held
 * (budget_forget).
 *
 *   sure     an even share of the base for each position of a worker, at least one:
 *            only the worker there takes these
 *   common   the rest: any worker takes what is free
 *
 * While a worker is being replaced there are two at its position: the new one takes
 * what the old one has given up, and neither is sure of anything, until the old one
 * has gone.
 *
 * A worker that needs more than it may have says so and rings the others' bells: they
 * close what they hold beyond their share and do not use. What becomes free rings the
 * bells of those who want. A worker whose row has no bell looks once a second.
 *
 * A worker has a row of its own, whatever its position; it is its one writer (but of
 * `position`), anybody reads it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum { BUDGET_POSITIONS_MAX = 256, BUDGET_ROWS_MAX = 512 };

/* What a worker shows of its pool. */
struct budget_row {
    _Alignas(64) _Atomic uint32_t wanted;   /* connections it needs and may not open     */
    _Atomic uint32_t held;                  /* permits                                   */
    _Atomic uint32_t active, idle, waiting;
    _Atomic int32_t  position;              /* of its worker, + 1; 0: the row is free    */
    _Atomic mono_ns  waiting_since;         /* the first in its line; 0: nobody waits    */
    int              bell;                  /* rung: look at your pool (base/bell.h)     */
};

struct budget {
    int               size, overflow;       /* as configured                             */
    _Atomic int32_t   positions;            /* that share the base                       */
    _Atomic int32_t   rows_used;            /* rows that were ever seated                */
    uint32_t          permit_count;
    _Atomic int32_t   seated[BUDGET_POSITIONS_MAX]; /* rows at each position             */
    struct budget_row rows[BUDGET_ROWS_MAX];
    _Atomic uint16_t  permits[];            /* owner + 1; 0: free                        */
};

/* Memory for a budget. */
size_t budget_bytes(int size, int overflow);

/* Makes one, in memory of budget_bytes() that is all zero, with so many bells. They
 * are descriptors, inherited by those who are forked later: E_IO. */
MUSTCHECK enum err budget_init(struct budget *b, int size, int overflow, int bells);
void budget_done(struct budget *b);

/* The bells pass through exec to a new program that works with the same memory; there
 * they close at exec again. */
void budget_bequeath(const struct budget *b);
void budget_inherit(const struct budget *b);

/* So many positions share the base from now on. Each needs a connection: at most
 * size + overflow. */
void budget_share(struct budget *b, int positions);

/* A worker that will have this row is about to begin, at that position. */
void budget_seat(struct budget *b, int row, int position);

/* Connections that a worker may have, whatever the others want. */
uint32_t budget_sure(const struct budget *b, int row);

/* Its position's share of the base, and of all that is allowed: for those who add
 * them up over all positions. */
uint32_t budget_share_of_base(const struct budget *b, int row);
uint32_t budget_share_of_all(const struct budget *b, int row);

/* Takes a permit for one more; false when none is free. */
bool budget_take(struct budget *b, int row);

/* Gives one back that the worker holds: a common one rather than its position's. */
void budget_give(struct budget *b, int row);

/* Changes common permits that it holds for its position's that have become free. */
void budget_settle(struct budget *b, int row);

/* Says how many it needs beyond what it may have; 0: none. Then try budget_take()
 * once more: what became free before this was not told. */
void budget_want(struct budget *b, int row, uint32_t count);

/* Whether another worker wants one; whether a poorer one does: that holds at least
 * two permits less, or less at all at the same position. */
bool budget_wanted(const struct budget *b, int row);
bool budget_wanted_by_poorer(const struct budget *b, int row);

/* The worker has died: what it held is free, and so is its row. */
void budget_forget(struct budget *b, int row);

/* The sums over all workers. */
struct budget_use { uint32_t active, idle, waiting; mono_ns waiting_since; };
struct budget_use budget_use(const struct budget *b);
