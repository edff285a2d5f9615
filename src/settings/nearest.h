/* SPDX-License-Identifier: MIT */
/* "Did you mean ...?": of several names, the one nearest to a misspelt word.
 *
 *   struct nearest near = nearest_to(word);
 *   nearest_offer(&near, "serve"); nearest_offer(&near, "check");
 *   near.best is the nearest, or NULL when none is near enough to propose
 *
 * Near is the Levenshtein distance, the case of letters set aside: one change,
 * and one more for every three bytes. Words over 64 bytes have no neighbours.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

enum { NEAREST_WORD_MAX = 64 };

struct nearest {
    struct str word;
    const char *best;
    size_t distance; /* an offer must stay below */
};

struct nearest nearest_to(struct str word);
void nearest_offer(struct nearest *near, const char *name);

/* Single-byte changes, insertions and removals that make b of a. Both are at
 * most NEAREST_WORD_MAX bytes long. */
size_t edit_distance(struct str a, struct str b);
