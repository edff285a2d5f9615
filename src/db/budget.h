/* SPDX-License-Identifier: MIT */
/* The connections that all workers of a node may have together, in shared memory.
 *
 *   sure      an even share of the base for each worker, at least one: its own
 *             to open whenever it likes, so nothing of it is shared
 *   permits   the rest, up to the node's total: any worker takes what is free
 *
 * A permit is a slot that holds its owner, taken by one compare-and-swap, so the
 * total is never exceeded, and the master gives back what a killed worker held
 * (budget_forget). A worker that needs more than it may have says so and rings
 * the others' bells: they close what they hold beyond their share and do not
 * use. What becomes free rings the bells of those who want.
 *
 * Rows have one writer, the worker whose they are; anybody reads them.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum { BUDGET_SHARERS_MAX = 256 };

/* What a worker shows of its pool. */
struct budget_row {
    _Alignas(64) _Atomic uint32_t wanted;   /* connections it needs and may not open     */
    _Atomic uint32_t held;                  /* permits                                   */
    _Atomic uint32_t active, idle, waiting;
    _Atomic mono_ns  waiting_since;         /* the first in its line; 0: nobody waits    */
    int              bell;                  /* rung: look at your pool (base/bell.h)     */
};

struct budget {
    int               size, overflow;       /* as configured                             */
    int               sharers;
    uint32_t          permit_count;
    struct budget_row rows[BUDGET_SHARERS_MAX];
    _Atomic uint16_t  permits[];            /* owner + 1; 0: free                        */
};

/* Memory for a budget. All sharers need a connection each: size + overflow >=
 * sharers, here and below. */
size_t budget_bytes(int size, int overflow, int sharers);

/* Makes one, in memory of budget_bytes() that is all zero. The bells of several
 * sharers are descriptors, inherited by those who are forked later: E_IO. */
MUSTCHECK enum err budget_init(struct budget *b, int size, int overflow, int sharers);
void budget_done(struct budget *b);

/* Connections that a worker may have without asking. */
uint32_t budget_sure(const struct budget *b, int index);

/* Takes a permit for one more; false when none is free. */
bool budget_take(struct budget *b, int index);

/* Gives one back that the worker holds. */
void budget_give(struct budget *b, int index);

/* Says how many it needs beyond what it may have; 0: none. Then try budget_take()
 * once more: what became free before this was not told. */
void budget_want(struct budget *b, int index, uint32_t count);

/* Whether another worker wants one; whether one that holds at least two permits
 * less does. */
bool budget_wanted(const struct budget *b, int index);
bool budget_wanted_by_poorer(const struct budget *b, int index);

/* The worker has died: what it held is free. */
void budget_forget(struct budget *b, int index);

/* The sums over all workers. */
struct budget_use { uint32_t active, idle, waiting; mono_ns waiting_since; };
struct budget_use budget_use(const struct budget *b);
