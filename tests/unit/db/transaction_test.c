/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "db/transaction.h"
#include "fake_driver.h"

static struct db_conf conf;
static struct db *db;
static struct db_scope scope;

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_ERROR + 1, LOG_TEXT, "test");
    conf = (struct db_conf){ .pool_size = 1, .pool_timeout_s = 30 };
    fake_start();
    db = db_new_with(&fake_driver, &conf);
    assert_non_null(db);
    scope = db_scope_of(db, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_null(scope.held);
    db_free(db);
    fake_end();
    assert_int_equal(fake.open_now, 0);
    return 0;
}

/* A body that is undone some times before it goes through. */
struct story {
    int undone;       /* so often            */
    enum err at_last; /* what comes then     */
    int runs;
    enum err told; /* of the whole, in a coroutine */
};

static enum err body(struct db_scope *s, void *arg)
{
    struct story *t = arg;

    assert_true(s->in_transaction);
    return t->runs++ < t->undone ? E_DEADLOCK : t->at_last;
}

static void in_coroutine(void *arg)
{
    struct story *t = arg;

    t->told = db_transact(&scope, DB_REPEATABLE, body, t);
}

static void test_transact__commits_what_the_body_did(void **state)
{
    struct story t = { 0 };
    (void)state;

    assert_int_equal(db_transact(&scope, DB_ONCE, body, &t), OK);
    assert_int_equal(fake.scripts, 2); /* START, COMMIT */
    assert_int_equal(fake.resets, 0);
}

static void test_transact__rolls_back_what_failed(void **state)
{
    struct story t = { .at_last = E_CONFLICT };
    (void)state;

    assert_int_equal(db_transact(&scope, DB_REPEATABLE, body, &t), E_CONFLICT);
    assert_int_equal(t.runs, 1);
    assert_int_equal(fake.scripts, 1);
    assert_int_equal(fake.resets, 1);
}

static void test_transact__repeats_what_was_undone(void **state)
{
    struct story t = { .undone = 3 };
    const uint64_t before = counter(M_DB_REPEATED);
    (void)state;

    go(in_coroutine, &t);
    run_loop();
    assert_int_equal(t.told, OK);
    assert_int_equal(t.runs, 4);
    assert_int_equal(counter(M_DB_REPEATED), before + 3);
}

static void test_transact__gives_up_in_the_end(void **state)
{
    struct story t = { .undone = 1000 };
    (void)state;

    go(in_coroutine, &t);
    run_loop();
    assert_int_equal(t.told, E_DEADLOCK);
    assert_int_equal(t.runs, 5);
}

static void test_transact__once_is_once(void **state)
{
    struct story t = { .undone = 1 };
    (void)state;

    assert_int_equal(db_transact(&scope, DB_ONCE, body, &t), E_DEADLOCK);
    assert_int_equal(t.runs, 1);
}

/* Several that are undone: each run is written down. */
struct diary {
    char runs[16];
    size_t count;
};
struct writer {
    struct diary *diary;
    char name;
    int undone;
};

static enum err write_down(struct db_scope *s, void *arg)
{
    struct writer *w = arg;

    (void)s;
    assert_true(w->diary->count + 1 < sizeof(w->diary->runs));
    w->diary->runs[w->diary->count++] = w->name;
    return w->undone-- > 0 ? E_DEADLOCK : OK;
}

static void writer_in_coroutine(void *arg)
{
    struct db_scope own = db_scope_of(db, NULL);

    assert_int_equal(db_transact(&own, DB_REPEATABLE, write_down, arg), OK);
}

static void test_transact__repeats_one_after_the_other(void **state)
{
    struct diary diary = { .count = 0 };
    struct writer a = { &diary, 'a', 3 }, b = { &diary, 'b', 3 }, c = { &diary, 'c', 1 };
    (void)state;

    go(writer_in_coroutine, &a);
    go(writer_in_coroutine, &b);
    go(writer_in_coroutine, &c);
    run_loop();
    assert_string_equal(diary.runs, "abcaaabbbc");
}

static void test_transact__cancelled_in_the_lane_lets_the_next_go(void **state)
{
    struct diary diary = { .count = 0 };
    struct writer a = { &diary, 'a', 1 }, c = { &diary, 'c', 1 };
    struct story t = { .undone = 1 };
    struct coro *second;
    (void)state;

    go(writer_in_coroutine, &a);
    second = go(in_coroutine, &t);
    go(writer_in_coroutine, &c);
    coro_cancel(second);
    run_loop();
    assert_int_equal(t.told, E_CANCELLED);
    assert_string_equal(diary.runs, "acac");
}

static void test_transact__cancelled_client_ends_the_repeats(void **state)
{
    struct story t = { .undone = 1000 };
    struct coro *c = go(in_coroutine, &t);
    (void)state;

    assert_int_equal(t.runs, 1); /* it pauses */
    coro_cancel(c);
    run_loop();
    assert_int_equal(t.told, E_CANCELLED);
    assert_int_equal(t.runs, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_transact__commits_what_the_body_did),
        T(test_transact__rolls_back_what_failed),
        T(test_transact__repeats_what_was_undone),
        T(test_transact__gives_up_in_the_end),
        T(test_transact__once_is_once),
        T(test_transact__repeats_one_after_the_other),
        T(test_transact__cancelled_in_the_lane_lets_the_next_go),
        T(test_transact__cancelled_client_ends_the_repeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
