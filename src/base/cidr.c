/* SPDX-License-Identifier: MIT */
#include "base/cidr.h"

#include <arpa/inet.h>

enum { V4_OFFSET = 12, V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = V6_BITS - V4_BITS, V6_GROUPS = 8 };

static const uint8_t mapped_prefix[V4_OFFSET] = { [10] = 0xff, [11] = 0xff };

struct address address_of_v4(const void *bytes)
{
    struct address a;

    memcpy(a.bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(a.bytes + V4_OFFSET, bytes, sizeof(a.bytes) - V4_OFFSET);
    return a;
}

bool address_is_v4(const struct address *a) { return memcmp(a->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0; }

struct address address_of_unix(void) { return address_of_v4((const uint8_t[4]){ 0 }); }

bool address_is_unix(const struct address *a)
{
    const struct address nobody = address_of_unix();

    return memcmp(a->bytes, nobody.bytes, sizeof(nobody.bytes)) == 0;
}

/* ---- reading ------------------------------------------------------------------ */

/* Copies text to a C string; false when it does not fit or holds a NUL. */
static bool to_cstring(struct str text, char out[static INET6_ADDRSTRLEN])
{
    if (text.len == 0 || text.len >= INET6_ADDRSTRLEN || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static enum err parse_v4(const char *text, struct address *ret_address)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) != 1)
        return E_INVALID;
    *ret_address = address_of_v4(&v4);
    return OK;
}

static enum err parse_v6(const char *text, struct address *ret_address)
{
    struct address a;

    if (inet_pton(AF_INET6, text, a.bytes) != 1)
        return E_INVALID;
    *ret_address = a;
    return OK;
}

static bool is_v6_text(struct str text) { return str_find(text, ':', 0) < text.len; }

enum err address_parse(struct str text, struct address *ret_address)
{
    char c_text[INET6_ADDRSTRLEN];
    const bool v6 = is_v6_text(text);

    if (v6)
        text = str_slice(text, 0, str_find(text, '%', 0));
    if (!to_cstring(text, c_text))
        return E_INVALID;
    return v6 ? parse_v6(c_text, ret_address) : parse_v4(c_text, ret_address);
}

/* ---- writing ------------------------------------------------------------------ */

static char *put_decimal(char *at, unsigned byte)
{
    if (byte >= 100)
        *at++ = (char)('0' + byte / 100);
    if (byte >= 10)
        *at++ = (char)('0' + byte / 10 % 10);
    *at++ = (char)('0' + byte % 10);
    return at;
}

static char *put_v4(char *at, const uint8_t bytes[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *at++ = '.';
        at = put_decimal(at, bytes[i]);
    }
    return at;
}

/* Sixteen bits in hexadecimal, without leading zeros. */
static char *put_group(char *at, unsigned group)
{
    static const char hex[] = "0123456789abcdef";

    for (int shift = 12; shift >= 0; shift -= 4) {
        if (shift == 0 || group >> shift > 0)
            *at++ = hex[group >> shift & 15];
    }
    return at;
}

/* A run of zero groups. */
struct run {
    int first, length;
};

/* The longest, the first of several as long; of two groups at least. */
static struct run longest_run(const unsigned groups[V6_GROUPS])
{
    struct run best = { V6_GROUPS, 1 }, run = { 0, 0 };

    for (int i = 0; i < V6_GROUPS; i++) {
        run = groups[i] == 0 ? (struct run){ run.first, run.length + 1 } : (struct run){ i + 1, 0 };
        if (run.length > best.length)
            best = run;
    }
    return best;
}

static char *put_v6(char *at, const uint8_t bytes[16])
{
    unsigned groups[V6_GROUPS];
    struct run zeros;

    for (int i = 0; i < V6_GROUPS; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    zeros = longest_run(groups);
    for (int i = 0; i < V6_GROUPS; i++) {
        if (i == zeros.first) {
            *at++ = ':';
            i += zeros.length - 1;
            if (i == V6_GROUPS - 1)
                *at++ = ':';
            continue;
        }
        if (i > 0)
            *at++ = ':';
        at = put_group(at, groups[i]);
    }
    return at;
}

size_t address_print(const struct address *a, char out[static ADDRESS_TEXT_SIZE])
{
    static const char local[] = "unix";

    if (address_is_unix(a)) {
        memcpy(out, local, sizeof(local));
        return sizeof(local) - 1;
    }
    char *end = address_is_v4(a) ? put_v4(out, a->bytes + V4_OFFSET) : put_v6(out, a->bytes);

    *end = '\0';
    return (size_t)(end - out);
}

/* ---- ranges ------------------------------------------------------------------- */

/* Zeroes what lies beyond the first `bits` bits. */
static void mask(struct address *a, unsigned bits)
{
    for (unsigned i = 0; i < sizeof(a->bytes); i++) {
        const unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8)
            a->bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
}

enum err cidr_parse(struct str text, struct cidr *ret_range)
{
    const size_t slash = str_find(text, '/', 0);
    const struct str name = str_slice(text, 0, slash);
    const bool v6 = is_v6_text(name);
    const int64_t most = v6 ? V6_BITS : V4_BITS;
    int64_t bits = most;
    struct cidr range;

    if (str_eq_nocase(text, STR("unix"))) {
        *ret_range = (struct cidr){ address_of_unix(), V6_BITS };
        return OK;
    }
    if (address_parse(name, &range.base) != OK)
        return E_INVALID;
    if (slash < text.len && str_to_int(str_slice(text, slash + 1, text.len), 0, most, &bits) != OK)
        return E_INVALID;
    range.bits = (unsigned)bits + (v6 ? 0 : MAPPED_BITS);
    mask(&range.base, range.bits);
    *ret_range = range;
    return OK;
}

bool cidr_holds(const struct cidr *range, const struct address *address)
{
    struct address a = *address;

    mask(&a, range->bits);
    return memcmp(a.bytes, range->base.bytes, sizeof(a.bytes)) == 0;
}

enum err cidr_list_parse(struct str text, struct cidr_list *ret_list, struct str *ret_bad)
{
    struct cidr_list list = { .count = 0 };
    struct str rest = str_trim(text);

    if (rest.len == 0)
        rest.ptr = NULL;
    while (rest.ptr) {
        const struct str piece = str_trim(str_split(&rest, ','));
        struct cidr range;
        const enum err e = list.count == CIDR_LIST_MAX ? E_TOO_LARGE : cidr_parse(piece, &range);
        if (e != OK) {
            *ret_bad = piece;
            return e;
        }
        list.rows[list.count++] = range;
    }
    *ret_list = list;
    return OK;
}

bool cidr_list_holds(const struct cidr_list *list, const struct address *address)
{
    for (size_t i = 0; i < list->count; i++) {
        if (cidr_holds(&list->rows[i], address))
            return true;
    }
    return false;
}

bool cidr_list_holds_text(const struct cidr_list *list, struct str text)
{
    struct address a;

    return address_parse(text, &a) == OK && cidr_list_holds(list, &a);
}
