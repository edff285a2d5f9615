/* SPDX-License-Identifier: MIT */
/* A window that slides: how much was let through in the last 60 units of time.
 *
 * Time comes in units (seconds, or minutes), each with a stamp that only grows.
 * The window of a unit is that unit and the 60 before it, so an admission counts
 * for at least 60 units and leaves before 61 are over: never more than the limit
 * in any 60 units, at most one unit too strict.
 *
 *     slots   .  3  .  .  7  1  .  .  .  2     closed units, a ring of 64
 *     past    13                               their sum, kept for the open unit
 *     head                               5     the open unit: stamp and count
 *
 * An admission is one compare-and-swap of the head. The first who sees a later
 * unit closes the open one: its count goes to its slot, the slots of the units
 * that were skipped are emptied, and then the head is swapped. All of that may be
 * done by several at once, all of them do the same, and whoever is killed in the
 * middle leaves a head that the next one closes. There is no lock and nobody waits.
 *
 * Why nothing is lost, however long somebody was stopped between two steps: a
 * head never comes back to an earlier stamp. Who writes a slot has read the slot
 * before it saw that the head was still the one it closes, and swaps the slot
 * only if it is as it was; the tag of a slot (8 bits of its stamp) makes it differ
 * from what stood there 64 units or one life before. A closed unit's count is
 * never lowered.
 *
 * A window that gets a new owner needs no cleaning: the new life's stamps are far
 * beyond those of the life before, as if a very long time had passed.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    WINDOW_UNITS     = 60,
    WINDOW_SLOTS     = 64,
    WINDOW_COUNT_MAX = (1 << 24) - 1,   /* what a unit can count; limits are below that */
};

/* In shared memory; all zero is an empty window. */
struct window {
    /* private */
    _Atomic uint64_t head;                  /* stamp 40 | count 24                               */
    _Atomic uint64_t past;                  /* stamp 34 | age of the oldest slot in use 6 | sum 24 */
    _Atomic uint32_t slots[WINDOW_SLOTS];   /* tag 8 | count 24                                  */
};

/* How full it is. */
struct window_use {
    uint64_t stamp;   /* at which this is so                                               */
    uint32_t ahead;   /* units that this is after the asker's: the window has gone on      */
    uint32_t used;
    uint32_t age;     /* units from the oldest that counts; 0: it is of this unit, or none */
};

/* The stamp of a unit for the owner number `life` of a window. */
uint64_t window_stamp(uint16_t life, uint64_t unit);

/* What is used at that time. (Closes units that are over, so it writes as well.) */
struct window_use window_look(struct window *w, uint64_t stamp);

/* The same for who may only read, and does not mind what happens meanwhile: looks at
 * a copy. */
struct window_use window_peek(const struct window *w, uint64_t stamp);

/* Lets one through if less than `limit` is used. *ret_use is how it is then,
 * also when it was refused. */
bool window_take(struct window *w, uint64_t stamp, uint32_t limit, struct window_use *ret_use);

/* Gives back one that was taken at use.stamp. When that unit is closed already it
 * is too late, and it stays counted. */
void window_give(struct window *w, const struct window_use *use);

/* Units from the asker's on until less than `limit` (> 0) is used, if nobody takes
 * more; 0 when it is so now. */
uint32_t window_wait(const struct window *w, const struct window_use *use, uint32_t limit);
