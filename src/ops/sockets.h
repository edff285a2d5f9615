/* SPDX-License-Identifier: MIT */
/* The listening sockets of a node: one a worker, all on one address and port.
 *
 * The master opens them before it forks and keeps them, so a socket outlives
 * its worker: connections that arrive while a dead worker is being replaced
 * wait in the queue of its socket. With SO_REUSEPORT the kernel spreads new
 * connections evenly. But SO_REUSEPORT also lets a second server of the same
 * user share the port without a word; therefore the first socket takes the port
 * for itself, and shares it only when it has it.
 *
 * To close a listening socket resets whoever is in its queue at that moment.
 * sockets_shut_door() comes before: nobody new gets in, those who are inside
 * can be accepted, and then the queue is closed empty.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "ops/slots.h"

struct sockets_conf {
    const char *host;      /* an address, or a name (its first address); "::" takes IPv4 too */
    int         port;      /* 0: any free one                                                */
    int         count;     /* 1..WORKERS_MAX                                                 */
    int         backlog;   /* connections that may wait in each socket                       */
};

struct sockets {
    int  count;
    int  port;                   /* the number, also when 0 was asked for        */
    char url_host[72];           /* "192.0.2.7" or "[2001:db8::1]", for messages */
    int  fds[WORKERS_MAX];       /* -1: closed                                   */
};

/* Opens all of them, or none: then `error` says why in one clear sentence.
 * E_CONFLICT: the port is in use; E_INVALID: no such address, or not allowed;
 * E_IO: anything else. */
MUSTCHECK enum err sockets_open(const struct sockets_conf *conf, struct sockets *ret_sockets, char *error, size_t size);

/* Closes all but one; for a worker after the fork. */
void sockets_keep_only(struct sockets *s, int index);
void sockets_close(struct sockets *s);

/* From now on the kernel does not answer who asks for a connection (its next
 * try, a second later, finds the port closed, or a new server); connections
 * that are made or being made are as before. It stays so for the sockets' life. */
void sockets_shut_door(const struct sockets *s);

/* The kernel's own limit of a queue (net.core.somaxconn), to which a larger
 * backlog is cut silently; -1 when unknown. */
int sockets_backlog_limit(void);
