/* SPDX-License-Identifier: MIT */
#include "base/shared.h"

#include <errno.h>
#include <sys/mman.h>

enum { CACHE_LINE = 64 };

int shared_open(struct shared *s, size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED)
        return errno;
    *s = (struct shared){ .base = map, .size = size };
    return 0;
}

/* `used` stays a multiple of the cache line, and the mapping is page-aligned. */
void *shared_take(struct shared *s, size_t size)
{
    void *part;

    if (s->used > s->size || size > s->size - s->used)
        return NULL;
    part = s->base + s->used;
    s->used += (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return part;
}

void shared_close(struct shared *s)
{
    if (s->base)
        munmap(s->base, s->size);
    *s = (struct shared){ 0 };
}
