/* SPDX-License-Identifier: MIT */
#include "http/forwarded.h"

#include <stdint.h>

static const struct header_row {
    struct str name;
    bool list;  /* members with commas between; else one value, on one line */
    bool pairs; /* each member: pairs with semicolons between               */
} headers[FORWARDED_HEADERS] = {
    [X_FORWARDED_FOR] = { { "X-Forwarded-For", 15 }, true, false },
    [FORWARDED] = { { "Forwarded", 9 }, true, true },
    [X_REAL_IP] = { { "X-Real-IP", 9 }, false, false },
};

/* ---- an address and its port ----------------------------------------------------- */

static bool holds(struct str s, char c) { return str_find(s, c, 0) < s.len; }

static bool is_hidden_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

/* ":80" or ":_text" */
static bool is_port(struct str text)
{
    const struct str port = str_slice(text, 1, text.len);
    int64_t number;

    if (!str_starts_with(text, STR(":")))
        return false;
    if (!str_starts_with(port, STR("_")))
        return str_to_int(port, 0, UINT16_MAX, &number) == OK;
    for (size_t i = 1; i < port.len; i++) {
        if (!is_hidden_char(port.ptr[i]))
            return false;
    }
    return port.len > 1;
}

/* Splits "host", "host:port", "[host]" or "[host]:port". A second colon without
 * brackets makes all of it the host. */
static bool split_node(struct str node, struct str *ret_host, struct str *ret_port)
{
    const bool brackets = str_starts_with(node, STR("["));
    const size_t colon = str_find(node, ':', 0), close = str_find(node, ']', 0);
    size_t end = node.len;

    if (brackets && close == node.len)
        return false;
    if (brackets)
        end = close + 1;
    else if (!holds(str_slice(node, colon + 1, node.len), ':'))
        end = colon;
    *ret_host = brackets ? str_slice(node, 1, close) : str_slice(node, 0, end);
    *ret_port = str_slice(node, end, node.len);
    return !brackets || holds(*ret_host, ':');
}

static bool read_node(struct str node, struct address *ret_address)
{
    struct str host, port;

    return split_node(node, &host, &port) && (port.len == 0 || is_port(port)) && !holds(host, '%') &&
           address_parse(host, ret_address) == OK && !address_is_unix(ret_address);
}

/* ---- Forwarded ------------------------------------------------------------------- */

/* A value as it is meant: without its quotes. */
static bool unquote(struct str *value)
{
    const bool quoted = str_starts_with(*value, STR("\""));

    if (quoted && (value->len < 2 || !str_ends_with(*value, STR("\""))))
        return false;
    if (quoted)
        *value = str_slice(*value, 1, value->len - 1);
    return !holds(*value, '"') && !holds(*value, '\\');
}

/* The first separator that no quotes hold; the text's length without one. */
static size_t find_unquoted(struct str s, char separator)
{
    bool quoted = false;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            quoted = !quoted;
        else if (s.ptr[i] == separator && !quoted)
            return i;
    }
    return s.len;
}

/* The value of the one `for` in for=192.0.2.7;proto=https;by="[2001:db8::1]" */
static bool find_for(struct str element, struct str *ret_node)
{
    unsigned found = 0;

    while (element.len > 0) {
        const size_t end = find_unquoted(element, ';');
        const struct str pair = str_trim(str_slice(element, 0, end));
        const size_t equals = str_find(pair, '=', 0);
        struct str value = str_slice(pair, equals + 1, pair.len);

        element = str_slice(element, end + 1, element.len);
        if (pair.len == 0)
            continue;
        if (equals == pair.len || !unquote(&value))
            return false;
        if (str_eq_nocase(str_slice(pair, 0, equals), STR("for"))) {
            *ret_node = value;
            found++;
        }
    }
    return found == 1;
}

/* ---- the list, from the right ------------------------------------------------------ */

static bool is_line(const struct forwarded *f, size_t index)
{
    return str_eq_nocase(f->head->fields[index].name, headers[f->header].name);
}

/* Moves to the next field line of that name to the left. */
static bool find_line(struct forwarded *f)
{
    while (f->lines > 0) {
        if (is_line(f, --f->lines)) {
            f->rest = f->head->fields[f->lines].value;
            return true;
        }
    }
    return false;
}

/* Cuts off what stands behind the last comma that no quotes hold. */
static struct str cut_last(struct str *list, bool quotes)
{
    const struct str all = *list;
    bool quoted = false;
    size_t at = all.len;

    for (; at > 0; at--) {
        if (quotes && all.ptr[at - 1] == '"')
            quoted = !quoted;
        else if (all.ptr[at - 1] == ',' && !quoted)
            break;
    }
    *list = str_slice(all, 0, at > 0 ? at - 1 : 0);
    return str_trim(str_slice(all, at, all.len));
}

static bool read_member(const struct header_row *row, struct str member, struct address *ret_address)
{
    if (row->pairs && !find_for(member, &member))
        return false;
    return read_node(member, ret_address);
}

/* A value that no list may be: a second line of it is a contradiction. */
static enum forwarded_next next_single(struct forwarded *f, struct address *ret_address)
{
    struct str value = STR_EMPTY;

    while (find_line(f)) {
        if (value.len > 0)
            return FORWARDED_BAD;
        value = str_trim(f->rest);
    }
    if (value.len == 0)
        return FORWARDED_END;
    return read_node(value, ret_address) ? FORWARDED_ADDRESS : FORWARDED_BAD;
}

enum forwarded_next forwarded_next(struct forwarded *f, struct address *ret_address)
{
    const struct header_row *row = &headers[f->header];
    struct str member;

    if (!row->list)
        return next_single(f, ret_address);
    while (f->rest.len > 0 || find_line(f)) {
        member = cut_last(&f->rest, row->pairs);
        if (member.len > 0)
            return read_member(row, member, ret_address) ? FORWARDED_ADDRESS : FORWARDED_BAD;
    }
    return FORWARDED_END;
}
