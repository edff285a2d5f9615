/* SPDX-License-Identifier: MIT */
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

/* Feeds the text in pieces of `step` bytes; what came out. */
struct outcome {
    enum http_parse verdict;
    size_t used;
    int status;
    char body[64];
    size_t body_len;
};

static struct outcome decode(struct str text, size_t step)
{
    struct outcome o = { .verdict = HTTP_PARSE_MORE };
    struct http_chunks chunks = { 0 };
    while (o.used < text.len && o.verdict == HTTP_PARSE_MORE) {
        const size_t n = text.len - o.used < step ? text.len - o.used : step;
        size_t used = 0;
        struct str data = STR_EMPTY;
        struct http_refusal refusal = { 0 };
        o.verdict = http_chunks_feed(&chunks, text.ptr + o.used, n, &used, &data, &refusal);
        assert_true(used <= n && o.body_len + data.len <= sizeof(o.body));
        if (data.len > 0)
            memcpy(o.body + o.body_len, data.ptr, data.len);
        o.body_len += data.len;
        o.used += used;
        o.status = refusal.status;
    }
    return o;
}

static void assert_body(struct str text, const char *body)
{
    for (size_t step = 1; step <= text.len; step++) {
        const struct outcome o = decode(text, step);
        assert_int_equal(o.verdict, HTTP_PARSE_DONE);
        assert_int_equal(o.used, text.len);
        assert_int_equal(o.body_len, strlen(body));
        assert_memory_equal(o.body, body, o.body_len);
    }
}

static void test_chunks_feed__decodes_a_body_in_any_pieces(void **state)
{
    (void)state;
    assert_body(STR("5\r\nhello\r\n0\r\n\r\n"), "hello");
    assert_body(STR("5\r\nhello\r\n7\r\n, world\r\n000\r\n\r\n"), "hello, world");
    assert_body(STR("0000000000000002\r\n\r\n\r\n0\r\n\r\n"), "\r\n");
    assert_body(STR("a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n"), "01234567890123456789");
    assert_body(STR("0\r\n\r\n"), "");
}

static void test_chunks_feed__ignores_extensions_and_harmless_trailers(void **state)
{
    (void)state;
    assert_body(STR("5;a=b;c=\"d;e\"\r\nhello\r\n0;last\r\n\r\n"), "hello");
    assert_body(STR("5\r\nhello\r\n0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n"), "hello");
    assert_body(STR("0\r\nHostess: a\r\nContent-Lengths: 1\r\nA-Name-Longer-Than-Any-Forbidden-One: 1\r\n\r\n"), "");
}

