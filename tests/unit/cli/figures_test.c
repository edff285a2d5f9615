/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/figures.h"

#include <math.h>

static void test_figure_rate__four_digits_at_most(void **state)
{
    (void)state;
    assert_string_equal(figure_rate(0).text, "0");
    assert_string_equal(figure_rate(0.44).text, "0.4");
    assert_string_equal(figure_rate(12.34).text, "12.3");
    assert_string_equal(figure_rate(123.4).text, "123");
    assert_string_equal(figure_rate(9999).text, "9999");
    assert_string_equal(figure_rate(9999.6).text, "10.0k");
    assert_string_equal(figure_rate(999999).text, "1.0M");
    assert_string_equal(figure_rate(1e18).text, "1000P");
}

static void test_figure_count__has_no_decimals(void **state)
{
    (void)state;
    assert_string_equal(figure_count(3).text, "3");
    assert_string_equal(figure_count(99).text, "99");
    assert_string_equal(figure_count(12345).text, "12.3k");
}

static void test_figure_seconds__units(void **state)
{
    (void)state;
    assert_string_equal(figure_seconds(0.00041).text, "0.41 ms");
    assert_string_equal(figure_seconds(0.0123).text, "12.3 ms");
    assert_string_equal(figure_seconds(0.9).text, "900 ms");
    assert_string_equal(figure_seconds(0.9999).text, "1.00 s");
    assert_string_equal(figure_seconds(10).text, "10.00 s");
    assert_string_equal(figure_seconds(1234).text, "1234 s");
}

static void test_figure_bytes__units(void **state)
{
    (void)state;
    assert_string_equal(figure_bytes(512).text, "512 B");
    assert_string_equal(figure_bytes(1024).text, "1.0 KiB");
    assert_string_equal(figure_bytes(123.0 * 1024 * 1024).text, "123 MiB");
}

static void test_figure_age__two_units(void **state)
{
    (void)state;
    assert_string_equal(figure_age(59.9).text, "59 s");
    assert_string_equal(figure_age(3599).text, "59 min");
    assert_string_equal(figure_age(2 * 3600 + 180).text, "2 h 03 min");
    assert_string_equal(figure_age(3 * 86400 + 4 * 3600).text, "3 d 04 h");
}

static void test_figures__of_what_is_no_sensible_number(void **state)
{
    static const double odd[] = { -1, (double)NAN, (double)INFINITY, (double)-INFINITY };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        assert_string_equal(figure_rate(odd[i]).text, "0");
        assert_string_equal(figure_bytes(odd[i]).text, "0 B");
        assert_string_equal(figure_age(odd[i]).text, "0 s");
        assert_string_equal(figure_share(odd[i]).text, "0.0 %");
        assert_string_equal(figure_seconds(odd[i]).text, "0.00 ms");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figure_rate__four_digits_at_most),
        cmocka_unit_test(test_figure_count__has_no_decimals),
        cmocka_unit_test(test_figure_seconds__units),
        cmocka_unit_test(test_figure_bytes__units),
        cmocka_unit_test(test_figure_age__two_units),
        cmocka_unit_test(test_figures__of_what_is_no_sensible_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
