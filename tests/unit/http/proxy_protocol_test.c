/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/proxy_protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct told {
    enum http_parse parse;
    size_t len;
    enum proxy_source source;
    struct address address;
};

/* From memory of just that size, so that a look beyond is seen. */
static struct told read_bytes(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    struct told t = { .source = PROXY_SELF };

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    t.parse = proxy_protocol_read(copy, len, &t.len, &t.source, &t.address);
    free(copy);
    return t;
}

/* Whatever part of a good header came so far, it asks for more; what follows
 * the header is left alone. */
static struct told read_whole(const char *bytes, size_t len)
{
    char behind[1024];
    struct told t;

    for (size_t part = 0; part < len; part++)
        assert_int_equal(read_bytes(bytes, part).parse, HTTP_PARSE_MORE);
    memcpy(behind, bytes, len);
    memset(behind + len, 'G', sizeof(behind) - len);
    t = read_bytes(behind, sizeof(behind));
    assert_int_equal(t.parse, HTTP_PARSE_DONE);
    assert_int_equal(t.len, len);
    return t;
}

static void assert_client(const char *bytes, size_t len, const char *expected)
{
    const struct told t = read_whole(bytes, len);
    char text[ADDRESS_TEXT_SIZE];

    assert_int_equal(t.source, PROXY_CLIENT);
    address_print(&t.address, text);
    assert_string_equal(text, expected);
}

static void assert_source(const char *bytes, size_t len, enum proxy_source expected)
{
    assert_int_equal(read_whole(bytes, len).source, expected);
}

static void assert_bad(const char *bytes, size_t len)
{
    const struct told t = read_bytes(bytes, len);

    if (t.parse != HTTP_PARSE_BAD)
        fail_msg("not refused: %.*s", (int)len, bytes);
}

/* ---- version 1 ------------------------------------------------------------------- */

#define V1(literal) (literal "\r\n"), sizeof(literal "\r\n") - 1

