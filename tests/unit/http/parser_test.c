/* SPDX-License-Identifier: MIT */
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

/* What the two functions say together of a whole request. */
struct verdict {
    enum http_parse scan;
    bool parsed;
    size_t len;
    struct http_head head;
    struct http_refusal refusal;
};

static struct verdict judge(struct str bytes)
{
    struct verdict v = { .scan = HTTP_PARSE_MORE };
    struct http_scan scan = { 0 };
    v.scan = http_scan_head(&scan, bytes.ptr, bytes.len, &v.len, &v.refusal);
    if (v.scan == HTTP_PARSE_DONE)
        v.parsed = http_parse_head(bytes.ptr, v.len, &v.head, &v.refusal);
    return v;
}

/* Status of the refusal; 200 when accepted, 0 when more bytes are awaited. */
static int status(struct str bytes)
{
    const struct verdict v = judge(bytes);
    if (v.scan == HTTP_PARSE_MORE)
        return 0;
    if (v.scan == HTTP_PARSE_DONE && v.parsed)
        return 200;
    assert_non_null(v.refusal.reason);
    return v.refusal.status;
}

struct request_case {
    struct str bytes;
    int status;
};

static void check_cases(const struct request_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int got = status(cases[i].bytes);
        if (got != cases[i].status)
            fail_msg("%d instead of %d for: %.*s", got, cases[i].status, STR_ARG(cases[i].bytes));
    }
}
#define CHECK_CASES(cases) check_cases((cases), sizeof(cases) / sizeof((cases)[0]))
#define HOST               "Host: h.example\r\n"

static void assert_str(struct str got, const char *wanted)
{
    if (!str_eq(got, str_of(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(got), wanted);
}

/* ---- http_scan_head ---- */

static void test_scan_head__finds_the_end_whatever_the_pieces(void **state)
{
    (void)state;
    const struct str text = STR("\r\nGET / HTTP/1.1\r\n" HOST "\r\nrest");
    for (size_t cut = 0; cut < text.len; cut++) {
        struct http_scan scan = { 0 };
        size_t len = 0;
        struct http_refusal refusal;
        const enum http_parse first = http_scan_head(&scan, text.ptr, cut, &len, &refusal);
        assert_int_equal(first, cut < text.len - 4 ? HTTP_PARSE_MORE : HTTP_PARSE_DONE);
        if (first == HTTP_PARSE_MORE)
            assert_int_equal(http_scan_head(&scan, text.ptr, text.len, &len, &refusal), HTTP_PARSE_DONE);
        assert_int_equal(len, text.len - 4);
    }
}

static void test_scan_head__takes_bytes_one_by_one(void **state)
{
    (void)state;
    const struct str text = STR("GET / HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\n");
    struct http_scan scan = { 0 };
    size_t len = 0;
    struct http_refusal refusal;
    for (size_t n = 0; n < text.len; n++)
        assert_int_equal(http_scan_head(&scan, text.ptr, n, &len, &refusal), HTTP_PARSE_MORE);
    assert_int_equal(http_scan_head(&scan, text.ptr, text.len, &len, &refusal), HTTP_PARSE_DONE);
}

static void test_scan_head__refuses_bare_lf_before_the_end_is_there(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("GET / HTTP/1.1\n"), 400 },
        { STR("\nGET / HTTP/1.1\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: h\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: h\r\n\n"), 400 },
        { STR("\r\n\r\nGET / HTTP/1.1\r\n"), 400 },
        { STR("\x16\x03\x01\x00\x01"), 400 },
        { STR("GET /\0"), 400 },
    };
    CHECK_CASES(cases);
}

/* `prefix`, then n times 'a', then `suffix`. */
static void append_padded(struct buf *b, const char *prefix, size_t n, const char *suffix)
{
    buf_cstr(b, prefix);
    for (size_t i = 0; i < n; i++)
        buf_byte(b, 'a');
    buf_cstr(b, suffix);
}

static void check_padded(const char *prefix, size_t n, const char *suffix, int wanted)
{
    struct buf b;
    buf_init(&b, 64 * 1024);
    append_padded(&b, prefix, n, suffix);
    const int got = status(buf_view(&b));
    buf_done(&b);
    assert_int_equal(got, wanted);
}

