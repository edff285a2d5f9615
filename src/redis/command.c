/* SPDX-License-Identifier: MIT */
#include "redis/command.h"

#include <stdio.h>

enum { NUMBER_SIZE = 24 };

static struct str number_text(int64_t number, char text[static NUMBER_SIZE])
{
    return (struct str){ text, (size_t)snprintf(text, NUMBER_SIZE, "%lld", (long long)number) };
}

/* A mark, a length, the end of a line. */
static void write_length(struct buf *out, char mark, size_t length)
{
    buf_byte(out, mark);
    buf_uint(out, length);
    buf_str(out, STR("\r\n"));
}

static void write_text(struct buf *out, struct str prefix, struct str text)
{
    write_length(out, '$', prefix.len + text.len);
    buf_str(out, prefix);
    buf_str(out, text);
    buf_str(out, STR("\r\n"));
}

static void write_arg(struct buf *out, const struct redis_arg *a, struct str prefix)
{
    char number[NUMBER_SIZE];

    if (a->kind == REDIS_ARG_INT)
        write_text(out, STR_EMPTY, number_text(a->i, number));
    else
        write_text(out, a->kind == REDIS_ARG_KEY ? prefix : STR_EMPTY, a->s);
}

static size_t leading_keys(const struct redis_command *c)
{
    size_t n = 0;

    while (n < c->count && c->args[n].kind == REDIS_ARG_KEY)
        n++;
    return n;
}

/* EVALSHA sha number-of-keys */
static void write_script(struct buf *out, const struct redis_command *c, const char *sha)
{
    char number[NUMBER_SIZE];

    write_text(out, STR_EMPTY, STR("EVALSHA"));
    write_text(out, STR_EMPTY, str_of(sha));
    write_text(out, STR_EMPTY, number_text((int64_t)leading_keys(c), number));
}

void command_write(struct buf *out, const struct redis_command *c, struct str prefix, const char *sha)
{
    enum { SCRIPT_ARGS = 3 };

    write_length(out, '*', c->count + (c->script ? SCRIPT_ARGS : 0));
    if (c->script)
        write_script(out, c, sha);
    for (size_t i = 0; i < c->count; i++)
        write_arg(out, &c->args[i], prefix);
}
