/* SPDX-License-Identifier: MIT */
/* A set: eight seats, and which client sits on which.
 *
 * A seat is one word, its tag: who (47 bits of the client's keyed hash), whether
 * that is settled, and the seat's life, a number that each new owner raises. So a
 * seat changes hands by one compare-and-swap, from the free or the least recently
 * seen to the new owner; a worker killed at any moment has done it or has not.
 *
 * Two workers that see a new client at the same time may seat it twice, and it
 * would then be counted twice. Therefore a claim does not count before it is
 * settled: whoever meets an unsettled one (its maker may be dead) looks at all
 * seats again, removes the same client's other unsettled claims unless they stand
 * before it, and settles it if no other was there. Of two claims, the one that was made
 * later is looked around from when the other can be seen, so never are both settled.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SET_SEATS = 8 };

/* In shared memory; all zero is an empty set. */
struct limit_set {
    _Alignas(64) _Atomic uint64_t tags[SET_SEATS];
    _Atomic int64_t               seen_ms[SET_SEATS];   /* when its owner last asked */
};

/* Of all sets of a table. A worker killed between a change and its count leaves
 * them one off. */
struct limit_seats {
    _Atomic uint64_t taken, evictions;
};

/* Where a client sits. It is its seat for as long as the tag is the same. */
struct limit_seat {
    unsigned index;
    uint64_t tag;
};

/* The client's seat; false when it has none. */
bool limit_set_find(const struct limit_set *set, uint64_t hash, struct limit_seat *ret_seat);

/* The same, but takes one when it has none. It is seen now. */
struct limit_seat limit_set_claim(struct limit_set *set, uint64_t hash, int64_t now_ms, struct limit_seats *seats);

/* Frees the client's seat; false when it has none. */
bool limit_set_leave(struct limit_set *set, uint64_t hash, struct limit_seats *seats);

bool limit_seat_kept(const struct limit_set *set, const struct limit_seat *seat);   /* it still is the client's */
bool limit_seat_settled(uint64_t tag);                     /* somebody sits there, and it is settled */
bool limit_seat_is(uint64_t tag, uint64_t hash);           /* this client does                       */
static inline uint16_t limit_seat_life(uint64_t tag) { return (uint16_t)tag; }
