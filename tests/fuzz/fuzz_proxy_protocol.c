/* SPDX-License-Identifier: MIT */
/* The PROXY header at the start of a connection. What must hold: the verdict
 * does not depend on how the bytes were cut, nor on what follows the header;
 * a whole header is within its bounds and the bytes given; a version 1 header
 * that names a client says so in its text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct verdict {
    enum http_parse parse;
    size_t len;
    enum proxy_source source;
    struct address address;
};

/* From memory of just that size. */
static struct verdict judge(const uint8_t *data, size_t size)
{
    struct verdict v = { .source = PROXY_SELF };
    char *bytes = malloc(size > 0 ? size : 1);

    must(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    v.parse = proxy_protocol_read(bytes, size, &v.len, &v.source, &v.address);
    free(bytes);
    return v;
}

static void must_be_same(const struct verdict *a, const struct verdict *b)
{
    must(a->parse == b->parse && a->len == b->len && a->source == b->source);
    must(a->source != PROXY_CLIENT || memcmp(&a->address, &b->address, sizeof(a->address)) == 0);
}

/* Once decided, more bytes do not change it; undecided is everything before. */
static void check_cuts(const uint8_t *data, size_t size, const struct verdict *whole)
{
    const size_t most = size < 300 ? size : 300;

    for (size_t part = 0; part < most; part++) {
        const struct verdict v = judge(data, part);
        must(whole->parse != HTTP_PARSE_MORE || v.parse == HTTP_PARSE_MORE);
        must(v.parse != HTTP_PARSE_DONE || (whole->parse == HTTP_PARSE_DONE && part >= whole->len));
        must(v.parse != HTTP_PARSE_BAD || whole->parse == HTTP_PARSE_BAD);
    }
}

static void check_done(const uint8_t *data, size_t size, const struct verdict *v)
{
    const bool text = data[0] == 'P';
    const struct verdict alone = judge(data, v->len);

    must(v->len <= size && v->len <= (size_t)(text ? PROXY_V1_MAX : PROXY_V2_MAX));
    must_be_same(v, &alone);
    must(judge(data, v->len - 1).parse == HTTP_PARSE_MORE);
    must(!text || (v->source != PROXY_SELF && data[v->len - 2] == '\r' && data[v->len - 1] == '\n'));
    must(!text || (v->source == PROXY_CLIENT) == (memcmp(data + 6, "TCP", 3) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct verdict v = judge(data, size);

    must(v.parse != HTTP_PARSE_MORE || size < PROXY_V2_MAX);
    check_cuts(data, size, &v);
    if (v.parse == HTTP_PARSE_DONE)
        check_done(data, size, &v);
    return 0;
}
