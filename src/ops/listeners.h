/* SPDX-License-Identifier: MIT */
/* The listening sockets of a node.
 *
 *   own     TCP, one a position, all on HOST and PORT (SO_REUSEPORT); the kernel
 *           spreads new connections evenly
 *   shared  UNIX_SOCKET, and the sockets that systemd lends; every worker
 *           accepts from each
 *
 * The master opens them before it forks and keeps them, so a socket outlives its
 * worker: connections that arrive while a dead worker is being replaced wait in
 * its queue. At an upgrade they pass to the new program (inheritance.h), which
 * uses those that its settings still ask for. Sockets from systemd stand in the
 * place of HOST, PORT and UNIX_SOCKET.
 *
 * To close a listening socket for good resets whoever is in its queue at that
 * moment. listeners_shut_door() comes before: nobody new gets in, those who are
 * inside can be accepted, and then the queue is closed empty. While the other
 * program of an upgrade lives, no door is shut: it would be shut for that one too.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "ops/binding.h"
#include "ops/endpoint.h"
#include "ops/inheritance.h"
#include "ops/slots.h"

struct listeners_conf {
    const char *host;      /* an address, or a name (its first address); "::" takes IPv4 too; "": no TCP */
    int         port;      /* 0: any free one                                                          */
    int         count;     /* of own sockets, 1..WORKERS_MAX                                           */
    int         backlog;   /* connections that may wait in each socket                                 */
    const char *path;      /* of a Unix socket; "": none                                               */
    mode_t      mode;      /* ... and of its file                                                      */
};

enum { LISTENERS_SHARED_MAX = LENT_MAX + 1, LISTENERS_A_WORKER = WORKERS_MAX + LISTENERS_SHARED_MAX };
enum { LISTENERS_ALL = -1 };

struct shared_listener {
    int             fd;      /* -1: closed             */
    bool            lent;    /* systemd keeps it open  */
    struct endpoint place;
};

struct listeners {
    int                    own_count;
    int                    own[WORKERS_MAX];   /* -1: closed                              */
    int                    shared_count;
    struct shared_listener shared[LISTENERS_SHARED_MAX];
    int                    backlog;
    struct endpoint        tcp;                /* of the own ones; none: length 0         */
    struct unix_file       file;               /* of UNIX_SOCKET                          */
    pid_t                  other;              /* a program that serves from them as well, while it
                                                * lives: the other of an upgrade; 0: none */
};

/* Takes what is inherited, and opens what is lacking. All is had, or nothing is
 * open: then `error` says why in one clear sentence. E_CONFLICT: in use by
 * another; E_INVALID: no such address, not allowed, or nothing to listen on;
 * E_IO: anything else. With inherited sockets there may be fewer own ones than
 * asked for: another user cannot share the port. Whose they were (`other`) is in
 * SANAD_UPGRADE_FROM. */
MUSTCHECK enum err listeners_open(const struct listeners_conf *conf, struct listeners *ret_listeners, char *error,
                                  size_t size);

/* What the worker of a position accepts from, of 0..positions-1; returns how
 * many. Every socket is somebody's, and every position has one if there is one. */
int listeners_of(const struct listeners *l, int position, int positions, int fds[static LISTENERS_A_WORKER]);

/* Closes all but these; for a worker after the fork. */
void listeners_keep_only(struct listeners *l, const int *fds, int count);

/* Another own socket, for one position more. On failure (none of TCP, or another
 * user's port, or no descriptor) positions share those there are. */
MUSTCHECK enum err listeners_add(struct listeners *l);

/* Gives them to another user, before this process becomes it: the file of the
 * Unix socket, and the right to open more of an own port (SO_REUSEPORT is for
 * sockets of one user). E_IO. */
MUSTCHECK enum err listeners_give(const struct listeners *l, uid_t user, gid_t group);

/* An own one, or all. Those from systemd stay open to the world: it starts us
 * again for who comes. */
void listeners_shut_door(const struct listeners *l, int index);

/* An own socket, for good. */
void listeners_close_one(struct listeners *l, int index);

/* All; the file of the Unix socket goes when nobody answers behind it any more. */
void listeners_close(struct listeners *l);

/* The text for INHERITANCE_VARIABLE; from now on exec passes the descriptors on.
 * Call it in the child that is to become the new program. */
MUSTCHECK enum err listeners_export(const struct listeners *l, char *text, size_t size);

/* "0.0.0.0:8000, unix:/run/sanad.sock"; where it is cut it ends in "...". */
void listeners_print(const struct listeners *l, char *out, size_t size);

/* The first of them as people use it: "http://127.0.0.1:8000". */
void listeners_print_url(const struct listeners *l, char out[static ENDPOINT_TEXT]);

/* Of the own ones; else the first that systemd lends; 0: no TCP. */
int listeners_port(const struct listeners *l);

/* The kernel's own limit of a queue (net.core.somaxconn), to which a larger
 * backlog is cut silently; -1 when unknown. */
int listeners_backlog_limit(void);
