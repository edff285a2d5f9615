/* SPDX-License-Identifier: MIT */
#include "redis/value.h"

static const struct redis_value nil = { .kind = REDIS_NIL };

const struct redis_value *redis_item(const struct redis_value *v, size_t index)
{
    return v->kind == REDIS_ARRAY && index < v->count ? &v->items[index] : &nil;
}

struct str redis_text(const struct redis_value *v) { return v->kind == REDIS_TEXT ? v->s : STR_EMPTY; }

int64_t redis_int(const struct redis_value *v, int64_t otherwise)
{
    int64_t number = otherwise;

    if (v->kind == REDIS_INT)
        return v->i;
    return v->kind == REDIS_TEXT && str_to_int(v->s, INT64_MIN, INT64_MAX, &number) == OK ? number : otherwise;
}

static enum err copy_items(const struct redis_value *v, struct arena *arena, struct redis_value *copy)
{
    struct redis_value *items = arena_array(arena, struct redis_value, v->count);

    if (!items)
        return E_NO_MEMORY;
    copy->items = items;
    for (size_t i = 0; i < v->count; i++) /* as deep as REDIS_DEPTH_MAX at most */
        if (redis_value_copy(&v->items[i], arena, &items[i]) != OK)
            return E_NO_MEMORY;
    return OK;
}

enum err redis_value_copy(const struct redis_value *v, struct arena *arena, struct redis_value *ret_copy)
{
    struct redis_value copy = *v;
    enum err e = OK;

    if (v->kind == REDIS_ARRAY) {
        e = copy_items(v, arena, &copy);
    } else if (v->kind == REDIS_TEXT || v->kind == REDIS_ERROR) {
        copy.s = arena_str(arena, v->s);
        e = copy.s.ptr ? OK : E_NO_MEMORY;
    }
    if (e == OK)
        *ret_copy = copy;
    return e;
}
