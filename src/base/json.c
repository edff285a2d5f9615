/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, DOUBLE_SIZE = 64 };

/* ---- text -------------------------------------------------------------- */

/* What stands behind the backslash, by byte; 'u' is the long form; 0: no
 * escape. RFC 8259 §7 asks for all but DEL, which upsets terminals. */
/* clang-format off */
static const char escapes[128] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    ['"'] = '"', ['\\'] = '\\', [127] = 'u',
};
/* clang-format on */

static void escape_long(struct buf *out, unsigned char code)
{
    static const char hex[] = "0123456789abcdef";
    const char text[] = { '\\', 'u', '0', '0', hex[code >> 4], hex[code & 15] };

    buf_append(out, text, sizeof(text));
}

static void escape_ascii(struct buf *out, unsigned char c)
{
    if (escapes[c] == 'u') {
        escape_long(out, c);
        return;
    }
    buf_append(out, (const char[]){ '\\', escapes[c] }, 2);
}

/* U+0080..U+009F are control characters too: a terminal may obey them. */
static bool is_c1_control(const char *p, size_t length)
{
    return length == 2 && (unsigned char)p[0] == 0xC2 && (unsigned char)p[1] < 0xA0;
}

/* The length of the sequence at p if it may be copied as it stands, else 0. */
static size_t clean(const char *p, const char *end)
{
    const unsigned char c = (unsigned char)*p;
    size_t length;

    if (c < 128)
        return escapes[c] == 0;
    length = utf8_sequence(p, end);
    return is_c1_control(p, length) ? 0 : length;
}

/* Appends the one sequence or byte at p, which is not clean; its length. */
static size_t escape_one(struct buf *out, const char *p, const char *end)
{
    const size_t length = utf8_sequence(p, end);

    if (length == 0) {
        buf_str(out, STR("\xEF\xBF\xBD"));
        return 1;
    }
    if (length == 1)
        escape_ascii(out, (unsigned char)*p);
    else
        escape_long(out, (unsigned char)p[1]);
    return length;
}

/* Whether any of 8 bytes is below 0x20, above 0x7E, a quote or a backslash:
 * their high bits are set by arithmetic on all bytes at once. A byte above such
 * a one may be named by mistake, never passed over. */
static bool any_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';

    return ((word | (word + ones) | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & highs) != 0;
}

/* Skips plain ASCII in steps of 8; what is left is looked at byte by byte. */
static const char *skip_plain(const char *p, const char *end)
{
    uint64_t word;

    for (; (size_t)(end - p) >= sizeof(word); p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        if (any_special(word))
            break;
    }
    return p;
}

void json_escape(struct buf *out, struct str s)
{
    const char *p = s.ptr, *run = s.ptr, *end;

    if (s.len == 0)
        return;
    end = s.ptr + s.len;
    while ((p = skip_plain(p, end)) < end) {
        const size_t n = clean(p, end);
        if (n > 0) {
            p += n;
            continue;
        }
        buf_append(out, run, (size_t)(p - run));
        p += escape_one(out, p, end);
        run = p;
    }
    buf_append(out, run, (size_t)(end - run));
}

static void quoted(struct buf *out, struct str s)
{
    buf_byte(out, '"');
    json_escape(out, s);
    buf_byte(out, '"');
}

/* ---- nesting ------------------------------------------------------------ */

static void broken(struct json *j)
{
    if (j->out->err == OK)
        j->out->err = E_INTERNAL;
}

/* The present depth's bit in `comma`. At depth 0 none: one value, no comma. */
static uint32_t depth_bit(const struct json *j)
{
    return j->depth >= 1 && j->depth <= DEPTH_MAX ? UINT32_C(1) << (j->depth - 1) : 0;
}

/* Called before each value and key. */
static void separate(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->comma & depth_bit(j))
        buf_byte(j->out, ',');
    j->comma |= depth_bit(j);
}

static void open(struct json *j, char bracket)
{
    separate(j);
    if (j->depth >= DEPTH_MAX)
        broken(j);
    j->depth++;
    j->comma &= ~depth_bit(j);
    buf_byte(j->out, bracket);
}

static void shut(struct json *j, char bracket)
{
    if (j->depth == 0 || j->after_key) {
        broken(j);
        return;
    }
    j->depth--;
    buf_byte(j->out, bracket);
}

void json_init(struct json *j, struct buf *out) { *j = (struct json){ .out = out }; }

void json_object(struct json *j) { open(j, '{'); }
void json_object_end(struct json *j) { shut(j, '}'); }
void json_array(struct json *j) { open(j, '['); }
void json_array_end(struct json *j) { shut(j, ']'); }

void json_key(struct json *j, struct str key)
{
    separate(j);
    quoted(j->out, key);
    buf_byte(j->out, ':');
    j->after_key = true;
}

/* ---- values -------------------------------------------------------------- */

void json_str(struct json *j, struct str s)
{
    separate(j);
    quoted(j->out, s);
}

void json_int(struct json *j, int64_t value)
{
    separate(j);
    buf_int(j->out, value);
}

void json_uint(struct json *j, uint64_t value)
{
    separate(j);
    buf_uint(j->out, value);
}

/* Below this, 15 digits hold any integer: the same text, ten times faster. */
#define EXACT_INTEGERS 1e15

/* 17 digits tell any two doubles apart; most need fewer. */
static size_t format_double(double value, char out[static DOUBLE_SIZE])
{
    int length = 0;

    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(out, DOUBLE_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value) /* NOLINT: exact by intent */
            break;
    }
    return (size_t)length;
}

static bool in_number(char c) { return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e'; }

/* snprintf writes the locale's decimal point, which may be several bytes. */
static size_t plain_point(char *text, size_t length)
{
    size_t to = 0;

    for (size_t from = 0; from < length; from++) {
        if (in_number(text[from]))
            text[to++] = text[from];
        else if (to == 0 || text[to - 1] != '.')
            text[to++] = '.';
    }
    return to;
}

void json_double(struct json *j, double value)
{
    char text[DOUBLE_SIZE];
    size_t length;

    if (!isfinite(value)) {
        json_null(j);
        return;
    }
    if (fabs(value) < EXACT_INTEGERS && value == trunc(value) && !signbit(value)) {
        json_int(j, (int64_t)value);
        return;
    }
    separate(j);
    length = format_double(value, text);
    buf_append(j->out, text, plain_point(text, length));
}

void json_bool(struct json *j, bool value) { json_raw(j, value ? STR("true") : STR("false")); }
void json_null(struct json *j) { json_raw(j, STR("null")); }

void json_raw(struct json *j, struct str json_text)
{
    separate(j);
    buf_str(j->out, json_text);
}

void json_member_str(struct json *j, const char *key, struct str value)
{
    json_key(j, str_of(key));
    json_str(j, value);
}

void json_member_int(struct json *j, const char *key, int64_t value)
{
    json_key(j, str_of(key));
    json_int(j, value);
}

void json_member_uint(struct json *j, const char *key, uint64_t value)
{
    json_key(j, str_of(key));
    json_uint(j, value);
}

void json_member_double(struct json *j, const char *key, double value)
{
    json_key(j, str_of(key));
    json_double(j, value);
}

void json_member_bool(struct json *j, const char *key, bool value)
{
    json_key(j, str_of(key));
    json_bool(j, value);
}
