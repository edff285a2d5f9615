/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "settings/nearest.h"

static size_t distance(const char *a, const char *b) { return edit_distance(str_of(a), str_of(b)); }

static void test_edit_distance__counts_changes_insertions_and_removals(void **state)
{
    (void)state;
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abc", ""), 3);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("sitting", "kitten"), 3);
    assert_int_equal(distance("flaw", "lawn"), 2);
    assert_int_equal(distance("PORT", "port"), 0);
}

static const char *nearest(const char *word, const char *const names[])
{
    struct nearest near = nearest_to(str_of(word));

    for (; *names; names++)
        nearest_offer(&near, *names);
    return near.best;
}

static void test_nearest__proposes_the_nearest_of_the_names(void **state)
{
    const char *const names[] = { "serve", "check", "config", "migrate", NULL };
    (void)state;

    assert_string_equal(nearest("sevre", names), "serve");
    assert_string_equal(nearest("chekc", names), "check");
    assert_string_equal(nearest("MIGRATE", names), "migrate");
    assert_string_equal(nearest("confg", names), "config");
}

static void test_nearest__proposes_none_that_is_far(void **state)
{
    const char *const names[] = { "serve", "up", NULL };
    char word[NEAREST_WORD_MAX + 2] = { 0 };
    (void)state;

    assert_null(nearest("banana", names));
    assert_null(nearest("", names));
    assert_null(nearest("xy", names));
    assert_null(nearest("sxxxe", names));
    memset(word, 'x', NEAREST_WORD_MAX + 1);
    assert_null(nearest(word, (const char *const[]){ word, NULL }));
    word[NEAREST_WORD_MAX] = '\0';
    assert_string_equal(nearest(word, (const char *const[]){ word, NULL }), word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edit_distance__counts_changes_insertions_and_removals),
        cmocka_unit_test(test_nearest__proposes_the_nearest_of_the_names),
        cmocka_unit_test(test_nearest__proposes_none_that_is_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
