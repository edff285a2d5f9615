/* SPDX-License-Identifier: MIT */
#include "limit/window.h"

#include <assert.h>

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "words that no lock stands behind");

enum {
    COUNT_BITS = 24,
    STAMP_BITS = 40,
    AGE_BITS = 6,
    LIFE_SHIFT = STAMP_BITS - 16, /* how far a new life is beyond the last: half a year of seconds */
    SUM_MAX = WINDOW_COUNT_MAX,
};

#define STAMP_MASK ((UINT64_C(1) << STAMP_BITS) - 1)

uint64_t window_stamp(uint16_t life, uint64_t unit) { return (((uint64_t)life << LIFE_SHIFT) + unit) & STAMP_MASK; }

/* Units from a to b; negative when b is before a. Stamps wrap, as lives do. */
static int64_t distance(uint64_t a, uint64_t b)
{
    const int shift = 64 - STAMP_BITS;

    return (int64_t)((b - a) << shift) / (INT64_C(1) << shift);
}

/* ---- the words --------------------------------------------------------------------- */

static uint64_t head_of(uint64_t stamp, uint32_t count) { return stamp << COUNT_BITS | count; }
static uint64_t stamp_of(uint64_t head) { return head >> COUNT_BITS; }
static uint32_t count_of(uint64_t word) { return (uint32_t)word & WINDOW_COUNT_MAX; }

/* Differs between two units that share a slot, and between the lives that come
 * one after the other. */
static uint32_t tag_of(uint64_t stamp)
{
    return (uint32_t)((stamp / WINDOW_SLOTS + 3 * (stamp >> LIFE_SHIFT)) & 0xff) << COUNT_BITS;
}

/* Of its stamp, the lower 34 bits are enough. */
static uint64_t past_name(uint64_t stamp) { return stamp << (AGE_BITS + COUNT_BITS); }

static uint32_t slot_count(const struct window *w, uint64_t stamp)
{
    const uint32_t slot = atomic_load_explicit(&w->slots[stamp % WINDOW_SLOTS], memory_order_relaxed);

    return (slot ^ tag_of(stamp)) <= WINDOW_COUNT_MAX ? count_of(slot) : 0;
}

/* ---- closing units ------------------------------------------------------------------ */

/* Sets the slot of a unit while the head is still the one that is being closed. */
static bool set_slot(struct window *w, uint64_t head, uint64_t stamp, uint32_t count)
{
    _Atomic uint32_t *slot = &w->slots[stamp % WINDOW_SLOTS];
    const uint32_t wanted = count > 0 ? tag_of(stamp) | count : 0;
    uint32_t seen = atomic_load(slot);

    for (;;) {
        if (count_of(seen) == 0 && wanted == 0)
            return true;
        if (wanted != 0 && (seen ^ wanted) <= WINDOW_COUNT_MAX && count_of(seen) >= count)
            return true;
        if (atomic_load(&w->head) != head)
            return false;
        if (atomic_compare_exchange_strong(slot, &seen, wanted))
            return true;
    }
}

/* The slots as they are to be when `next` is open. */
static bool close_units(struct window *w, uint64_t head, uint64_t next, int64_t ahead)
{
    const bool near = ahead <= WINDOW_SLOTS;

    if (near && !set_slot(w, head, stamp_of(head), count_of(head)))
        return false;
    for (uint64_t back = near ? (uint64_t)ahead - 1 : WINDOW_SLOTS; back > 0; back--) {
        if (!set_slot(w, head, (next - back) & STAMP_MASK, 0))
            return false;
    }
    return true;
}

/* The head, once its unit is `stamp` or a later one. */
static uint64_t advance(struct window *w, uint64_t stamp)
{
    uint64_t head = atomic_load(&w->head);

    for (;;) {
        const int64_t ahead = distance(stamp_of(head), stamp);
        const uint64_t next = head_of(stamp, 0);

        if (ahead <= 0)
            return head;
        if (!close_units(w, head, stamp, ahead)) {
            head = atomic_load(&w->head);
        } else if (atomic_compare_exchange_strong(&w->head, &head, next)) {
            if (ahead > WINDOW_UNITS)
                atomic_store_explicit(&w->past, past_name(stamp), memory_order_relaxed);
            return next;
        }
    }
}

