/* SPDX-License-Identifier: MIT */
/* Growth doubles, so that appending n bytes one by one copies O(n); near the
 * maximum, or when memory is short, it takes just what is needed. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256, UINT64_DIGITS = 20 };

void buf_init(struct buf *b, size_t max_bytes) { *b = (struct buf){ .max = max_bytes }; }

void buf_init_arena(struct buf *b, struct arena *a, size_t max_bytes)
{
    *b = (struct buf){ .max = max_bytes, .arena = a };
}

void buf_init_fixed(struct buf *b, char *memory, size_t size)
{
    *b = (struct buf){ .ptr = memory, .cap = size, .max = size, .fixed = true };
}

void buf_done(struct buf *b)
{
    if (!b->arena && !b->fixed)
        free(b->ptr);
    *b = (struct buf){ .max = b->fixed ? 0 : b->max, .arena = b->arena };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->err = OK;
}

static bool fail(struct buf *b, enum err e)
{
    b->err = e;
    return false;
}

/* Whether the memory now has `cap` bytes. */
static bool resize(struct buf *b, size_t cap)
{
    char *p = b->arena ? arena_grow(b->arena, b->ptr, b->cap, cap) : realloc(b->ptr, cap);

    if (!p)
        return false;
    b->ptr = p;
    b->cap = cap;
    return true;
}

static bool grow(struct buf *b, size_t n)
{
    const size_t need = b->len + n;
    size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;

    if (cap < FIRST_CAPACITY)
        cap = FIRST_CAPACITY;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    if (cap == 0)
        return fail(b, E_TOO_LARGE);
    return resize(b, cap) || resize(b, need ? need : 1) || fail(b, E_NO_MEMORY);
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->err != OK)
        return NULL;
    if (n > b->max - b->len) {
        fail(b, E_TOO_LARGE);
        return NULL;
    }
    if ((!b->ptr || n > b->cap - b->len) && !grow(b, n))
        return NULL;
    return b->ptr + b->len;
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
    char *p = n > 0 ? buf_room(b, n) : NULL;

    if (!p)
        return;
    memcpy(p, bytes, n);
    b->len += n;
}

void buf_byte(struct buf *b, char c)
{
    char *p = buf_room(b, 1);

    if (!p)
        return;
    *p = c;
    b->len++;
}

void buf_str(struct buf *b, struct str s) { buf_append(b, s.ptr, s.len); }
void buf_cstr(struct buf *b, const char *s) { buf_append(b, s, strlen(s)); }

void buf_uint(struct buf *b, uint64_t value)
{
    char digits[UINT64_DIGITS];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_append(b, digits + at, sizeof(digits) - at);
}

void buf_int(struct buf *b, int64_t value)
{
    if (value < 0)
        buf_byte(b, '-');
    buf_uint(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* The text did not fit behind what is there: formats it apart, since the NUL
 * that vsnprintf adds need not fit into the buffer. */
PRINTF(2, 0) static void append_formatted(struct buf *b, const char *format, va_list args)
{
    char *text = NULL;
    const int len = vasprintf(&text, format, args);

    if (len < 0) {
        fail(b, E_NO_MEMORY);
        return;
    }
    buf_append(b, text, (size_t)len);
    free(text);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    const size_t room = b->cap - b->len;
    va_list args;
    int len;

    if (b->err != OK)
        return;
    va_start(args, format);
    len = vsnprintf(room ? b->ptr + b->len : NULL, room, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < room) {
        b->len += (size_t)len;
        return;
    }
    va_start(args, format);
    append_formatted(b, format, args);
    va_end(args);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
}
