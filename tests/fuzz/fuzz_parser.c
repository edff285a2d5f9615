/* SPDX-License-Identifier: MIT */
/* A connection's bytes: a head, then a chunked body behind it.
 *
 * Input: two bytes that say where to cut, then the bytes. What must hold: the
 * verdict on a head, and the body that comes out of chunks, do not depend on
 * how the bytes were cut; views stay within the bytes; what was accepted cannot
 * be read by someone else as two messages. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct verdict {
    enum http_parse scan;
    bool parsed;
    size_t len;
    int status;
};

/* Scans bytes[0, len), which come in pieces of `piece` bytes. */
static struct verdict judge(const char *bytes, size_t len, size_t piece, struct http_head *head)
{
    struct verdict v = { .scan = HTTP_PARSE_MORE };
    struct http_scan scan = { 0 };
    struct http_refusal refusal = { 0 };
    for (size_t have = 0; v.scan == HTTP_PARSE_MORE && have < len;) {
        have = len - have > piece ? have + piece : len;
        v.scan = http_scan_head(&scan, bytes, have, &v.len, &refusal);
        must(v.scan == HTTP_PARSE_MORE || scan.pos <= have);
    }
    if (v.scan == HTTP_PARSE_DONE)
        v.parsed = http_parse_head(bytes, v.len, head, &refusal);
    v.status = refusal.status;
    must((v.status != 0) == (v.scan == HTTP_PARSE_BAD || (v.scan == HTTP_PARSE_DONE && !v.parsed)));
    must((v.status != 0) == (refusal.reason != NULL));
    return v;
}

static bool within(struct str s, const char *bytes, size_t len)
{
    return s.len == 0 || (s.ptr >= bytes && s.ptr + s.len <= bytes + len);
}

static bool no_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
            return false;
    return true;
}

static size_t count_of(const struct http_head *head, struct str name)
{
    size_t n = 0;
    for (size_t i = 0; i < head->field_count; i++)
        n += str_eq_nocase(head->fields[i].name, name);
    return n;
}

static void check_head(const struct http_head *head, const char *bytes, size_t len)
{
    must(head->method < HTTP_METHOD_COUNT && head->field_count <= HTTP_FIELDS_MAX && len <= HTTP_HEAD_MAX);
    must(head->target.len > 0 && no_control(head->target) && str_find(head->target, ' ', 0) == head->target.len);
    must(within(head->host, bytes, len));
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        must(f->name.len > 0 && within(f->name, bytes, len) && within(f->value, bytes, len) && no_control(f->value));
    }
    const size_t lengths = count_of(head, STR("content-length")), codings = count_of(head, STR("transfer-encoding"));
    must(lengths + codings <= 1 && head->chunked == (codings == 1) && head->content_length >= 0);
    must(lengths == 1 || head->content_length == 0);
    must(count_of(head, STR("host")) == 1 || (head->minor == 0 && head->host.len == 0));
    must(!head->chunked || head->minor == 1);
}

struct body {
    enum http_parse verdict;
    int status;
    size_t used, len;
    uint64_t hash;
};

/* FNV-1a: enough to tell two bodies apart. */
static void mix(struct body *b, struct str data)
{
    for (size_t i = 0; i < data.len; i++)
        b->hash = (b->hash ^ (unsigned char)data.ptr[i]) * 1099511628211u;
    b->len += data.len;
}

static struct body decode(const char *bytes, size_t len, size_t piece)
{
    struct body b = { .verdict = HTTP_PARSE_MORE, .hash = 14695981039346656037u };
    struct http_chunks chunks = { 0 };
    while (b.verdict == HTTP_PARSE_MORE && b.used < len) {
        const size_t n = len - b.used > piece ? piece : len - b.used;
        size_t used = 0;
        struct str text = STR_EMPTY;
        struct http_refusal refusal = { 0 };
        b.verdict = http_chunks_feed(&chunks, bytes + b.used, n, &used, &text, &refusal);
        b.status = refusal.status;
        if (b.verdict == HTTP_PARSE_BAD)
            break;
        must(used <= n && within(text, bytes + b.used, used));
        must(b.verdict == HTTP_PARSE_DONE || used == n || text.len > 0); /* it moves on */
        b.used += used;
        mix(&b, text);
    }
    return b;
}

static void check_body(const char *bytes, size_t len, size_t piece)
{
    const struct body whole = decode(bytes, len, len), pieces = decode(bytes, len, piece);
    must(whole.verdict == pieces.verdict && whole.status == pieces.status);
    must(whole.len == pieces.len && whole.hash == pieces.hash && whole.len <= whole.used);
    must(whole.verdict == HTTP_PARSE_BAD || whole.used == pieces.used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t piece = 1 + (((size_t)data[0] << 8 | data[1]) % 2000), len = size - 2;
    char *bytes = malloc(len + 1); /* its own block: an overrun by one byte is caught */
    must(bytes != NULL);
    memcpy(bytes, data + 2, len);
    static struct http_head head, again; /* large; written before they are read */
    const struct verdict whole = judge(bytes, len, len + 1, &head), pieces = judge(bytes, len, piece, &again);
    must(whole.scan == pieces.scan && whole.parsed == pieces.parsed && whole.status == pieces.status);
    if (whole.scan == HTTP_PARSE_DONE)
        must(whole.len == pieces.len);
    if (whole.parsed) {
        check_head(&head, bytes, whole.len);
        must(head.method == again.method && head.chunked == again.chunked && str_eq(head.target, again.target));
        must(head.content_length == again.content_length && head.keep_alive == again.keep_alive);
    }
    const size_t body = whole.scan == HTTP_PARSE_DONE ? whole.len : 0;
    check_body(bytes + body, len - body, piece);
    free(bytes);
    return 0;
}
