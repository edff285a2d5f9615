/* SPDX-License-Identifier: MIT */
/* Chunks start at 4 KiB and double up to 64 KiB, so that a small request costs
 * one malloc in the life of its connection (arena_reset keeps that chunk) and a
 * large one few. A request larger than the next chunk gets a chunk of its own,
 * behind the head, whose room is not lost by it.
 *
 * Each allocation takes its size rounded up to ALIGN; under AddressSanitizer
 * also a red zone, and only the bytes asked for are unpoisoned.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifndef HAVE_ASAN
#define HAVE_ASAN 0
#endif

#if HAVE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, size)   ((void)(ptr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#endif

enum {
    ALIGN = 16,
    RED_ZONE = HAVE_ASAN ? ALIGN : 0,
    CHUNK_MIN = 4096,
    CHUNK_MAX = 65536,
};

struct arena_chunk {
    struct arena_chunk *next;
    size_t total; /* bytes of the chunk with this header */
    size_t used;  /* of data                             */
    _Alignas(ALIGN) char data[];
};

static size_t chunk_room(const struct arena_chunk *c) { return c->total - sizeof(*c) - c->used; }

/* What an allocation of `size` takes of a chunk; 0 when no chunk can hold it. */
static size_t footprint(size_t size)
{
    if (size > SIZE_MAX / 2)
        return 0;
    return ((size ? size : 1) + ALIGN - 1) / ALIGN * ALIGN + RED_ZONE;
}

static void *refuse(struct arena *a)
{
    a->full = true;
    return NULL;
}

/* The size of a new chunk with room for `need`: as large as the rule above
 * says, smaller near the arena's maximum; 0 when that forbids it. */
static size_t chunk_size(const struct arena *a, size_t need)
{
    const size_t least = need + sizeof(struct arena_chunk);
    const size_t left = a->max - a->held;
    size_t size = a->head ? a->head->total * 2 : CHUNK_MIN;

    if (least > left)
        return 0;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    if (size < CHUNK_MIN)
        size = CHUNK_MIN;
    if (size < least)
        size = least;
    return size < left ? size : left;
}

/* A chunk with room for `need`, linked in; NULL when refused. */
static struct arena_chunk *chunk_add(struct arena *a, size_t need)
{
    const size_t size = chunk_size(a, need);
    struct arena_chunk *c = size ? malloc(size) : NULL;

    if (!c)
        return refuse(a);
    *c = (struct arena_chunk){ .total = size };
    ASAN_POISON_MEMORY_REGION(c->data, size - sizeof(*c));
    a->held += size;
    if (a->head && size > CHUNK_MAX) {
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    return c;
}

static void chunk_free(struct arena *a, struct arena_chunk *c)
{
    a->held -= c->total;
    ASAN_UNPOISON_MEMORY_REGION(c->data, c->total - sizeof(*c));
    free(c);
}

void arena_init(struct arena *a, size_t max_bytes) { *a = (struct arena){ .max = max_bytes }; }

/* Frees all chunks but `kept` (may be NULL), which becomes the only one. */
static void keep_only(struct arena *a, struct arena_chunk *kept)
{
    struct arena_chunk *c = a->head;

    while (c) {
        struct arena_chunk *next = c->next;
        if (c != kept)
            chunk_free(a, c);
        c = next;
    }
    a->head = kept;
    if (kept)
        kept->next = NULL;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *kept = a->head;

    a->full = false;
    while (kept && kept->total != CHUNK_MIN)
        kept = kept->next;
    if (kept != a->head || (kept && kept->next))
        keep_only(a, kept);
    if (!kept)
        return;
    kept->used = 0;
    ASAN_POISON_MEMORY_REGION(kept->data, kept->total - sizeof(*kept));
}

void arena_done(struct arena *a)
{
    keep_only(a, NULL);
    arena_init(a, a->max);
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t need = footprint(size);
    struct arena_chunk *c = a->head;
    char *p;

    if (need == 0)
        return refuse(a);
    if (!c || chunk_room(c) < need)
        c = chunk_add(a, need);
    if (!c)
        return NULL;
    p = c->data + c->used;
    c->used += need;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);

    if (p && size > 0)
        memset(p, 0, size);
    return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return refuse(a);
    return arena_zalloc(a, bytes);
}

/* Whether the newest allocation of the head chunk was moved to new_size. */
static bool resize_newest(struct arena *a, char *p, size_t old_size, size_t new_size)
{
    const size_t old_need = footprint(old_size), new_need = footprint(new_size);
    struct arena_chunk *c = a->head;

    if (!c || old_need == 0 || new_need == 0 || old_need > c->used || p != c->data + c->used - old_need)
        return false;
    if (new_need > old_need && new_need - old_need > chunk_room(c))
        return false;
    c->used = c->used - old_need + new_need;
    ASAN_POISON_MEMORY_REGION(p, old_need);
    ASAN_UNPOISON_MEMORY_REGION(p, new_size);
    return true;
}

void *arena_grow(struct arena *a, void *ptr, size_t old_size, size_t new_size)
{
    void *p;

    if (!ptr)
        return arena_alloc(a, new_size);
    if (resize_newest(a, ptr, old_size, new_size) || new_size <= old_size)
        return ptr;
    p = arena_alloc(a, new_size);
    if (p && old_size > 0)
        memcpy(p, ptr, old_size);
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : refuse(a);

    if (!p)
        return (struct str){ NULL, 0 };
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return (struct str){ p, s.len };
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *p;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    p = len < 0 ? refuse(a) : arena_alloc(a, (size_t)len + 1);
    if (!p)
        return (struct str){ NULL, 0 };
    va_start(args, format);
    vsnprintf(p, (size_t)len + 1, format, args);
    va_end(args);
    return (struct str){ p, (size_t)len };
}
