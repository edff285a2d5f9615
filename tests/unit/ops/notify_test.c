/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/notify-XXXXXX";
static char path[64];

static int clear(void **state)
{
    (void)state;
    return unsetenv("NOTIFY_SOCKET") + unsetenv("WATCHDOG_USEC") + unsetenv("WATCHDOG_PID");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && snprintf(path, sizeof(path), "%s/s", folder) > 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A manager's end; a name that begins with "@" is abstract. */
static int listen_at(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const size_t len = strlen(name), fixed = offsetof(struct sockaddr_un, sun_path);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, name, len);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, (socklen_t)(fixed + len + (name[0] != '@'))), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *heard(int fd)
{
    static char text[256];
    const ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void test_notify__without_a_manager_does_nothing(void **state)
{
    static const char *const nowhere[] = { "", "relative/path", "@", "/no/such/socket" };
    struct notify n;

    (void)state;
    notify_open(&n);
    assert_int_equal(n.fd, -1);
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", nowhere[i], 1), 0);
        notify_open(&n);
        notify_send(&n, "READY=1");
        notify_close(&n);
    }
    notify_close(&n);
}

static void test_notify_send__one_datagram(void **state)
{
    const int fd = listen_at(path);
    long long us = 0;
    struct notify n;

    (void)state;
    notify_open(&n);
    notify_send(&n, "READY=1\nSTATUS=fine");
    assert_string_equal(heard(fd), "READY=1\nSTATUS=fine");
    notify_reloading(&n);
    assert_int_equal(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%lld", &us), 1);
    assert_in_range(us, 1, clock_mono() / 1000);
    notify_main_pid(&n, 4711);
    assert_string_equal(heard(fd), "MAINPID=4711");
    notify_close(&n);
    notify_send(&n, "READY=1");
    assert_string_equal(heard(fd), "");
    assert_int_equal(close(fd) + unlink(path), 0);
}

static void test_notify_open__knows_abstract_sockets(void **state)
{
    char name[64];
    struct notify n;

    (void)state;
    (void)snprintf(name, sizeof(name), "@notify-test-%ld", (long)getpid());
    const int fd = listen_at(name);
    notify_open(&n);
    notify_send(&n, "STOPPING=1");
    assert_string_equal(heard(fd), "STOPPING=1");
    notify_close(&n);
    assert_int_equal(close(fd), 0);
}

static void test_notify_open__paths_have_a_limit(void **state)
{
    struct sockaddr_un at;
    char name[sizeof(at.sun_path) + 2];
    struct notify n;

    (void)state;
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        name[0] = "/@"[i];
        assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
        notify_open(&n);
        assert_int_equal(n.fd, -1);
    }
}

static mono_ns watchdog_of(const char *us, const char *pid)
{
    struct notify n;

    assert_int_equal(setenv("NOTIFY_SOCKET", "/no/such/socket", 1) + setenv("WATCHDOG_USEC", us, 1), 0);
    assert_int_equal(pid ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"), 0);
    notify_open(&n);
    notify_close(&n);
    return notify_watchdog(&n);
}

static void test_notify_watchdog__is_for_the_process_named(void **state)
{
    char self[32];

    (void)state;
    (void)snprintf(self, sizeof(self), "%ld", (long)getpid());
    assert_int_equal(watchdog_of("3000000", self), 1500 * (mono_ns)NS_PER_MS);
    assert_null(getenv("WATCHDOG_PID")); /* the next program's number is another */
    assert_int_equal(watchdog_of("3000000", NULL), 1500 * (mono_ns)NS_PER_MS);
    assert_int_equal(watchdog_of("3000000", "1"), 0);
    assert_int_equal(watchdog_of("nonsense", self), 0);
    assert_int_equal(watchdog_of("-5", self), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_notify__without_a_manager_does_nothing, clear),
        cmocka_unit_test_setup(test_notify_send__one_datagram, clear),
        cmocka_unit_test_setup(test_notify_open__knows_abstract_sockets, clear),
        cmocka_unit_test_setup(test_notify_open__paths_have_a_limit, clear),
        cmocka_unit_test_setup(test_notify_watchdog__is_for_the_process_named, clear),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
