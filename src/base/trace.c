/* SPDX-License-Identifier: MIT */
#include "base/trace.h"

enum {
    ID_AT = 3, /* behind the version and its dash */
    PARENT_AT = ID_AT + TRACE_ID_LEN + 1,
    FLAGS_AT = PARENT_AT + TRACE_PARENT_LEN + 1,
    HEADER_LEN = FLAGS_AT + 2,
};

static bool is_lower_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '0')
            return false;
    return true;
}

/* Version 00 ends with its flags; a later one may go on behind a dash. */
static bool ends_well(struct str header, struct str version)
{
    return header.len == HEADER_LEN || (!is_zero(version) && header.ptr[HEADER_LEN] == '-');
}

bool trace_parse(struct str header, struct trace *ret_trace)
{
    *ret_trace = (struct trace){ STR_EMPTY, STR_EMPTY };
    if (header.len < HEADER_LEN)
        return false;
    const struct str version = str_slice(header, 0, ID_AT - 1);
    const struct str id = str_slice(header, ID_AT, PARENT_AT - 1);
    const struct str parent = str_slice(header, PARENT_AT, FLAGS_AT - 1);
    const struct str flags = str_slice(header, FLAGS_AT, HEADER_LEN);
    const bool dashes = header.ptr[ID_AT - 1] == '-' && header.ptr[PARENT_AT - 1] == '-' &&
                        header.ptr[FLAGS_AT - 1] == '-';

    if (!dashes || !ends_well(header, version) || str_eq(version, STR("ff")))
        return false;
    if (!is_lower_hex(version) || !is_lower_hex(id) || !is_lower_hex(parent) || !is_lower_hex(flags))
        return false;
    if (is_zero(id) || is_zero(parent))
        return false;
    *ret_trace = (struct trace){ id, parent };
    return true;
}
