/* SPDX-License-Identifier: MIT */
#include "ops/notify.h"

#include "base/str.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { NS_PER_US = 1000, LINES_SIZE = 128 };

static const int64_t WATCHDOG_MOST_US = (int64_t)1 << 40; /* twelve days */

/* "@name" is abstract: its first byte is NUL, and no NUL ends it. */
static bool read_address(struct notify *n, const char *text)
{
    const size_t len = strlen(text), most = sizeof(n->to.sun_path);
    const bool abstract = text[0] == '@';

    if ((!abstract && text[0] != '/') || len < 2 || len > most - !abstract)
        return false;
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, text, len);
    if (abstract)
        n->to.sun_path[0] = '\0';
    n->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    return true;
}

static int64_t number_in(const char *variable, int64_t most)
{
    const char *text = getenv(variable);
    int64_t number;

    return text && str_to_int(str_of(text), 1, most, &number) == OK ? number : 0;
}

/* Without WATCHDOG_PID it is meant for whoever reads it. */
static mono_ns read_watchdog(void)
{
    const int64_t us = number_in("WATCHDOG_USEC", WATCHDOG_MOST_US);

    if (getenv("WATCHDOG_PID") && number_in("WATCHDOG_PID", INT32_MAX) != getpid())
        return 0;
    (void)unsetenv("WATCHDOG_PID");
    return us * NS_PER_US;
}

void notify_open(struct notify *n)
{
    const struct timeval patience = { .tv_sec = 1 };
    const char *text = getenv("NOTIFY_SOCKET");

    *n = (struct notify){ .fd = -1 };
    if (!text || !read_address(n, text))
        return;
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0)
        return;
    (void)setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    n->watchdog = read_watchdog();
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0)
        (void)close(n->fd);
    n->fd = -1;
}

void notify_send(const struct notify *n, const char *lines)
{
    if (n->fd >= 0)
        (void)sendto(n->fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->length);
}

void notify_reloading(const struct notify *n)
{
    char lines[LINES_SIZE];

    (void)snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(clock_mono() / NS_PER_US));
    notify_send(n, lines);
}

void notify_main_pid(const struct notify *n, pid_t pid)
{
    char lines[LINES_SIZE];

    (void)snprintf(lines, sizeof(lines), "MAINPID=%ld", (long)pid);
    notify_send(n, lines);
}
