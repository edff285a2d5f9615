/* SPDX-License-Identifier: MIT */
/* The part of `sanad check` that looks at Redis: it connects as a worker does, and
 * tells what came of it. */
#include "base/task.h"
#include "cli/check.h"
#include "redis/redis.h"

#include <stdio.h>

enum { PATIENCE_MS = 3000, LOOK_EVERY_MS = 5, TEXTS_BYTES = 16 * 1024 };

/* A look now and then, until it is known. */
struct look {
    struct redis *redis;
    uint64_t until;
};

static void on_look(uv_timer_t *timer)
{
    const struct look *l = timer->data;
    const bool known = redis_is_up(l->redis) || redis_why_away(l->redis)[0] != '\0';

    if (known || uv_now(timer->loop) >= l->until)
        uv_stop(timer->loop);
}

static void run_until_known(uv_loop_t *loop, struct redis *r)
{
    struct look l = { .redis = r, .until = uv_now(loop) + PATIENCE_MS };
    uv_timer_t timer;

    uv_timer_init(loop, &timer);
    timer.data = &l;
    uv_timer_start(&timer, on_look, 0, LOOK_EVERY_MS);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
}

static void tell(struct findings *f, const struct redis *r)
{
    if (redis_is_up(r))
        finding_good("redis", "%s answers", redis_place(r));
    else
        finding_warn(f, "redis", "%s: %s; the service runs without it, and each node limits and caches for itself",
                     redis_place(r), redis_why_away(r)[0] ? redis_why_away(r) : "does not answer");
}

static void look_at(struct findings *f, const struct redis_conf *conf)
{
    uv_loop_t loop;
    struct redis *r;

    if (uv_loop_init(&loop) != 0)
        return;
    task_use_loop(&loop);
    r = redis_new(conf);
    if (r) {
        run_until_known(&loop, r);
        tell(f, r);
        redis_free(r);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    task_use_loop(NULL);
}

void check_redis(struct findings *f, const struct settings *s)
{
    struct redis_conf conf;
    struct arena texts;
    const char *why = err_text(E_NO_MEMORY);

    if (!s->redis_enabled)
        return;
    arena_init(&texts, TEXTS_BYTES);
    if (service_redis_conf(s, &texts, &conf, &why) == OK)
        look_at(f, &conf);
    else
        finding_bad(f, "REDIS_URL", "%s", why);
    arena_done(&texts);
}
