/* SPDX-License-Identifier: MIT */
/* The windows of all nodes together, in Redis: one function a request, which
 * counts and decides in the server, by the server's clock.
 *
 * A client's key holds the units (seconds of the last minute, minutes of the last
 * hour) in which something was let through, with how much; it lives for as long as
 * it counts. What others have written there counts as nothing.
 */
#pragma once

#include "limit/table.h"
#include "redis/redis.h"

/* Makes the function known; right after redis_new(). */
MUSTCHECK enum err limit_cluster_init(struct redis *r);

/* Asks whether one more may be let through, and counts it if so. OK: `done` will be
 * called (redis_send). */
MUSTCHECK enum err limit_cluster_check(struct redis *r, const struct limit_key *key, const struct limit_rate *rate,
                                       redis_reply_fn *done, void *arg);

/* The same in a coroutine. E_INTERNAL for an answer that makes no sense. */
MUSTCHECK enum err limit_cluster_call(struct redis *r, const struct limit_key *key, const struct limit_rate *rate,
                                      struct arena *arena, struct limit_verdict *ret_verdict);

/* What was answered; false when it makes no sense. `first_refusal` is not known. */
MUSTCHECK bool limit_cluster_read(const struct redis_value *v, const struct limit_rate *rate,
                                  struct limit_verdict *ret_verdict);
