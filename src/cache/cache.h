/* SPDX-License-Identifier: MIT */
/* The response cache of a worker: whole responses, serialised once.
 *
 *   fresh copy                  -> answered on the loop, one writev, or 304
 *   none, nobody fetches it     -> the shared level is asked (cache/shared_level.h), or
 *                                  the handler runs; its response is kept
 *   none, another one fetches   -> the request waits for that response
 *   handler failed (5xx)        -> the last good copy, with Age
 *
 * A copy is fresh while it is younger than the TTL and no write has bumped a
 * generation of the route's tags (cache/generation.h). Each is kept plain, and
 * compressed with gzip and brotli as soon as a thread has done that. Keys are
 * the route with its path and the declared parameters, defaults filled in:
 * spelling a request differently makes no second copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cache/generation.h"
#include "cache/shared_level.h"
#include "http/request.h"

struct cache;

struct cache_conf {
    bool                 enabled;
    double               ttl_s;      /* a copy is not older than this         */
    size_t               max_bytes;  /* memory of this worker's copies        */
    struct shared_level *shared;     /* NULL: none                            */
};

/* `generations` is in shared memory. NULL without memory. */
struct cache *cache_new(const struct cache_conf *conf, struct cache_generations *generations);

/* Nothing may be under way in it: the loop has ended. NULL is fine. */
void cache_free(struct cache *c);

/* The step (http/request.h) that answers from the cache; ctx is the cache. */
enum step_result cache_step(void *ctx, struct request *req, struct response *res);

/* To be called after a commit and before its response: copies made from these
 * tables are old, on every worker, and on every node as soon as Redis has said so,
 * for which it waits (within the time limit of commands). For a coroutine. */
void cache_written(struct cache *c, uint32_t tags);

/* Now and then: tells the other nodes of writes that could not be told. */
void cache_tick(struct cache *c);
