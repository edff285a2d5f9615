/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/coro.h"
#include "base/task.h"
#include "db/db.h"
#include "ops/worker.h"

#include <stdio.h>

/* The database of these tests: answers what it is told to, or not at all. */
static enum err answer_of_db;
static bool db_is_silent;
static int pings, cancelled;

enum err fake_ping(struct db *db);
size_t fake_describe(const struct db *db, char *out, size_t size);

enum err fake_ping(struct db *db)
{
    (void)db;
    pings++;
    if (!db_is_silent)
        return answer_of_db;
    const enum err e = coro_wait();
    cancelled += e == E_CANCELLED;
    return e;
}

size_t fake_describe(const struct db *db, char *out, size_t size)
{
    (void)db;
    return (size_t)snprintf(out, size, "size=1 waiting=9");
}

#define db_ping     fake_ping
#define db_describe fake_describe
#include "ops/readiness.c"

#include <string.h>

static uv_loop_t loop;
static struct coro_pool *coros;
static struct worker_slots slots;
static struct worker worker;
static struct request req;

static int start(void **state)
{
    (void)state;
    answer_of_db = OK;
    db_is_silent = false;
    pings = cancelled = 0;
    metric_gauge_set(M_POOL_MAX, 0);
    metric_gauge_set(M_POOL_USED, 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    task_use_loop(&loop);
    coros = coro_pool_new(64 * 1024, 4);
    slots_init(&slots, 2);
    slot_move(&slots.rows[1], WORKER_STARTING);
    slot_move(&slots.rows[1], WORKER_READY);
    worker = (struct worker){ .index = 1, .row = 1, .slots = &slots, .started = clock_mono() - (mono_ns)90 * NS_PER_S };
    worker.readiness = readiness_start(&loop, coros, NULL);
    req = (struct request){ .app = &worker };
    arena_init(&req.arena, 1 << 16);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    readiness_stop(worker.readiness);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(coro_pool_active(coros), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    coro_pool_free(coros);
    arena_done(&req.arena);
    return 0;
}

/* One turn, as if the timer were due. */
static void tick(void) { on_timer(&worker.readiness->timer); }

static bool says(const struct response *res, const char *text)
{
    return memmem(res->body.ptr, res->body.len, text, strlen(text)) != NULL;
}

static void test_health_live__asks_no_database(void **state)
{
    (void)state;
    const struct response res = health_live(&req);
    assert_int_equal(res.status, 200);
    assert_int_equal(pings, 0);
    assert_true(says(&res, "\"status\":\"healthy\""));
    assert_true(says(&res, "\"worker\":1"));
    assert_true(says(&res, "\"uptime_seconds\":90"));
}

static void test_health_live__is_alive_while_draining(void **state)
{
    (void)state;
    slot_move(&slots.rows[1], WORKER_DRAINING);
    assert_int_equal(health_live(&req).status, 200);
}

static void test_health_ready__fails_until_the_database_was_heard_of(void **state)
{
    (void)state;
    assert_int_equal(health_ready(&req).status, 503);
    tick();
    const struct response res = health_ready(&req);
    assert_int_equal(res.status, 200);
    assert_int_equal(str_cmp(res.type, STR("application/health+json")), 0);
    assert_true(says(&res, "{\"status\":\"pass\""));
    assert_true(says(&res, "\"database:responseTime\":[{\"componentType\":\"datastore\",\"status\":\"pass\","
                           "\"observedValue\":"));
}

static void test_health_ready__fails_when_the_database_is_away_and_recovers(void **state)
{
    (void)state;
    answer_of_db = E_UNAVAILABLE;
    tick();
    const struct response away = health_ready(&req);
    assert_int_equal(away.status, 503);
    assert_true(says(&away, "\"output\":\"the database is away\""));
    answer_of_db = OK;
    tick();
    assert_int_equal(health_ready(&req).status, 200);
}

static void test_health_ready__fails_while_draining(void **state)
{
    (void)state;
    tick();
    slot_move(&slots.rows[1], WORKER_DRAINING);
    slots.stopping = true;
    const struct response res = health_ready(&req);
    assert_int_equal(res.status, 503);
    assert_true(says(&res, "\"observedValue\":\"draining\""));
}

/* The ping began longer ago than anybody's patience. */
static void grow_old(void) { worker.readiness->ping_since -= (mono_ns)60 * NS_PER_S; }

static void test_health_ready__silent_database_fails_and_is_asked_again_only_when_it_gave_up(void **state)
{
    (void)state;
    tick();
    db_is_silent = true;
    tick();
    assert_int_equal(pings, 2);
    assert_int_equal(health_ready(&req).status, 200);
    grow_old();
    const struct response res = health_ready(&req);
    assert_int_equal(res.status, 503);
    assert_true(says(&res, "does not answer in time"));
    tick();
    assert_int_equal(cancelled, 1);
    assert_int_equal(health_ready(&req).status, 503);
    db_is_silent = false;
    tick();
    assert_int_equal(pings, 3);
    assert_int_equal(health_ready(&req).status, 200);
}

static void test_health_ready__busy_pool_is_only_a_warning(void **state)
{
    (void)state;
    metric_gauge_set(M_POOL_MAX, 10);
    metric_gauge_set(M_POOL_USED, 10);
    db_is_silent = true;
    tick();
    grow_old();
    tick();
    const struct response res = health_ready(&req);
    assert_int_equal(res.status, 200);
    assert_true(says(&res, "\"status\":\"warn\""));
    assert_true(says(&res, "size=1 waiting=9"));
}

static void test_readiness_stop__cancels_a_ping_under_way(void **state)
{
    (void)state;
    db_is_silent = true;
    tick();
    assert_int_equal(coro_pool_active(coros), 1);
    readiness_stop(worker.readiness);
    worker.readiness = NULL;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(cancelled, 1);
    assert_int_equal(coro_pool_active(coros), 0);
}

#define HEALTH_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEALTH_TEST(test_health_live__asks_no_database),
        HEALTH_TEST(test_health_live__is_alive_while_draining),
        HEALTH_TEST(test_health_ready__fails_until_the_database_was_heard_of),
        HEALTH_TEST(test_health_ready__fails_when_the_database_is_away_and_recovers),
        HEALTH_TEST(test_health_ready__fails_while_draining),
        HEALTH_TEST(test_health_ready__silent_database_fails_and_is_asked_again_only_when_it_gave_up),
        HEALTH_TEST(test_health_ready__busy_pool_is_only_a_warning),
        HEALTH_TEST(test_readiness_stop__cancels_a_ping_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