/* ---- what is used ------------------------------------------------------------------- */

struct past {
    uint32_t age, sum;
};

/* The closed units of the window, one by one. */
static struct past survey(const struct window *w, uint64_t stamp)
{
    uint64_t unit = (stamp - WINDOW_UNITS) & STAMP_MASK;
    uint32_t tag = tag_of(unit);
    struct past past = { 0 };

    for (uint32_t age = WINDOW_UNITS; age > 0; age--, unit++) {
        uint32_t slot;

        if (unit % WINDOW_SLOTS == 0)
            tag = tag_of(unit & STAMP_MASK);
        slot = atomic_load_explicit(&w->slots[unit % WINDOW_SLOTS], memory_order_relaxed) ^ tag;
        if (slot == 0 || slot > WINDOW_COUNT_MAX)
            continue;
        if (past.sum == 0)
            past.age = age;
        past.sum = slot < SUM_MAX - past.sum ? past.sum + slot : SUM_MAX;
    }
    return past;
}

/* It does not change while the unit is open, so it is kept. */
static struct past past_of(struct window *w, uint64_t stamp)
{
    const uint64_t name = past_name(stamp), kept = atomic_load_explicit(&w->past, memory_order_relaxed);
    struct past past;

    if ((kept ^ name) >> (AGE_BITS + COUNT_BITS) == 0)
        return (struct past){ .age = (uint32_t)(kept >> COUNT_BITS) & ((1 << AGE_BITS) - 1), .sum = count_of(kept) };
    past = survey(w, stamp);
    atomic_store_explicit(&w->past, name | (uint64_t)past.age << COUNT_BITS | past.sum, memory_order_relaxed);
    return past;
}

static struct window_use use_of(struct window *w, uint64_t head, uint64_t stamp)
{
    const struct past past = past_of(w, stamp_of(head));

    return (struct window_use){
        .stamp = stamp_of(head),
        .ahead = (uint32_t)distance(stamp, stamp_of(head)),
        .used = past.sum + count_of(head),
        .age = past.age,
    };
}

struct window_use window_look(struct window *w, uint64_t stamp) { return use_of(w, advance(w, stamp), stamp); }

struct window_use window_peek(const struct window *w, uint64_t stamp)
{
    struct window copy;

    atomic_init(&copy.head, atomic_load(&w->head));
    atomic_init(&copy.past, atomic_load_explicit(&w->past, memory_order_relaxed));
    for (int i = 0; i < WINDOW_SLOTS; i++)
        atomic_init(&copy.slots[i], atomic_load_explicit(&w->slots[i], memory_order_relaxed));
    return window_look(&copy, stamp);
}

bool window_take(struct window *w, uint64_t stamp, uint32_t limit, struct window_use *ret_use)
{
    uint64_t head = advance(w, stamp);

    for (;;) {
        struct window_use use = use_of(w, head, stamp);
        const bool room = use.used < limit && count_of(head) < WINDOW_COUNT_MAX;

        if (room && !atomic_compare_exchange_strong(&w->head, &head, head + 1))
            continue;
        use.used += room;
        *ret_use = use;
        return room;
    }
}

void window_give(struct window *w, const struct window_use *use)
{
    uint64_t head = atomic_load(&w->head);

    while (stamp_of(head) == use->stamp && count_of(head) > 0) {
        if (atomic_compare_exchange_strong(&w->head, &head, head - 1))
            return;
    }
}

uint32_t window_wait(const struct window *w, const struct window_use *use, uint32_t limit)
{
    const uint32_t to_leave = use->used < limit ? 0 : use->used - limit + 1;
    uint32_t age = use->age, left = 0;

    if (to_leave == 0)
        return 0;
    while (to_leave > 1 && age > 0) {
        left += slot_count(w, (use->stamp - age) & STAMP_MASK);
        if (left >= to_leave)
            break;
        age--;
    }
    return use->ahead + WINDOW_UNITS + 1 - age;
}
