/* SPDX-License-Identifier: MIT */
#include "http/proxy_protocol.h"

#include <stdint.h>
#include <string.h>

/* ---- version 1 ------------------------------------------------------------------ */

enum { V1_FIELDS = 5 }; /* protocol, source, destination, and their ports */

/* An address of that family, and no zone. */
static bool read_address(struct str text, bool v6, struct address *ret_address)
{
    const bool has_colon = str_find(text, ':', 0) < text.len, has_zone = str_find(text, '%', 0) < text.len;

    return has_colon == v6 && !has_zone && address_parse(text, ret_address) == OK;
}

static bool is_port(struct str text)
{
    int64_t port;

    return str_to_int(text, 0, UINT16_MAX, &port) == OK;
}

/* What follows "PROXY ", without the CRLF. */
static bool read_line(struct str line, enum proxy_source *ret_source, struct address *ret_address)
{
    struct str fields[V1_FIELDS], rest = line;
    struct address source, destination;
    size_t count = 0;
    bool v6;

    while (rest.ptr && count < V1_FIELDS)
        fields[count++] = str_split(&rest, ' ');
    if (str_eq(fields[0], STR("UNKNOWN"))) { /* then anything may follow */
        *ret_source = PROXY_UNNAMED;
        return true;
    }
    v6 = str_eq(fields[0], STR("TCP6"));
    if ((!v6 && !str_eq(fields[0], STR("TCP4"))) || count < V1_FIELDS || rest.ptr)
        return false;
    if (!read_address(fields[1], v6, &source) || !read_address(fields[2], v6, &destination))
        return false;
    if (!is_port(fields[3]) || !is_port(fields[4]))
        return false;
    *ret_source = PROXY_CLIENT;
    *ret_address = source;
    return true;
}

static enum http_parse read_v1(struct str bytes, size_t *ret_len, enum proxy_source *ret_source,
                               struct address *ret_address)
{
    static const struct str begin = { "PROXY ", 6 };
    const size_t lf = str_find(str_slice(bytes, 0, PROXY_V1_MAX), '\n', 0);

    if (lf == PROXY_V1_MAX || !str_starts_with(bytes, str_slice(begin, 0, bytes.len)))
        return HTTP_PARSE_BAD;
    if (lf == bytes.len)
        return HTTP_PARSE_MORE;
    if (bytes.ptr[lf - 1] != '\r')
        return HTTP_PARSE_BAD;
    *ret_len = lf + 1;
    return read_line(str_slice(bytes, begin.len, lf - 1), ret_source, ret_address) ? HTTP_PARSE_DONE : HTTP_PARSE_BAD;
}

/* ---- version 2 ------------------------------------------------------------------ */

static const struct str signature = { "\r\n\r\n\0\r\nQUIT\n", 12 };

enum {
    AT_COMMAND = 12, /* version in its upper half */
    AT_FAMILY = 13,  /* transport in its lower half */
    AT_LENGTH = 14,  /* of what follows, two bytes */
    V2_FIXED = 16,
    VERSION = 2,
    COMMANDS = 2,
    TRANSPORTS = 3,
};

enum family { FAMILY_NONE, FAMILY_V4, FAMILY_V6, FAMILY_UNIX, FAMILIES };

/* Source and destination with their ports. */
static const size_t block_sizes[FAMILIES] = {
    [FAMILY_V4] = (4 + 2) * 2, [FAMILY_V6] = (16 + 2) * 2, [FAMILY_UNIX] = 108 * 2
};

static enum proxy_source read_block(const unsigned char *block, enum family family, struct address *ret_address)
{
    if (family == FAMILY_V4)
        *ret_address = address_of_v4(block);
    else if (family == FAMILY_V6)
        memcpy(ret_address->bytes, block, sizeof(ret_address->bytes));
    else
        return PROXY_UNNAMED;
    return PROXY_CLIENT;
}

static enum http_parse read_v2(struct str bytes, size_t *ret_len, enum proxy_source *ret_source,
                               struct address *ret_address)
{
    const unsigned char *byte = (const unsigned char *)bytes.ptr;
    const size_t known = bytes.len < signature.len ? bytes.len : signature.len;
    size_t length;
    unsigned version, command, family, transport;

    if (memcmp(bytes.ptr, signature.ptr, known) != 0)
        return HTTP_PARSE_BAD;
    if (bytes.len < V2_FIXED)
        return HTTP_PARSE_MORE;
    length = (size_t)byte[AT_LENGTH] << 8 | byte[AT_LENGTH + 1];
    version = byte[AT_COMMAND] >> 4, command = byte[AT_COMMAND] & 15;
    family = byte[AT_FAMILY] >> 4, transport = byte[AT_FAMILY] & 15;
    if (version != VERSION || command >= COMMANDS || length > PROXY_V2_MAX - V2_FIXED)
        return HTTP_PARSE_BAD;
    if (command != 0 && (family >= FAMILIES || transport >= TRANSPORTS || length < block_sizes[family]))
        return HTTP_PARSE_BAD;
    if (bytes.len < V2_FIXED + length)
        return HTTP_PARSE_MORE;
    *ret_len = V2_FIXED + length;
    *ret_source = command == 0     ? PROXY_SELF
                  : transport == 0 ? PROXY_UNNAMED
                                   : read_block(byte + V2_FIXED, (enum family)family, ret_address);
    return HTTP_PARSE_DONE;
}

enum http_parse proxy_protocol_read(const char *bytes, size_t len, size_t *ret_len, enum proxy_source *ret_source,
                                    struct address *ret_address)
{
    const struct str all = { bytes, len };

    if (len == 0)
        return HTTP_PARSE_MORE;
    return (bytes[0] == signature.ptr[0] ? read_v2 : read_v1)(all, ret_len, ret_source, ret_address);
}