static void test_scan_head__limits_the_request_line(void **state)
{
    (void)state;
    const size_t around = strlen("GET / HTTP/1.1");
    check_padded("GET /", HTTP_LINE_MAX - around, " HTTP/1.1\r\n" HOST "\r\n", 200);
    check_padded("GET /", HTTP_LINE_MAX - around + 1, " HTTP/1.1\r\n" HOST "\r\n", 414);
    check_padded("GET /", HTTP_LINE_MAX + 20, "", 414);
    check_padded("GET /", HTTP_LINE_MAX - around, "", 0);
}

static void test_scan_head__limits_a_field_line(void **state)
{
    (void)state;
    check_padded("GET / HTTP/1.1\r\n" HOST "X: ", HTTP_LINE_MAX - 3, "\r\n\r\n", 200);
    check_padded("GET / HTTP/1.1\r\n" HOST "X: ", HTTP_LINE_MAX - 2, "\r\n\r\n", 431);
}

static void test_scan_head__limits_the_whole_head(void **state)
{
    (void)state;
    const size_t around = strlen("GET / HTTP/1.1\r\n" HOST "X: \r\nY: \r\n\r\n") + HTTP_LINE_MAX - 3;
    for (size_t over = 0; over < 2; over++) {
        struct buf b;
        buf_init(&b, 64 * 1024);
        append_padded(&b, "GET / HTTP/1.1\r\n" HOST "X: ", HTTP_LINE_MAX - 3, "\r\nY: ");
        append_padded(&b, "", HTTP_HEAD_MAX - around + over, "\r\n\r\n");
        const int got = status(buf_view(&b));
        buf_done(&b);
        assert_int_equal(got, over ? 431 : 200);
    }
}

static void check_field_count(unsigned fields, int wanted)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_cstr(&b, "GET / HTTP/1.1\r\n" HOST);
    for (unsigned i = 1; i < fields; i++)
        buf_printf(&b, "A%u: b\r\n", i);
    buf_cstr(&b, "\r\n");
    const int got = status(buf_view(&b));
    buf_done(&b);
    assert_int_equal(got, wanted);
}

static void test_scan_head__limits_the_number_of_fields(void **state)
{
    (void)state;
    check_field_count(HTTP_FIELDS_MAX, 200);
    check_field_count(HTTP_FIELDS_MAX + 1, 431);
}

/* ---- http_parse_head ---- */

static void test_parse_head__reads_a_plain_request(void **state)
{
    (void)state;
    const struct verdict v = judge(STR("GET /a/b?c=d HTTP/1.1\r\n"
                                       "Host: h.example:8000\r\nUser-Agent:\t wrk \r\nX:\r\n\r\n"));
    assert_true(v.parsed);
    assert_int_equal(v.head.method, HTTP_GET);
    assert_str(v.head.target, "/a/b?c=d");
    assert_str(v.head.host, "h.example:8000");
    assert_int_equal(v.head.minor, 1);
    assert_true(v.head.keep_alive);
    assert_false(v.head.chunked);
    assert_false(v.head.expect_continue);
    assert_int_equal(v.head.content_length, 0);
    assert_int_equal(v.head.field_count, 3);
    assert_str(http_find(&v.head, STR("user-agent"))->value, "wrk");
    assert_str(http_find(&v.head, STR("x"))->value, "");
    assert_null(http_find(&v.head, STR("y")));
}

static void test_parse_head__knows_each_method(void **state)
{
    (void)state;
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        struct buf b;
        buf_init(&b, 200);
        buf_printf(&b, "%s / HTTP/1.1\r\n" HOST "\r\n", http_method_name((enum http_method)m));
        const struct verdict v = judge(buf_view(&b));
        buf_done(&b);
        assert_true(v.parsed);
        assert_int_equal(v.head.method, m);
    }
    assert_string_equal(http_method_name(HTTP_METHOD_COUNT), "-");
}

