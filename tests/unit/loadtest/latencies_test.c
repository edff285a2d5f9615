/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "paced/latencies.h"

static struct latencies l, other;

static int forget(void **state)
{
    (void)state;
    memset(&l, 0, sizeof(l));
    memset(&other, 0, sizeof(other));
    return 0;
}

static void assert_told(mono_ns told, mono_ns exact)
{
    assert_true(told >= exact);
    assert_true(told <= exact + exact / (1 << LATENCIES_FINE_BITS));
}

static void test_latencies_at__is_never_short_and_at_most_a_128th_long(void **state)
{
    (void)state;
    for (mono_ns i = 1; i <= 100000; i++)
        latencies_add(&l, i * 1000);
    for (int percent = 1; percent <= 100; percent++)
        assert_told(latencies_at(&l, percent / 100.0), (mono_ns)percent * 1000 * 1000);
    assert_told(latencies_at(&l, 0.999), 99900 * (mono_ns)1000);
    assert_int_equal(latencies_at(&l, 1), l.longest);
    assert_true(latencies_mean_ms(&l) > 50.0004 && latencies_mean_ms(&l) < 50.0006);
}

static void test_latencies_at__any_one_time(void **state)
{
    struct random random;

    random_seed(&random, 1);
    for (int i = 0; i < 10000; i++) {
        const mono_ns time = (mono_ns)(random_next(&random) >> (24 + random_below(&random, 40)));
        (void)forget(state);
        latencies_add(&l, time);
        latencies_add(&l, (mono_ns)1 << LATENCIES_MOST_BITS);
        assert_told(latencies_at(&l, 0.5), time);
    }
}

static void test_latencies__few_none_and_too_long(void **state)
{
    (void)state;
    assert_int_equal(latencies_at(&l, 0.5), 0);
    assert_true(latencies_mean_ms(&l) >= 0 && latencies_mean_ms(&l) <= 0);
    latencies_add(&l, -5);
    assert_int_equal(latencies_at(&l, 0.99), 0);
    latencies_add(&l, INT64_MAX);
    assert_int_equal(l.longest, INT64_MAX);
    assert_true(latencies_at(&l, 1) >= ((mono_ns)1 << LATENCIES_MOST_BITS) - 1);
    assert_int_equal(latencies_at(&l, 0.5), 0);
}

static void test_latencies_merge__counts_both(void **state)
{
    (void)state;
    for (int i = 0; i < 90; i++)
        latencies_add(&l, 100);
    for (int i = 0; i < 10; i++)
        latencies_add(&other, 200);
    latencies_merge(&l, &other);
    assert_int_equal(l.count, 100);
    assert_int_equal(latencies_at(&l, 0.90), 100);
    assert_int_equal(latencies_at(&l, 0.91), 200);
    assert_int_equal(l.longest, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_latencies_at__is_never_short_and_at_most_a_128th_long, forget),
        cmocka_unit_test_setup(test_latencies_at__any_one_time, forget),
        cmocka_unit_test_setup(test_latencies__few_none_and_too_long, forget),
        cmocka_unit_test_setup(test_latencies_merge__counts_both, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
