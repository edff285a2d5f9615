/* SPDX-License-Identifier: MIT */
/* A connection that is subscribed answers PING among its messages, so that a server
 * that has vanished without a word is noticed. */
#include "redis/subscription.h"

#include <assert.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "base/task.h"
#include "redis/session.h"

enum { LISTEN_EVERY_MS = 3000 };

struct redis_subscription {
    const struct redis_conf *conf;
    const struct str *channels;
    size_t count;
    const struct redis_listener *listener;
    struct session session;
    struct ask subscribe;
    size_t confirmed; /* channels, on this connection                 */
    uv_timer_t pulse; /* rings now and then                           */
    bool heard;       /* anything, since it rang                      */
    int open_handles; /* the session and the timer                    */
};

static bool is_subscribed(const struct redis_subscription *s) { return s->confirmed == s->count; }

bool redis_is_subscribed(const struct redis_subscription *s)
{
    return session_is_ready(&s->session) && is_subscribed(s);
}

/* ---- what the server says --------------------------------------------------------------- */

static void confirm(struct redis_subscription *s, const struct redis_value *v)
{
    (void)v;
    if (is_subscribed(s))
        return;
    s->confirmed++;
    if (is_subscribed(s))
        s->listener->subscribed(s->listener->arg);
}

static void pass_on(struct redis_subscription *s, const struct redis_value *v)
{
    const struct str prefix = s->conf->prefix, channel = redis_text(redis_item(v, 1));

    metric_add(M_REDIS_MESSAGES, 1);
    if (str_starts_with(channel, prefix))
        s->listener->message(s->listener->arg, str_slice(channel, prefix.len, channel.len),
                             redis_text(redis_item(v, 2)));
}

/* Anything else is a sign of life. */
static const struct saying {
    const char *word;
    void (*take)(struct redis_subscription *s, const struct redis_value *v);
} sayings[] = { { "subscribe", confirm }, { "message", pass_on } };

static void on_pushed(void *owner, const struct redis_value *v)
{
    struct redis_subscription *s = owner;
    const struct str word = redis_text(redis_item(v, 0));

    s->heard = true;
    for (size_t i = 0; i < sizeof(sayings) / sizeof(sayings[0]); i++) {
        if (!str_eq(word, str_of(sayings[i].word)))
            continue;
        sayings[i].take(s, v);
        return;
    }
}

/* ---- subscribing ---------------------------------------------------------------------------- */

/* Each channel is confirmed by itself; the first confirmation is the answer. */
static void on_subscribed(struct ask *a, enum err e, const struct redis_value *v)
{
    struct redis_subscription *s = container_of(a, struct redis_subscription, subscribe);

    if (e == OK && v->kind == REDIS_ERROR)
        session_refused(&s->session, v->s.ptr);
    else if (e == OK)
        on_pushed(s, v);
}

static void on_ready(void *owner)
{
    struct redis_subscription *s = owner;
    struct redis_arg args[1 + REDIS_CHANNELS_MAX] = { RA_TEXT("SUBSCRIBE") };

    for (size_t i = 0; i < s->count; i++)
        args[1 + i] = (struct redis_arg)RA_KEY(s->channels[i]);
    s->confirmed = 0;
    s->heard = true;
    s->subscribe.answered = on_subscribed;
    if (session_ask_for(&s->session, &(struct redis_command){ .args = args, .count = 1 + s->count }, &s->subscribe) !=
        OK)
        session_fail(&s->session, "it takes no commands");
}

static void on_lost(void *owner) { (void)owner; }

static void on_pulse(uv_timer_t *timer)
{
    struct redis_subscription *s = timer->data;

    if (!session_is_ready(&s->session))
        return;
    if (!s->heard || session_ask_for(&s->session, REDIS_COMMAND(RA_TEXT("PING")), NULL) != OK)
        session_fail(&s->session, "it does not answer");
    s->heard = false;
}

/* ---- its life ---------------------------------------------------------------------------------- */

static void free_when_closed(struct redis_subscription *s)
{
    if (--s->open_handles == 0)
        free(s);
}

static void on_session_closed(void *owner) { free_when_closed(owner); }
static void on_timer_closed(uv_handle_t *timer) { free_when_closed(timer->data); }

static const struct session_events events = {
    .ready = on_ready,
    .lost = on_lost,
    .pushed = on_pushed,
    .closed = on_session_closed,
};

struct redis_subscription *redis_subscribe(const struct redis_conf *conf, const struct str *channels, size_t count,
                                           const struct redis_listener *listener)
{
    struct redis_subscription *s = calloc(1, sizeof(*s));

    assert(count >= 1 && count <= REDIS_CHANNELS_MAX);
    if (!s)
        return NULL;
    s->conf = conf;
    s->channels = channels;
    s->count = count;
    s->listener = listener;
    s->open_handles = 2;
    uv_timer_init(task_loop(), &s->pulse);
    s->pulse.data = s;
    uv_timer_start(&s->pulse, on_pulse, LISTEN_EVERY_MS, LISTEN_EVERY_MS);
    session_open(&s->session, &(struct session_conf){ .redis = conf, .events = &events, .owner = s, .aside = true });
    return s;
}

void redis_unsubscribe(struct redis_subscription *s)
{
    if (!s || s->session.state == SESSION_CLOSED)
        return;
    uv_close((uv_handle_t *)&s->pulse, on_timer_closed);
    session_close(&s->session);
}
