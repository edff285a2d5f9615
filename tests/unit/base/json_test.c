/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.c" /* for plain_point(): few machines have the locales that need it */

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct buf out;
    struct json j;
};

static int setup(void **state)
{
    static struct fixture f;

    buf_init(&f.out, 100000);
    json_init(&f.j, &f.out);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    buf_done(&f->out);
    return 0;
}

/* What was written so far is `expected`; then starts anew. */
static void assert_written(struct fixture *f, const char *expected)
{
    buf_byte(&f->out, '\0');
    assert_int_equal(f->out.err, OK);
    assert_string_equal(f->out.ptr, expected);
    buf_clear(&f->out);
    json_init(&f->j, &f->out);
}

static void test_json_object__places_commas(void **state)
{
    struct fixture *f = *state;

    json_object(&f->j);
    json_member_str(&f->j, "name", STR("Lotus"));
    json_key(&f->j, STR("rooms"));
    json_array(&f->j);
    json_int(&f->j, -1);
    json_object(&f->j);
    json_object_end(&f->j);
    json_array(&f->j);
    json_array_end(&f->j);
    json_null(&f->j);
    json_array_end(&f->j);
    json_member_bool(&f->j, "open", true);
    json_member_int(&f->j, "low", INT64_MIN);
    json_member_uint(&f->j, "high", UINT64_MAX);
    json_member_double(&f->j, "rate", 0.5);
    json_object_end(&f->j);
    assert_written(f, "{\"name\":\"Lotus\",\"rooms\":[-1,{},[],null],\"open\":true,"
                      "\"low\":-9223372036854775808,\"high\":18446744073709551615,\"rate\":0.5}");
}

static void test_json_raw__counts_as_a_value(void **state)
{
    struct fixture *f = *state;

    json_array(&f->j);
    json_raw(&f->j, STR("{\"a\":1}"));
    json_raw(&f->j, STR("[2]"));
    json_bool(&f->j, false);
    json_uint(&f->j, 3);
    json_array_end(&f->j);
    assert_written(f, "[{\"a\":1},[2],false,3]");
}

static void test_json_str__escapes_what_must_be(void **state)
{
    struct fixture *f = *state;

    json_str(&f->j, STR("a\"b\\c/d"));
    assert_written(f, "\"a\\\"b\\\\c/d\"");
    json_str(&f->j, STR("\b\f\n\r\t"));
    assert_written(f, "\"\\b\\f\\n\\r\\t\"");
    json_str(&f->j, (struct str){ "\x00\x01\x1f\x7f", 4 });
    assert_written(f, "\"\\u0000\\u0001\\u001f\\u007f\"");
    json_str(&f->j, STR("\xC2\x80\xC2\x9F\xC2\xA0"));
    assert_written(f, "\"\\u0080\\u009f\xC2\xA0\"");
    json_str(&f->j, STR_EMPTY);
    assert_written(f, "\"\"");
    json_str(&f->j, (struct str){ NULL, 0 });
    assert_written(f, "\"\"");
}

static void test_json_str__keys_are_escaped_too(void **state)
{
    struct fixture *f = *state;

    json_object(&f->j);
    json_key(&f->j, STR("a\"b"));
    json_null(&f->j);
    json_object_end(&f->j);
    assert_written(f, "{\"a\\\"b\":null}");
}

static void test_json_str__replaces_each_bad_byte(void **state)
{
    struct fixture *f = *state;

    json_str(&f->j, STR("a\xFF\xC3(\xC3\xA4"));
    assert_written(f, "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xC3\xA4\"");
    json_str(&f->j, STR("\xE2\x82"));
    assert_written(f, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void test_json_str__all_output_is_utf8(void **state)
{
    struct fixture *f = *state;
    char pair[2];

    for (int i = 0; i < 65536; i++) {
        pair[0] = (char)(i >> 8);
        pair[1] = (char)(i & 255);
        json_str(&f->j, (struct str){ pair, 2 });
        assert_true(str_is_utf8(buf_view(&f->out)));
        for (size_t k = 0; k < f->out.len; k++)
            assert_true((unsigned char)f->out.ptr[k] >= 0x20);
        buf_clear(&f->out);
    }
}

/* Each byte at each place of a longer text, so that steps of 8 are met anyhow. */
static void test_json_escape__does_not_depend_on_the_place(void **state)
{
    struct fixture *f = *state;
    char text[24], alone[8];

    for (int c = 0; c < 256; c++) {
        const char byte = (char)c;
        size_t alone_len;
        json_escape(&f->out, (struct str){ &byte, 1 });
        alone_len = f->out.len;
        memcpy(alone, f->out.ptr, alone_len);
        buf_clear(&f->out);
        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, 'x', sizeof(text));
            text[at] = byte;
            json_escape(&f->out, (struct str){ text, sizeof(text) });
            assert_int_equal(f->out.len, sizeof(text) - 1 + alone_len);
            assert_memory_equal(f->out.ptr, "xxxxxxxxxxxxxxxxxxxxxxxx", at);
            assert_memory_equal(f->out.ptr + at, alone, alone_len);
            assert_int_equal(f->out.ptr[f->out.len - 1], at == sizeof(text) - 1 ? alone[alone_len - 1] : 'x');
            buf_clear(&f->out);
        }
    }
}

