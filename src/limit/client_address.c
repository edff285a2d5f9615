/* SPDX-License-Identifier: MIT */
#include "limit/client_address.h"

#include <string.h>

enum { KEPT_OF_V6 = 8 }; /* bytes: a /64 */

/* What one header says. */
struct testimony {
    bool given;
    struct client_address client;
};

static struct client_address hide(const struct peer *peer)
{
    return (struct client_address){ .address = peer->address, .hidden = true };
}

/* From the right, through trusted proxies, to the first who is none. */
static struct testimony hear(const struct client_rule *rule, const struct peer *peer, const struct http_head *head,
                             enum forwarded_header header)
{
    struct forwarded list = forwarded_begin(head, header);
    struct testimony t = { .client = client_of_peer(peer) };
    struct address a;

    for (int hops = 0; hops < CLIENT_HOPS_MAX; hops++) {
        const enum forwarded_next next = forwarded_next(&list, &a);
        if (next == FORWARDED_END)
            return t;
        t.given = true;
        if (next == FORWARDED_BAD)
            break;
        t.client = (struct client_address){ .address = a, .via_proxy = true };
        if (!cidr_list_holds(rule->trusted, &a))
            return t;
    }
    t.client.hidden = true;
    return t;
}

static bool agree(const struct client_address *a, const struct client_address *b)
{
    return !a->hidden && !b->hidden && memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

static struct client_address hear_any(const struct client_rule *rule, const struct peer *peer,
                                      const struct http_head *head)
{
    const struct testimony customary = hear(rule, peer, head, X_FORWARDED_FOR);
    const struct testimony standard = hear(rule, peer, head, FORWARDED);

    if (customary.given && standard.given)
        return agree(&customary.client, &standard.client) ? customary.client : hide(peer);
    if (customary.given)
        return customary.client;
    if (standard.given)
        return standard.client;
    return hear(rule, peer, head, X_REAL_IP).client;
}

struct client_address client_address_find(const struct client_rule *rule, const struct peer *peer,
                                          const struct http_head *head)
{
    static const enum forwarded_header headers[] = {
        [CLIENT_HEADER_X_FORWARDED_FOR] = X_FORWARDED_FOR,
        [CLIENT_HEADER_FORWARDED] = FORWARDED,
        [CLIENT_HEADER_X_REAL_IP] = X_REAL_IP,
    };

    if (!peer->trusted)
        return client_of_peer(peer);
    if (rule->header == CLIENT_HEADER_ANY)
        return hear_any(rule, peer, head);
    return hear(rule, peer, head, headers[rule->header]).client;
}

struct address client_key(const struct address *address)
{
    struct address key = *address;

    if (!address_is_v4(address))
        memset(key.bytes + KEPT_OF_V6, 0, sizeof(key.bytes) - KEPT_OF_V6);
    return key;
}

size_t client_key_print(const struct address *key, char out[static CLIENT_KEY_TEXT_SIZE])
{
    const size_t len = address_print(key, out);

    if (address_is_v4(key))
        return len;
    memcpy(out + len, "/64", sizeof("/64"));
    return len + 3;
}
