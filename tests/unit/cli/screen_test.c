/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/screen.h"

#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct screen s;

static int start(void **state)
{
    (void)state;
    arena_init(&arena, 4 << 20);
    return screen_init(&s, &arena, 3, 10) ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void assert_printed(const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    screen_print(&s, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_screen_put__is_cut_at_the_end_of_the_line_and_of_the_page(void **state)
{
    (void)state;
    screen_put(&s, STYLE_PLAIN, "0123456789abc");
    for (int i = 0; i < 5; i++) {
        screen_next(&s);
        screen_printf(&s, STYLE_PLAIN, "line %d", i);
    }
    assert_printed("0123456789\nline 0\nline 1\n");
}

static void test_screen_put__utf8_is_a_cell_and_control_characters_are_none(void **state)
{
    (void)state;
    screen_put(&s, STYLE_PLAIN, "\xC3\xA9\xE2\x96\x88\xF0\x9F\x99\x82|");
    assert_int_equal(s.column, 4);
    screen_next(&s);
    screen_put(&s, STYLE_PLAIN, "a\033[31m\xFF\xC2\x9B\x7F");
    assert_printed("\xC3\xA9\xE2\x96\x88\xF0\x9F\x99\x82|\na?[31m???\n");
}

static void test_screen_put__ascii_only(void **state)
{
    (void)state;
    s.ascii = true;
    screen_put(&s, STYLE_PLAIN, "caf\xC3\xA9");
    screen_curve(&s, STYLE_PLAIN, (const double[]){ 0, 1 }, 2, 1, 9);
    assert_printed("caf?_#\n");
}

static void test_screen_to__fills_and_never_goes_back(void **state)
{
    (void)state;
    screen_put(&s, STYLE_PLAIN, "abc");
    screen_to(&s, STYLE_BAR, 5);
    screen_to(&s, STYLE_BAR, 2);
    screen_put(&s, STYLE_PLAIN, "d");
    assert_int_equal(s.cells[4].style, STYLE_BAR);
    assert_printed("abc  d\n");
}

static void test_screen_curve__the_last_values(void **state)
{
    static const double values[] = { 9, 9, 0, 4, 8, 100, -3 };

    (void)state;
    screen_curve(&s, STYLE_PLAIN, values, 7, 8, 5);
    assert_printed("\xE2\x96\x81\xE2\x96\x85\xE2\x96\x88\xE2\x96\x88\xE2\x96\x81\n");
    screen_go(&s, 1);
    screen_curve(&s, STYLE_PLAIN, values, 7, 8, -4);
    screen_curve(&s, STYLE_PLAIN, NULL, 0, 0, 4);
    assert_int_equal(s.column, 0);
}

static void test_screen_init__is_bounded(void **state)
{
    struct screen big;

    (void)state;
    assert_true(screen_init(&big, &arena, 3, 100000));
    assert_int_equal(big.columns, SCREEN_COLUMNS_MAX);
    assert_true(screen_init(&big, &arena, -1, 0));
    assert_int_equal(big.lines * big.columns, 1);
    assert_false(screen_init(&big, &arena, SCREEN_LINES_MAX, SCREEN_COLUMNS_MAX));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_screen_put__is_cut_at_the_end_of_the_line_and_of_the_page),
        T(test_screen_put__utf8_is_a_cell_and_control_characters_are_none),
        T(test_screen_put__ascii_only),
        T(test_screen_to__fills_and_never_goes_back),
        T(test_screen_curve__the_last_values),
        T(test_screen_init__is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
