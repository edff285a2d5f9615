/* SPDX-License-Identifier: MIT */
/* JSON writer (RFC 8259), straight into a buffer.
 *
 * The writer keeps the commas and the nesting; the caller writes keys and
 * values in order. Strings are checked: a byte that is not well-formed UTF-8
 * becomes U+FFFD. Integers are exact; doubles are the shortest text that reads
 * back to the same value, and those JSON cannot say (NaN, infinity) are null.
 * Errors are the buffer's sticky error; nesting deeper than 32 is E_INTERNAL.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct json {
    struct buf *out;
    uint32_t    comma;      /* bit per depth: a value stands before the next */
    unsigned    depth;
    bool        after_key;
};

void json_init(struct json *j, struct buf *out);

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);

/* The key of the next value; only inside an object. */
void json_key(struct json *j, struct str key);

void json_str(struct json *j, struct str s);
void json_int(struct json *j, int64_t value);
void json_uint(struct json *j, uint64_t value);
void json_double(struct json *j, double value);
void json_bool(struct json *j, bool value);
void json_null(struct json *j);

/* A value that is JSON already (checked when it was stored). */
void json_raw(struct json *j, struct str json_text);

/* Key and value in one call; `key` is a string literal or C string. */
void json_member_str(struct json *j, const char *key, struct str value);
void json_member_int(struct json *j, const char *key, int64_t value);
void json_member_uint(struct json *j, const char *key, uint64_t value);
void json_member_double(struct json *j, const char *key, double value);
void json_member_bool(struct json *j, const char *key, bool value);

/* Appends s escaped, without quotes; for log lines and templates. */
void json_escape(struct buf *out, struct str s);
