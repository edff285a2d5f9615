/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <string.h>
#include <time.h>

#define AT(seconds) ((wall_ms)(seconds)*MS_PER_S)

static const wall_ms year_0 = INT64_C(-62167219200000), end_of_9999 = INT64_C(253402300799999);

static void assert_iso(wall_ms at, const char *expected)
{
    char out[ISO_TIME_SIZE];

    assert_int_equal(clock_iso(at, out), strlen(expected));
    assert_string_equal(out, expected);
}

static void test_clock_iso__known_moments(void **state)
{
    (void)state;
    assert_iso(0, "1970-01-01T00:00:00Z");
    assert_iso(123, "1970-01-01T00:00:00.123Z");
    assert_iso(-1, "1969-12-31T23:59:59.999Z");
    assert_iso(-1000, "1969-12-31T23:59:59Z");
    assert_iso(AT(951782400), "2000-02-29T00:00:00Z");
    assert_iso(AT(1709251199) + 7, "2024-02-29T23:59:59.007Z");
    assert_iso(AT(4107542400), "2100-03-01T00:00:00Z");
    assert_iso(AT(2147483648), "2038-01-19T03:14:08Z");
}

static void test_clock_iso__clamps_to_four_digit_years(void **state)
{
    (void)state;
    assert_iso(year_0, "0000-01-01T00:00:00Z");
    assert_iso(year_0 - 1, "0000-01-01T00:00:00Z");
    assert_iso(INT64_MIN, "0000-01-01T00:00:00Z");
    assert_iso(end_of_9999, "9999-12-31T23:59:59.999Z");
    assert_iso(end_of_9999 + 1, "9999-12-31T23:59:59.999Z");
    assert_iso(INT64_MAX, "9999-12-31T23:59:59.999Z");
}

/* Every 17 days or so, at all times of day, of ten thousand years, against the C library. */
static void test_clock_http_date__agrees_with_the_c_library(void **state)
{
    char ours[HTTP_DATE_SIZE], theirs[64];

    (void)state;
    for (wall_ms at = year_0; at <= end_of_9999; at += AT(11 * 3600 * 37 + 13)) {
        const time_t seconds = (time_t)(at / MS_PER_S);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        assert_int_equal(clock_http_date(at, ours), 29);
        strftime(theirs, sizeof(theirs), "%a, %d %b 0000 %H:%M:%S GMT", &tm);
        for (int i = 0, year = tm.tm_year + 1900; i < 4; i++, year /= 10)
            theirs[15 - i] = (char)('0' + year % 10);
        assert_string_equal(ours, theirs);
    }
}

static void test_clock_http_date__example_of_the_rfc(void **state)
{
    char out[HTTP_DATE_SIZE];

    (void)state;
    assert_int_equal(clock_http_date(AT(784111777), out), 29);
    assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_true(clock_parse_http_date(out, 29) == AT(784111777));
}

static void test_clock_parse_http_date__reads_what_is_written(void **state)
{
    char out[HTTP_DATE_SIZE];

    (void)state;
    for (wall_ms at = year_0; at <= end_of_9999; at += AT(86400 * 29 + 12345)) {
        const size_t len = clock_http_date(at, out);
        assert_true(clock_parse_http_date(out, len) == at);
    }
}

static void test_clock_parse_http_date__refuses_anything_else(void **state)
{
    static const char *const wrong[] = {
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Wed, 00 Nov 1994 08:49:37 GMT",
        "Tue, 30 Feb 1999 00:00:00 GMT",
        "Mon, 29 Feb 1999 00:00:00 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 0::49:37 GMT",
        "Sun, 06 Nov 1 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 +8:49:37 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(clock_parse_http_date(wrong[i], strlen(wrong[i])) == -1);
}

static void test_clock_clf__form_of_the_access_log(void **state)
{
    char out[CLF_TIME_SIZE];

    (void)state;
    assert_int_equal(clock_clf(AT(784111777) + 999, out), 26);
    assert_string_equal(out, "06/Nov/1994:08:49:37 +0000");
    assert_int_equal(clock_clf(INT64_MAX, out), 26);
}

static void test_clock_mono__does_not_go_back(void **state)
{
    mono_ns last = clock_mono();

    (void)state;
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        const mono_ns now = clock_mono();
        assert_true(now >= last);
        last = now;
    }
}

static void test_clock_wall__is_between_two_readings_of_the_system(void **state)
{
    const time_t before = time(NULL);
    const wall_ms now = clock_wall();
    struct timespec after;

    (void)state;
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(now >= AT(before));
    assert_true(now <= AT(after.tv_sec) + after.tv_nsec / NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_iso__known_moments),
        cmocka_unit_test(test_clock_iso__clamps_to_four_digit_years),
        cmocka_unit_test(test_clock_http_date__agrees_with_the_c_library),
        cmocka_unit_test(test_clock_http_date__example_of_the_rfc),
        cmocka_unit_test(test_clock_parse_http_date__reads_what_is_written),
        cmocka_unit_test(test_clock_parse_http_date__refuses_anything_else),
        cmocka_unit_test(test_clock_clf__form_of_the_access_log),
        cmocka_unit_test(test_clock_mono__does_not_go_back),
        cmocka_unit_test(test_clock_wall__is_between_two_readings_of_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
