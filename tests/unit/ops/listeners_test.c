/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/listeners.h"

#include "ops/process_info.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char error[256];

static struct listeners_conf conf_of(const char *host, int port, int count)
{
    return (struct listeners_conf){ .host = host, .port = port, .count = count, .backlog = 16, .path = "" };
}

static struct listeners open_ok(const char *host, int port, int count)
{
    const struct listeners_conf conf = conf_of(host, port, count);
    struct listeners l;

    error[0] = '\0';
    if (listeners_open(&conf, &l, error, sizeof(error)) != OK)
        fail_msg("%s", error);
    return l;
}

static enum err open_fails(const char *host, int port, int count)
{
    const struct listeners_conf conf = conf_of(host, port, count);
    struct listeners l;
    const enum err e = listeners_open(&conf, &l, error, sizeof(error));

    assert_int_not_equal(e, OK);
    return e;
}

static void assert_prints(const struct listeners *l, const char *host)
{
    char text[ENDPOINT_TEXT], expected[ENDPOINT_TEXT];

    listeners_print(l, text, sizeof(text));
    (void)snprintf(expected, sizeof(expected), "%s%d", host, listeners_port(l));
    assert_string_equal(text, expected);
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static int connect_v4(int port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int result = connect(fd, (const struct sockaddr *)&to, sizeof(to));

    assert_int_equal(close(fd), 0);
    return result;
}

static int64_t open_fds(void)
{
    struct process_info info;

    assert_true(process_info_read(getpid(), &info));
    return info.open_fds;
}

static void test_listeners_open__all_listen_on_one_port(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 3);

    (void)state;
    assert_int_equal(l.own_count, 3);
    assert_true(listeners_port(&l) > 0);
    assert_prints(&l, "127.0.0.1:");
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in name;
        socklen_t len = sizeof(name);
        assert_int_equal(getsockname(l.own[i], (struct sockaddr *)&name, &len), 0);
        assert_int_equal(ntohs(name.sin_port), listeners_port(&l));
        assert_int_equal(option_of(l.own[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
        assert_int_equal(option_of(l.own[i], SOL_SOCKET, SO_REUSEPORT), 1);
        assert_int_equal(option_of(l.own[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_true(fcntl(l.own[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(l.own[i], F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(connect_v4(listeners_port(&l)), 0);
    listeners_close(&l);
}

static void test_listeners_open__notices_a_server_that_would_share_the_port(void **state)
{
    struct listeners first = open_ok("127.0.0.1", 0, 1);
    const int64_t before = open_fds();
    char port[16];

    (void)state;
    assert_int_equal(option_of(first.own[0], SOL_SOCKET, SO_REUSEPORT), 1);
    assert_int_equal(open_fails("127.0.0.1", listeners_port(&first), 2), E_CONFLICT);
    (void)snprintf(port, sizeof(port), "port %d ", listeners_port(&first));
    assert_non_null(strstr(error, port));
    assert_non_null(strstr(error, "in use"));
    assert_int_equal(open_fails("0.0.0.0", listeners_port(&first), 1), E_CONFLICT);
    assert_int_equal(open_fds(), before);
    listeners_close(&first);
}

static void test_listeners_open__takes_a_port_right_after_its_last_server(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 1);
    const int port = listeners_port(&l);

    (void)state;
    assert_int_equal(connect_v4(port), 0);
    const int accepted = accept(l.own[0], NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(close(accepted), 0);
    listeners_close(&l);
    l = open_ok("127.0.0.1", port, 2);
    assert_int_equal(listeners_port(&l), port);
    listeners_close(&l);
}

static void test_listeners_open__double_colon_takes_ipv4_too(void **state)
{
    const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in6 loopback = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

    (void)state;
    const int available = probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (probe >= 0)
        (void)close(probe);
    if (!available)
        skip();
    struct listeners l = open_ok("::", 0, 1);
    assert_prints(&l, "[::]:");
    assert_int_equal(connect_v4(listeners_port(&l)), 0);
    listeners_close(&l);
}

static void test_listeners_open__explains_bad_hosts(void **state)
{
    const int64_t before = open_fds();

    (void)state;
    assert_int_equal(open_fails("192.0.2.1", 8000, 1), E_INVALID);
    assert_non_null(strstr(error, "192.0.2.1"));
    assert_int_equal(open_fails("no such host", 8000, 1), E_INVALID);
    assert_non_null(strstr(error, "no such host"));
    assert_int_equal(open_fds(), before);
}

static void test_listeners_keep_only__closes_the_others(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 3);
    const int kept = l.own[1], gone = l.own[2];

    (void)state;
    listeners_keep_only(&l, &kept, 1);
    assert_int_equal(l.own[1], kept);
    assert_int_equal(l.own[0], -1);
    assert_true(fcntl(kept, F_GETFD) >= 0);
    assert_int_equal(fcntl(gone, F_GETFD), -1);
    listeners_close(&l);
    assert_int_equal(fcntl(kept, F_GETFD), -1);
}

/* A connection attempt that is not waited for. */
static int begin_connect(int port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    (void)connect(fd, (const struct sockaddr *)&to, sizeof(to));
    return fd;
}

static bool connects(int fd, int patience_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    return poll(&p, 1, patience_ms) > 0 && (p.revents & POLLOUT) && !(p.revents & POLLERR);
}

static void test_listeners_shut_door__keeps_who_is_inside_and_answers_nobody_new(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 1);
    const int early = begin_connect(listeners_port(&l));
    char byte = 'x';

    (void)state;
    assert_true(connects(early, 10000));
    listeners_shut_door(&l, LISTENERS_ALL);
    const int late = begin_connect(listeners_port(&l));
    assert_false(connects(late, 200));
    assert_int_equal(send(early, &byte, 1, 0), 1);
    const int accepted = accept(l.own[0], NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(recv(accepted, &byte, 1, 0), 1);
    assert_int_equal(accept(l.own[0], NULL, NULL), -1);
    listeners_close(&l);
    assert_int_equal(send(accepted, &byte, 1, 0), 1);
    assert_int_equal(close(accepted) + close(early) + close(late), 0);
}

static void test_listeners_backlog_limit__is_the_kernels(void **state)
{
    (void)state;
    assert_true(listeners_backlog_limit() == -1 || listeners_backlog_limit() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listeners_open__all_listen_on_one_port),
        cmocka_unit_test(test_listeners_open__notices_a_server_that_would_share_the_port),
        cmocka_unit_test(test_listeners_open__takes_a_port_right_after_its_last_server),
        cmocka_unit_test(test_listeners_open__double_colon_takes_ipv4_too),
        cmocka_unit_test(test_listeners_open__explains_bad_hosts),
        cmocka_unit_test(test_listeners_keep_only__closes_the_others),
        cmocka_unit_test(test_listeners_shut_door__keeps_who_is_inside_and_answers_nobody_new),
        cmocka_unit_test(test_listeners_backlog_limit__is_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
