/* SPDX-License-Identifier: MIT */
#include "settings/nearest.h"

static unsigned char fold(char c) { return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t edit_distance(struct str a, struct str b)
{
    size_t row[NEAREST_WORD_MAX + 1]; /* distances of a[0, i) to each b[0, j) */

    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            const size_t changed = diagonal + (fold(a.ptr[i - 1]) != fold(b.ptr[j - 1]));
            diagonal = row[j];
            row[j] = least(changed, least(row[j - 1], row[j]) + 1);
        }
    }
    return row[b.len];
}

struct nearest nearest_to(struct str word) { return (struct nearest){ .word = word, .distance = word.len / 3 + 2 }; }

void nearest_offer(struct nearest *near, const char *name)
{
    const struct str candidate = str_of(name);

    if (near->word.len == 0 || near->word.len > NEAREST_WORD_MAX || candidate.len > NEAREST_WORD_MAX)
        return;
    const size_t distance = edit_distance(near->word, candidate);
    if (distance < near->distance && distance < candidate.len) {
        near->distance = distance;
        near->best = name;
    }
}
