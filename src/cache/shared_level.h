/* SPDX-License-Identifier: MIT */
/* The second level of the response cache: Redis, for all nodes.
 *
 *   cache:<hash>        a response, sealed (cache/shared_value.h), for what is left of its TTL
 *   cache:lock:<hash>   somebody makes that response now, for two seconds at most
 *   cache:tag:<number>  the generation of a tag: a random text, made by whoever misses it
 *   cache:written       the channel on which a node says which tags it has written
 *
 * A response is good while the generations of its tags are those from before its
 * rows were read. A write deletes the generations: the next to look makes new ones,
 * so that a generation lost by eviction or FLUSHALL is a miss as well, never an old
 * answer. The same message that deletes them tells the other nodes, whose first
 * levels are bumped then. What could not be told is told later (shared_level_owes());
 * until then this node does not look at responses of those tags. Who subscribes
 * anew takes it that something was written meanwhile.
 *
 * Redis may be away, slow, flushed, read-only or full of somebody's rubbish: then
 * there is nothing to be found, and each takes what its node has. A server that
 * takes no writes could not have been told of any: to look is to write.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "cache/generation.h"
#include "cache/shared_value.h"
#include "redis/redis.h"

struct shared_level;

struct shared_conf {
    struct redis             *redis;
    const struct redis_conf  *redis_conf;       /* for the subscription         */
    struct cache_generations *generations;      /* in shared memory             */
    const uint8_t            *secret;           /* SHARED_SECRET_BYTES          */
    double                    ttl_s;
};

/* A response that is looked for, and then perhaps made. In the request's arena. */
struct shared_claim {
    struct str key;         /* the same on every node                           */
    uint32_t   tags;
    struct str stamp;       /* generations before the rows are read; or empty   */
    mono_ns    left;        /* of the found response's life                     */
};

/* Begins to listen, on this thread's loop. What the configuration points to must
 * outlive it. NULL without memory, or when the client has no room for its
 * functions. */
struct shared_level *shared_level_new(const struct shared_conf *conf);

/* Ends listening; free when the loop has ended. NULL is fine. */
void shared_level_close(struct shared_level *s);
void shared_level_free(struct shared_level *s);

/* Whether it is worth looking for responses of these tags. */
bool shared_level_serves(const struct shared_level *s, uint32_t tags);

/* Looks for a response, waits a little while another node makes it. E_NOT_FOUND:
 * it is now to be made, and then either stored or given up. Anything else: there is
 * no Redis, and nothing to do afterwards. For a coroutine. */
MUSTCHECK enum err shared_level_find(struct shared_level *s, struct shared_claim *claim, struct arena *arena,
                                     struct response *ret_res);

/* Sends a handler's response (200, BODY_BYTES) there; nobody waits for that. */
void shared_level_store(struct shared_level *s, const struct shared_claim *claim, const struct response *res);

/* No response was made that others can use. */
void shared_level_give_up(struct shared_level *s, const struct shared_claim *claim);

/* Tells the other nodes what was written (after cache_invalidate()), and waits until
 * Redis has it, or its time is over. For a coroutine. */
void shared_level_tell(struct shared_level *s, uint32_t tags);

/* The tags that are still to be told and can be now. */
uint32_t shared_level_owes(const struct shared_level *s);
