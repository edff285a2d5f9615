/* SPDX-License-Identifier: MIT */
/* A driver without a database, for tests: it counts, sleeps and fails as told.
 * With it the loop, a coroutine for each borrower, and a clock that can be put
 * forward. Each test file includes it once and has its own. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/arena.h"
#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "db/db.h"
#include "db/driver.h"

static struct fake {
    int opens, open_now, most_open, opening, most_opening;
    int pings, resets, runs, plans, scripts;
    uint64_t open_ms, run_ms; /* how long it takes                */
    bool away;                /* opens fail                       */
    bool ping_fails, reset_fails, plan_fails;
    mono_ns ahead; /* of the true clock                */
} fake;

static const struct db_driver fake_driver;

static inline mono_ns fake_now(void) { return clock_mono() + fake.ahead; }

static inline enum err fake_open(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size)
{
    struct db_conn *c;
    enum err e = OK;

    fake.most_opening = ++fake.opening > fake.most_opening ? fake.opening : fake.most_opening;
    fake.opens++;
    if (fake.open_ms > 0 && coro_self())
        e = task_sleep(fake.open_ms);
    fake.opening--;
    if (e != OK || fake.away) {
        snprintf(error, size, "the fake database is away");
        return E_UNAVAILABLE;
    }
    c = calloc(1, sizeof(*c));
    if (!c)
        return E_NO_MEMORY;
    c->driver = &fake_driver;
    c->conf = conf;
    fake.most_open = ++fake.open_now > fake.most_open ? fake.open_now : fake.most_open;
    *ret_conn = c;
    return OK;
}

static inline void fake_close(struct db_conn *c)
{
    if (c)
        fake.open_now--;
    free(c);
}

static inline enum err fake_ping(struct db_conn *c)
{
    (void)c;
    fake.pings++;
    return fake.ping_fails ? E_UNAVAILABLE : OK;
}

static inline enum err fake_reset(struct db_conn *c)
{
    fake.resets++;
    c->in_transaction = false;
    if (coro_self() && task_sleep(1) != OK)
        return E_CANCELLED;
    return fake.reset_fails ? E_UNAVAILABLE : OK;
}

static inline enum err fake_run(struct db_conn *c, const struct db_statement *st, const struct db_value *args,
                                size_t count, struct arena *arena, struct db_rows *ret_rows)
{
    (void)c, (void)st, (void)args, (void)count, (void)arena;
    fake.runs++;
    if (fake.run_ms > 0 && coro_self() && task_sleep(fake.run_ms) != OK)
        return E_CANCELLED;
    *ret_rows = (struct db_rows){ .count = 0 };
    return OK;
}

static inline enum err fake_run_once(struct db_conn *c, const struct db_statement *st, const struct db_value *args,
                                     size_t count, struct arena *arena, struct db_rows *ret_rows)
{
    struct db_value *row = arena_array(arena, struct db_value, 4);

    (void)args, (void)count;
    fake.plans++;
    if (fake.plan_fails || !row) {
        c->broken = fake.plan_fails;
        return E_UNAVAILABLE;
    }
    row[3] = DBV_TEXT(str_of(st->sql));
    *ret_rows = (struct db_rows){ .count = 1, .columns = 4, .values = row };
    return OK;
}

static inline enum err fake_script(struct db_conn *c, const char *sql)
{
    fake.scripts++;
    c->in_transaction = strncmp(sql, "START", 5) == 0;
    return OK;
}

static const struct db_driver fake_driver = {
    .name = "fake",
    .migrations = "fake",
    .begin = "START TRANSACTION",
    .explain = "EXPLAIN",
    .open = fake_open,
    .close = fake_close,
    .ping = fake_ping,
    .reset = fake_reset,
    .run = fake_run,
    .run_once = fake_run_once,
    .script = fake_script,
};

/* ---- loop and coroutines ------------------------------------------------- */

static struct coro_pool *fake_coros;

static inline void fake_start(void)
{
    fake = (struct fake){ .opens = 0 };
    task_use_loop(uv_default_loop());
    fake_coros = coro_pool_new(64 * 1024, 16);
}

static inline void fake_end(void)
{
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    coro_pool_free(fake_coros);
    task_use_loop(NULL);
}

static inline struct coro *go(coro_fn *fn, void *arg)
{
    struct coro *c = NULL;

    if (coro_start(fake_coros, fn, arg, &c) != OK)
        abort();
    return c;
}

/* Until nothing is under way any more. */
static inline void run_loop(void) { uv_run(uv_default_loop(), UV_RUN_DEFAULT); }

static inline uint64_t counter(enum metric_counter id) { return metric_sum_counter(metrics_page(), 1, id); }
static inline int64_t gauge(enum metric_gauge id) { return metric_sum_gauge(metrics_page(), 1, id); }
