/* SPDX-License-Identifier: MIT */
#include "paced/answer.h"

enum { BODY_MAX = 1 << 30 };

static bool read_status(struct str line, struct answer *a)
{
    int64_t status;

    if (!str_starts_with(line, STR("HTTP/1.1 ")) || str_to_int(str_slice(line, 9, 12), 100, 599, &status) != OK)
        return false;
    a->status = (int)status;
    return true;
}

/* False: a Content-Length that is none. */
static bool read_field(struct str line, struct answer *a, bool *has_length)
{
    const size_t colon = str_find(line, ':', 0);
    const struct str name = str_slice(line, 0, colon), value = str_trim(str_slice(line, colon + 1, line.len));
    int64_t length;

    if (str_eq_nocase(name, STR("connection")))
        a->close = str_eq_nocase(value, STR("close"));
    if (!str_eq_nocase(name, STR("content-length")))
        return true;
    if (str_to_int(value, 0, BODY_MAX, &length) != OK)
        return false;
    a->body = (size_t)length;
    *has_length = true;
    return true;
}

enum answer_state answer_read(struct str bytes, struct answer *ret)
{
    const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    struct answer a = { 0 };
    bool has_length = false;

    if (!end)
        return bytes.len < ANSWER_HEAD_MAX ? ANSWER_INCOMPLETE : ANSWER_MALFORMED;
    struct str rest = { bytes.ptr, (size_t)(end - bytes.ptr) };
    if (!read_status(str_split(&rest, '\n'), &a))
        return ANSWER_MALFORMED;
    while (rest.ptr) {
        struct str line = str_split(&rest, '\n');
        if (str_ends_with(line, STR("\r")))
            line.len--;
        if (!read_field(line, &a, &has_length))
            return ANSWER_MALFORMED;
    }
    if (!has_length)
        return ANSWER_MALFORMED;
    a.head = (size_t)(end - bytes.ptr) + 4;
    *ret = a;
    return ANSWER_WHOLE;
}
