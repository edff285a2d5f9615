/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static const struct str none = { NULL, 0 };

static void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    if (s.len > 0)
        assert_memory_equal(s.ptr, expected, s.len);
}

static void test_str_eq_nocase__folds_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(str_eq_nocase(STR("Content-LENGTH"), STR("cONTENT-length")));
    assert_true(str_eq_nocase(none, STR_EMPTY));
    assert_false(str_eq_nocase(STR("abc"), STR("abcd")));
    assert_false(str_eq_nocase(STR("a@b"), STR("a`b")));
    assert_false(str_eq_nocase(STR("a[b"), STR("a{b")));
    assert_false(str_eq_nocase(STR("\xC3\x84"), STR("\xC3\xA4")));
}

static void test_str_starts_with__and_ends_with(void **state)
{
    (void)state;
    assert_true(str_starts_with(STR("/api/spas"), STR("/api/")));
    assert_false(str_starts_with(STR("/ap"), STR("/api/")));
    assert_false(str_starts_with(STR("/bpi/"), STR("/api/")));
    assert_true(str_starts_with(none, none));
    assert_true(str_ends_with(STR("page.html"), STR(".html")));
    assert_false(str_ends_with(STR("html"), STR(".html")));
    assert_false(str_ends_with(STR("page.htmx"), STR(".html")));
    assert_true(str_ends_with(STR("x"), none));
}

static void test_str_cmp__orders_by_bytes_then_length(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("abc"), STR("abd")) < 0);
    assert_true(str_cmp(STR("b"), STR("abc")) > 0);
    assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
    assert_true(str_cmp(STR("\xFF"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("abc"), STR("abc")), 0);
    assert_int_equal(str_cmp(none, STR_EMPTY), 0);
    assert_true(str_cmp(none, STR("a")) < 0);
}

static void test_str_find__gives_the_length_when_absent(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("a,b,c"), ',', 0), 1);
    assert_int_equal(str_find(STR("a,b,c"), ',', 1), 1);
    assert_int_equal(str_find(STR("a,b,c"), ',', 2), 3);
    assert_int_equal(str_find(STR("a,b,c"), ',', 4), 5);
    assert_int_equal(str_find(STR("a,b,c"), ',', 99), 5);
    assert_int_equal(str_find(none, ',', 0), 0);
}

static void test_str_slice__clamps_both_ends(void **state)
{
    (void)state;
    assert_str(str_slice(STR("hello"), 1, 3), "el");
    assert_str(str_slice(STR("hello"), 3, SIZE_MAX), "lo");
    assert_str(str_slice(STR("hello"), 9, 12), "");
    assert_str(str_slice(STR("hello"), 3, 1), "");
    assert_str(str_slice(none, 0, 5), "");
}

static void test_str_trim__takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t a b \t ")), "a b");
    assert_str(str_trim(STR("\na\r")), "\na\r");
    assert_str(str_trim(STR("   ")), "");
    assert_str(str_trim(none), "");
}

static void test_str_split__gives_each_piece_once(void **state)
{
    static const char *const expected[] = { "a", "", "bc", "" };
    struct str rest = STR("a,,bc,");
    size_t i = 0;

    (void)state;
    while (rest.ptr) {
        assert_true(i < 4);
        assert_str(str_split(&rest, ','), expected[i++]);
    }
    assert_int_equal(i, 4);
}

static void test_str_split__an_empty_string_is_one_empty_piece(void **state)
{
    struct str rest = STR_EMPTY;

    (void)state;
    assert_str(str_split(&rest, ','), "");
    assert_null(rest.ptr);
}

static void test_str_to_int__reads_the_whole_range(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {
        { "0", 0 },
        { "7", 7 },
        { "-7", -7 },
        { "10", 10 },
        { "9223372036854775807", INT64_MAX },
        { "-9223372036854775808", INT64_MIN },
    };
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(str_to_int(str_of(rows[i].text), INT64_MIN, INT64_MAX, &value), OK);
        assert_true(value == rows[i].value);
    }
}

static void test_str_to_int__refuses_what_is_not_strict(void **state)
{
    static const char *const wrong[] = { "",
                                         "-",
                                         "+1",
                                         "01",
                                         "00",
                                         "-0",
                                         "-01",
                                         " 1",
                                         "1 ",
                                         "1.0",
                                         "1e3",
                                         "0x10",
                                         "a",
                                         "--1",
                                         "1-",
                                         "9223372036854775808",
                                         "-9223372036854775809",
                                         "99999999999999999999999",
                                         "18446744073709551617" };
    int64_t value = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(str_to_int(str_of(wrong[i]), INT64_MIN, INT64_MAX, &value), E_INVALID);
    assert_int_equal(str_to_int(none, 0, 1, &value), E_INVALID);
    assert_int_equal(str_to_int((struct str){ "1\0", 2 }, 0, 100, &value), E_INVALID);
    assert_int_equal(value, 77);
}

