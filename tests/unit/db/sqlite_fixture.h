/* SPDX-License-Identifier: MIT */
/* A real SQLite database in a folder of its own, gone after the test, with the
 * loop and coroutines. Each test file includes it once. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "db/db.h"
#include "db/driver.h"
#include "db/pool.h"

static char folder[64], path[128];
static struct db_conf conf;
static struct db *db;
static struct arena arena;
static struct coro_pool *coros;

static inline void remove_file(const char *suffix)
{
    char name[160];

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    unlink(name);
}

static inline int fixture_setup(void **state)
{
    (void)state;
    log_setup(LOG_NONE, LOG_TEXT, "test");
    snprintf(folder, sizeof(folder), "/tmp/sanad-db-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/test.db", folder);
    conf = (struct db_conf){ .driver = "sqlite",
                             .path = path,
                             .pool_size = 4,
                             .max_overflow = 4,
                             .pool_timeout_s = 30,
                             .busy_timeout_ms = 20000 };
    arena_init(&arena, 64 * 1024 * 1024);
    db = db_new(&conf);
    task_use_loop(uv_default_loop());
    coros = coro_pool_new(256 * 1024, 16);
    return db && coros ? 0 : -1;
}

static inline void run_loop(void) { uv_run(uv_default_loop(), UV_RUN_DEFAULT); }

static inline int fixture_teardown(void **state)
{
    (void)state;
    run_loop();
    db_free(db);
    coro_pool_free(coros);
    arena_done(&arena);
    remove_file("");
    remove_file("-wal");
    remove_file("-shm");
    return rmdir(folder);
}

static inline struct coro *go(coro_fn *fn, void *arg)
{
    struct coro *c = NULL;

    if (coro_start(coros, fn, arg, &c) != OK)
        abort();
    return c;
}

static inline uint64_t counter(enum metric_counter id) { return metric_sum_counter(metrics_page(), 1, id); }

/* One statement, outside any coroutine, in an arena that lives as long as the test. */
static inline enum err query(const struct db_statement *st, const struct db_value *args, size_t count,
                             struct db_rows *ret_rows)
{
    struct db_scope scope = db_scope_of(db, &arena);

    return db_query(&scope, st, args, count, ret_rows);
}

/* The integer that a statement without arguments gives; -1 on failure. */
static inline int64_t number(const struct db_statement *st)
{
    struct db_rows rows;

    return query(st, DB_NO_ARGS, &rows) == OK && rows.count == 1 ? db_int(&rows.values[0]) : -1;
}
