/* SPDX-License-Identifier: MIT */
/* Opening one listening socket, and shutting its door.
 *
 * With SO_REUSEPORT several sockets share a TCP port, and the kernel spreads
 * new connections evenly among them. But it also lets a second server of the
 * same user share the port without a word; therefore the first socket takes the
 * port for itself, and shares it only when it has it.
 *
 * A Unix socket leaves its file behind when its server is killed. Such a file is
 * replaced when nobody answers behind it, and only then; two servers that start
 * at one moment take turns (a lock of the folder).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "ops/endpoint.h"

/* The file of a Unix socket, as it was made. */
struct unix_file {
    char  path[108];   /* "": none */
    dev_t device;
    ino_t inode;
};

/* Each: E_CONFLICT: somebody else listens there; E_INVALID: no such address, or
 * not allowed; E_IO: anything else; with one clear sentence. The descriptor does
 * not block, and closes at exec. */

/* The first socket of a port; learns which when any would do (port 0). */
MUSTCHECK enum err binding_take_port(struct endpoint *e, int backlog, int *ret_fd, char *error, size_t size);

/* Another one of a port that this user has. */
MUSTCHECK enum err binding_share_port(const struct endpoint *e, int backlog, int *ret_fd, char *error, size_t size);

/* `mode` is that of the file, from the first moment on. */
MUSTCHECK enum err binding_take_path(const char *path, mode_t mode, int backlog, int *ret_fd, char *error, size_t size);

/* Remembers the file of a path that is listened on. */
void binding_learn_file(struct unix_file *f, const char *path);

/* Removes the file if it is still the same and nobody answers behind it: not
 * another server, nor one that has inherited the socket. */
void binding_remove_file(struct unix_file *f);

/* From now on the kernel does not answer who asks for a TCP connection (its next
 * try, a second later, finds the port closed, or a new server), and refuses who
 * asks for a Unix one; connections that are made or being made are as before. It
 * stays so for the socket's life, in whatever process. */
void binding_shut_door(int fd);
