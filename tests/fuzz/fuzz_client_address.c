/* SPDX-License-Identifier: MIT */
/* Headers of proxies. Input: lines, each with a first byte that says which
 * header it is, the peer trusted.
 *
 * What must hold: the verdict is the same each time; an address that no proxy
 * told is the peer's; its text reads back as itself; and whatever a client wrote
 * before the first proxy added its member changes nothing. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit/client_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const struct str names[] = {
    { "X-Forwarded-For", 15 }, { "Forwarded", 9 }, { "X-Real-IP", 9 }, { "x-forwarded-for", 15 }
};

enum { NAMES = sizeof(names) / sizeof(*names) };

static struct http_head read_lines(struct str text)
{
    struct http_head head = { .method = HTTP_GET };

    while (text.ptr && head.field_count < HTTP_FIELDS_MAX) {
        const struct str line = str_split(&text, '\n');
        const size_t name = line.len > 0 ? (unsigned char)line.ptr[0] % NAMES : 0;
        head.fields[head.field_count++] = (struct http_field){ names[name], str_slice(line, 1, line.len) };
    }
    return head;
}

static bool same(const struct client_address *a, const struct client_address *b)
{
    return a->hidden == b->hidden && a->via_proxy == b->via_proxy &&
           memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes)) == 0;
}

static void check_text(const struct client_address *c)
{
    const struct address key = client_key(&c->address);
    char text[ADDRESS_TEXT_SIZE], key_text[CLIENT_KEY_TEXT_SIZE];
    struct address again;

    must(address_print(&c->address, text) == strlen(text));
    must(address_parse(str_of(text), &again) == OK);
    must(memcmp(&again, &c->address, sizeof(again)) == 0);
    must(client_key_print(&key, key_text) == strlen(key_text));
}

/* A proxy adds its member at the right of the last line, or in a line behind. */
static void check_one_more(const struct client_rule *rule, const struct peer *peer, struct http_head *head,
                           const char *member)
{
    struct http_head alone = { .method = HTTP_GET, .field_count = 1 };
    struct http_field *last = &head->fields[head->field_count - 1];
    struct client_address expected, got;
    const size_t size = last->value.len + strlen(member) + 3;
    char *joined = malloc(size);
    int len;

    must(joined != NULL);
    memcpy(joined, last->value.ptr ? last->value.ptr : "", last->value.len);
    len = snprintf(joined + last->value.len, size - last->value.len, ", %s", member);
    alone.fields[0] = (struct http_field){ last->name, str_of(member) };
    expected = client_address_find(rule, peer, &alone);
    must(!expected.hidden && expected.via_proxy);
    last->value = (struct str){ joined, last->value.len + (size_t)len };
    got = client_address_find(rule, peer, head);
    must(same(&expected, &got));
    free(joined);
}

static void check_header(const struct client_rule *rule, const struct peer *peer, const struct http_head *all,
                         enum client_header header)
{
    const struct client_rule named = { rule->trusted, header };
    const struct str name = names[header - CLIENT_HEADER_X_FORWARDED_FOR];
    struct http_head head = *all;
    struct client_address c = client_address_find(&named, peer, &head);

    check_text(&c);
    must(c.via_proxy || memcmp(&c.address, &peer->address, sizeof(c.address)) == 0);
    if (header == CLIENT_HEADER_X_REAL_IP)
        return;
    head.fields[head.field_count - 1].name = name;
    check_one_more(&named, peer, &head,
                   header == CLIENT_HEADER_FORWARDED ? "for=\"[2001:db8::9]:1\";host=\"a,b\"" : "[2001:db8::9]:1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cidr_list trusted = {
        2, { { .base = { { [10] = 0xff, 0xff, 10 } }, .bits = 104 }, { .base = { { 0xfd } }, .bits = 8 } }
    };
    const struct client_rule any = { .trusted = &trusted };
    const struct peer peer = { .address = { { [10] = 0xff, 0xff, 10, 0, 0, 1 } }, .trusted = true };
    char *bytes = malloc(size + 1);
    struct http_head head;
    struct client_address one, two;

    must(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    bytes[size] = '\0';
    head = read_lines((struct str){ bytes, size });
    one = client_address_find(&any, &peer, &head);
    two = client_address_find(&any, &peer, &head);
    must(same(&one, &two));
    check_text(&one);
    for (int h = CLIENT_HEADER_X_FORWARDED_FOR; h <= CLIENT_HEADER_X_REAL_IP; h++)
        check_header(&any, &peer, &head, (enum client_header)h);
    free(bytes);
    return 0;
}
