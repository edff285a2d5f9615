/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/trace.h"

#define ID     "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define IDS    ID "-" PARENT

static const char *const valid[] = {
    "00-" IDS "-01",
    "00-" IDS "-00",
    "00-" IDS "-ff",
    "00-00000000000000000000000000000001-0000000000000001-00",
    "00-10000000000000000000000000000000-1000000000000000-00",
    /* versions to come */
    "01-" IDS "-01",
    "cc-" IDS "-01",
    "fe-" IDS "-01",
    "01-" IDS "-01-",
    "01-" IDS "-01-what-the-future-will-be-like",
    "01-" IDS "-01-.",
};

static const char *const invalid[] = {
    "",
    "-",
    "00",
    "00-",
    /* the version */
    "ff-" IDS "-01",
    "FE-" IDS "-01",
    "0g-" IDS "-01",
    "0-" IDS "-01",
    "000-" IDS "-01",
    " 0-" IDS "-01",
    /* too short, too long */
    "00-" IDS "-0",
    "00-" IDS "-",
    "00-" IDS,
    "00-" IDS "-010",
    "00-" IDS "-01-",
    "00-" IDS "-01-what-the-future-will-be-like",
    "00-" IDS "-01 ",
    "01-" IDS "-0",
    "01-" IDS "-010",
    "01-" IDS "-01.what-the-future-will-be-like",
    /* no lower-case hex digits */
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
    "00-" ID "-00F067AA0BA902B7-01",
    "00-" IDS "-0A",
    "01-" IDS "-0A",
    "00-" IDS "-.0",
    "00-.bf92f3577b34da6a3ce929d0e0e4736-" PARENT "-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473.-" PARENT "-01",
    "00-" ID "-.0f067aa0ba902b7-01",
    "00-" ID "-00f067aa0ba902b.-01",
    "00-4bf92f3577b34da6-a3ce929d0e0e473-" PARENT "-01",
    /* zero */
    "00-00000000000000000000000000000000-" PARENT "-01",
    "00-" ID "-0000000000000000-01",
    "01-00000000000000000000000000000000-" PARENT "-01",
    /* no dashes */
    "00_" IDS "-01",
    "00-" ID "_" PARENT "-01",
    "00-" IDS "_01",
    "00-" ID PARENT "--01",
};

static void test_trace_parse__valid(void **state)
{
    struct trace t;

    (void)state;
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        const struct str header = str_of(valid[i]);
        if (!trace_parse(header, &t))
            fail_msg("refused: %s", valid[i]);
        assert_ptr_equal(t.id.ptr, header.ptr + 3);
        assert_int_equal(t.id.len, TRACE_ID_LEN);
        assert_ptr_equal(t.parent.ptr, header.ptr + 36);
        assert_int_equal(t.parent.len, TRACE_PARENT_LEN);
    }
}

static void test_trace_parse__invalid(void **state)
{
    struct trace t;

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        t.id = STR("old");
        if (trace_parse(str_of(invalid[i]), &t))
            fail_msg("accepted: %s", invalid[i]);
        assert_int_equal(t.id.len + t.parent.len, 0);
    }
}

/* Any other byte at any place of a valid header: only another digit of an id or
 * of the flags, or another version of the same length, may go through. */
static void test_trace_parse__each_byte_at_each_place(void **state)
{
    char header[] = "00-" IDS "-01";
    struct trace t;

    (void)state;
    for (size_t at = 0; at < sizeof(header) - 1; at++) {
        const char before = header[at];
        for (int byte = 0; byte < 256; byte++) {
            header[at] = (char)byte;
            const bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
            const bool fits = before == '-' ? byte == '-' : digit;
            assert_int_equal(trace_parse((struct str){ header, sizeof(header) - 1 }, &t), fits);
        }
        header[at] = before;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_parse__valid),
        cmocka_unit_test(test_trace_parse__invalid),
        cmocka_unit_test(test_trace_parse__each_byte_at_each_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
