/* SPDX-License-Identifier: MIT */
#include "redis/reply.h"

#include <string.h>

/* The type of an array's length changed with hiredis 1.0. */
#if HIREDIS_MAJOR >= 1
#define ARRAY_LENGTH size_t
#else
#define ARRAY_LENGTH int
#endif

/* The place of the element that is being parsed. Below an array that is thrown
 * away everything goes to one place. */
static struct redis_value *place_of(const redisReadTask *task)
{
    struct reply *r = task->privdata;
    struct redis_value *parent = task->parent ? task->parent->obj : NULL;

    if (!parent)
        return &r->root;
    if (parent == &r->spill)
        return parent;
    return (struct redis_value *)(uintptr_t)&parent->items[task->idx];
}

/* hiredis takes NULL for the end of its memory: it never gets that. */
static void *spill(struct reply *r)
{
    r->too_large = true;
    r->spill = (struct redis_value){ .kind = REDIS_NIL };
    return &r->spill;
}

static void *on_string(const redisReadTask *task, char *bytes, size_t length)
{
    struct reply *r = task->privdata;
    struct redis_value *v = place_of(task);
    char *copy = r->too_large ? NULL : arena_alloc(&r->arena, length + 1);

    if (!copy)
        return spill(r);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    *v = (struct redis_value){ .kind = task->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT,
                               .s = { copy, length } };
    return v;
}

static void *on_array(const redisReadTask *task, ARRAY_LENGTH length)
{
    struct reply *r = task->privdata;
    struct redis_value *v = place_of(task), *items = NULL;
    const size_t count = (size_t)length;

    if (!r->too_large && count <= REDIS_ITEMS_MAX)
        items = arena_array(&r->arena, struct redis_value, count);
    if (!items)
        return spill(r);
    *v = (struct redis_value){ .kind = REDIS_ARRAY, .count = count, .items = items };
    return v;
}

static void *on_integer(const redisReadTask *task, long long number)
{
    struct redis_value *v = place_of(task);

    *v = (struct redis_value){ .kind = REDIS_INT, .i = number };
    return v;
}

static void *on_nil(const redisReadTask *task)
{
    struct redis_value *v = place_of(task);

    *v = (struct redis_value){ .kind = REDIS_NIL };
    return v;
}

static void on_free(void *object) { (void)object; }

void reply_init(struct reply *r)
{
    *r = (struct reply){ .too_large = false };
    arena_init(&r->arena, REDIS_VALUE_BYTES);
}

void reply_done(struct reply *r) { arena_done(&r->arena); }

void reply_attach(struct reply *r, redisReader *reader)
{
    static redisReplyObjectFunctions functions = {
        .createString = on_string,
        .createArray = on_array,
        .createInteger = on_integer,
        .createNil = on_nil,
        .freeObject = on_free,
    };

    reader->fn = &functions;
    reader->privdata = r;
}

void reply_clear(struct reply *r)
{
    arena_reset(&r->arena);
    r->root = (struct redis_value){ .kind = REDIS_NIL };
    r->too_large = false;
}
