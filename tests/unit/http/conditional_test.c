/* SPDX-License-Identifier: MIT */
#include "http/conditional.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_etag_matches__finds_the_tag_in_a_list(void **state)
{
    (void)state;
    const struct str etag = STR("\"a,b\"");
    const struct str matching[] = {
        STR("\"a,b\""), STR("W/\"a,b\""), STR(" * "), STR("\"x\", \"a,b\""), STR("\"x\",W/\"y\" ,,\tW/\"a,b\" , \"z\""),
    };
    for (size_t i = 0; i < sizeof(matching) / sizeof(matching[0]); i++)
        if (!etag_matches(matching[i], etag))
            fail_msg("no match: %.*s", STR_ARG(matching[i]));
    assert_true(etag_matches(STR("\"x\""), STR("W/\"x\"")));
}

static void test_etag_matches__finds_nothing_else(void **state)
{
    (void)state;
    const struct str etag = STR("\"ab\"");
    const struct str others[] = {
        STR(""),         STR("\"a\""),      STR("ab"),   STR("\"ab"),     STR("\"AB\""),
        STR("w/\"ab\""), STR("\"x\", *"),   STR("\"\""), STR("x \"ab\""), STR("\"x\", ab, \"ab\""),
        STR("W/"),       STR("W/W/\"ab\""),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (etag_matches(others[i], etag))
            fail_msg("match: %.*s", STR_ARG(others[i]));
}

static void test_etag_same__wants_two_strong_tags(void **state)
{
    (void)state;
    assert_true(etag_same(STR("\"a\""), STR("\"a\"")));
    assert_false(etag_same(STR("W/\"a\""), STR("W/\"a\"")));
    assert_false(etag_same(STR("\"a\""), STR("W/\"a\"")));
    assert_false(etag_same(STR("\"a\""), STR("\"b\"")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_etag_matches__finds_the_tag_in_a_list),
        cmocka_unit_test(test_etag_matches__finds_nothing_else),
        cmocka_unit_test(test_etag_same__wants_two_strong_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
