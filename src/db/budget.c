/* SPDX-License-Identifier: MIT */
#include "db/budget.h"

#include <assert.h>
#include <fcntl.h>

#include "base/bell.h"

static uint32_t load(const _Atomic uint32_t *n) { return atomic_load_explicit(n, memory_order_relaxed); }

size_t budget_bytes(int size, int overflow)
{
    return sizeof(struct budget) + (size_t)(size + overflow) * sizeof(_Atomic uint16_t);
}

enum err budget_init(struct budget *b, int size, int overflow, int bells)
{
    assert(size >= 1 && overflow >= 0 && bells >= 0 && bells <= BUDGET_ROWS_MAX);
    b->size = size;
    b->overflow = overflow;
    b->permit_count = (uint32_t)(size + overflow);
    budget_share(b, 1);
    for (int i = 0; i < BUDGET_ROWS_MAX; i++)
        b->rows[i].bell = -1;
    for (int i = 0; i < bells; i++) {
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
    for (int i = 0; i < BUDGET_ROWS_MAX; i++)
        bell_break(&b->rows[i].bell);
}

static void let_pass(const struct budget *b, int flags)
{
    for (int i = 0; i < BUDGET_ROWS_MAX; i++) {
        if (b->rows[i].bell >= 0)
            (void)fcntl(b->rows[i].bell, F_SETFD, flags);
    }
}

void budget_bequeath(const struct budget *b) { let_pass(b, 0); }
void budget_inherit(const struct budget *b) { let_pass(b, FD_CLOEXEC); }

/* ---- shares --------------------------------------------------------------------- */

void budget_share(struct budget *b, int positions)
{
    assert(positions >= 1 && positions <= BUDGET_POSITIONS_MAX && (uint32_t)positions <= b->permit_count);
    atomic_store(&b->positions, positions);
}

static uint32_t positions_of(const struct budget *b)
{
    return (uint32_t)atomic_load_explicit(&b->positions, memory_order_relaxed);
}

/* The permits below this number are the positions'; the first is the first one's, the
 * second the second one's, and so on, round and round. */
static uint32_t kept(const struct budget *b)
{
    const uint32_t size = (uint32_t)b->size, positions = positions_of(b);

    return size > positions ? size : positions;
}

static uint32_t position_of(const struct budget *b, int row)
{
    const int32_t seat = atomic_load_explicit(&b->rows[row].position, memory_order_relaxed);

    assert(seat > 0);
    return (uint32_t)(seat - 1);
}

/* What one of so many gets of a whole. */
static uint32_t part_of(uint32_t whole, uint32_t sharers, uint32_t index)
{
    if (index >= sharers)
        return 0;
    return whole / sharers + (index < whole % sharers ? 1 : 0);
}

uint32_t budget_share_of_base(const struct budget *b, int row)
{
    return part_of(kept(b), positions_of(b), position_of(b, row));
}

uint32_t budget_share_of_all(const struct budget *b, int row)
{
    const uint32_t positions = positions_of(b), position = position_of(b, row);

    return part_of(kept(b), positions, position) + part_of(b->permit_count - kept(b), positions, position);
}

static bool is_alone(const struct budget *b, uint32_t position)
{
    return atomic_load_explicit(&b->seated[position], memory_order_relaxed) <= 1;
}

uint32_t budget_sure(const struct budget *b, int row)
{
    return is_alone(b, position_of(b, row)) ? budget_share_of_base(b, row) : 0;
}

/* ---- permits -------------------------------------------------------------------- */

enum which { POSITIONS, COMMON, OTHERS, ANY };

static enum which kind_of(const struct budget *b, uint32_t permit, uint32_t position)
{
    if (permit >= kept(b))
        return COMMON;
    return permit % positions_of(b) == position ? POSITIONS : OTHERS;
}

static uint16_t mark_of(int row) { return (uint16_t)(row + 1); }

/* Changes the owner of a permit of that kind, as the worker of the row sees it. */
static bool change_one(struct budget *b, int row, enum which which, uint16_t from, uint16_t to)
{
    const uint32_t position = which == ANY ? 0 : position_of(b, row);

    for (uint32_t i = 0; i < b->permit_count; i++) {
        uint16_t expected = from;

        if (atomic_load_explicit(&b->permits[i], memory_order_relaxed) == from &&
            (which == ANY || kind_of(b, i, position) == which) &&
            atomic_compare_exchange_strong(&b->permits[i], &expected, to))
            return true;
    }
    return false;
}

static int rows_used(const struct budget *b) { return atomic_load_explicit(&b->rows_used, memory_order_relaxed); }

static void ring_those_who_want(const struct budget *b, int but)
{
    for (int i = 0; i < rows_used(b); i++) {
        if (i != but && atomic_load(&b->rows[i].wanted) > 0)
            bell_ring(b->rows[i].bell);
    }
}

bool budget_take(struct budget *b, int row)
{
    const uint16_t mark = mark_of(row);

    if (!change_one(b, row, POSITIONS, 0, mark) && !change_one(b, row, COMMON, 0, mark))
        return false;
    atomic_fetch_add_explicit(&b->rows[row].held, 1, memory_order_relaxed);
    return true;
}

/* A permit of another position: the positions were other ones when it was taken. */
void budget_give(struct budget *b, int row)
{
    const uint16_t mark = mark_of(row);
    const bool held = change_one(b, row, OTHERS, mark, 0) || change_one(b, row, COMMON, mark, 0) ||
                      change_one(b, row, ANY, mark, 0);

    assert(held);
    (void)held;
    atomic_fetch_sub_explicit(&b->rows[row].held, 1, memory_order_relaxed);
    ring_those_who_want(b, row);
}

/* In between it holds one more than it counts; that is nobody else's. */
void budget_settle(struct budget *b, int row)
{
    const uint16_t mark = mark_of(row);

    while (change_one(b, row, POSITIONS, 0, mark)) {
        if (change_one(b, row, OTHERS, mark, 0) || change_one(b, row, COMMON, mark, 0)) {
            ring_those_who_want(b, row);
            continue;
        }
        (void)change_one(b, row, POSITIONS, mark, 0);
        return;
    }
}

/* A bell when it begins; then those who have read `wanted` act on each return. */
void budget_want(struct budget *b, int row, uint32_t count)
{
    struct budget_row *own = &b->rows[row];
    const uint32_t before = load(&own->wanted);

    if (count == before)
        return;
    atomic_store(&own->wanted, count);
    for (int i = 0; before == 0 && i < rows_used(b); i++) {
        if (i != row)
            bell_ring(b->rows[i].bell);
    }
}

bool budget_wanted(const struct budget *b, int row)
{
    for (int i = 0; i < rows_used(b); i++) {
        if (i != row && load(&b->rows[i].wanted) > 0)
            return true;
    }
    return false;
}

/* Two that share a position may have a single permit between them: then it goes to
 * and fro. */
static bool is_poorer(const struct budget *b, int other, int row)
{
    const bool beside = atomic_load_explicit(&b->rows[other].position, memory_order_relaxed) ==
                        atomic_load_explicit(&b->rows[row].position, memory_order_relaxed);

    return load(&b->rows[other].held) + (beside ? 1 : 2) <= load(&b->rows[row].held);
}

bool budget_wanted_by_poorer(const struct budget *b, int row)
{
    for (int i = 0; i < rows_used(b); i++) {
        if (i != row && load(&b->rows[i].wanted) > 0 && is_poorer(b, i, row))
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

static void leave_seat(struct budget *b, int row)
{
    const int32_t seat = atomic_exchange(&b->rows[row].position, 0);

    if (seat > 0)
        atomic_fetch_sub(&b->seated[seat - 1], 1);
}

void budget_seat(struct budget *b, int row, int position)
{
    int32_t used = atomic_load(&b->rows_used);

    assert(row >= 0 && row < BUDGET_ROWS_MAX && position >= 0 && position < BUDGET_POSITIONS_MAX);
    leave_seat(b, row);
    atomic_store(&b->rows[row].position, position + 1);
    atomic_fetch_add(&b->seated[position], 1);
    while (used <= row && !atomic_compare_exchange_weak(&b->rows_used, &used, row + 1))
        continue;
}

void budget_forget(struct budget *b, int row)
{
    clear_row(&b->rows[row]);
    while (change_one(b, row, ANY, mark_of(row), 0))
        continue;
    leave_seat(b, row);
    ring_those_who_want(b, row);
}

struct budget_use budget_use(const struct budget *b)
{
    struct budget_use sum = { .waiting_since = 0 };

    for (int i = 0; i < rows_used(b); i++) {
        const struct budget_row *row = &b->rows[i];
        const mono_ns since = atomic_load_explicit(&row->waiting_since, memory_order_relaxed);

        sum.active += load(&row->active);
        sum.idle += load(&row->idle);
        sum.waiting += load(&row->waiting);
        if (since != 0 && (sum.waiting_since == 0 || since < sum.waiting_since))
            sum.waiting_since = since;
    }
    return sum;
}
