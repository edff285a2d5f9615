/* SPDX-License-Identifier: MIT */
#include "http/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_accept_encoding__reads_the_list(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        unsigned wanted;
    } cases[] = {
        { STR(""), 0 },
        { STR("gzip"), CODING_GZIP },
        { STR("gzip, deflate, br"), CODING_GZIP | CODING_BR },
        { STR("GZIP;q=0.5 , br ; q=1.000"), CODING_GZIP | CODING_BR },
        { STR("x-gzip"), CODING_GZIP },
        { STR("gzip;q=0, br"), CODING_BR },
        { STR("gzip;q=0.000, br;Q=0"), 0 },
        { STR("*"), CODING_GZIP | CODING_BR },
        { STR("*, gzip;q=0"), CODING_BR },
        { STR("*;q=0"), CODING_NO_IDENTITY },
        { STR("*;q=0, identity"), 0 },
        { STR("*;q=0, gzip"), CODING_GZIP | CODING_NO_IDENTITY },
        { STR("identity"), 0 },
        { STR("br, identity;q=0"), CODING_BR | CODING_NO_IDENTITY },
        { STR("identity;q=0.1"), 0 },
        { STR("gzip;q=2, br;q=abc"), 0 },
        { STR("gzipp, b, , ;q=1"), 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned got = accept_encoding(cases[i].value);
        if (got != cases[i].wanted)
            fail_msg("%.*s: %u instead of %u", STR_ARG(cases[i].value), got, cases[i].wanted);
    }
}

static void test_accepts__lets_the_closest_range_decide(void **state)
{
    (void)state;
    static const struct {
        struct str accept;
        int wanted;
    } cases[] = {
        { STR(""), 1000 },
        { STR("*/*"), 1000 },
        { STR("text/plain"), 1000 },
        { STR("TEXT/Plain;q=0.5"), 500 },
        { STR("text/*;q=0.25"), 250 },
        { STR("text/plain;q=0.1, text/*;q=0.9, */*"), 100 },
        { STR("*/*;q=0.8, text/*;q=0"), 0 },
        { STR("text/html, application/json"), 0 },
        { STR("application/*"), 0 },
        { STR("text/plain;version=0.0.4;q=0.3"), 300 },
        { STR("text/html;x=\"a,text/plain\", text/plain;q=0.125"), 125 },
        { STR("text/plain;q=1.5"), 0 },
        { STR("text/plain;q=0.1, text/plain;q=0.2"), 200 },
        { STR("text"), 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int got = accepts(cases[i].accept, STR("text/plain"));
        if (got != cases[i].wanted)
            fail_msg("%.*s: %d instead of %d", STR_ARG(cases[i].accept), got, cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_encoding__reads_the_list),
        cmocka_unit_test(test_accepts__lets_the_closest_range_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
