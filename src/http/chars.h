/* SPDX-License-Identifier: MIT */
/* Classes of bytes that HTTP's grammar is made of (RFC 9110 §5.6.2, §5.5;
 * RFC 9112 §3.2; RFC 3986 §3.2.2), one table for the whole layer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum http_char {
    CHAR_TOKEN  = 1 << 0,   /* methods, field names                                    */
    CHAR_VALUE  = 1 << 1,   /* field values: visible, space, tab, bytes from 0x80 on   */
    CHAR_TARGET = 1 << 2,   /* request targets: visible ASCII but '#'                  */
    CHAR_HOST   = 1 << 3,   /* host names: letters, digits, "-._~"                     */
    CHAR_DIGIT  = 1 << 4,
    CHAR_HEX    = 1 << 5,
};

extern const uint8_t http_chars[256];

static inline bool char_is(char c, enum http_char class) { return (http_chars[(unsigned char)c] & class) != 0; }

/* 0..15 of a hexadecimal digit; -1 for any other byte. */
static inline int hex_digit(char c)
{
    if (!char_is(c, CHAR_HEX))
        return -1;
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Whether all bytes of s belong to the class; true for an empty text. */
static inline bool chars_all(struct str s, enum http_char class)
{
    for (size_t i = 0; i < s.len; i++)
        if (!char_is(s.ptr[i], class))
            return false;
    return true;
}
