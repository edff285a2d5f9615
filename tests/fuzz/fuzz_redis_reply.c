/* SPDX-License-Identifier: MIT */
/* Any bytes as what Redis says, in two pieces: each answer is within its bounds,
 * whole, and can be copied; and any bytes as a URL of Redis. */
#include <stdint.h>
#include <stdlib.h>

#include "redis/conf.h"
#include "redis/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const struct redis_value *v)
{
    require(v->s.len <= REDIS_VALUE_BYTES && v->s.ptr[v->s.len] == '\0');
}

static void check_value(const struct redis_value *v, int depth)
{
    require(depth <= REDIS_DEPTH_MAX + 1);
    if (v->kind == REDIS_TEXT || v->kind == REDIS_ERROR)
        check_text(v);
    if (v->kind == REDIS_ARRAY)
        require(v->count <= REDIS_ITEMS_MAX);
    for (size_t i = 0; v->kind == REDIS_ARRAY && i < v->count; i++)
        check_value(redis_item(v, i), depth + 1);
}

static void check_reply(const struct reply *r)
{
    struct redis_value copy;
    struct arena arena;

    if (r->too_large)
        return;
    check_value(&r->root, 0);
    arena_init(&arena, 2 * REDIS_VALUE_BYTES);
    if (redis_value_copy(&r->root, &arena, &copy) == OK)
        check_value(&copy, 0);
    arena_done(&arena);
}

static void read_replies(redisReader *reader, struct reply *r, const char *bytes, size_t length)
{
    void *whole = NULL;

    if (redisReaderFeed(reader, bytes, length) != REDIS_OK)
        return;
    while (redisReaderGetReply(reader, &whole) == REDIS_OK && whole) {
        check_reply(r);
        reply_clear(r);
    }
}

static void read_url(struct str url)
{
    struct redis_conf conf;
    struct arena arena;
    const char *why = NULL;
    enum err e;

    arena_init(&arena, 65536);
    e = redis_conf_read(url, &arena, &conf, &why);
    require(e == OK || (e == E_INVALID && why));
    require(e != OK || (conf.path != NULL) != (conf.host != NULL));
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    const size_t first = size > 0 ? data[0] % size : 0;
    redisReader *reader = redisReaderCreate();
    struct reply r;

    require(reader);
    reply_init(&r);
    reply_attach(&r, reader);
    read_replies(reader, &r, bytes, first);
    read_replies(reader, &r, bytes + first, size - first);
    redisReaderFree(reader);
    reply_done(&r);
    read_url((struct str){ bytes, size });
    return 0;
}
