/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/listening.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ROOM = 8 };

static int listen_on(const void *address, socklen_t size, int family)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (family != AF_UNIX)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static int listen_tcp(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof(a);
    const int fd = listen_on(&a, sizeof(a), AF_INET);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void test_listening_of__sockets_of_one_port_are_one_place(void **state)
{
    struct listening places[ROOM];
    char expected[LISTENING_SIZE];
    uint16_t port, same;

    (void)state;
    const int one = listen_tcp(0, &port), two = listen_tcp(port, &same);
    snprintf(expected, sizeof(expected), "http://127.0.0.1:%d", port);
    assert_int_equal(listening_of(getpid(), places, ROOM), 1);
    assert_string_equal(places[0].text, expected);
    close(one);
    close(two);
}

static void test_listening_of__ipv6_in_brackets(void **state)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    socklen_t size = sizeof(a);
    struct listening places[ROOM];
    char expected[LISTENING_SIZE];

    (void)state;
    if (access("/proc/net/if_inet6", F_OK) != 0)
        skip();
    const int fd = listen_on(&a, sizeof(a), AF_INET6);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(expected, sizeof(expected), "http://[::1]:%d", ntohs(a.sin6_port));
    assert_int_equal(listening_of(getpid(), places, ROOM), 1);
    assert_string_equal(places[0].text, expected);
    close(fd);
}

static void test_listening_of__unix_sockets_by_their_path(void **state)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct listening places[ROOM];
    char expected[LISTENING_SIZE];

    (void)state;
    snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/listening test %ld.sock", (long)getpid());
    (void)unlink(a.sun_path);
    const int fd = listen_on(&a, sizeof(a), AF_UNIX);
    snprintf(expected, sizeof(expected), "unix:%s", a.sun_path);
    assert_int_equal(listening_of(getpid(), places, ROOM), 1);
    assert_string_equal(places[0].text, expected);
    close(fd);
    (void)unlink(a.sun_path);
}

static void test_listening_of__only_what_listens_and_only_what_fits(void **state)
{
    struct listening places[ROOM];
    uint16_t port, other;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(listening_of(getpid(), places, ROOM), 0);
    const int one = listen_tcp(0, &port), two = listen_tcp(0, &other);
    assert_int_equal(listening_of(getpid(), places, ROOM), 2);
    assert_int_equal(listening_of(getpid(), places, 1), 1);
    assert_int_equal(listening_of(getpid(), places, 0), 0);
    assert_int_equal(listening_of(INT32_MAX, places, ROOM), 0);
    close(one);
    close(two);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listening_of__sockets_of_one_port_are_one_place),
        cmocka_unit_test(test_listening_of__ipv6_in_brackets),
        cmocka_unit_test(test_listening_of__unix_sockets_by_their_path),
        cmocka_unit_test(test_listening_of__only_what_listens_and_only_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
