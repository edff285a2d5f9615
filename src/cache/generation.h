/* SPDX-License-Identifier: MIT */
/* Generations: how a write tells every worker that cached responses are old.
 *
 * One counter in shared memory for each tag (a table of the domain). A response
 * remembers the generations of its tags from before its rows were read, and is
 * good only while they are the same. A writer bumps them after its commit and
 * before its own response leaves: no reader, on any worker, sees the old rows
 * after the writer has its answer.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { CACHE_TAGS = 32 };

struct cache_generations { _Atomic uint64_t tag[CACHE_TAGS]; };   /* in shared memory */

/* Bumps the generation of each tag in the mask. */
void cache_invalidate(struct cache_generations *g, uint32_t tags);

/* A stamp that differs as soon as any tag of the mask was bumped (a sum: the
 * counters only grow). */
uint64_t cache_stamp(const struct cache_generations *g, uint32_t tags);
