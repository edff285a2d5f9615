/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/forwarded.h"

#include <stdio.h>

/* All that a header's lines name, from the right, and how it ends: "a b END". */
static void assert_read(enum forwarded_header header, const char *const *lines, const char *expected)
{
    static const char *const names[] = { "x-forwarded-for", "FORWARDED", "X-real-ip" };
    char text[256] = "", one[ADDRESS_TEXT_SIZE];
    struct http_head head = { .method = HTTP_GET };
    enum forwarded_next next;
    struct forwarded f;
    struct address a;
    int len = 0;

    for (; *lines; lines++)
        head.fields[head.field_count++] = (struct http_field){ str_of(names[header]), str_of(*lines) };
    head.fields[head.field_count++] = (struct http_field){ STR("X-Other"), STR("192.0.2.99") };
    f = forwarded_begin(&head, header);
    while ((next = forwarded_next(&f, &a)) == FORWARDED_ADDRESS) {
        address_print(&a, one);
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s ", one);
    }
    (void)snprintf(text + len, sizeof(text) - (size_t)len, "%s", next == FORWARDED_END ? "END" : "BAD");
    assert_string_equal(text, expected);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_forwarded_next__reads_all_lines_from_the_right(void **state)
{
    (void)state;
    assert_read(X_FORWARDED_FOR, LINES("1.1.1.1, 2.2.2.2", "", "3.3.3.3,,::4"), "::4 3.3.3.3 2.2.2.2 1.1.1.1 END");
    assert_read(FORWARDED, LINES("for=1.1.1.1, for=\"2.2.2.2:80\"", "for=\"[::3]\""), "::3 2.2.2.2 1.1.1.1 END");
    assert_read(X_FORWARDED_FOR, LINES(""), "END");
    assert_read(X_REAL_IP, LINES("1.1.1.1"), "1.1.1.1 END");
}

static void test_forwarded_next__stops_at_what_is_no_address(void **state)
{
    (void)state;
    assert_read(X_FORWARDED_FOR, LINES("1.1.1.1, x, 2.2.2.2"), "2.2.2.2 BAD");
    assert_read(X_FORWARDED_FOR, LINES("1.1.1.1", "x", "2.2.2.2"), "2.2.2.2 BAD");
    assert_read(FORWARDED, LINES("for=1.1.1.1, by=1.2.3.4, for=2.2.2.2"), "2.2.2.2 BAD");
    assert_read(X_REAL_IP, LINES("1.1.1.1", "1.1.1.1"), "BAD");
}

/* What stands to the left of a comma is not looked at. */
static void test_forwarded_next__nothing_on_the_left_changes_the_right(void **state)
{
    static const char *const left[] = { "\"", "\\",  "for=\"",      "for=\"\\", "host=\"a\";for=\"",
                                        "[",  ";;;", "for=1.1.1.1;" };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
        (void)snprintf(text, sizeof(text), "%s, for=\"[2001:db8::9]\";host=\"a,b\"", left[i]);
        struct http_head head = { .field_count = 1, .fields = { { STR("Forwarded"), str_of(text) } } };
        struct forwarded f = forwarded_begin(&head, FORWARDED);
        struct address a;
        char told[ADDRESS_TEXT_SIZE];
        assert_int_equal(forwarded_next(&f, &a), FORWARDED_ADDRESS);
        address_print(&a, told);
        assert_string_equal(told, "2001:db8::9");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarded_next__reads_all_lines_from_the_right),
        cmocka_unit_test(test_forwarded_next__stops_at_what_is_no_address),
        cmocka_unit_test(test_forwarded_next__nothing_on_the_left_changes_the_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
