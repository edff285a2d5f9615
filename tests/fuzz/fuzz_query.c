/* SPDX-License-Identifier: MIT */
/* Request targets. What must hold: what was decoded is UTF-8 without control
 * characters and no dot segment; encoded anew, byte by byte, it decodes to
 * itself; decoding an escape-free text changes nothing. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct str s)
{
    must(str_is_utf8(s));
    for (size_t i = 0; i < s.len; i++)
        must((unsigned char)s.ptr[i] >= 0x20 && s.ptr[i] != 0x7f);
}

static void encode(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_printf(out, "%%%02x", (unsigned)(unsigned char)s.ptr[i]);
}

static void encode_target(struct buf *out, const struct target *t)
{
    for (size_t i = 0; i < t->segment_count; i++) {
        buf_byte(out, '/');
        encode(out, t->segments[i]);
    }
    if (t->segment_count == 0)
        buf_byte(out, '/');
    for (size_t i = 0; i < t->pair_count; i++) {
        buf_byte(out, i == 0 ? '?' : '&');
        encode(out, t->pairs[i].name);
        buf_byte(out, '=');
        encode(out, t->pairs[i].value);
    }
}

static void check_same(const struct target *a, const struct target *b)
{
    must(a->segment_count == b->segment_count && a->pair_count == b->pair_count);
    for (size_t i = 0; i < a->segment_count; i++)
        must(str_eq(a->segments[i], b->segments[i]));
    for (size_t i = 0; i < a->pair_count; i++)
        must(str_eq(a->pairs[i].name, b->pairs[i].name) && str_eq(a->pairs[i].value, b->pairs[i].value));
}

static void check_target(const struct target *t, struct arena *arena)
{
    must(t->segment_count <= TARGET_SEGMENTS_MAX && t->pair_count <= TARGET_PAIRS_MAX);
    for (size_t i = 0; i < t->segment_count; i++) {
        check_text(t->segments[i]);
        must(!str_eq(t->segments[i], STR(".")) && !str_eq(t->segments[i], STR("..")));
    }
    for (size_t i = 0; i < t->pair_count; i++) {
        check_text(t->pairs[i].name);
        check_text(t->pairs[i].value);
    }
    struct buf out;
    buf_init(&out, 1024 * 1024);
    encode_target(&out, t);
    must(buf_ok(&out));
    struct target again;
    const char *reason = NULL, *bad_query = NULL;
    must(target_parse(buf_view(&out), arena, &again, &reason, &bad_query) == OK && !bad_query);
    check_same(t, &again);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + 1);
    must(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)data[i];
    const struct str raw = { bytes, size };
    struct arena arena;
    arena_init(&arena, 4 * 1024 * 1024);
    struct target t;
    const char *reason = NULL, *bad_query = NULL;
    const enum err e = target_parse(raw, &arena, &t, &reason, &bad_query);
    must(e == OK || (e == E_SYNTAX && reason));
    must(!bad_query || t.pair_count == 0);
    if (e == OK)
        check_target(&t, &arena);
    struct str text = raw;
    if (percent_decode(raw, false, &arena, &text) == OK)
        must(text.len <= raw.len && (str_find(raw, '%', 0) < raw.len || str_eq(text, raw)));
    arena_done(&arena);
    free(bytes);
    return 0;
}
