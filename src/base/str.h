/* SPDX-License-Identifier: MIT */
/* String views: a pointer and a length, owning nothing.
 *
 * All text inside the program is a `struct str`; a NUL-terminated string exists
 * only where the operating system or a library asks for one. A view never
 * outlives what it points into (an arena, a buffer, a literal).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct str { const char *ptr; size_t len; };

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_EMPTY    ((struct str){ "", 0 })

/* For printf: printf(STR_FMT "\n", STR_ARG(s)); */
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).len, (s).ptr

/* A view of a C string (NULL gives the empty view). */
static inline struct str str_of(const char *cstring)
{
    return cstring ? (struct str){ cstring, strlen(cstring) } : STR_EMPTY;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters only are folded: the rule of HTTP field names (RFC 9110 §5.1). */
bool str_eq_nocase(struct str a, struct str b);

bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);

/* Order of bytes, shorter first among equals: <0, 0, >0 as memcmp. */
int str_cmp(struct str a, struct str b);

/* Index of the first byte c at or after `from`; s.len when there is none. */
size_t str_find(struct str s, char c, size_t from);

/* The bytes [from, to) with both ends clamped to the string. */
struct str str_slice(struct str s, size_t from, size_t to);

/* Without the spaces and tabs at either end. */
struct str str_trim(struct str s);

/* Cuts the text before the first `separator` off the front of *rest and returns
 * it; *rest moves behind the separator. The last piece leaves *rest with a NULL
 * pointer; loop while (rest.ptr). An empty string is one empty piece. */
struct str str_split(struct str *rest, char separator);

/* Strict decimal integer: optional '-', digits, nothing else; no '+', no
 * leading zeros but "0" itself, no "-0". E_INVALID for anything else or
 * outside [min, max]. */
MUSTCHECK enum err str_to_int(struct str s, int64_t min, int64_t max, int64_t *ret_value);

/* Whether all of it is well-formed UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
bool str_is_utf8(struct str s);

/* Length in bytes (1..4) of the well-formed UTF-8 sequence at the start of
 * [p, end), 0 when there is none. */
size_t utf8_sequence(const char *p, const char *end);

/* The byte that a percent-encoded text (RFC 3986 §2.1) has at *at, which moves
 * behind it; -1 for a percent sign without two hexadecimal digits. */
int str_percent_byte(struct str s, size_t *at);

/* Same time for any two inputs of the same length; for secrets. */
bool str_eq_secret(struct str a, struct str b);
