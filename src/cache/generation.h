/* SPDX-License-Identifier: MIT */
/* Generations: how a write tells every worker that cached responses are old.
 *
 * One counter in shared memory for each tag (a table of the domain). A response
 * remembers the generations of its tags from before its rows were read, and is
 * good only while they are the same. A writer bumps them after its commit and
 * before its own response leaves: no reader, on any worker, sees the old rows
 * after the writer has its answer.
 *
 * Beside them stands what the other nodes know of this node's writes, so that a
 * write which could not be told (or whose worker died) is told later, by whichever
 * worker comes to it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CACHE_TAGS = 32 };
#define CACHE_ALL_TAGS UINT32_MAX

/* In shared memory. */
struct cache_generations {
    _Atomic uint64_t tag[CACHE_TAGS];       /* writes of all nodes, as far as known here    */
    _Atomic uint64_t written[CACHE_TAGS];   /* writes of this node                          */
    _Atomic uint64_t told[CACHE_TAGS];      /* so many of those the other nodes know of     */
    _Atomic uint64_t heard[CACHE_TAGS];     /* the last message about the tag               */
};

/* This node has written: bumps the generation of each tag in the mask. */
void cache_invalidate(struct cache_generations *g, uint32_t tags);

/* A stamp that differs as soon as any tag of the mask was bumped (a sum: the
 * counters only grow). */
uint64_t cache_stamp(const struct cache_generations *g, uint32_t tags);

/* Another node has written: bumps, unless a worker has done so for this message. */
void cache_hear(struct cache_generations *g, uint32_t tags, uint64_t message);

/* Anything may have happened: bumps all. */
void cache_doubt(struct cache_generations *g);

/* The tags of the mask with writes that the other nodes do not know of. */
uint32_t cache_untold(const struct cache_generations *g, uint32_t tags);

/* How much was written before a message; and that it has arrived. The message is
 * then not news to this node itself. */
struct cache_writes { uint64_t count[CACHE_TAGS]; };
void cache_telling(struct cache_generations *g, uint32_t tags, uint64_t message, struct cache_writes *ret_writes);
void cache_told(struct cache_generations *g, uint32_t tags, const struct cache_writes *writes);
