/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <sodium.h>

static unsigned char lower(char c)
{
    const unsigned char u = (unsigned char)c;

    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

int str_cmp(struct str a, struct str b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

size_t str_find(struct str s, char c, size_t from)
{
    const char *found = from < s.len ? memchr(s.ptr + from, c, s.len - from) : NULL;

    return found ? (size_t)(found - s.ptr) : s.len;
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (s.len == 0)
        return s;
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct str){ s.ptr + from, to - from };
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    while (s.len > 0 && is_blank(*s.ptr)) {
        s.ptr++;
        s.len--;
    }
    return s;
}

struct str str_split(struct str *rest, char separator)
{
    const struct str whole = *rest;
    const size_t at = str_find(whole, separator, 0);

    *rest = at < whole.len ? (struct str){ whole.ptr + at + 1, whole.len - at - 1 } : (struct str){ NULL, 0 };
    return (struct str){ whole.ptr, at };
}

/* Digits without sign; E_INVALID above `limit`. */
static enum err to_magnitude(struct str s, uint64_t limit, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (s.len == 0 || (s.len > 1 && s.ptr[0] == '0'))
        return E_INVALID;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10)
            return E_INVALID;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return OK;
}

enum err str_to_int(struct str s, int64_t min, int64_t max, int64_t *ret_value)
{
    const bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    int64_t value;

    if (to_magnitude(negative ? str_slice(s, 1, s.len) : s, (uint64_t)INT64_MAX + negative, &magnitude) != OK)
        return E_INVALID;
    if (negative && magnitude == 0)
        return E_INVALID;
    value = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    if (value < min || value > max)
        return E_INVALID;
    *ret_value = value;
    return OK;
}

/* RFC 3629 §4, UTF8-2 to UTF8-4: the second byte's range depends on the first;
 * bytes after it are 80..BF. */
/* clang-format off */
static const struct utf8_row {
    unsigned char first_low, first_high, length, second_low, second_high;
} utf8_rows[] = {
    { 0xC2, 0xDF, 2, 0x80, 0xBF },
    { 0xE0, 0xE0, 3, 0xA0, 0xBF },
    { 0xE1, 0xEC, 3, 0x80, 0xBF },
    { 0xED, 0xED, 3, 0x80, 0x9F },
    { 0xEE, 0xEF, 3, 0x80, 0xBF },
    { 0xF0, 0xF0, 4, 0x90, 0xBF },
    { 0xF1, 0xF3, 4, 0x80, 0xBF },
    { 0xF4, 0xF4, 4, 0x80, 0x8F },
};
/* clang-format on */

static const struct utf8_row *utf8_row_of(unsigned char first)
{
    for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(*utf8_rows); i++)
        if (first >= utf8_rows[i].first_low && first <= utf8_rows[i].first_high)
            return &utf8_rows[i];
    return NULL;
}

size_t utf8_sequence(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    const struct utf8_row *row;

    if (p >= end)
        return 0;
    if (u[0] < 0x80)
        return 1;
    row = utf8_row_of(u[0]);
    if (!row || (size_t)(end - p) < row->length || u[1] < row->second_low || u[1] > row->second_high)
        return 0;
    for (size_t i = 2; i < row->length; i++)
        if ((u[i] & 0xC0) != 0x80)
            return 0;
    return row->length;
}

/* How many bytes at the start are ASCII, in steps of 8. */
static size_t ascii_run(const char *p, const char *end)
{
    const char *start = p;
    uint64_t word;

    for (; (size_t)(end - p) >= sizeof(word); p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return (size_t)(p - start);
}

bool str_is_utf8(struct str s)
{
    const char *p = s.ptr, *end;

    if (s.len == 0)
        return true;
    end = s.ptr + s.len;
    while (p < end) {
        size_t n = ascii_run(p, end);
        if (n == 0)
            n = utf8_sequence(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int str_percent_byte(struct str s, size_t *at)
{
    const char c = s.ptr[(*at)++];
    int high, low;

    if (c != '%')
        return (unsigned char)c;
    high = *at < s.len ? hex_value(s.ptr[*at]) : -1;
    low = *at + 1 < s.len ? hex_value(s.ptr[*at + 1]) : -1;
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool str_eq_secret(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.ptr, b.ptr, a.len) == 0);
}
