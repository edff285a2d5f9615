/* SPDX-License-Identifier: MIT */
#include "db/budget.h"

#include <assert.h>

#include "base/bell.h"

/* What all workers are sure of. */
static int kept_of(int size, int sharers) { return size > sharers ? size : sharers; }

static uint32_t permits_of(int size, int overflow, int sharers)
{
    return (uint32_t)(size + overflow - kept_of(size, sharers));
}

size_t budget_bytes(int size, int overflow, int sharers)
{
    return sizeof(struct budget) + permits_of(size, overflow, sharers) * sizeof(_Atomic uint16_t);
}

enum err budget_init(struct budget *b, int size, int overflow, int sharers)
{
    assert(sharers >= 1 && sharers <= BUDGET_SHARERS_MAX && size + overflow >= sharers);
    b->size = size;
    b->overflow = overflow;
    b->sharers = sharers;
    b->permit_count = permits_of(size, overflow, sharers);
    for (int i = 0; i < BUDGET_SHARERS_MAX; i++)
        b->rows[i].bell = -1;
    for (int i = 0; sharers > 1 && i < sharers; i++) {
        b->rows[i].bell = bell_make();
        if (b->rows[i].bell < 0) {
            budget_done(b);
            return E_IO;
        }
    }
    return OK;
}

void budget_done(struct budget *b)
{
    for (int i = 0; i < b->sharers; i++)
        bell_break(&b->rows[i].bell);
}

uint32_t budget_sure(const struct budget *b, int index)
{
    const int kept = kept_of(b->size, b->sharers);

    return (uint32_t)(kept / b->sharers + (index < kept % b->sharers ? 1 : 0));
}

/* ---- permits -------------------------------------------------------------------- */

static uint16_t mark_of(int index) { return (uint16_t)(index + 1); }

static bool change_one(struct budget *b, uint16_t from, uint16_t to)
{
    for (uint32_t i = 0; i < b->permit_count; i++) {
        uint16_t expected = from;

        if (atomic_load_explicit(&b->permits[i], memory_order_relaxed) == from &&
            atomic_compare_exchange_strong(&b->permits[i], &expected, to))
            return true;
    }
    return false;
}

static void ring_those_who_want(const struct budget *b, int but)
{
    for (int i = 0; i < b->sharers; i++) {
        if (i != but && atomic_load(&b->rows[i].wanted) > 0)
            bell_ring(b->rows[i].bell);
    }
}

bool budget_take(struct budget *b, int index)
{
    if (!change_one(b, 0, mark_of(index)))
        return false;
    atomic_fetch_add_explicit(&b->rows[index].held, 1, memory_order_relaxed);
    return true;
}

void budget_give(struct budget *b, int index)
{
    const bool held = change_one(b, mark_of(index), 0);

    assert(held);
    (void)held;
    atomic_fetch_sub_explicit(&b->rows[index].held, 1, memory_order_relaxed);
    ring_those_who_want(b, index);
}

/* A bell when it begins; then those who have read `wanted` act on each return. */
void budget_want(struct budget *b, int index, uint32_t count)
{
    struct budget_row *own = &b->rows[index];
    const uint32_t before = atomic_load_explicit(&own->wanted, memory_order_relaxed);

    if (count == before)
        return;
    atomic_store(&own->wanted, count);
    for (int i = 0; before == 0 && i < b->sharers; i++) {
        if (i != index)
            bell_ring(b->rows[i].bell);
    }
}

bool budget_wanted(const struct budget *b, int index)
{
    for (int i = 0; i < b->sharers; i++) {
        if (i != index && atomic_load_explicit(&b->rows[i].wanted, memory_order_relaxed) > 0)
            return true;
    }
    return false;
}

bool budget_wanted_by_poorer(const struct budget *b, int index)
{
    const uint32_t held = atomic_load_explicit(&b->rows[index].held, memory_order_relaxed);

    for (int i = 0; i < b->sharers; i++) {
        if (i != index && atomic_load_explicit(&b->rows[i].wanted, memory_order_relaxed) > 0 &&
            atomic_load_explicit(&b->rows[i].held, memory_order_relaxed) + 2 <= held)
            return true;
    }
    return false;
}

/* ---- rows ------------------------------------------------------------------------- */

static void clear_row(struct budget_row *row)
{
    atomic_store(&row->wanted, 0);
    atomic_store(&row->held, 0);
    atomic_store(&row->active, 0);
    atomic_store(&row->idle, 0);
    atomic_store(&row->waiting, 0);
    atomic_store(&row->waiting_since, 0);
}

void budget_forget(struct budget *b, int index)
{
    clear_row(&b->rows[index]);
    while (change_one(b, mark_of(index), 0))
        continue;
    ring_those_who_want(b, index);
}

struct budget_use budget_use(const struct budget *b)
{
    struct budget_use sum = { .waiting_since = 0 };

    for (int i = 0; i < b->sharers; i++) {
        const struct budget_row *row = &b->rows[i];
        const mono_ns since = atomic_load_explicit(&row->waiting_since, memory_order_relaxed);

        sum.active += atomic_load_explicit(&row->active, memory_order_relaxed);
        sum.idle += atomic_load_explicit(&row->idle, memory_order_relaxed);
        sum.waiting += atomic_load_explicit(&row->waiting, memory_order_relaxed);
        if (since != 0 && (sum.waiting_since == 0 || since < sum.waiting_since))
            sum.waiting_since = since;
    }
    return sum;
}
