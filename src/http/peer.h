/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a connection, and who asks for a request.
 *
 * They differ behind a proxy. Whose word counts is decided once a connection:
 * a peer is trusted when its address is in the list given (TRUSTED_PROXIES). One
 * that came by a Unix socket has none, and is trusted when the list names
 * `unix`; else all who come so count as one client, of no other range.
 * What a trusted peer says of its clients: forwarded.h, proxy_protocol.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "base/str.h"

struct peer {
    struct address address;
    bool           trusted;                 /* a proxy that is believed                         */
    bool           hidden;                  /* a proxy that was asked, but did not say for whom */
    uint8_t        text_len;
    char           text[ADDRESS_TEXT_SIZE]; /* of the address; "unix" for a Unix socket */
};

/* The other end of a socket; `trusted` may be NULL: nobody's word counts. */
void peer_init(struct peer *p, const struct sockaddr *socket_address, const struct cidr_list *trusted);

/* The peer speaks for that address from now on... */
void peer_becomes(struct peer *p, const struct address *address, const struct cidr_list *trusted);

/* ... or for somebody whom it does not name: nothing that comes is believed. */
void peer_hides(struct peer *p);

static inline struct str peer_text(const struct peer *p) { return (struct str){ p->text, p->text_len }; }

/* Who asks. */
struct client_address {
    struct address address;    /* the peer's when no better is known                            */
    bool           via_proxy;  /* it is what a trusted proxy says, not the peer's               */
    bool           hidden;      /* a proxy stands before it and did not say who it is: the address
                                * serves to count it, but it must not profit from it            */
};

static inline struct client_address client_of_peer(const struct peer *p)
{
    return (struct client_address){ .address = p->address, .hidden = p->hidden };
}

/* Whether the client is known to be in one of the ranges: what a list of those
 * who may do more is to be held against. */
static inline bool client_in(const struct client_address *c, const struct cidr_list *list)
{
    return !c->hidden && cidr_list_holds(list, &c->address);
}
