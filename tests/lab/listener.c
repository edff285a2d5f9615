/* SPDX-License-Identifier: MIT */
/* Tells what the Redis client hears: listener URL CHANNEL...
 *
 * "subscribed", and "CHANNEL PAYLOAD" for each message, a line each; until SIGTERM.
 * Status 0 when the loop was left with nothing of the client's. */
#include <signal.h>
#include <stdio.h>

#include "base/task.h"
#include "redis/subscription.h"

static struct redis_subscription *subscription;

static void on_subscribed(void *arg)
{
    (void)arg;
    puts("subscribed");
    fflush(stdout);
}

static void on_message(void *arg, struct str channel, struct str payload)
{
    (void)arg;
    printf(STR_FMT " " STR_FMT "\n", STR_ARG(channel), STR_ARG(payload));
    fflush(stdout);
}

static void on_stop(uv_signal_t *stop, int number)
{
    (void)number;
    redis_unsubscribe(subscription);
    uv_close((uv_handle_t *)stop, NULL);
}

static int listen_to(const struct redis_conf *conf, const struct str *channels, size_t count)
{
    static const struct redis_listener listener = { on_subscribed, on_message, NULL };
    uv_signal_t stop;
    uv_loop_t loop;

    if (uv_loop_init(&loop) != 0)
        return 1;
    task_use_loop(&loop);
    uv_signal_init(&loop, &stop);
    uv_signal_start(&stop, on_stop, SIGTERM);
    subscription = redis_subscribe(conf, channels, count, &listener);
    if (!subscription)
        return 1;
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct str channels[REDIS_CHANNELS_MAX];
    struct redis_conf conf;
    struct arena arena;
    const char *why = "out of memory";
    size_t count = 0;
    int status = 64;

    arena_init(&arena, 65536);
    for (int i = 2; i < argc && count < REDIS_CHANNELS_MAX; i++)
        channels[count++] = str_of(argv[i]);
    if (count == 0) {
        fprintf(stderr, "usage: listener URL CHANNEL...\n");
    } else if (redis_conf_read(str_of(argv[1]), &arena, &conf, &why) != OK) {
        fprintf(stderr, "listener: %s\n", why);
    } else {
        conf.prefix = STR("sanad:");
        conf.time_limit_ms = 50;
        status = listen_to(&conf, channels, count);
    }
    arena_done(&arena);
    return status;
}
