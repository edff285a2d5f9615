/* SPDX-License-Identifier: MIT */
/* What is told of slow statements, over a driver without a database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "fake_driver.h"

enum { SLOW_MS = 10, LINES_MAX = 8192 };

static const struct db_statement get = { "get", "SELECT a FROM b", DB_READ };
static const struct db_statement put = { "put", "UPDATE b SET a = ?", DB_WRITE };
static struct db_conf conf;
static struct db *db;
static char lines[LINES_MAX];

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, "worker 3");
    conf = (struct db_conf){ .pool_size = 1, .pool_timeout_s = 30, .slow_query_ms = SLOW_MS / 2 };
    fake_start();
    fake.run_ms = SLOW_MS;
    db = db_new_with(&fake_driver, &conf);
    return db ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    run_loop();
    db_free(db);
    fake_end();
    return 0;
}

struct request {
    const struct db_statement *st;
    enum err result;
    struct coro *coro;
};

static void handle(void *arg)
{
    struct request *r = arg;
    struct arena arena;
    struct db_scope scope;
    struct db_rows rows;

    arena_init(&arena, 1024);
    scope = db_scope_of(db, &arena);
    scope.route = "/api/slow";
    scope.request_id = STR("req-7\nforged");
    r->result = db_query(&scope, r->st, DB_ARGS(DBV_TEXT(STR("a secret"))), &rows);
    arena_done(&arena);
}

/* The log's lines while a coroutine runs the statement, once or cancelled. */
static const char *lines_of(struct request *r, bool cancel)
{
    const int saved = dup(STDERR_FILENO);
    FILE *log = tmpfile();
    size_t n;

    assert_non_null(log);
    dup2(fileno(log), STDERR_FILENO);
    r->coro = go(handle, r);
    if (cancel)
        coro_cancel(r->coro);
    run_loop();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(log);
    n = fread(lines, 1, LINES_MAX - 1, log);
    lines[n] = '\0';
    fclose(log);
    return lines;
}

static void assert_holds(const char *part)
{
    if (!strstr(lines, part))
        fail_msg("no <%s> in <%s>", part, lines);
}

static void test_tell__names_statement_route_request_and_worker_and_no_value(void **state)
{
    struct request r = { &get, E_INTERNAL, NULL };
    (void)state;

    lines_of(&r, false);
    assert_int_equal(r.result, OK);
    assert_holds("[worker 3 ");
    assert_holds("slow query statement=get ms=");
    assert_holds(" rows=0 changes=0 route=/api/slow request_id=req-7\\nforged\n");
    assert_null(strstr(lines, "secret"));
    assert_int_equal(fake.plans, 0);
}

static void test_tell__nothing_of_a_quick_one_or_when_off(void **state)
{
    struct request r = { &get, E_INTERNAL, NULL };
    (void)state;

    fake.run_ms = 0;
    assert_string_equal(lines_of(&r, false), "");
    fake.run_ms = SLOW_MS;
    conf.slow_query_ms = 0;
    assert_string_equal(lines_of(&r, false), "");
}

static void test_tell__with_the_plan_of_a_read(void **state)
{
    struct request r = { &get, E_INTERNAL, NULL }, w = { &put, E_INTERNAL, NULL };
    (void)state;

    conf.explain_slow = true;
    lines_of(&w, false);
    assert_holds("statement=put");
    assert_null(strstr(lines, "plan="));
    lines_of(&r, false);
    assert_int_equal(r.result, OK);
    assert_holds(" plan=\"EXPLAIN SELECT a FROM b\"\n");
    assert_int_equal(fake.plans, 1);
}

static void test_tell__does_not_ask_for_plans_all_the_time(void **state)
{
    struct request r = { &get, E_INTERNAL, NULL };
    (void)state;

    conf.explain_slow = true;
    lines_of(&r, false);
    lines_of(&r, false);
    assert_holds("slow query statement=get");
    assert_int_equal(fake.plans, 1);
}

static void test_tell__a_plan_that_fails_is_the_requests_business_no_more(void **state)
{
    struct request r = { &get, E_INTERNAL, NULL };
    (void)state;

    conf.explain_slow = fake.plan_fails = true;
    lines_of(&r, false);
    assert_int_equal(r.result, OK);
    assert_holds("slow query statement=get");
    assert_null(strstr(lines, "plan="));
    fake.plan_fails = false;
    assert_int_equal((lines_of(&r, false), r.result), OK);
    assert_int_equal(fake.opens, 2);
}

static void test_tell__no_plan_for_a_client_that_has_gone(void **state)
{
    struct request r = { &get, OK, NULL };
    (void)state;

    conf.explain_slow = true;
    conf.slow_query_ms = 1;
    lines_of(&r, true);
    assert_int_equal(r.result, E_CANCELLED);
    assert_int_equal(fake.plans, 0);
    assert_int_equal(gauge(M_POOL_USED), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_tell__names_statement_route_request_and_worker_and_no_value),
        T(test_tell__nothing_of_a_quick_one_or_when_off),
        T(test_tell__with_the_plan_of_a_read),
        T(test_tell__does_not_ask_for_plans_all_the_time),
        T(test_tell__a_plan_that_fails_is_the_requests_business_no_more),
        T(test_tell__no_plan_for_a_client_that_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
