/* SPDX-License-Identifier: MIT */
#include "limit/set.h"

/* who 47 | settled 1 | life 16; who is never 0 */
#define LIFE_MASK UINT64_C(0xffff)
#define SETTLED   UINT64_C(0x10000)
#define WHO_MASK  (~(LIFE_MASK | SETTLED))

enum { NOWHERE = SET_SEATS };

static uint64_t who_of(uint64_t hash) { return hash & WHO_MASK ? hash & WHO_MASK : SETTLED << 1; }
static bool taken(uint64_t tag) { return (tag & WHO_MASK) != 0; }
static uint64_t freed(uint64_t tag) { return tag & LIFE_MASK; }
static uint64_t next_life(uint64_t tag) { return (tag + 1) & LIFE_MASK; }

bool limit_seat_settled(uint64_t tag) { return taken(tag) && (tag & SETTLED) != 0; }
bool limit_seat_is(uint64_t tag, uint64_t hash) { return (tag & ~LIFE_MASK) == (who_of(hash) | SETTLED); }

bool limit_seat_kept(const struct limit_set *set, const struct limit_seat *seat)
{
    return atomic_load(&set->tags[seat->index]) == seat->tag;
}

bool limit_set_find(const struct limit_set *set, uint64_t hash, struct limit_seat *ret_seat)
{
    for (unsigned i = 0; i < SET_SEATS; i++) {
        const uint64_t tag = atomic_load(&set->tags[i]);

        if (limit_seat_is(tag, hash)) {
            *ret_seat = (struct limit_seat){ i, tag };
            return true;
        }
    }
    return false;
}

static bool free_seat(struct limit_set *set, unsigned index, uint64_t tag, struct limit_seats *seats)
{
    if (!atomic_compare_exchange_strong(&set->tags[index], &tag, freed(tag)))
        return false;
    atomic_fetch_sub_explicit(&seats->taken, 1, memory_order_relaxed);
    return true;
}

/* ---- a new client ------------------------------------------------------------------- */

/* The first claim on a seat that nobody has settled yet; NOWHERE when there is none. */
static struct limit_seat find_claim(const struct limit_set *set, uint64_t who)
{
    for (unsigned i = 0; i < SET_SEATS; i++) {
        const uint64_t tag = atomic_load(&set->tags[i]);

        if ((tag & ~LIFE_MASK) == who)
            return (struct limit_seat){ i, tag };
    }
    return (struct limit_seat){ .index = NOWHERE };
}

/* A free seat, else the one whose owner has not been seen for longest. */
static struct limit_seat choose_seat(const struct limit_set *set)
{
    struct limit_seat best = { .index = NOWHERE };
    int64_t oldest = INT64_MAX;

    for (unsigned i = 0; i < SET_SEATS; i++) {
        const uint64_t tag = atomic_load(&set->tags[i]);
        const int64_t seen = atomic_load_explicit(&set->seen_ms[i], memory_order_relaxed);

        if (!taken(tag))
            return (struct limit_seat){ i, tag };
        if (best.index == NOWHERE || seen < oldest) {
            best = (struct limit_seat){ i, tag };
            oldest = seen;
        }
    }
    return best;
}

static void make_claim(struct limit_set *set, uint64_t who, int64_t now_ms, struct limit_seats *seats)
{
    struct limit_seat seat = choose_seat(set);
    const bool evicts = taken(seat.tag);

    if (!atomic_compare_exchange_strong(&set->tags[seat.index], &seat.tag, who | next_life(seat.tag)))
        return;
    atomic_store_explicit(&set->seen_ms[seat.index], now_ms, memory_order_relaxed);
    atomic_fetch_add_explicit(evicts ? &seats->evictions : &seats->taken, 1, memory_order_relaxed);
}

/* Settles the claim if it is the client's only one. Reads all seats anew: what
 * was seen before the claim was does not prove that there is no other. */
static void settle(struct limit_set *set, const struct limit_seat *claim, struct limit_seats *seats)
{
    const uint64_t who = claim->tag & WHO_MASK;
    uint64_t expected = claim->tag;

    for (unsigned i = 0; i < SET_SEATS; i++) {
        const uint64_t tag = atomic_load(&set->tags[i]);

        if (i == claim->index || (tag & WHO_MASK) != who)
            continue;
        if ((tag & SETTLED) != 0) {
            free_seat(set, claim->index, claim->tag, seats);
            return;
        }
        if (i < claim->index || !free_seat(set, i, tag, seats))
            return;
    }
    atomic_compare_exchange_strong(&set->tags[claim->index], &expected, expected | SETTLED);
}

static void touch(_Atomic int64_t *seen_ms, int64_t now_ms)
{
    if (atomic_load_explicit(seen_ms, memory_order_relaxed) < now_ms)
        atomic_store_explicit(seen_ms, now_ms, memory_order_relaxed);
}

struct limit_seat limit_set_claim(struct limit_set *set, uint64_t hash, int64_t now_ms, struct limit_seats *seats)
{
    const uint64_t who = who_of(hash);
    struct limit_seat seat;

    while (!limit_set_find(set, hash, &seat)) {
        const struct limit_seat claim = find_claim(set, who);

        if (claim.index == NOWHERE)
            make_claim(set, who, now_ms, seats);
        else
            settle(set, &claim, seats);
    }
    touch(&set->seen_ms[seat.index], now_ms);
    return seat;
}

bool limit_set_leave(struct limit_set *set, uint64_t hash, struct limit_seats *seats)
{
    struct limit_seat seat;

    return limit_set_find(set, hash, &seat) && free_seat(set, seat.index, seat.tag, seats);
}
