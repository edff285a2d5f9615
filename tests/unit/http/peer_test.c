/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct cidr_list trusted;

static int start(void **state)
{
    struct str bad;

    (void)state;
    return cidr_list_parse(STR("10.0.0.0/8, fd00::/8"), &trusted, &bad) == OK ? 0 : -1;
}

static struct peer at_v4(const char *text, const struct cidr_list *list)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    struct peer p;

    assert_int_equal(inet_pton(AF_INET, text, &a.sin_addr), 1);
    peer_init(&p, (const struct sockaddr *)&a, list);
    return p;
}

static struct peer at_v6(const char *text)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
    struct peer p;

    assert_int_equal(inet_pton(AF_INET6, text, &a.sin6_addr), 1);
    peer_init(&p, (const struct sockaddr *)&a, &trusted);
    return p;
}

static void assert_peer(const struct peer *p, const char *text, bool is_trusted)
{
    assert_string_equal(p->text, text);
    assert_true(str_eq(peer_text(p), str_of(text)));
    assert_int_equal(p->trusted, is_trusted);
    assert_false(p->hidden);
}

static void test_peer_init__trusts_who_is_in_the_list(void **state)
{
    struct peer p;

    (void)state;
    p = at_v4("10.1.2.3", &trusted);
    assert_peer(&p, "10.1.2.3", true);
    p = at_v4("11.1.2.3", &trusted);
    assert_peer(&p, "11.1.2.3", false);
    p = at_v4("10.1.2.3", NULL);
    assert_peer(&p, "10.1.2.3", false);
    p = at_v6("fd00::1");
    assert_peer(&p, "fd00::1", true);
    p = at_v6("2001:db8::1");
    assert_peer(&p, "2001:db8::1", false);
    p = at_v6("::ffff:10.1.2.3");
    assert_peer(&p, "10.1.2.3", true);
}

static void test_peer_init__a_unix_socket_has_no_address_and_is_trusted_by_name(void **state)
{
    const struct sockaddr local = { .sa_family = AF_UNIX };
    struct cidr_list unix_only, loopback;
    struct str bad;
    struct peer p;

    (void)state;
    assert_int_equal(cidr_list_parse(STR("192.0.2.1, unix"), &unix_only, &bad), OK);
    assert_int_equal(cidr_list_parse(STR("127.0.0.0/8,::1"), &loopback, &bad), OK);
    peer_init(&p, &local, NULL);
    assert_peer(&p, "unix", false);
    peer_init(&p, &local, &loopback);
    assert_peer(&p, "unix", false);
    peer_init(&p, &local, &unix_only);
    assert_peer(&p, "unix", true);
    assert_false(cidr_list_holds(&loopback, &p.address));
}

static void test_peer_becomes__not_a_unix_socket_by_its_word(void **state)
{
    struct peer p = at_v4("10.1.2.3", &trusted);
    const struct address nobody = address_of_unix();

    (void)state;
    peer_becomes(&p, &nobody, &trusted);
    assert_true(p.hidden);
    assert_false(p.trusted);
    assert_string_equal(p.text, "10.1.2.3");
}

static void test_peer_becomes__another(void **state)
{
    struct peer p = at_v4("10.1.2.3", &trusted);
    struct address a;

    (void)state;
    assert_int_equal(address_parse(STR("203.0.113.9"), &a), OK);
    peer_becomes(&p, &a, &trusted);
    assert_peer(&p, "203.0.113.9", false);
    assert_int_equal(address_parse(STR("fd00::9"), &a), OK);
    peer_becomes(&p, &a, &trusted);
    assert_peer(&p, "fd00::9", true);
}

static void test_peer_hides__is_not_believed_and_in_no_range(void **state)
{
    struct peer p = at_v4("10.1.2.3", &trusted);
    struct client_address c = client_of_peer(&p);

    (void)state;
    assert_true(client_in(&c, &trusted));
    peer_hides(&p);
    assert_false(p.trusted);
    c = client_of_peer(&p);
    assert_false(client_in(&c, &trusted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_init__trusts_who_is_in_the_list),
        cmocka_unit_test(test_peer_init__a_unix_socket_has_no_address_and_is_trusted_by_name),
        cmocka_unit_test(test_peer_becomes__not_a_unix_socket_by_its_word),
        cmocka_unit_test(test_peer_becomes__another),
        cmocka_unit_test(test_peer_hides__is_not_believed_and_in_no_range),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
