/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/coro.h"
#include "base/task.h"

static char trace[64];
static size_t traced;

static void mark(char c)
{
    assert_true(traced < sizeof(trace) - 1);
    trace[traced++] = c;
    trace[traced] = '\0';
}

static int fresh(void **state)
{
    (void)state;
    traced = 0;
    trace[0] = '\0';
    return 0;
}

static void waits_once(void *arg)
{
    enum err *result = arg;

    mark('a');
    *result = coro_wait();
    mark('b');
}

static void test_coro_wait__suspends_until_woken_and_returns_the_result(void **state)
{
    struct coro_pool *pool = coro_pool_new(64 * 1024, 2);
    enum err result = OK;
    struct coro *c;
    (void)state;

    assert_int_equal(coro_start(pool, waits_once, &result, &c), OK);
    assert_string_equal(trace, "a");
    assert_int_equal(coro_pool_active(pool), 1);
    assert_null(coro_self());
    coro_wake(c, E_CONFLICT);
    assert_string_equal(trace, "ab");
    assert_int_equal(result, E_CONFLICT);
    assert_int_equal(coro_pool_active(pool), 0);
    coro_pool_free(pool);
}

struct pair {
    struct coro *other;
    enum err result;
};

static void wakes_other(void *arg)
{
    struct pair *p = arg;

    mark('1');
    coro_wake(p->other, OK);
    mark('2');
}

static void test_coro_wake__from_a_coroutine_runs_after_it(void **state)
{
    struct coro_pool *pool = coro_pool_new(64 * 1024, 2);
    struct pair p = { 0 };
    (void)state;

    assert_int_equal(coro_start(pool, waits_once, &p.result, &p.other), OK);
    assert_int_equal(coro_start(pool, wakes_other, &p, NULL), OK);
    assert_string_equal(trace, "a12b");
    coro_pool_free(pool);
}

static void cancelled_twice(void *arg)
{
    enum err *results = arg;

    results[0] = coro_wait();
    results[1] = coro_wait();
}

static void test_coro_cancel__ends_this_wait_and_every_later_one(void **state)
{
    struct coro_pool *pool = coro_pool_new(64 * 1024, 2);
    enum err results[2] = { OK, OK };
    struct coro *c;
    (void)state;

    assert_int_equal(coro_start(pool, cancelled_twice, results, &c), OK);
    coro_cancel(c);
    assert_int_equal(results[0], E_CANCELLED);
    assert_int_equal(results[1], E_CANCELLED);
    coro_pool_free(pool);
}

static void waits_firmly(void *arg)
{
    enum err *results = arg;

    results[0] = coro_wait_firmly();
    results[1] = coro_wait();
}

static void test_coro_wait_firmly__is_deaf_to_cancelling(void **state)
{
    struct coro_pool *pool = coro_pool_new(64 * 1024, 2);
    enum err results[2] = { E_IO, OK };
    struct coro *c;
    (void)state;

    assert_int_equal(coro_start(pool, waits_firmly, results, &c), OK);
    coro_cancel(c);
    assert_int_equal(results[0], E_IO);
    coro_wake(c, OK);
    assert_int_equal(results[0], OK);
    assert_int_equal(results[1], E_CANCELLED);
    coro_pool_free(pool);
}

static void uses_stack(void *arg)
{
    volatile char big[32 * 1024];

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)i;
    *(char *)arg = big[sizeof(big) / 2];
    if (coro_wait() == OK)
        mark('x');
}

static void test_coro_start__reuses_and_drops_stacks(void **state)
{
    struct coro_pool *pool = coro_pool_new(64 * 1024, 3);
    struct coro *c[20];
    char out;
    (void)state;

    for (int round = 0; round < 3; round++) {
        traced = 0;
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(coro_start(pool, uses_stack, &out, &c[i]), OK);
        assert_int_equal(coro_pool_active(pool), 20);
        for (size_t i = 0; i < 20; i++)
            coro_wake(c[i], OK);
        assert_int_equal(traced, 20);
    }
    assert_int_equal(coro_pool_active(pool), 0);
    coro_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_coro_wait__suspends_until_woken_and_returns_the_result, fresh),
        cmocka_unit_test_setup(test_coro_wake__from_a_coroutine_runs_after_it, fresh),
        cmocka_unit_test_setup(test_coro_cancel__ends_this_wait_and_every_later_one, fresh),
        cmocka_unit_test_setup(test_coro_wait_firmly__is_deaf_to_cancelling, fresh),
        cmocka_unit_test_setup(test_coro_start__reuses_and_drops_stacks, fresh),
    };
    return cmocka_run_group_tests_name("coro", tests, NULL, NULL);
}
