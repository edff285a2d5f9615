/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/sockets.h"

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

static struct sockets_conf conf_of(const char *host, int port, int count)
{
    return (struct sockets_conf){ .host = host, .port = port, .count = count, .backlog = 16 };
}

static struct sockets open_ok(const char *host, int port, int count)
{
    const struct sockets_conf conf = conf_of(host, port, count);
    struct sockets s;

    error[0] = '\0';
    if (sockets_open(&conf, &s, error, sizeof(error)) != OK)
        fail_msg("%s", error);
    return s;
}

static enum err open_fails(const char *host, int port, int count)
{
    const struct sockets_conf conf = conf_of(host, port, count);
    struct sockets s;
    const enum err e = sockets_open(&conf, &s, error, sizeof(error));

    assert_int_not_equal(e, OK);
    return e;
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

static void test_sockets_open__all_listen_on_one_port(void **state)
{
    struct sockets s = open_ok("127.0.0.1", 0, 3);

    (void)state;
    assert_int_equal(s.count, 3);
    assert_true(s.port > 0);
    assert_string_equal(s.url_host, "127.0.0.1");
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in name;
        socklen_t len = sizeof(name);
        assert_int_equal(getsockname(s.fds[i], (struct sockaddr *)&name, &len), 0);
        assert_int_equal(ntohs(name.sin_port), s.port);
        assert_int_equal(option_of(s.fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
        assert_int_equal(option_of(s.fds[i], SOL_SOCKET, SO_REUSEPORT), 1);
        assert_int_equal(option_of(s.fds[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_true(fcntl(s.fds[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(s.fds[i], F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(connect_v4(s.port), 0);
    sockets_close(&s);
}

static void test_sockets_open__notices_a_server_that_would_share_the_port(void **state)
{
    struct sockets first = open_ok("127.0.0.1", 0, 1);
    const int64_t before = open_fds();
    char port[16];

    (void)state;
    assert_int_equal(option_of(first.fds[0], SOL_SOCKET, SO_REUSEPORT), 1);
    assert_int_equal(open_fails("127.0.0.1", first.port, 2), E_CONFLICT);
    (void)snprintf(port, sizeof(port), "port %d ", first.port);
    assert_non_null(strstr(error, port));
    assert_non_null(strstr(error, "in use"));
    assert_int_equal(open_fails("0.0.0.0", first.port, 1), E_CONFLICT);
    assert_int_equal(open_fds(), before);
    sockets_close(&first);
}

static void test_sockets_open__takes_a_port_right_after_its_last_server(void **state)
{
    struct sockets s = open_ok("127.0.0.1", 0, 1);
    const int port = s.port;

    (void)state;
    assert_int_equal(connect_v4(port), 0);
    const int accepted = accept(s.fds[0], NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(close(accepted), 0);
    sockets_close(&s);
    s = open_ok("127.0.0.1", port, 2);
    assert_int_equal(s.port, port);
    sockets_close(&s);
}

static void test_sockets_open__double_colon_takes_ipv4_too(void **state)
{
    const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in6 loopback = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

    (void)state;
    const int available = probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (probe >= 0)
        (void)close(probe);
    if (!available)
        skip();
    struct sockets s = open_ok("::", 0, 1);
    assert_string_equal(s.url_host, "[::]");
    assert_int_equal(connect_v4(s.port), 0);
    sockets_close(&s);
}

static void test_sockets_open__explains_bad_hosts(void **state)
{
    const int64_t before = open_fds();

    (void)state;
    assert_int_equal(open_fails("192.0.2.1", 8000, 1), E_INVALID);
    assert_non_null(strstr(error, "192.0.2.1"));
    assert_int_equal(open_fails("no such host", 8000, 1), E_INVALID);
    assert_non_null(strstr(error, "no such host"));
    assert_int_equal(open_fds(), before);
}

static void test_sockets_keep_only__closes_the_others(void **state)
{
    struct sockets s = open_ok("127.0.0.1", 0, 3);
    const int kept = s.fds[1], gone = s.fds[2];

    (void)state;
    sockets_keep_only(&s, 1);
    assert_int_equal(s.fds[1], kept);
    assert_int_equal(s.fds[0], -1);
    assert_true(fcntl(kept, F_GETFD) >= 0);
    assert_int_equal(fcntl(gone, F_GETFD), -1);
    sockets_close(&s);
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

static void test_sockets_shut_door__keeps_who_is_inside_and_answers_nobody_new(void **state)
{
    struct sockets s = open_ok("127.0.0.1", 0, 1);
    const int early = begin_connect(s.port);
    char byte = 'x';

    (void)state;
    assert_true(connects(early, 10000));
    sockets_shut_door(&s);
    const int late = begin_connect(s.port);
    assert_false(connects(late, 200));
    assert_int_equal(send(early, &byte, 1, 0), 1);
    const int accepted = accept(s.fds[0], NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(recv(accepted, &byte, 1, 0), 1);
    assert_int_equal(accept(s.fds[0], NULL, NULL), -1);
    sockets_close(&s);
    assert_int_equal(send(accepted, &byte, 1, 0), 1);
    assert_int_equal(close(accepted) + close(early) + close(late), 0);
}

static void test_sockets_backlog_limit__is_the_kernels(void **state)
{
    (void)state;
    assert_true(sockets_backlog_limit() == -1 || sockets_backlog_limit() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_open__all_listen_on_one_port),
        cmocka_unit_test(test_sockets_open__notices_a_server_that_would_share_the_port),
        cmocka_unit_test(test_sockets_open__takes_a_port_right_after_its_last_server),
        cmocka_unit_test(test_sockets_open__double_colon_takes_ipv4_too),
        cmocka_unit_test(test_sockets_open__explains_bad_hosts),
        cmocka_unit_test(test_sockets_keep_only__closes_the_others),
        cmocka_unit_test(test_sockets_shut_door__keeps_who_is_inside_and_answers_nobody_new),
        cmocka_unit_test(test_sockets_backlog_limit__is_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
