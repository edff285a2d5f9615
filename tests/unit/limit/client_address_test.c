/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit/client_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cidr_list trusted;

static int start(void **state)
{
    const struct str proxies = STR("10.0.0.0/8, 127.0.0.1, fd00::/8, 2001:db8:ffff::1, unix");
    struct str bad;

    (void)state;
    return cidr_list_parse(proxies, &trusted, &bad) == OK ? 0 : -1;
}

static struct peer peer_at(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    const struct sockaddr local = { .sa_family = AF_UNIX };
    const struct sockaddr *a = &local;
    struct peer p;

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        a = (const struct sockaddr *)&v4;
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        a = (const struct sockaddr *)&v6;
    peer_init(&p, a, &trusted);
    return p;
}

/* ---- who is believed ---------------------------------------------------------------- */

#define XFF  "X-Forwarded-For"
#define FWD  "Forwarded"
#define REAL "X-Real-IP"

enum { LINES = 4 };

/* `client` ends in "?" when it is hidden. */
struct attempt {
    const char *name, *peer;
    const char *lines[LINES][2];
    const char *client;
};

/* clang-format off */
static const struct attempt attempts[] = {
    /* nobody stands between */
    { "no header",                          "203.0.113.1", { { 0 } },                                "203.0.113.1" },
    { "stranger claims another",            "203.0.113.1", { { XFF, "198.51.100.7" } },              "203.0.113.1" },
    { "stranger claims loopback",           "203.0.113.1", { { XFF, "127.0.0.1" } },                 "203.0.113.1" },
    { "stranger claims to be the proxy",    "203.0.113.1", { { XFF, "10.0.0.1" } },                  "203.0.113.1" },
    { "stranger sends Forwarded",           "203.0.113.1", { { FWD, "for=127.0.0.1" } },             "203.0.113.1" },
    { "stranger sends X-Real-IP",           "203.0.113.1", { { REAL, "127.0.0.1" } },                "203.0.113.1" },
    { "stranger sends all three",           "203.0.113.1", { { XFF, "10.0.0.1" }, { FWD, "for=10.0.0.1" }, { REAL, "10.0.0.1" } }, "203.0.113.1" },
    { "stranger sends garbage",             "203.0.113.1", { { XFF, "][" } },                        "203.0.113.1" },
    { "stranger over IPv6",                 "2001:db8::9", { { XFF, "127.0.0.1" } },                 "2001:db8::9" },
    { "neighbour of a trusted address",     "2001:db8:ffff::2", { { XFF, "198.51.100.7" } },         "2001:db8:ffff::2" },
    { "neighbour of loopback",              "127.0.0.2",   { { XFF, "198.51.100.7" } },              "127.0.0.2" },
    { "proxy asks for itself",              "10.0.0.1",    { { 0 } },                                "10.0.0.1" },
    { "proxy asks for itself over a Unix socket", "unix",  { { 0 } },                                "unix" },

    /* one proxy, which appends its peer */
    { "one hop",                            "10.0.0.1",    { { XFF, "203.0.113.9" } },               "203.0.113.9" },
    { "one hop over a Unix socket",         "unix",        { { XFF, "203.0.113.9" } },               "203.0.113.9" },
    { "one hop over mapped IPv4",           "::ffff:10.0.0.1", { { XFF, "203.0.113.9" } },           "203.0.113.9" },
    { "one hop over IPv6",                  "fd00::1",     { { XFF, "203.0.113.9" } },               "203.0.113.9" },
    { "client wrote one to the left",       "10.0.0.1",    { { XFF, "198.51.100.7, 203.0.113.9" } }, "203.0.113.9" },
    { "client wrote loopback to the left",  "10.0.0.1",    { { XFF, "127.0.0.1, 203.0.113.9" } },    "203.0.113.9" },
    { "client wrote many to the left",      "10.0.0.1",    { { XFF, "1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5,203.0.113.9" } }, "203.0.113.9" },
    { "client wrote trusted ones to the left", "10.0.0.1", { { XFF, "10.0.0.3, 10.0.0.2, 203.0.113.9" } }, "203.0.113.9" },
    { "client wrote garbage to the left",   "10.0.0.1",    { { XFF, "<script>, 203.0.113.9" } },     "203.0.113.9" },
    { "client left a quote open",           "10.0.0.1",    { { XFF, "\"1.1.1.1, 203.0.113.9" } },    "203.0.113.9" },
    { "client wrote a line of its own",     "10.0.0.1",    { { XFF, "127.0.0.1" }, { XFF, "203.0.113.9" } }, "203.0.113.9" },
    { "client wrote a line of garbage",     "10.0.0.1",    { { XFF, "::::" }, { XFF, "203.0.113.9" } }, "203.0.113.9" },
    { "client ended its line in a comma",   "10.0.0.1",    { { XFF, "127.0.0.1," }, { XFF, "203.0.113.9" } }, "203.0.113.9" },
    { "client wrote another case",          "10.0.0.1",    { { "x-forwarded-FOR", "127.0.0.1" }, { XFF, "203.0.113.9" } }, "203.0.113.9" },
    { "client wrote underscores",           "10.0.0.1",    { { "X_Forwarded_For", "127.0.0.1" }, { XFF, "203.0.113.9" } }, "203.0.113.9" },
    { "underscores are no such header",     "10.0.0.1",    { { "X_Forwarded_For", "203.0.113.9" } }, "10.0.0.1" },
    { "a longer name is no such header",    "10.0.0.1",    { { "X-Forwarded-Forx", "203.0.113.9" } }, "10.0.0.1" },
    { "client claims the proxy's address",  "10.0.0.1",    { { XFF, "10.0.0.1, 203.0.113.9" } },     "203.0.113.9" },

    /* several proxies */
    { "two hops",                           "10.0.0.1",    { { XFF, "203.0.113.9, 10.0.0.2" } },     "203.0.113.9" },
    { "two hops in two lines",              "10.0.0.1",    { { XFF, "203.0.113.9" }, { XFF, "10.0.0.2" } }, "203.0.113.9" },
    { "three hops of both families",        "10.0.0.1",    { { XFF, "1.1.1.1, 203.0.113.9, fd00::7, 10.0.0.2" } }, "203.0.113.9" },
    { "mapped hop",                         "10.0.0.1",    { { XFF, "203.0.113.9, ::ffff:10.0.0.2" } }, "203.0.113.9" },
    { "mapped client",                      "10.0.0.1",    { { XFF, "::ffff:203.0.113.9" } },        "203.0.113.9" },
    { "mapped client in hexadecimal",       "10.0.0.1",    { { XFF, "::FFFF:cb00:7109" } },          "203.0.113.9" },
    { "compatible is not mapped",           "10.0.0.1",    { { XFF, "198.51.100.7, ::10.0.0.2" } },  "::a00:2" },
    { "a proxy nobody declared",            "10.0.0.1",    { { XFF, "203.0.113.9, 192.0.2.1" } },    "192.0.2.1" },
    { "all of them trusted",                "10.0.0.1",    { { XFF, "10.0.0.3, 10.0.0.2" } },        "10.0.0.3" },
    { "only itself",                        "10.0.0.1",    { { XFF, "10.0.0.1" } },                  "10.0.0.1" },
    { "garbage behind a hop",               "10.0.0.1",    { { XFF, "203.0.113.9, banana, 10.0.0.2" } }, "10.0.0.2?" },
    { "unknown behind a hop",               "10.0.0.1",    { { XFF, "203.0.113.9, unknown, 10.0.0.2" } }, "10.0.0.2?" },

    /* the nearest entry is no address */
    { "garbage",                            "10.0.0.1",    { { XFF, "203.0.113.9, banana" } },       "10.0.0.1?" },
    { "unknown",                            "10.0.0.1",    { { XFF, "unknown" } },                   "10.0.0.1?" },
    { "nginx's own word for a Unix socket", "unix",        { { XFF, "unix:" } },                     "unix?" },
    { "nobody's address",                   "10.0.0.1",    { { XFF, "0.0.0.0" } },                   "10.0.0.1?" },
    { "nobody's address, mapped",           "10.0.0.1",    { { XFF, "[::ffff:0.0.0.0]" } },          "10.0.0.1?" },
    { "a name",                             "10.0.0.1",    { { XFF, "localhost" } },                 "10.0.0.1?" },
    { "a range",                            "10.0.0.1",    { { XFF, "203.0.113.0/24" } },            "10.0.0.1?" },
    { "octal",                              "10.0.0.1",    { { XFF, "0177.0.0.1" } },                "10.0.0.1?" },
    { "hexadecimal",                        "10.0.0.1",    { { XFF, "0x7f.0.0.1" } },                "10.0.0.1?" },
    { "short form",                         "10.0.0.1",    { { XFF, "127.1" } },                     "10.0.0.1?" },
    { "one number",                         "10.0.0.1",    { { XFF, "2130706433" } },                "10.0.0.1?" },
    { "too large an octet",                 "10.0.0.1",    { { XFF, "203.0.113.256" } },             "10.0.0.1?" },
    { "two addresses without a comma",      "10.0.0.1",    { { XFF, "127.0.0.1 203.0.113.9" } },     "10.0.0.1?" },
    { "semicolons",                         "10.0.0.1",    { { XFF, "127.0.0.1;203.0.113.9" } },     "10.0.0.1?" },
    { "zone of IPv6",                       "10.0.0.1",    { { XFF, "fe80::1%eth0" } },              "10.0.0.1?" },
    { "zone in brackets",                   "10.0.0.1",    { { XFF, "[fe80::1%25eth0]:80" } },       "10.0.0.1?" },
    { "high bytes",                         "10.0.0.1",    { { XFF, "203.0.113.9\xa0" } },           "10.0.0.1?" },

    /* ports and brackets */
    { "port",                               "10.0.0.1",    { { XFF, "203.0.113.9:51234" } },         "203.0.113.9" },
    { "IPv6",                               "10.0.0.1",    { { XFF, "2001:db8::9" } },               "2001:db8::9" },
    { "IPv6 in brackets",                   "10.0.0.1",    { { XFF, "[2001:db8::9]" } },             "2001:db8::9" },
    { "IPv6 with port",                     "10.0.0.1",    { { XFF, "[2001:DB8:0::9]:443" } },       "2001:db8::9" },
    { "IPv6 that may have a port",          "10.0.0.1",    { { XFF, "2001:db8::9:443" } },           "2001:db8::9:443" },
    { "hop with port",                      "10.0.0.1",    { { XFF, "203.0.113.9, 10.0.0.2:80" } },  "203.0.113.9" },
    { "port too large",                     "10.0.0.1",    { { XFF, "203.0.113.9:65536" } },         "10.0.0.1?" },
    { "port negative",                      "10.0.0.1",    { { XFF, "203.0.113.9:-1" } },            "10.0.0.1?" },
    { "port empty",                         "10.0.0.1",    { { XFF, "203.0.113.9:" } },              "10.0.0.1?" },
    { "bracket not closed",                 "10.0.0.1",    { { XFF, "[2001:db8::9" } },              "10.0.0.1?" },
    { "text behind the bracket",            "10.0.0.1",    { { XFF, "[2001:db8::9]9" } },            "10.0.0.1?" },
    { "IPv4 in brackets",                   "10.0.0.1",    { { XFF, "[203.0.113.9]" } },             "10.0.0.1?" },
    { "nothing in brackets",                "10.0.0.1",    { { XFF, "[]" } },                        "10.0.0.1?" },

    /* blanks and empty members */
    { "blanks",                             "10.0.0.1",    { { XFF, "127.0.0.1\t ,\t 203.0.113.9 \t" } }, "203.0.113.9" },
    { "no blanks",                          "10.0.0.1",    { { XFF, "127.0.0.1,203.0.113.9" } },     "203.0.113.9" },
    { "empty members",                      "10.0.0.1",    { { XFF, "127.0.0.1,, 203.0.113.9, ,\t," } }, "203.0.113.9" },
    { "an empty line last",                 "10.0.0.1",    { { XFF, "203.0.113.9" }, { XFF, "" } },  "203.0.113.9" },
    { "an empty line alone",                "10.0.0.1",    { { XFF, "" } },                          "10.0.0.1" },
    { "commas alone",                       "10.0.0.1",    { { XFF, ",, ," } },                      "10.0.0.1" },

    /* Forwarded */
    { "Forwarded",                          "10.0.0.1",    { { FWD, "for=203.0.113.9" } },           "203.0.113.9" },
    { "Forwarded of two hops",              "10.0.0.1",    { { FWD, "for=203.0.113.9;proto=https, For=10.0.0.2;by=10.0.0.1" } }, "203.0.113.9" },
    { "Forwarded in two lines",             "10.0.0.1",    { { FWD, "for=127.0.0.1" }, { FWD, "for=203.0.113.9" } }, "203.0.113.9" },
    { "Forwarded, IPv6 in quotes",          "10.0.0.1",    { { FWD, "proto=http;FOR=\"[2001:db8::9]:4711\"" } }, "2001:db8::9" },
    { "Forwarded, obfuscated port",         "10.0.0.1",    { { FWD, "for=\"203.0.113.9:_port\"" } }, "203.0.113.9" },
    { "Forwarded, comma in quotes",         "10.0.0.1",    { { FWD, "for=203.0.113.9;host=\"a, for=127.0.0.1\"" } }, "203.0.113.9" },
    { "Forwarded, semicolon in quotes",     "10.0.0.1",    { { FWD, "host=\"a;for=127.0.0.1\";for=203.0.113.9" } }, "203.0.113.9" },
    { "Forwarded, client left a quote open", "10.0.0.1",   { { FWD, "for=\"127.0.0.1, for=203.0.113.9" } }, "203.0.113.9" },
    { "Forwarded, client's quote and the proxy's", "10.0.0.1", { { FWD, "for=127.0.0.1;host=\", for=\"203.0.113.9\"" } }, "203.0.113.9" },
    { "Forwarded, client's quote in a line", "10.0.0.1",   { { FWD, "for=\"127.0.0.1" }, { FWD, "for=203.0.113.9" } }, "203.0.113.9" },
    { "Forwarded, escapes that hide a comma", "10.0.0.1",  { { FWD, "for=203.0.113.9;host=\"\\\", for=127.0.0.1, \\\"\"" } }, "10.0.0.1?" },
    { "Forwarded, escaped quote",           "10.0.0.1",    { { FWD, "for=203.0.113.9;host=\"a\\\", for=127.0.0.1\"" } }, "10.0.0.1?" },
    { "Forwarded, hidden",                  "10.0.0.1",    { { FWD, "for=127.0.0.1, for=_hidden" } }, "10.0.0.1?" },
    { "Forwarded, unknown",                 "10.0.0.1",    { { FWD, "for=127.0.0.1, for=unknown" } }, "10.0.0.1?" },
    { "Forwarded, hidden behind a hop",     "10.0.0.1",    { { FWD, "for=_x, for=10.0.0.2" } },      "10.0.0.2?" },
    { "Forwarded, no for",                  "10.0.0.1",    { { FWD, "for=127.0.0.1, by=10.0.0.1;proto=https" } }, "10.0.0.1?" },
    { "Forwarded, two for",                 "10.0.0.1",    { { FWD, "for=127.0.0.1;for=203.0.113.9" } }, "10.0.0.1?" },
    { "Forwarded, no equals sign",          "10.0.0.1",    { { FWD, "203.0.113.9" } },               "10.0.0.1?" },
    { "Forwarded, text behind the quotes",  "10.0.0.1",    { { FWD, "for=\"203.0.113.9\"x" } },      "10.0.0.1?" },
    { "Forwarded, one quote",               "10.0.0.1",    { { FWD, "for=\"" } },                    "10.0.0.1?" },
    { "Forwarded, empty members",           "10.0.0.1",    { { FWD, ", for=203.0.113.9;; ;proto=http ,, " } }, "203.0.113.9" },

    /* X-Real-IP */
    { "X-Real-IP",                          "10.0.0.1",    { { REAL, " 203.0.113.9 " } },            "203.0.113.9" },
    { "X-Real-IP, trusted",                 "10.0.0.1",    { { REAL, "10.0.0.7" } },                 "10.0.0.7" },
    { "X-Real-IP twice",                    "10.0.0.1",    { { REAL, "127.0.0.1" }, { REAL, "203.0.113.9" } }, "10.0.0.1?" },
    { "X-Real-IP, a list",                  "10.0.0.1",    { { REAL, "127.0.0.1, 203.0.113.9" } },   "10.0.0.1?" },
    { "X-Real-IP, garbage",                 "10.0.0.1",    { { REAL, "me" } },                       "10.0.0.1?" },
    { "X-Real-IP, empty",                   "10.0.0.1",    { { REAL, "" } },                         "10.0.0.1" },
    { "X-Real-IP behind X-Forwarded-For",   "10.0.0.1",    { { REAL, "127.0.0.1" }, { XFF, "203.0.113.9" } }, "203.0.113.9" },
    { "X-Real-IP behind Forwarded",         "10.0.0.1",    { { REAL, "127.0.0.1" }, { FWD, "for=203.0.113.9" } }, "203.0.113.9" },
    { "X-Real-IP does not mend garbage",    "10.0.0.1",    { { REAL, "127.0.0.1" }, { XFF, "banana" } }, "10.0.0.1?" },
    { "X-Real-IP with an empty other",      "10.0.0.1",    { { REAL, "203.0.113.9" }, { XFF, " " } }, "203.0.113.9" },

    /* two headers */
    { "both say the same",                  "10.0.0.1",    { { XFF, "1.1.1.1, 203.0.113.9" }, { FWD, "for=\"203.0.113.9:1\"" } }, "203.0.113.9" },
    { "client adds Forwarded",              "10.0.0.1",    { { FWD, "for=127.0.0.1" }, { XFF, "203.0.113.9" } }, "10.0.0.1?" },
    { "client adds X-Forwarded-For",        "10.0.0.1",    { { XFF, "127.0.0.1" }, { FWD, "for=203.0.113.9" } }, "10.0.0.1?" },
    { "client adds a Forwarded of garbage", "10.0.0.1",    { { FWD, "?" }, { XFF, "203.0.113.9" } }, "10.0.0.1?" },
    { "both end at one hop, one unreadable", "10.0.0.1",   { { FWD, "for=_x, for=10.0.0.2" }, { XFF, "10.0.0.2" } }, "10.0.0.1?" },
};
/* clang-format on */

