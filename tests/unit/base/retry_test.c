/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/retry.h"

static void test_failed__pause_doubles_up_to_half_a_minute(void **state)
{
    struct retry r = { .failures = 0 };
    mono_ns now = 0, wanted = 100 * (mono_ns)NS_PER_MS;
    (void)state;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(retry_failed(&r, now), i == 0);
        assert_true(r.at - now >= wanted * 9 / 10 && r.at - now <= wanted * 11 / 10);
        wanted = wanted * 2 < 30 * (mono_ns)NS_PER_S ? wanted * 2 : 30 * (mono_ns)NS_PER_S;
        now = r.at;
    }
}

static void test_failed__pause_has_the_callers_own_bound(void **state)
{
    struct retry r = { .most_ms = 250 };
    mono_ns now = 0;
    (void)state;

    for (int i = 0; i < 20; i++) {
        retry_failed(&r, now);
        assert_true(r.at - now <= 275 * (mono_ns)NS_PER_MS);
        now = r.at;
    }
    retry_failed(&r, now);
    assert_true(r.at - now >= 225 * (mono_ns)NS_PER_MS);
}

static void test_failed__together_counts_once(void **state)
{
    struct retry r = { .failures = 0 };
    mono_ns at;
    (void)state;

    assert_true(retry_failed(&r, 1000));
    at = r.at;
    assert_false(retry_failed(&r, 2000));
    assert_int_equal(r.failures, 1);
    assert_int_equal(r.at, at);
}

static void test_due__when_the_pause_is_over(void **state)
{
    struct retry r = { .failures = 0 };
    (void)state;

    assert_true(retry_due(&r, 0));
    retry_failed(&r, 0);
    assert_false(retry_due(&r, r.at - 1));
    assert_true(retry_due(&r, r.at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed__pause_doubles_up_to_half_a_minute),
        cmocka_unit_test(test_failed__pause_has_the_callers_own_bound),
        cmocka_unit_test(test_failed__together_counts_once),
        cmocka_unit_test(test_due__when_the_pause_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
