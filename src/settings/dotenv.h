/* SPDX-License-Identifier: MIT */
/* Reader of .env files: bytes in, keys and values out, line by line.
 *
 *   # a comment                        A line is one setting; none goes on in
 *   KEY=value                          the next. Spaces around '=' are fine.
 *   export KEY = value # a comment     Unquoted: trimmed, to the first '#' that
 *   KEY='as it stands: \n $HOME #'     stands after a space. Nothing is
 *   KEY="a tab \t a quote \" a \$"     expanded, ever. Escapes: \n \t \" \\ \$
 *
 * Lines end in LF or CRLF; a byte order mark at the start is skipped. A line
 * that says nothing clear is an error with its number, and the next goes on.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

enum { DOTENV_BYTES_MAX = 1024 * 1024, DOTENV_LINE_MAX = 64 * 1024 };

struct dotenv {
    struct str rest;     /* private: not yet read; NULL pointer at the end */
    unsigned line;       /* private: of the last that was read             */
    struct arena *arena; /* private: for values that held escapes          */
};

enum dotenv_result { DOTENV_END, DOTENV_PAIR, DOTENV_BAD };

struct dotenv_line {
    unsigned number;       /* from 1                                          */
    struct str key, value; /* of a pair; they point into the bytes or arena   */
    const char *wrong;     /* of a bad line: what is wrong with it            */
};

/* A reader of these bytes, which it does not copy. */
struct dotenv dotenv_of(struct str bytes, struct arena *arena);

/* The next line that says something. Bytes over the maximum are one bad line
 * and nothing else. */
enum dotenv_result dotenv_next(struct dotenv *d, struct dotenv_line *ret_line);