static struct http_head head_of(const struct attempt *a)
{
    struct http_head head = { .method = HTTP_GET };

    for (size_t i = 0; i < LINES && a->lines[i][0]; i++)
        head.fields[head.field_count++] = (struct http_field){ str_of(a->lines[i][0]), str_of(a->lines[i][1]) };
    return head;
}

static void describe(const struct client_address *c, char out[static ADDRESS_TEXT_SIZE + 1])
{
    const size_t len = address_print(&c->address, out);

    if (c->hidden)
        memcpy(out + len, "?", 2);
}

static void test_client_address_find__nobody_chooses_his_own(void **state)
{
    const struct client_rule rule = { .trusted = &trusted };
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        const struct attempt *a = &attempts[i];
        const struct http_head head = head_of(a);
        const struct peer peer = peer_at(a->peer);
        const struct client_address client = client_address_find(&rule, &peer, &head);
        char told[ADDRESS_TEXT_SIZE + 1];
        describe(&client, told);
        if (strcmp(told, a->client) == 0)
            continue;
        (void)fprintf(stderr, "%s: %s instead of %s\n", a->name, told, a->client);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static struct client_address behind(const char *peer_text, const struct http_head *head, enum client_header header)
{
    const struct client_rule rule = { &trusted, header };
    const struct peer peer = peer_at(peer_text);

    return client_address_find(&rule, &peer, head);
}

static void assert_address(const struct client_address *c, const char *expected)
{
    char text[ADDRESS_TEXT_SIZE + 1];

    describe(c, text);
    assert_string_equal(text, expected);
}

static void test_client_address_find__tells_whether_a_proxy_said_it(void **state)
{
    struct http_head head = { .field_count = 1, .fields = { { STR(XFF), STR("203.0.113.9") } } };

    (void)state;
    assert_true(behind("10.0.0.1", &head, CLIENT_HEADER_ANY).via_proxy);
    assert_false(behind("203.0.113.1", &head, CLIENT_HEADER_ANY).via_proxy);
    head.fields[0].value = STR("unknown");
    assert_false(behind("10.0.0.1", &head, CLIENT_HEADER_ANY).via_proxy);
}

static void test_client_address_find__a_named_header_is_the_only_one(void **state)
{
    const struct http_head head = {
        .field_count = 3,
        .fields = { { STR(XFF), STR("1.1.1.1") }, { STR(FWD), STR("for=2.2.2.2") }, { STR(REAL), STR("3.3.3.3") } },
    };
    const struct http_head other = { .field_count = 1, .fields = { { STR(REAL), STR("3.3.3.3") } } };
    struct client_address c;

    (void)state;
    c = behind("10.0.0.1", &head, CLIENT_HEADER_X_FORWARDED_FOR);
    assert_address(&c, "1.1.1.1");
    c = behind("10.0.0.1", &head, CLIENT_HEADER_FORWARDED);
    assert_address(&c, "2.2.2.2");
    c = behind("10.0.0.1", &head, CLIENT_HEADER_X_REAL_IP);
    assert_address(&c, "3.3.3.3");
    c = behind("10.0.0.1", &other, CLIENT_HEADER_X_FORWARDED_FOR);
    assert_address(&c, "10.0.0.1");
    c = behind("203.0.113.1", &head, CLIENT_HEADER_X_REAL_IP);
    assert_address(&c, "203.0.113.1");
}

static void test_client_address_find__a_hidden_one_is_in_no_range(void **state)
{
    struct http_head head = { .field_count = 1, .fields = { { STR(XFF), STR("10.0.0.9") } } };
    struct client_address c = behind("10.0.0.1", &head, CLIENT_HEADER_ANY);

    (void)state;
    assert_true(client_in(&c, &trusted));
    head.fields[0].value = STR("unknown, 10.0.0.9");
    c = behind("10.0.0.1", &head, CLIENT_HEADER_ANY);
    assert_address(&c, "10.0.0.9?");
    assert_false(client_in(&c, &trusted));
}

static void test_client_address_find__of_a_peer_that_does_not_name_its_client(void **state)
{
    const struct client_rule rule = { .trusted = &trusted };
    const struct http_head head = { .field_count = 1, .fields = { { STR(XFF), STR("203.0.113.9") } } };
    struct peer peer = peer_at("10.0.0.1");
    struct client_address c;

    (void)state;
    peer_hides(&peer);
    c = client_address_find(&rule, &peer, &head);
    assert_address(&c, "10.0.0.1?");
}

/* ---- bounds -------------------------------------------------------------------------- */

enum { ENTRIES = 10000, ENTRY_SIZE = sizeof("10.0.0.2, ") - 1 };

/* So many members, then `last`. */
static char *long_list(const char *entry, const char *last)
{
    const size_t size = ENTRIES * ENTRY_SIZE + strlen(last) + 1;
    char *text = malloc(size), *at = text;

    assert_non_null(text);
    for (int i = 0; i < ENTRIES; i++)
        at += snprintf(at, size - (size_t)(at - text), "%s, ", entry);
    (void)snprintf(at, size - (size_t)(at - text), "%s", last);
    return text;
}

static void assert_long_list(const char *name, const char *entry, const char *last, const char *expected)
{
    char *text = long_list(entry, last);
    const struct http_head head = { .field_count = 1, .fields = { { str_of(name), str_of(text) } } };
    const struct client_address c = behind("10.0.0.1", &head, CLIENT_HEADER_ANY);

    assert_address(&c, expected);
    free(text);
}

static void test_client_address_find__ten_thousand_entries(void **state)
{
    (void)state;
    assert_long_list(XFF, "1.1.1.1", "203.0.113.9", "203.0.113.9");
    assert_long_list(XFF, "10.0.0.2", "", "10.0.0.2?");
    assert_long_list(XFF, "10.0.0.2", "203.0.113.9", "203.0.113.9");
    assert_long_list(XFF, "\"", "203.0.113.9", "203.0.113.9");
    assert_long_list(XFF, "", "", "10.0.0.1");
    assert_long_list(FWD, "for=\"", "for=203.0.113.9", "203.0.113.9");
    assert_long_list(FWD, "a=\"\"", "for=203.0.113.9;b=\"x\"", "203.0.113.9");
}

static void test_client_address_find__every_line_of_a_head(void **state)
{
    struct http_head head = { .field_count = HTTP_FIELDS_MAX };
    struct client_address c;

    (void)state;
    for (size_t i = 0; i < HTTP_FIELDS_MAX; i++)
        head.fields[i] = (struct http_field){ STR(XFF), i < 80 ? STR("203.0.113.9") : STR("10.0.0.2") };
    c = behind("10.0.0.1", &head, CLIENT_HEADER_ANY);
    assert_address(&c, "203.0.113.9");
    for (size_t i = 0; i < HTTP_FIELDS_MAX; i++)
        head.fields[i].value = STR("10.0.0.2");
    c = behind("10.0.0.1", &head, CLIENT_HEADER_ANY);
    assert_address(&c, "10.0.0.2?");
}

/* ---- what is counted ------------------------------------------------------------------- */

static void assert_key(const char *address, const char *expected)
{
    char text[CLIENT_KEY_TEXT_SIZE];
    struct address a, key;

    assert_int_equal(address_parse(str_of(address), &a), OK);
    key = client_key(&a);
    assert_int_equal(client_key_print(&key, text), strlen(expected));
    assert_string_equal(text, expected);
}

static void test_client_key__cuts_ipv6_only(void **state)
{
    (void)state;
    assert_key("203.0.113.9", "203.0.113.9");
    assert_key("::ffff:203.0.113.9", "203.0.113.9");
    assert_key("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
    assert_key("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64");
    assert_key("2001:db8:1:3::", "2001:db8:1:3::/64");
    assert_key("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444::/64");
    assert_key("::1", "::/64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_address_find__nobody_chooses_his_own),
        cmocka_unit_test(test_client_address_find__tells_whether_a_proxy_said_it),
        cmocka_unit_test(test_client_address_find__a_named_header_is_the_only_one),
        cmocka_unit_test(test_client_address_find__a_hidden_one_is_in_no_range),
        cmocka_unit_test(test_client_address_find__of_a_peer_that_does_not_name_its_client),
        cmocka_unit_test(test_client_address_find__ten_thousand_entries),
        cmocka_unit_test(test_client_address_find__every_line_of_a_head),
        cmocka_unit_test(test_client_key__cuts_ipv6_only),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