static void test_json_double__is_short_and_exact(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        { 0, "0" },
        { 1, "1" },
        { -1.5, "-1.5" },
        { 0.1, "0.1" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1e22, "1e+22" },
        { 100000, "100000" },
        { -0.0, "-0" },
        { -3, "-3" },
        { 999999999999999, "999999999999999" },
        { 1e15, "1e+15" },
        { 123456789012345680, "1.2345678901234568e+17" },
        { 5e-324, "4.94065645841247e-324" },
        { 1.0 / 3, "0.3333333333333333" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_double(&f->j, rows[i].value);
        assert_written(f, rows[i].text);
    }
}

static void test_json_double__reads_back_to_the_same_value(void **state)
{
    static const double values[] = { DBL_MAX,
                                     DBL_MIN,
                                     DBL_EPSILON,
                                     -DBL_MAX,
                                     123456789.123456789,
                                     1e-7,
                                     2.0 / 3,
                                     9007199254740993.0,
                                     1.7976931348623155e308 };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        json_double(&f->j, values[i]);
        buf_byte(&f->out, '\0');
        assert_true(strtod(f->out.ptr, NULL) == values[i]);
        buf_clear(&f->out);
    }
}

static void test_json_double__what_json_cannot_say_is_null(void **state)
{
    struct fixture *f = *state;

    json_array(&f->j);
    json_double(&f->j, NAN);
    json_double(&f->j, INFINITY);
    json_double(&f->j, -INFINITY);
    json_array_end(&f->j);
    assert_written(f, "[null,null,null]");
}

/* What snprintf makes of it where the decimal point is a comma, or U+066B. */
static void test_plain_point__replaces_any_locales_point(void **state)
{
    static const char *const texts[] = { "-1234.5e-07", "-1234,5e-07",
                                         ("-1234\xD9\xAB"
                                          "5e-07") };
    char text[DOUBLE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const size_t length = strlen(texts[i]);
        memcpy(text, texts[i], length);
        assert_int_equal(plain_point(text, length), 11);
        assert_memory_equal(text, "-1234.5e-07", 11);
    }
    memcpy(text, "1e+22", 5);
    assert_int_equal(plain_point(text, 5), 5);
    assert_memory_equal(text, "1e+22", 5);
}

/* Opens `depth` arrays and closes them again. */
static void nest(struct json *j, int depth)
{
    for (int i = 0; i < depth; i++)
        json_array(j);
    for (int i = 0; i < depth; i++)
        json_array_end(j);
}

static void test_json_array__nests_32_deep_and_no_deeper(void **state)
{
    struct fixture *f = *state;

    nest(&f->j, 32);
    assert_int_equal(f->out.err, OK);
    assert_int_equal(f->out.len, 64);
    buf_clear(&f->out);
    json_init(&f->j, &f->out);
    nest(&f->j, 33);
    assert_int_equal(f->out.err, E_INTERNAL);
}

static void test_json_array__commas_are_right_at_the_deepest_level(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 32; i++)
        json_array(&f->j);
    json_int(&f->j, 1);
    json_int(&f->j, 2);
    json_array_end(&f->j);
    json_array(&f->j);
    json_int(&f->j, 3);
    for (int i = 0; i < 32; i++)
        json_array_end(&f->j);
    assert_written(f, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1,2],[3]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
}

static void test_json_object_end__without_a_beginning_is_an_error(void **state)
{
    struct fixture *f = *state;

    json_object_end(&f->j);
    assert_int_equal(f->out.err, E_INTERNAL);
}

static void test_json_str__keeps_the_buffers_error(void **state)
{
    struct buf small;
    struct json j;

    (void)state;
    buf_init(&small, 5);
    json_init(&j, &small);
    json_str(&j, STR("longer than five"));
    assert_int_equal(small.err, E_TOO_LARGE);
    buf_done(&small);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_json_object__places_commas),
        TEST(test_json_raw__counts_as_a_value),
        TEST(test_json_str__escapes_what_must_be),
        TEST(test_json_str__keys_are_escaped_too),
        TEST(test_json_str__replaces_each_bad_byte),
        TEST(test_json_str__all_output_is_utf8),
        TEST(test_json_escape__does_not_depend_on_the_place),
        TEST(test_json_double__is_short_and_exact),
        TEST(test_json_double__reads_back_to_the_same_value),
        TEST(test_json_double__what_json_cannot_say_is_null),
        TEST(test_plain_point__replaces_any_locales_point),
        TEST(test_json_array__nests_32_deep_and_no_deeper),
        TEST(test_json_array__commas_are_right_at_the_deepest_level),
        TEST(test_json_object_end__without_a_beginning_is_an_error),
        TEST(test_json_str__keeps_the_buffers_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
