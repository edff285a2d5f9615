/* SPDX-License-Identifier: MIT */
/* The PROXY protocol: what a balancer that passes bytes on, not requests, says
 * of its client before the client's first byte.
 *
 *   version 1   PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n
 *   version 2   signature, version and command, family, length, addresses, TLVs
 *
 * Both versions are taken, told apart by their first byte; a header that is
 * anything but well formed is refused whole. Of version 2's TLVs nothing is
 * wanted: they are passed over by the length of the header, unread, CRC32C too
 * (the bytes came over TCP from a trusted peer). Ports and destination are
 * checked, not kept. Pure: no memory, no I/O.
 */
#pragma once

#include <stddef.h>

#include "base/cidr.h"
#include "http/parser.h"

enum {
    PROXY_V1_MAX = 107,   /* bytes, with the CRLF                                   */
    PROXY_V2_MAX = 4096,  /* bytes, with the TLVs: more is refused                  */
};

/* For whom the connection was made. */
enum proxy_source {
    PROXY_SELF,     /* the balancer itself: a health check (LOCAL)                  */
    PROXY_CLIENT,   /* the address told                                             */
    PROXY_UNNAMED,  /* somebody without an address (UNKNOWN, UNSPEC, a Unix socket) */
};

/* Reads the header that bytes[0, len) must begin with. MORE: so far well formed,
 * call again with more behind it. DONE: it is bytes[0, *ret_len); *ret_address
 * is set for PROXY_CLIENT only. BAD: not the protocol. Never looks at more than
 * a header's most bytes, so it may be asked again from the start each time. */
enum http_parse proxy_protocol_read(const char *bytes, size_t len, size_t *ret_len, enum proxy_source *ret_source,
                                    struct address *ret_address);