static void test_chunks_feed__stops_right_after_the_body(void **state)
{
    (void)state;
    const struct str text = STR("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    const struct outcome o = decode(text, text.len);
    assert_int_equal(o.verdict, HTTP_PARSE_DONE);
    assert_int_equal(o.used, strlen("1\r\na\r\n0\r\n\r\n"));
}

static void test_chunks_feed__waits_for_a_body_cut_short(void **state)
{
    (void)state;
    const struct str text = STR("5\r\nhello\r\n0\r\n\r\n");
    for (size_t n = 1; n < text.len; n++)
        assert_int_equal(decode(str_slice(text, 0, n), n).verdict, HTTP_PARSE_MORE);
}

static void test_chunks_feed__refuses_what_is_not_strict(void **state)
{
    (void)state;
    const struct str cases[] = {
        STR("+5\r\nhello\r\n"),
        STR("-1\r\n"),
        STR("0x5\r\nhello\r\n"),
        STR("5_0\r\n"),
        STR(" 5\r\nhello\r\n"),
        STR("5 \r\nhello\r\n"),
        STR("5 ;a\r\nhello\r\n"),
        STR("\r\n"),
        STR(";a\r\n"),
        STR("g\r\n"),
        STR("00000000000000005\r\nhello\r\n"),
        STR("fffffffffffffffff\r\n"),
        STR("5\nhello\r\n"),
        STR("5\rhello\r\n"),
        STR("5\r\nhello\n"),
        STR("5\r\nhello\rx"),
        STR("5\r\nhello!\r\n"),
        STR("5\r\nhello0\r\n\r\n"),
        STR("5;a\nb\r\n"),
        STR("5;a\rb\r\n"),
        STR("5;a\0b\r\n"),
        STR("5;a\x01\r\n"),
        STR("0\r\n\n"),
        STR("0\r\n\rx"),
        STR("0\n\r\n"),
        STR("0\r\nX : a\r\n"),
        STR("0\r\n: a\r\n"),
        STR("0\r\n X: a\r\n"),
        STR("0\r\nX: a\r\n b\r\n"),
        STR("0\r\nX: a\nY: b\r\n"),
        STR("0\r\nX: \0\r\n"),
        STR("0\r\nX\r\n"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step <= cases[i].len; step++) {
            const struct outcome o = decode(cases[i], step);
            if (o.verdict != HTTP_PARSE_BAD || o.status != 400)
                fail_msg("accepted in pieces of %zu: %.*s", step, STR_ARG(cases[i]));
        }
    }
}

static void test_chunks_feed__refuses_forbidden_trailers(void **state)
{
    (void)state;
    const struct str cases[] = {
        STR("0\r\nContent-Length: 5\r\n\r\n"), STR("0\r\ntransfer-encoding: chunked\r\n\r\n"),
        STR("0\r\nHOST: h\r\n\r\n"),           STR("0\r\nAuthorization: Bearer x\r\n\r\n"),
        STR("0\r\nA: b\r\nCookie: x\r\n\r\n"), STR("0\r\nX-Forwarded-For: 1\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(decode(cases[i], 1).verdict, HTTP_PARSE_BAD);
        assert_int_equal(decode(cases[i], 1).status, 400);
    }
}

/* `prefix`, n times 'a', `suffix`: 200, or the status of the refusal. */
static int padded_status(const char *prefix, size_t n, const char *suffix)
{
    struct buf b;
    buf_init(&b, 64 * 1024);
    buf_cstr(&b, prefix);
    for (size_t i = 0; i < n; i++)
        buf_byte(&b, 'a');
    buf_cstr(&b, suffix);
    const struct outcome o = decode(buf_view(&b), b.len);
    buf_done(&b);
    return o.verdict == HTTP_PARSE_DONE ? 200 : o.status;
}

static void test_chunks_feed__bounds_extensions_and_trailers(void **state)
{
    (void)state;
    assert_int_equal(padded_status("0;", HTTP_EXTENSIONS_MAX, "\r\n\r\n"), 200);
    assert_int_equal(padded_status("0;", HTTP_EXTENSIONS_MAX + 1, "\r\n\r\n"), 400);
    assert_int_equal(padded_status("1;aaa\r\nx\r\n0;", HTTP_EXTENSIONS_MAX - 2, "\r\n\r\n"), 400);
    assert_int_equal(padded_status("0\r\nX: ", HTTP_TRAILERS_MAX - 5, "\r\n\r\n"), 200);
    assert_int_equal(padded_status("0\r\nX: ", HTTP_TRAILERS_MAX - 4, "\r\n\r\n"), 431);
}

static void test_chunks_feed__counts_the_largest_size(void **state)
{
    (void)state;
    struct http_chunks chunks = { 0 };
    const struct str text = STR("ffffffffffffffff\r\nabc");
    size_t used;
    struct str data;
    struct http_refusal refusal;
    assert_int_equal(http_chunks_feed(&chunks, text.ptr, text.len, &used, &data, &refusal), HTTP_PARSE_MORE);
    assert_int_equal(data.len, 3);
    assert_true(chunks.left == UINT64_MAX - 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_feed__decodes_a_body_in_any_pieces),
        cmocka_unit_test(test_chunks_feed__ignores_extensions_and_harmless_trailers),
        cmocka_unit_test(test_chunks_feed__stops_right_after_the_body),
        cmocka_unit_test(test_chunks_feed__waits_for_a_body_cut_short),
        cmocka_unit_test(test_chunks_feed__refuses_what_is_not_strict),
        cmocka_unit_test(test_chunks_feed__refuses_forbidden_trailers),
        cmocka_unit_test(test_chunks_feed__bounds_extensions_and_trailers),
        cmocka_unit_test(test_chunks_feed__counts_the_largest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
