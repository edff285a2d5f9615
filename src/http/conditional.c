/* SPDX-License-Identifier: MIT */
#include "http/conditional.h"

static bool is_weak(struct str etag) { return str_starts_with(etag, STR("W/")); }

static struct str opaque(struct str etag) { return is_weak(etag) ? str_slice(etag, 2, etag.len) : etag; }

/* Cuts the quoted tag, without its W/, off the front of *rest; an empty text
 * when there is none. Tags may hold commas, so the list is not split at them. */
static struct str next_tag(struct str *rest)
{
    struct str s = opaque(*rest);
    const size_t close = s.len > 0 && s.ptr[0] == '"' ? str_find(s, '"', 1) : s.len;
    if (close == s.len)
        return STR_EMPTY;
    *rest = str_slice(s, close + 1, s.len);
    return str_slice(s, 0, close + 1);
}

static void skip_separators(struct str *rest)
{
    size_t i = 0;
    while (i < rest->len && (rest->ptr[i] == ' ' || rest->ptr[i] == '\t' || rest->ptr[i] == ','))
        i++;
    *rest = str_slice(*rest, i, rest->len);
}

bool etag_matches(struct str if_none_match, struct str etag)
{
    struct str rest = str_trim(if_none_match);
    if (str_eq(rest, STR("*")))
        return true;
    const struct str wanted = opaque(etag);
    for (;;) {
        skip_separators(&rest);
        const struct str tag = next_tag(&rest);
        if (tag.len == 0)
            return false;
        if (str_eq(tag, wanted))
            return true;
    }
}

bool etag_same(struct str a, struct str b) { return !is_weak(a) && !is_weak(b) && str_eq(a, b); }
