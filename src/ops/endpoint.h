/* SPDX-License-Identifier: MIT */
/* Where one listens: an address and port of TCP, or the path of a Unix socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"

struct endpoint {
    struct sockaddr_storage address;
    socklen_t               length;   /* 0: nowhere */
};

enum { ENDPOINT_TEXT = 160 };

/* Of an address, or a name (its first address). E_INVALID, with a sentence. */
MUSTCHECK enum err endpoint_of_host(const char *host, int port, struct endpoint *ret_place, char *error, size_t size);

/* Of a path in the file system; E_INVALID, with a sentence: it is too long. */
MUSTCHECK enum err endpoint_of_path(const char *path, struct endpoint *ret_place, char *error, size_t size);

/* Where a socket listens. E_INVALID: it does not listen, or for no stream of
 * TCP or of a Unix socket. */
MUSTCHECK enum err endpoint_of_listener(int fd, struct endpoint *ret_place);

bool endpoint_is_unix(const struct endpoint *e);

/* Whether a socket at `there` is what was asked for; any port is, for port 0. */
bool endpoint_matches(const struct endpoint *asked, const struct endpoint *there);

/* 0 of a Unix socket. */
int endpoint_port(const struct endpoint *e);

/* "192.0.2.7:8000", "[::1]:8000", "unix:/run/sanad.sock", "unix:@abstract" */
void endpoint_print(const struct endpoint *e, char out[static ENDPOINT_TEXT]);

/* What a browser of the same machine is given: "http://127.0.0.1:8000" also when
 * all addresses are listened on; a Unix socket as above. */
void endpoint_print_url(const struct endpoint *e, char out[static ENDPOINT_TEXT]);