static void test_parse_head__judges_the_request_line(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("BREW / HTTP/1.1\r\n" HOST "\r\n"), 501 },
        { STR("get / HTTP/1.1\r\n" HOST "\r\n"), 501 },
        { STR("TRACE / HTTP/1.1\r\n" HOST "\r\n"), 501 },
        { STR("CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n"), 501 },
        { STR("G(T / HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400 },
        { STR("GET\t/\tHTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /a\rb HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /a\x7f HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET /\r\n" HOST "\r\n"), 400 },
        { STR("GET\r\n" HOST "\r\n"), 400 },
        { STR("GET a HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET h:80 HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET * HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 200 },
    };
    CHECK_CASES(cases);
}

static void test_parse_head__judges_the_version(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("GET / HTTP/1.0\r\n\r\n"), 200 },           { STR("GET / HTTP/1.2\r\n" HOST "\r\n"), 200 },
        { STR("GET / HTTP/2.0\r\n" HOST "\r\n"), 505 },   { STR("GET / HTTP/0.9\r\n" HOST "\r\n"), 505 },
        { STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505 }, { STR("GET / HTTP/1.10\r\n" HOST "\r\n"), 400 },
        { STR("GET / http/1.1\r\n" HOST "\r\n"), 400 },   { STR("GET / HTTP/1,1\r\n" HOST "\r\n"), 400 },
        { STR("GET / HTTP/a.1\r\n" HOST "\r\n"), 400 },
    };
    CHECK_CASES(cases);
    assert_int_equal(judge(STR("GET / HTTP/1.2\r\n" HOST "\r\n")).head.minor, 1);
    assert_int_equal(judge(STR("GET / HTTP/1.0\r\n\r\n")).head.minor, 0);
}

static void test_parse_head__keeps_what_it_read_of_a_refused_request(void **state)
{
    (void)state;
    const struct verdict v = judge(STR("HEAD /x HTTP/1.1\r\nHost: a b\r\n\r\n"));
    assert_false(v.parsed);
    assert_int_equal(v.head.method, HTTP_HEAD);
    assert_str(v.head.target, "/x");
    assert_int_equal(judge(STR("BREW /x HTTP/1.1\r\n" HOST "\r\n")).head.method, HTTP_METHOD_COUNT);
}

static void test_parse_head__reduces_an_absolute_target(void **state)
{
    (void)state;
    assert_str(judge(STR("GET http://h.example/a?b HTTP/1.1\r\n" HOST "\r\n")).head.target, "/a?b");
    assert_str(judge(STR("GET HTTPS://H.Example HTTP/1.1\r\n" HOST "\r\n")).head.target, "/");
    assert_str(judge(STR("GET http://h.example?b HTTP/1.1\r\n" HOST "\r\n")).head.target, "?b");
    const struct request_case cases[] = {
        { STR("GET http://other/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET http://h.example:80/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET http://me@h.example/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET http:///a HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET ftp://h.example/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET http:/h.example/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
        { STR("GET http://h.example/ HTTP/1.0\r\n\r\n"), 400 },
    };
    CHECK_CASES(cases);
}

static void test_parse_head__asks_for_exactly_one_sound_host(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("GET / HTTP/1.1\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: me@a\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: <script>\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"), 200 },
        { STR("GET / HTTP/1.1\r\nHost: my_host-1.example.:65535\r\n\r\n"), 200 },
        { STR("GET / HTTP/1.1\r\nhOsT: h\r\n\r\n"), 200 },
    };
    CHECK_CASES(cases);
}

static void test_parse_head__judges_content_length(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 200 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999\r\n\r\n"), 200 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000000000000000\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-length: 6\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5,\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 05\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5_0\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content_Length: 5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n"), 400 },
    };
    CHECK_CASES(cases);
    assert_int_equal(judge(STR("POST / HTTP/1.1\r\n" HOST "Content-Length:  42\t\r\n\r\n")).head.content_length, 42);
}

static void test_parse_head__judges_transfer_encoding(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), 200 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\t CHUNKED\t \r\n\r\n"), 200 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n"), 501 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n"), 501 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ,chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \vchunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \fchunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\0\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST " Transfer-Encoding: chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer_Encoding: chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { STR("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), 400 },
    };
    CHECK_CASES(cases);
    assert_true(judge(cases[0].bytes).head.chunked);
}

