/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

#include <string.h>

static void assert_content(const struct buf *b, const char *expected)
{
    assert_int_equal(b->len, strlen(expected));
    assert_memory_equal(buf_view(b).ptr, expected, b->len);
}

static void test_buf_append__many_pieces_make_one_text(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100000);
    for (int i = 0; i < 10000; i++)
        buf_append(&b, "abcdefghi", 9);
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 90000);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.ptr[i], 'a' + (int)(i % 9));
    buf_done(&b);
}

static void test_buf_append__error_is_sticky_and_keeps_what_was_there(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 8);
    buf_cstr(&b, "12345");
    buf_cstr(&b, "6789");
    buf_byte(&b, 'x');
    assert_false(buf_ok(&b));
    assert_int_equal(b.err, E_TOO_LARGE);
    assert_content(&b, "12345");
    buf_done(&b);
}

static void test_buf_append__fills_exactly_to_the_maximum(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 300);
    for (int i = 0; i < 300; i++)
        buf_byte(&b, 'a');
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 300);
    assert_int_equal(b.cap, 300);
    buf_byte(&b, 'a');
    assert_int_equal(b.err, E_TOO_LARGE);
    buf_done(&b);
}

static void test_buf_append__nothing_is_always_allowed(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    buf_append(&b, NULL, 0);
    buf_str(&b, STR_EMPTY);
    assert_true(buf_ok(&b));
    assert_content(&b, "");
    buf_byte(&b, 'x');
    assert_int_equal(b.err, E_TOO_LARGE);
    buf_done(&b);
}

static void test_buf_clear__forgets_content_and_error(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4);
    buf_cstr(&b, "12345");
    assert_false(buf_ok(&b));
    buf_clear(&b);
    buf_cstr(&b, "1234");
    assert_true(buf_ok(&b));
    assert_content(&b, "1234");
    buf_done(&b);
}

static void test_buf_room__takes_what_was_written_there(void **state)
{
    struct buf b;
    char *p;

    (void)state;
    buf_init(&b, 1000);
    buf_cstr(&b, "ab");
    p = buf_room(&b, 500);
    assert_non_null(p);
    memset(p, 'c', 500);
    buf_added(&b, 3);
    assert_content(&b, "abccc");
    assert_null(buf_room(&b, 996));
    assert_int_equal(b.err, E_TOO_LARGE);
    buf_done(&b);
}

static void test_buf_room__survives_absurd_sizes(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX);
    buf_byte(&b, 'a');
    assert_null(buf_room(&b, SIZE_MAX));
    assert_int_equal(b.err, E_TOO_LARGE);
    buf_done(&b);
}

static void test_buf_uint__writes_all_digits(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    buf_uint(&b, 0);
    buf_byte(&b, ' ');
    buf_uint(&b, UINT64_MAX);
    buf_byte(&b, ' ');
    buf_int(&b, INT64_MIN);
    buf_byte(&b, ' ');
    buf_int(&b, -7);
    buf_byte(&b, ' ');
    buf_int(&b, INT64_MAX);
    assert_content(&b, "0 18446744073709551615 -9223372036854775808 -7 9223372036854775807");
    buf_done(&b);
}

static void test_buf_printf__formats_short_and_long(void **state)
{
    char expected[2048];
    struct buf b;

    (void)state;
    memset(expected, ' ', sizeof(expected));
    memcpy(expected, "n=7", 3);
    memcpy(expected + 2000, "x", 2);
    buf_init(&b, 4000);
    buf_printf(&b, "n=%d", 7);
    buf_printf(&b, "%*s", 1998, "x");
    assert_content(&b, expected);
    buf_done(&b);
}

static void test_buf_printf__fills_exactly_to_the_maximum(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 8);
    buf_printf(&b, "%s", "1234");
    buf_printf(&b, "%s", "5678");
    assert_true(buf_ok(&b));
    assert_content(&b, "12345678");
    buf_printf(&b, "%s", "");
    assert_true(buf_ok(&b));
    buf_printf(&b, "%d", 9);
    assert_int_equal(b.err, E_TOO_LARGE);
    assert_content(&b, "12345678");
    buf_done(&b);
}

static void test_buf_drop__moves_the_rest_to_the_front(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_drop(&b, 5);
    buf_cstr(&b, "0123456789");
    buf_drop(&b, 0);
    buf_drop(&b, 4);
    assert_content(&b, "456789");
    buf_drop(&b, 100);
    assert_content(&b, "");
    buf_done(&b);
}

static void test_buf_init_arena__lives_in_the_arena(void **state)
{
    struct arena a;
    struct buf b;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init_arena(&b, &a, 100000);
    for (int i = 0; i < 20000; i++)
        buf_cstr(&b, "xyz");
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 60000);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.ptr[i], "xyz"[i % 3]);
    buf_done(&b);
    arena_done(&a);
}

static void test_buf_init_arena__says_no_memory_when_the_arena_is_full(void **state)
{
    struct arena a;
    struct buf b;

    (void)state;
    arena_init(&a, 4096);
    buf_init_arena(&b, &a, 100000);
    for (int i = 0; i < 5000; i++)
        buf_byte(&b, 'x');
    assert_int_equal(b.err, E_NO_MEMORY);
    assert_true(b.len > 1000);
    arena_done(&a);
}

static void test_buf_init_fixed__never_leaves_the_memory_given(void **state)
{
    char memory[16] = "0123456789abcde";
    struct buf b;

    (void)state;
    buf_init_fixed(&b, memory, 8);
    buf_cstr(&b, "AAAAAAAA");
    assert_true(buf_ok(&b));
    buf_byte(&b, 'B');
    assert_int_equal(b.err, E_TOO_LARGE);
    assert_string_equal(memory, "AAAAAAAA89abcde");
    buf_done(&b);
    assert_null(b.ptr);
}

static void test_buf_done__leaves_an_empty_usable_buffer(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    buf_cstr(&b, "abc");
    buf_done(&b);
    buf_done(&b);
    assert_content(&b, "");
    buf_cstr(&b, "def");
    assert_content(&b, "def");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_append__many_pieces_make_one_text),
        cmocka_unit_test(test_buf_append__error_is_sticky_and_keeps_what_was_there),
        cmocka_unit_test(test_buf_append__fills_exactly_to_the_maximum),
        cmocka_unit_test(test_buf_append__nothing_is_always_allowed),
        cmocka_unit_test(test_buf_clear__forgets_content_and_error),
        cmocka_unit_test(test_buf_room__takes_what_was_written_there),
        cmocka_unit_test(test_buf_room__survives_absurd_sizes),
        cmocka_unit_test(test_buf_uint__writes_all_digits),
        cmocka_unit_test(test_buf_printf__formats_short_and_long),
        cmocka_unit_test(test_buf_printf__fills_exactly_to_the_maximum),
        cmocka_unit_test(test_buf_drop__moves_the_rest_to_the_front),
        cmocka_unit_test(test_buf_init_arena__lives_in_the_arena),
        cmocka_unit_test(test_buf_init_arena__says_no_memory_when_the_arena_is_full),
        cmocka_unit_test(test_buf_init_fixed__never_leaves_the_memory_given),
        cmocka_unit_test(test_buf_done__leaves_an_empty_usable_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
