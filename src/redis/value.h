/* SPDX-License-Identifier: MIT */
/* What Redis answers: a value with bounds on its depth, its length and its size.
 *
 * Nothing in it is trusted. Whoever takes one apart uses the functions below,
 * which answer "nil" or a default for what is not there or of another kind: a
 * key that somebody else wrote is a miss, never a crash.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    REDIS_DEPTH_MAX   = 7,                  /* arrays in arrays; hiredis' own bound        */
    REDIS_ITEMS_MAX   = 1024,               /* of one array                                */
    REDIS_VALUE_BYTES = 4 * 1024 * 1024,    /* of an answer as a whole                     */
};

enum redis_kind { REDIS_NIL, REDIS_INT, REDIS_TEXT, REDIS_ERROR, REDIS_ARRAY };

struct redis_value {
    enum redis_kind kind;
    size_t          count;                  /* of items                                    */
    union {
        int64_t                   i;        /* REDIS_INT                                   */
        struct str                s;        /* REDIS_TEXT, REDIS_ERROR; also NUL-terminated */
        const struct redis_value *items;    /* REDIS_ARRAY                                 */
    };
};

/* One item of an array; nil when there is none. Never NULL. */
const struct redis_value *redis_item(const struct redis_value *v, size_t index);

/* The number, also if it came as a text; `otherwise` for anything else. */
int64_t redis_int(const struct redis_value *v, int64_t otherwise);

/* The text; empty for anything else. */
struct str redis_text(const struct redis_value *v);

/* A copy that lives as long as the arena. E_NO_MEMORY. */
MUSTCHECK enum err redis_value_copy(const struct redis_value *v, struct arena *arena, struct redis_value *ret_copy);