static void test_parse_head__judges_field_lines(void **state)
{
    (void)state;
    const struct request_case cases[] = {
        { STR("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n X: a\r\n" HOST "\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X(): a\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X: a\x01 b and more text behind it\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X: more text before it \x7f\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "X: caf\xc3\xa9, \xff and\ttabs\tare fine here\r\n\r\n"), 200 },
        { STR("GET / HTTP/1.1\r\n" HOST "X_Y: underscores too\r\n\r\n"), 200 },
        { STR("GET / HTTP/1.1\r\n" HOST "Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n"), 400 },
        { STR("GET / HTTP/1.1\r\n" HOST "Cookie: a\r\nCookie: b\r\n\r\n"), 200 },
    };
    CHECK_CASES(cases);
}

static bool keeps_alive(const char *version, const char *fields)
{
    struct buf b;
    buf_init(&b, 200);
    buf_printf(&b, "GET / HTTP/%s\r\n" HOST "%s\r\n", version, fields);
    const struct verdict v = judge(buf_view(&b));
    buf_done(&b);
    assert_true(v.parsed);
    return v.head.keep_alive;
}

static void test_parse_head__reads_connection(void **state)
{
    (void)state;
    assert_true(keeps_alive("1.1", ""));
    assert_true(keeps_alive("1.1", "Connection: upgrade\r\n"));
    assert_false(keeps_alive("1.1", "Connection: close\r\n"));
    assert_false(keeps_alive("1.1", "Connection: te ,, CLOSE\r\n"));
    assert_false(keeps_alive("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert_true(keeps_alive("1.1", "Connection: closed\r\n"));
    assert_false(keeps_alive("1.0", ""));
    assert_true(keeps_alive("1.0", "Connection: Keep-Alive\r\n"));
    assert_false(keeps_alive("1.0", "Connection: keep-alive, close\r\n"));
}

static bool expects(const char *version, const char *fields)
{
    struct buf b;
    buf_init(&b, 200);
    buf_printf(&b, "PUT / HTTP/%s\r\n" HOST "Expect: 100-Continue\r\n%s\r\n", version, fields);
    const struct verdict v = judge(buf_view(&b));
    buf_done(&b);
    assert_true(v.parsed);
    return v.head.expect_continue;
}

static void test_parse_head__reads_expect(void **state)
{
    (void)state;
    assert_true(expects("1.1", "Content-Length: 1\r\n"));
    assert_true(expects("1.1", "Transfer-Encoding: chunked\r\n"));
    assert_false(expects("1.1", ""));
    assert_false(expects("1.0", "Content-Length: 1\r\n"));
    assert_int_equal(status(STR("PUT / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n")), 417);
    assert_int_equal(status(STR("PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue, x\r\n\r\n")), 417);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_head__finds_the_end_whatever_the_pieces),
        cmocka_unit_test(test_scan_head__takes_bytes_one_by_one),
        cmocka_unit_test(test_scan_head__refuses_bare_lf_before_the_end_is_there),
        cmocka_unit_test(test_scan_head__limits_the_request_line),
        cmocka_unit_test(test_scan_head__limits_a_field_line),
        cmocka_unit_test(test_scan_head__limits_the_whole_head),
        cmocka_unit_test(test_scan_head__limits_the_number_of_fields),
        cmocka_unit_test(test_parse_head__reads_a_plain_request),
        cmocka_unit_test(test_parse_head__knows_each_method),
        cmocka_unit_test(test_parse_head__judges_the_request_line),
        cmocka_unit_test(test_parse_head__judges_the_version),
        cmocka_unit_test(test_parse_head__keeps_what_it_read_of_a_refused_request),
        cmocka_unit_test(test_parse_head__reduces_an_absolute_target),
        cmocka_unit_test(test_parse_head__asks_for_exactly_one_sound_host),
        cmocka_unit_test(test_parse_head__judges_content_length),
        cmocka_unit_test(test_parse_head__judges_transfer_encoding),
        cmocka_unit_test(test_parse_head__judges_field_lines),
        cmocka_unit_test(test_parse_head__reads_connection),
        cmocka_unit_test(test_parse_head__reads_expect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
