/* SPDX-License-Identifier: MIT */
/* Messages from Redis: a connection of its own that is subscribed to channels, and
 * subscribed again after each reconnect.
 *
 * A message that is published while the connection is away is lost: that is what
 * `subscribed` is for. Whoever must not miss one takes it for "anything may have
 * happened".
 */
#pragma once

#include <stdbool.h>

#include "redis/conf.h"

struct redis_subscription;

enum { REDIS_CHANNELS_MAX = 8 };

/* Called from the loop; each may call redis_unsubscribe(). */
struct redis_listener {
    void (*subscribed)(void *arg);  /* at first, and again after each reconnect         */

    /* `channel` is without the prefix; both are valid until this returns. */
    void (*message)(void *arg, struct str channel, struct str payload);
    void  *arg;
};

/* Begins to connect, on this thread's loop. The prefix of the settings goes before
 * each channel. `conf`, `listener` and the names must outlive it. NULL without
 * memory. */
struct redis_subscription *redis_subscribe(const struct redis_conf *conf, const struct str *channels, size_t count,
                                           const struct redis_listener *listener);

/* Ends it; the loop has no handle of it left when it has run. NULL is fine. */
void redis_unsubscribe(struct redis_subscription *s);

/* Whether messages come in now. */
bool redis_is_subscribed(const struct redis_subscription *s);
