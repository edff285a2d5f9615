/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include "http/chars.h"

static const char *const BAD_ESCAPE =
    "The request target holds a percent sign that is not followed by two hexadecimal digits.";

/* Whether the text means itself: nothing to decode, nothing to check. */
static bool plain(struct str raw, bool plus)
{
    for (size_t i = 0; i < raw.len; i++)
        if (!char_is(raw.ptr[i], CHAR_TARGET) || raw.ptr[i] == '%' || (plus && raw.ptr[i] == '+'))
            return false;
    return true;
}

enum err percent_decode(struct str raw, bool plus, struct arena *arena, struct str *ret_text)
{
    if (plain(raw, plus)) {
        *ret_text = raw;
        return OK;
    }
    char *out = arena_alloc(arena, raw.len);
    if (!out)
        return E_NO_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '+' && plus)
            c = ' ';
        if (c == '%') {
            const int high = i + 1 < raw.len ? hex_digit(raw.ptr[i + 1]) : -1;
            const int low = i + 2 < raw.len ? hex_digit(raw.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return E_SYNTAX;
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[len++] = c;
    }
    *ret_text = (struct str){ out, len };
    return OK;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

/* Decodes a part of the target and judges the result. */
static enum err decode(struct str raw, bool plus, struct arena *arena, struct str *ret_text, const char **ret_reason)
{
    const enum err e = percent_decode(raw, plus, arena, ret_text);
    if (e == E_SYNTAX)
        *ret_reason = BAD_ESCAPE;
    if (e != OK || ret_text->ptr == raw.ptr) /* a view means plain */
        return e;
    if (has_control(*ret_text))
        *ret_reason = "The request target holds a control character.";
    else if (!str_is_utf8(*ret_text))
        *ret_reason = "The request target is not UTF-8.";
    else
        return OK;
    return E_SYNTAX;
}

static enum err parse_path(struct target *t, struct arena *arena, const char **ret_reason)
{
    struct str rest = str_slice(t->path, 1, t->path.len);
    if (rest.len == 0)
        return OK;
    while (rest.ptr) {
        if (t->segment_count == TARGET_SEGMENTS_MAX) {
            *ret_reason = "The path has too many segments.";
            return E_SYNTAX;
        }
        struct str *segment = &t->segments[t->segment_count++];
        const enum err e = decode(str_split(&rest, '/'), false, arena, segment, ret_reason);
        if (e != OK)
            return e;
        if (str_eq(*segment, STR(".")) || str_eq(*segment, STR(".."))) {
            *ret_reason = "The path holds a dot segment.";
            return E_SYNTAX;
        }
    }
    return OK;
}

static enum err parse_query(struct target *t, struct arena *arena, const char **ret_reason)
{
    struct str rest = t->query;
    while (rest.ptr) {
        struct str value = str_split(&rest, '&');
        if (value.len == 0)
            continue;
        if (t->pair_count == TARGET_PAIRS_MAX) {
            *ret_reason = "The query has too many parameters.";
            return E_SYNTAX;
        }
        struct target_pair *pair = &t->pairs[t->pair_count++];
        const struct str name = str_split(&value, '=');
        if (!value.ptr)
            value = STR_EMPTY;
        enum err e = decode(name, true, arena, &pair->name, ret_reason);
        if (e == OK)
            e = decode(value, true, arena, &pair->value, ret_reason);
        if (e != OK)
            return e;
    }
    return OK;
}

enum err target_parse(struct str raw, struct arena *arena, struct target *ret_target, const char **ret_reason,
                      const char **ret_bad_query)
{
    struct target *t = ret_target;
    const size_t mark = str_find(raw, '?', 0);
    t->path = mark == 0 ? STR("/") : str_slice(raw, 0, mark); /* "http://host?query" leaves no path */
    t->query = mark < raw.len ? str_slice(raw, mark + 1, raw.len) : STR_EMPTY;
    t->segment_count = t->pair_count = 0;
    *ret_bad_query = NULL;
    if (t->path.ptr[0] != '/' && !str_eq(raw, STR("*"))) {
        *ret_reason = "The request target is not a path.";
        return E_SYNTAX;
    }
    enum err e = parse_path(t, arena, ret_reason);
    if (e != OK || t->query.len == 0)
        return e;
    e = parse_query(t, arena, ret_bad_query);
    if (e == E_SYNTAX) {
        t->pair_count = 0;
        e = OK;
    }
    return e;
}
