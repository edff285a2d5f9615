/* SPDX-License-Identifier: MIT */
/* Whose request it is: the client's address, which nobody can choose for himself.
 *
 *   peer not trusted                     the peer, whatever its headers say
 *   trusted, and it says nothing         the peer: it asks for itself
 *   trusted, X-Forwarded-For             from the right, the first address that
 *     or Forwarded                       is not trusted; all trusted: the last
 *   trusted, neither but X-Real-IP       that address
 *
 * Behind a member that is no address nothing is believed: the last address to
 * its right counts, or the peer, and the client is `hidden` (http/peer.h). It is
 * so too when CLIENT_HOPS_MAX members in a row are trusted.
 *
 * A proxy that writes one of the headers often passes the others on as the
 * client sent them. So when X-Forwarded-For and Forwarded are both there and do
 * not lead to one address, neither counts: the peer does, and the client is
 * hidden. X-Real-IP counts only when there is neither: a proxy that writes
 * nothing else must remove those two, or be named by `header`
 * (REAL_IP_HEADER); then no other header is looked at.
 *
 * With PROXY_PROTOCOL the peer is the address told, and its headers are read
 * only if that is trusted as well.
 */
#pragma once

#include <stdbool.h>

#include "base/cidr.h"
#include "base/str.h"
#include "http/forwarded.h"
#include "http/peer.h"

enum { CLIENT_HOPS_MAX = 32 };

/* The header that the trusted proxies write. */
enum client_header {
    CLIENT_HEADER_ANY,
    CLIENT_HEADER_X_FORWARDED_FOR,
    CLIENT_HEADER_FORWARDED,
    CLIENT_HEADER_X_REAL_IP
};

struct client_rule {
    const struct cidr_list *trusted;
    enum client_header      header;
};

/* Bounded by the head's own limits; no memory. */
struct client_address client_address_find(const struct client_rule *rule, const struct peer *peer,
                                          const struct http_head *head);

/* What a client is counted under: an IPv4 address as it is, of an IPv6 address
 * the /64, which is what one customer gets. */
struct address client_key(const struct address *address);

/* Its text, for people: "192.0.2.7", "2001:db8:1:2::/64". With a NUL; the length. */
enum { CLIENT_KEY_TEXT_SIZE = ADDRESS_TEXT_SIZE + 3 };
size_t client_key_print(const struct address *key, char out[static CLIENT_KEY_TEXT_SIZE]);