static void test_str_to_int__holds_the_bounds(void **state)
{
    int64_t value = 0;

    (void)state;
    assert_int_equal(str_to_int(STR("65535"), 1, 65535, &value), OK);
    assert_int_equal(value, 65535);
    assert_int_equal(str_to_int(STR("65536"), 1, 65535, &value), E_INVALID);
    assert_int_equal(str_to_int(STR("0"), 1, 65535, &value), E_INVALID);
    assert_int_equal(str_to_int(STR("-5"), -5, -1, &value), OK);
    assert_int_equal(value, -5);
}

static void test_str_is_utf8__accepts_the_ends_of_each_range(void **state)
{
    static const char *const good[] = {
        "",
        "plain ASCII text that is long enough for words",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "12345678\xC3\xA4 2345678\xE2\x82\xAC",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(str_is_utf8(str_of(good[i])));
    assert_true(str_is_utf8(none));
}

static void test_str_is_utf8__refuses_all_that_rfc_3629_does(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2",
        "\xC2\x41",
        "\xC2\xC0",
        "\xE0\x9F\xBF",
        "\xE0\xA0",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xEF\xBF",
        "\xE2\x82\x41",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF0\x90\x80",
        "\xF0\x90\x80\x41",
        "\xFE",
        "\xFF",
        "long enough ASCII before\xFF",
        "12345678\x80 2345678",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(str_is_utf8(str_of(bad[i])));
}

static void test_utf8_sequence__gives_the_length(void **state)
{
    const char text[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
    const char *end = text + sizeof(text) - 1;

    (void)state;
    assert_int_equal(utf8_sequence(text, end), 1);
    assert_int_equal(utf8_sequence(text + 1, end), 2);
    assert_int_equal(utf8_sequence(text + 3, end), 3);
    assert_int_equal(utf8_sequence(text + 6, end), 4);
    assert_int_equal(utf8_sequence(text + 2, end), 0);
    assert_int_equal(utf8_sequence(text + 6, end - 1), 0);
    assert_int_equal(utf8_sequence(end, end), 0);
}

static void test_str_percent_byte__decodes_and_moves(void **state)
{
    const struct str good = STR("a%20%fF%41");
    const int bytes[] = { 'a', ' ', 0xff, 'A' };
    static const char *const bad[] = { "%", "%4", "%g0", "%0g", "%%4" };
    size_t at = 0;
    (void)state;

    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        assert_int_equal(str_percent_byte(good, &at), bytes[i]);
    assert_int_equal(at, good.len);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        at = 0;
        assert_int_equal(str_percent_byte(str_of(bad[i]), &at), -1);
    }
}

static void test_str_eq_secret__compares_like_str_eq(void **state)
{
    (void)state;
    assert_true(str_eq_secret(STR("token"), STR("token")));
    assert_false(str_eq_secret(STR("token"), STR("tokem")));
    assert_false(str_eq_secret(STR("Token"), STR("token")));
    assert_false(str_eq_secret(STR("token"), STR("toke")));
    assert_true(str_eq_secret(none, STR_EMPTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_eq_nocase__folds_ascii_letters_only),
        cmocka_unit_test(test_str_starts_with__and_ends_with),
        cmocka_unit_test(test_str_cmp__orders_by_bytes_then_length),
        cmocka_unit_test(test_str_find__gives_the_length_when_absent),
        cmocka_unit_test(test_str_slice__clamps_both_ends),
        cmocka_unit_test(test_str_trim__takes_spaces_and_tabs_only),
        cmocka_unit_test(test_str_split__gives_each_piece_once),
        cmocka_unit_test(test_str_split__an_empty_string_is_one_empty_piece),
        cmocka_unit_test(test_str_to_int__reads_the_whole_range),
        cmocka_unit_test(test_str_to_int__refuses_what_is_not_strict),
        cmocka_unit_test(test_str_to_int__holds_the_bounds),
        cmocka_unit_test(test_str_is_utf8__accepts_the_ends_of_each_range),
        cmocka_unit_test(test_str_is_utf8__refuses_all_that_rfc_3629_does),
        cmocka_unit_test(test_utf8_sequence__gives_the_length),
        cmocka_unit_test(test_str_percent_byte__decodes_and_moves),
        cmocka_unit_test(test_str_eq_secret__compares_like_str_eq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
