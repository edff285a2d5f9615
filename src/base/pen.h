/* SPDX-License-Identifier: MIT */
/* Bytes written one after the other into room that was measured before: for what
 * goes out with every response. Where the size is not known, use base/buf.h. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/str.h"

enum { PEN_UINT_MAX = 20 };   /* digits of the largest number */

struct pen { char *at, *start; };

static inline struct pen pen_on(char *room) { return (struct pen){ room, room }; }
static inline struct str pen_written(const struct pen *p) { return (struct str){ p->start, (size_t)(p->at - p->start) }; }

static inline void pen_str(struct pen *p, struct str s)
{
    if (s.len > 0)
        memcpy(p->at, s.ptr, s.len);
    p->at += s.len;
}

static inline void pen_uint(struct pen *p, uint64_t value)
{
    char digits[PEN_UINT_MAX];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *p->at++ = digits[--n];
}