static void test_proxy_protocol_v1__names_the_client(void **state)
{
    (void)state;
    assert_client(V1("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443"), "192.0.2.7");
    assert_client(V1("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"), "255.255.255.255");
    assert_client(V1("PROXY TCP6 2001:db8::7 ::1 0 1"), "2001:db8::7");
    assert_client(V1("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 51234 443"), "192.0.2.7");
    assert_client(V1("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
                     "65535"),
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_proxy_protocol_v1__unknown(void **state)
{
    char longest[PROXY_V1_MAX + 1];

    (void)state;
    assert_source(V1("PROXY UNKNOWN"), PROXY_UNNAMED);
    assert_source(V1("PROXY UNKNOWN and whatever follows"), PROXY_UNNAMED);
    (void)snprintf(longest, sizeof(longest), "PROXY UNKNOWN %*s\r\n", PROXY_V1_MAX - 16, "x");
    assert_int_equal(strlen(longest), PROXY_V1_MAX);
    assert_source(longest, PROXY_V1_MAX, PROXY_UNNAMED);
}

static void test_proxy_protocol_v1__refuses_all_else(void **state)
{
    static const char *const wrong[] = {
        "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 localhost 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
        "GET / HTTP/1.1\r\n",
        "POST",
        "PROXZ",
        "\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_bad(wrong[i], strlen(wrong[i]));
    assert_bad(V1("PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2"));
}

static void test_proxy_protocol_v1__is_bounded(void **state)
{
    char line[PROXY_V1_MAX + 2];

    (void)state;
    (void)snprintf(line, sizeof(line), "PROXY UNKNOWN %*s\r\n", PROXY_V1_MAX - 15, "x");
    assert_bad(line, PROXY_V1_MAX + 1);
    assert_bad(line, PROXY_V1_MAX);
    assert_int_equal(read_bytes(line, PROXY_V1_MAX - 1).parse, HTTP_PARSE_MORE);
}

/* ---- version 2 ------------------------------------------------------------------- */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2(rest)  (SIGNATURE rest), sizeof(SIGNATURE rest) - 1
#define FOUR      "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb"
#define SIXTEEN   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"

static void test_proxy_protocol_v2__names_the_client(void **state)
{
    (void)state;
    assert_client(V2("\x21\x11\x00\x0c" FOUR), "192.0.2.7");
    assert_client(V2("\x21\x12\x00\x0c" FOUR), "192.0.2.7");
    assert_client(V2("\x21\x21\x00\x24" SIXTEEN SIXTEEN "\xc8\x22\x01\xbb"), "2001:db8::7");
    assert_client(V2("\x21\x21\x00\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07" SIXTEEN "\xc8\x22\x01\xbb"),
                  "192.0.2.7");
}

static void test_proxy_protocol_v2__passes_over_tlvs(void **state)
{
    (void)state;
    assert_client(V2("\x21\x11\x00\x14" FOUR "\x04\x00\x02xx\x03\x00\x04"), "192.0.2.7");
    assert_client(V2("\x21\x11\x00\x13" FOUR "\x03\x00\x04\xde\xad\xbe\xef"), "192.0.2.7");
}

static void test_proxy_protocol_v2__local(void **state)
{
    (void)state;
    assert_source(V2("\x20\x00\x00\x00"), PROXY_SELF);
    assert_source(V2("\x20\x11\x00\x0c" FOUR), PROXY_SELF);
    assert_source(V2("\x20\xff\x00\x03xyz"), PROXY_SELF);
}

static void test_proxy_protocol_v2__without_an_address(void **state)
{
    char bytes[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/client.sock";

    (void)state;
    assert_source(V2("\x21\x00\x00\x00"), PROXY_UNNAMED);
    assert_source(V2("\x21\x00\x00\x05\x04\x00\x02xx"), PROXY_UNNAMED);
    assert_source(V2("\x21\x10\x00\x0c" FOUR), PROXY_UNNAMED);
    assert_source(bytes, sizeof(bytes), PROXY_UNNAMED);
    bytes[13] = 0x32;
    assert_source(bytes, sizeof(bytes), PROXY_UNNAMED);
}

static void test_proxy_protocol_v2__refuses_all_else(void **state)
{
    (void)state;
    assert_bad(V2("\x11\x11\x00\x0c" FOUR));
    assert_bad(V2("\x31\x11\x00\x0c" FOUR));
    assert_bad(V2("\x22\x11\x00\x0c" FOUR));
    assert_bad(V2("\x21\x41\x00\x0c" FOUR));
    assert_bad(V2("\x21\x13\x00\x0c" FOUR));
    assert_bad(V2("\x21\x11\x00\x0b" FOUR));
    assert_bad(V2("\x21\x21\x00\x0c" FOUR));
    assert_bad(V2("\x21\x31\x00\x0c" FOUR));
    assert_bad("\r\n\r\n\0\r\nQUIX", 12);
    assert_bad("\r\nG", 3);
}

static void test_proxy_protocol_v2__is_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_bytes(V2("\x21\x11\x0f\xf0")).parse, HTTP_PARSE_MORE);
    assert_bad(V2("\x21\x11\x0f\xf1"));
    assert_bad(V2("\x20\x00\xff\xff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_protocol_v1__names_the_client),
        cmocka_unit_test(test_proxy_protocol_v1__unknown),
        cmocka_unit_test(test_proxy_protocol_v1__refuses_all_else),
        cmocka_unit_test(test_proxy_protocol_v1__is_bounded),
        cmocka_unit_test(test_proxy_protocol_v2__names_the_client),
        cmocka_unit_test(test_proxy_protocol_v2__passes_over_tlvs),
        cmocka_unit_test(test_proxy_protocol_v2__local),
        cmocka_unit_test(test_proxy_protocol_v2__without_an_address),
        cmocka_unit_test(test_proxy_protocol_v2__refuses_all_else),
        cmocka_unit_test(test_proxy_protocol_v2__is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
