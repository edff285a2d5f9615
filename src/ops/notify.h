/* SPDX-License-Identifier: MIT */
/* What a service manager is told of our life: the protocol of sd_notify(3), one
 * datagram of KEY=VALUE lines to the socket that NOTIFY_SOCKET names.
 *
 *   READY=1                    all workers serve (again)
 *   RELOADING=1                the settings are being read anew; READY=1 follows
 *   STOPPING=1                 the end has begun
 *   WATCHDOG=1                 alive: at least every notify_watchdog()
 *   MAINPID=...                the process to look at from now on (an upgrade)
 *   STATUS=...                 a line for people
 *
 * Nothing of it may fail: without such a manager, or with one that does not
 * listen, all is silently in vain. The variables stay in the environment, so that
 * the new program of an upgrade speaks to the same manager; but WATCHDOG_PID goes,
 * as the number will be another.
 */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/clock.h"

struct notify {
    int                fd;         /* -1: nobody wants to know                */
    socklen_t          length;
    struct sockaddr_un to;
    mono_ns            watchdog;   /* between two signs of life; 0: none are wanted */
};

/* Reads NOTIFY_SOCKET (a path, or "@..." for an abstract socket), WATCHDOG_USEC
 * and WATCHDOG_PID. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* Lines with "\n" between, as they go out: "READY=1\nSTATUS=4 workers". It waits
 * for a second at most. */
void notify_send(const struct notify *n, const char *lines);

/* RELOADING=1, with the moment that belongs to it (MONOTONIC_USEC). */
void notify_reloading(const struct notify *n);

/* Hands the service over: to be sent by the process that is the main one. */
void notify_main_pid(const struct notify *n, pid_t pid);

/* How often to say WATCHDOG=1: half of what the manager allows; 0: never. */
static inline mono_ns notify_watchdog(const struct notify *n) { return n->watchdog / 2; }
