/* SPDX-License-Identifier: MIT */
/* The one memory mapping that all processes of a node share.
 *
 * The master makes it before it forks; each layer takes its part once
 * (shared_take) and keeps the pointer, which is the same in every worker, since
 * nobody maps again. Inside the parts stand only values, offsets and indices,
 * atomics, and slots with one writer each: no lock that a killed worker could
 * hold for ever.
 */
#pragma once

#include <stddef.h>

struct shared { char *base; size_t size, used; };

/* Maps `size` bytes, zeroed, at once (MAP_POPULATE is not asked for: untouched
 * pages cost nothing). Returns 0, or the errno. */
int shared_open(struct shared *s, size_t size);

/* A part of the mapping, aligned to a cache line. NULL when it does not fit:
 * the sizes are known before, so that is a programmer's error. */
void *shared_take(struct shared *s, size_t size);

void shared_close(struct shared *s);
