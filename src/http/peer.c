/* SPDX-License-Identifier: MIT */
#include "http/peer.h"

#include <netinet/in.h>

static void set_address(struct peer *p, const struct address *address, const struct cidr_list *trusted)
{
    *p = (struct peer){ .address = *address, .trusted = trusted && cidr_list_holds(trusted, address) };
    p->text_len = (uint8_t)address_print(address, p->text);
}

void peer_init(struct peer *p, const struct sockaddr *socket_address, const struct cidr_list *trusted)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)socket_address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)socket_address;
    struct address a;

    if (socket_address->sa_family == AF_INET) {
        a = address_of_v4(&v4->sin_addr);
    } else if (socket_address->sa_family == AF_INET6) {
        memcpy(a.bytes, &v6->sin6_addr, sizeof(a.bytes));
    } else {
        a = address_of_unix();
    }
    set_address(p, &a, trusted);
}

void peer_becomes(struct peer *p, const struct address *address, const struct cidr_list *trusted)
{
    if (address_is_unix(address))
        peer_hides(p);
    else
        set_address(p, address, trusted);
}

void peer_hides(struct peer *p)
{
    p->trusted = false;
    p->hidden = true;
}
