/* SPDX-License-Identifier: MIT */
/* Arena: memory that is handed out piece by piece and goes all at once.
 *
 *   | chunk: used.......|free.. |  ->  | older chunk |  ->  ...
 *
 * Five lifetimes own one each: process, worker, connection, request, scratch.
 * Nothing in an arena is freed alone. Under AddressSanitizer the unused part of
 * each chunk is poisoned, so that an overrun inside an arena is still caught.
 *
 * An arena has a maximum. An allocation beyond it (or one the system refuses)
 * returns NULL and marks the arena `full`, which stays until reset: code that
 * builds something large may check once, at its end.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head;   /* newest chunk; the only one with room  */
    size_t              held;   /* bytes of all chunks                   */
    size_t              max;    /* `held` never exceeds this             */
    bool                full;   /* an allocation was refused since reset */
};

/* An arena that holds at most max_bytes. Allocates nothing yet. */
void arena_init(struct arena *a, size_t max_bytes);

/* Frees all chunks but one of the default size, which is kept for the next
 * use. All memory from the arena is invalid. Clears `full`. */
void arena_reset(struct arena *a);

/* Frees everything. The arena may be used again (it is as after init). */
void arena_done(struct arena *a);

/* `size` bytes, aligned for any type, uninitialised; zeroed by arena_zalloc.
 * NULL when full. A size of 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);

/* Grows the newest allocation in place where possible, else copies. `ptr` NULL
 * allocates. NULL when full (the old block stays valid). */
void *arena_grow(struct arena *a, void *ptr, size_t old_size, size_t new_size);

/* Zeroed objects of a type; the product is checked for overflow. */
#define arena_new(a, type)          ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_calloc((a), (count), sizeof(type)))
void *arena_calloc(struct arena *a, size_t count, size_t size);

/* Copies; the result is also NUL-terminated (the NUL is not counted).
 * On a full arena: {NULL, 0}. */
struct str arena_str(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF(2, 3);
