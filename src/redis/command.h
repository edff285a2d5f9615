/* SPDX-License-Identifier: MIT */
/* A command as its caller writes it, and as it goes over the wire.
 *
 *   REDIS_COMMAND(RA_TEXT("SET"), RA_KEY(name), RA_STR(body), RA_TEXT("PX"), RA_INT(ttl_ms))
 *   REDIS_EVAL(&script, RA_KEY(minute), RA_KEY(hour), RA_INT(now))
 *
 * Arguments are any bytes. A key gets the prefix of the settings in front, so
 * that nobody can forget it: several applications may share a Redis.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum { REDIS_ARGS_MAX = 64, REDIS_COMMAND_BYTES = 4 * 1024 * 1024 };

enum redis_arg_kind { REDIS_ARG_STR, REDIS_ARG_KEY, REDIS_ARG_INT };

struct redis_arg {
    enum redis_arg_kind kind;
    struct str          s;
    int64_t             i;
};

#define RA_STR(text)     { .kind = REDIS_ARG_STR, .s = (text) }
#define RA_TEXT(literal) { .kind = REDIS_ARG_STR, .s = STR(literal) }
#define RA_KEY(name)     { .kind = REDIS_ARG_KEY, .s = (name) }
#define RA_INT(number)   { .kind = REDIS_ARG_INT, .i = (number) }

/* A function that runs in the server, whole, between other commands. Constant,
 * alive as long as the client. KEYS are its leading arguments of that kind. */
struct redis_script {
    const char *name;                       /* for the log                              */
    const char *text;                       /* Lua                                      */
};

struct redis_command {
    const struct redis_script *script;      /* NULL: the first argument is the command  */
    const struct redis_arg    *args;
    size_t                     count;
};

#define REDIS_WITH(function, ...)                                                        \
    (&(const struct redis_command){                                                      \
        .script = (function),                                                            \
        .args = (const struct redis_arg[]){ __VA_ARGS__ },                               \
        .count = sizeof((const struct redis_arg[]){ __VA_ARGS__ }) / sizeof(struct redis_arg) })
#define REDIS_COMMAND(...)        REDIS_WITH(NULL, __VA_ARGS__)
#define REDIS_EVAL(function, ...) REDIS_WITH(function, __VA_ARGS__)

/* Appends the bytes of a command; `sha` is the script's, if it has one. What does
 * not fit leaves the buffer with its error. */
void command_write(struct buf *out, const struct redis_command *c, struct str prefix, const char *sha);
