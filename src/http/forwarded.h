/* SPDX-License-Identifier: MIT */
/* What proxies say of whom they speak for, in three ways:
 *
 *   X-Forwarded-For: 203.0.113.9, 10.0.0.2           each proxy adds its peer at the right
 *   Forwarded: for=203.0.113.9, for="[fd00::2]:80"   the same, RFC 7239
 *   X-Real-IP: 203.0.113.9                           the last proxy's word alone
 *
 * All field lines of a name count as one list. It is read from the right, where
 * the nearest proxy wrote, and each member is cut off before what stands to its
 * left is looked at: nothing that a client wrote there, an opened quote say,
 * changes what is read first. An address may have a port (digits, or hidden as
 * "_text") and IPv6 may have brackets, which it needs for a port: without them
 * all of it is the address. Refused: zones, names, "unknown", "_hidden", a
 * backslash in quotes, an element of Forwarded with no `for` or several.
 * Empty members are passed over.
 *
 * A head holds at most HTTP_HEAD_MAX bytes and HTTP_FIELDS_MAX lines, so that
 * is the most there is to read. Pure: no memory, no I/O.
 */
#pragma once

#include "base/cidr.h"
#include "base/str.h"
#include "http/parser.h"

enum forwarded_header { X_FORWARDED_FOR, FORWARDED, X_REAL_IP, FORWARDED_HEADERS };

enum forwarded_next {
    FORWARDED_ADDRESS,   /* the next address to the left               */
    FORWARDED_END,       /* there is none                              */
    FORWARDED_BAD,       /* there is something, but no address: stop   */
};

/* Where reading stands; all private. */
struct forwarded {
    const struct http_head *head;
    enum forwarded_header   header;
    size_t                  lines;   /* field lines of the head not looked at yet */
    struct str              rest;    /* of the present one                        */
};

static inline struct forwarded forwarded_begin(const struct http_head *head, enum forwarded_header header)
{
    return (struct forwarded){ head, header, head->field_count, STR_EMPTY };
}

enum forwarded_next forwarded_next(struct forwarded *f, struct address *ret_address);
