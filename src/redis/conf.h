/* SPDX-License-Identifier: MIT */
/* Where Redis is and who we are there; from REDIS_URL.
 *
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER]       redis://localhost:6379/0
 *   unix://[[USER]:PASSWORD@]/PATH[?db=NUMBER]           also redis+unix://
 *
 * In each part %XX stands for a byte. Values, owned by the caller, alive as long
 * as whoever uses them.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { REDIS_URL_BYTES_MAX = 2048, REDIS_PORT = 6379, REDIS_PREFIX_MAX = 64 };

struct redis_conf {
    const char *path;           /* of a unix socket; NULL: host and port            */
    const char *host;
    int         port;
    const char *user;           /* of an access list; NULL: the server's default    */
    const char *password;       /* NULL: none                                       */
    int         database;
    int         time_limit_ms;  /* for the answer to a command                      */
    struct str  prefix;         /* before every key and channel                     */
    const char *client_name;    /* for CLIENT LIST; NULL: none                      */
};

/* What the URL says; the rest of *ret_conf is empty. E_INVALID with a sentence in
 * *ret_why that repeats nothing of it; E_NO_MEMORY. */
MUSTCHECK enum err redis_conf_read(struct str url, struct arena *a, struct redis_conf *ret_conf, const char **ret_why);

/* "localhost:6379" or "/run/redis.sock", for the log: without secrets. Returns
 * the length; what does not fit is cut. */
size_t redis_conf_place(const struct redis_conf *conf, char *out, size_t size);
