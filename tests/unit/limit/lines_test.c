/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "limit/lines.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void assert_lines(const struct limit_rate *rate, const struct limit_verdict *v, const char *wanted)
{
    struct limit_policy p;
    struct str lines;

    limit_policy_init(&p, rate);
    lines = limit_lines(&p, v, &arena);
    assert_int_equal(lines.len, strlen(wanted));
    assert_memory_equal(lines.ptr, wanted, lines.len);
}

static void test_lines__of_both_windows(void **state)
{
    const struct limit_rate rate = { 60, 1000 };
    const struct limit_verdict v = { .minute = { 60, 12, 30 }, .hour = { 1000, 950, 1800 } };
    (void)state;

    assert_lines(&rate, &v,
                 "RateLimit-Policy: \"minute\";q=60;w=60, \"hour\";q=1000;w=3600\r\n"
                 "RateLimit: \"minute\";r=12;t=30, \"hour\";r=950;t=1800\r\n"
                 "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 12\r\nX-RateLimit-Reset: 30\r\n");
}

static void test_lines__x_speaks_of_the_window_with_less_left(void **state)
{
    const struct limit_rate rate = { 60, 1000 };
    const struct limit_verdict v = { .minute = { 60, 50, 30 }, .hour = { 1000, 0, 1800 } };
    (void)state;

    assert_lines(&rate, &v,
                 "RateLimit-Policy: \"minute\";q=60;w=60, \"hour\";q=1000;w=3600\r\n"
                 "RateLimit: \"minute\";r=50;t=30, \"hour\";r=0;t=1800\r\n"
                 "X-RateLimit-Limit: 1000\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1800\r\n");
}

static void test_lines__of_one_window_alone(void **state)
{
    const struct limit_rate minute = { 5, 0 }, hour = { 0, 10 };
    const struct limit_verdict in_minute = { .minute = { 5, 4, 61 } }, in_hour = { .hour = { 10, 9, 3660 } };
    (void)state;

    assert_lines(&minute, &in_minute,
                 "RateLimit-Policy: \"minute\";q=5;w=60\r\nRateLimit: \"minute\";r=4;t=61\r\n"
                 "X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 4\r\nX-RateLimit-Reset: 61\r\n");
    assert_lines(&hour, &in_hour,
                 "RateLimit-Policy: \"hour\";q=10;w=3600\r\nRateLimit: \"hour\";r=9;t=3660\r\n"
                 "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 9\r\nX-RateLimit-Reset: 3660\r\n");
}

static void test_lines__fit_with_the_largest_numbers(void **state)
{
    const struct limit_rate rate = { LIMIT_PER_MINUTE_MAX, LIMIT_PER_HOUR_MAX };
    const struct limit_quota most = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
    const struct limit_verdict v = { .minute = most, .hour = most };
    struct limit_policy p;
    (void)state;

    limit_policy_init(&p, &rate);
    assert_true(limit_lines(&p, &v, &arena).len > 200);
}

static void test_lines__without_memory_are_none(void **state)
{
    const struct limit_rate rate = { 60, 1000 };
    const struct limit_verdict v = { .minute = { 60, 12, 30 } };
    struct limit_policy p;
    (void)state;

    limit_policy_init(&p, &rate);
    while (arena_alloc(&arena, 256))
        continue;
    assert_int_equal(limit_lines(&p, &v, &arena).len, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lines__of_both_windows),         T(test_lines__x_speaks_of_the_window_with_less_left),
        T(test_lines__of_one_window_alone),     T(test_lines__fit_with_the_largest_numbers),
        T(test_lines__without_memory_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
