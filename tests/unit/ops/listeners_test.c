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
#include <stdlib.h>
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

/* ---- who accepts from which ------------------------------------------------------- */

/* As if so many were open. */
static struct listeners pretend(int own, int shared)
{
    struct listeners l = { .own_count = own, .shared_count = shared };

    for (int i = 0; i < own; i++)
        l.own[i] = 1000 + i;
    for (int i = 0; i < shared; i++)
        l.shared[i] = (struct shared_listener){ .fd = 2000 + i };
    return l;
}

static void test_listeners_of__every_socket_is_somebodys_and_nobody_has_none(void **state)
{
    int fds[LISTENERS_A_WORKER], served[2100] = { 0 };

    (void)state;
    for (int own = 0; own <= 9; own++) {
        for (int positions = 1; positions <= 9; positions++) {
            const struct listeners l = pretend(own, 2);
            memset(served, 0, sizeof(served));
            for (int p = 0; p < positions; p++) {
                const int count = listeners_of(&l, p, positions, fds);
                assert_in_range(count, own > 0 ? 3 : 2, own + 2);
                for (int i = 0; i < count; i++)
                    served[fds[i]]++;
            }
            for (int i = 0; i < own; i++)
                assert_true(served[1000 + i] > 0);
            assert_int_equal(served[2000], positions);
        }
    }
}

static void test_listeners_of__as_many_positions_have_one_each(void **state)
{
    const struct listeners l = pretend(4, 0);
    int fds[LISTENERS_A_WORKER];

    (void)state;
    for (int p = 0; p < 4; p++) {
        assert_int_equal(listeners_of(&l, p, 4, fds), 1);
        assert_int_equal(fds[0], 1000 + p);
    }
}

static void test_listeners_add__one_more_and_close_one__one_less(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 1);
    const int port = listeners_port(&l);

    (void)state;
    assert_int_equal(listeners_add(&l), OK);
    assert_int_equal(l.own_count, 2);
    assert_int_equal(connect_v4(port), 0);
    listeners_close_one(&l, 0); /* not the last: the other keeps its place */
    assert_int_equal(l.own_count, 2);
    assert_int_equal(l.own[0], -1);
    listeners_close_one(&l, 1);
    assert_int_equal(l.own_count, 0);
    assert_int_equal(listeners_add(&l), E_NOT_FOUND);
    listeners_close_one(&l, 7);
    listeners_close(&l);
}

/* ---- from one program to the next ------------------------------------------------------ */

static void test_listeners_export__is_what_the_next_program_opens(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 3);
    const int port = listeners_port(&l);
    char text[INHERITANCE_TEXT], short_text[4];
    int fds[3];

    (void)state;
    assert_int_equal(listeners_export(&l, short_text, sizeof(short_text)), E_TOO_LARGE);
    assert_int_equal(listeners_export(&l, text, sizeof(text)), OK);
    memcpy(fds, l.own, sizeof(fds));
    assert_false(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(setenv(INHERITANCE_VARIABLE, text, 1), 0);
    struct listeners next = open_ok("127.0.0.1", port, 4);
    assert_null(getenv(INHERITANCE_VARIABLE));
    assert_int_equal(next.own_count, 4);
    assert_memory_equal(next.own, fds, sizeof(fds));
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(listeners_port(&next), port);
    listeners_close(&next);
}

static void test_listeners_shut_door__not_while_the_other_program_lives(void **state)
{
    struct listeners l = open_ok("127.0.0.1", 0, 1);

    (void)state;
    l.other = getpid();
    listeners_shut_door(&l, LISTENERS_ALL);
    const int fd = begin_connect(listeners_port(&l));
    assert_true(connects(fd, 10000));
    assert_int_equal(close(fd), 0);
    listeners_close(&l);
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
        cmocka_unit_test(test_listeners_of__every_socket_is_somebodys_and_nobody_has_none),
        cmocka_unit_test(test_listeners_of__as_many_positions_have_one_each),
        cmocka_unit_test(test_listeners_add__one_more_and_close_one__one_less),
        cmocka_unit_test(test_listeners_export__is_what_the_next_program_opens),
        cmocka_unit_test(test_listeners_shut_door__not_while_the_other_program_lives),
        cmocka_unit_test(test_listeners_backlog_limit__is_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
