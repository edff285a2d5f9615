/* SPDX-License-Identifier: MIT */
#include "cache/generation.h"

void cache_invalidate(struct cache_generations *g, uint32_t tags)
{
    for (int i = 0; i < CACHE_TAGS; i++)
        if (tags & (1u << i))
            atomic_fetch_add_explicit(&g->tag[i], 1, memory_order_release);
}

uint64_t cache_stamp(const struct cache_generations *g, uint32_t tags)
{
    uint64_t sum = 0;

    for (; tags; tags &= tags - 1)
        sum += atomic_load_explicit(&g->tag[__builtin_ctz(tags)], memory_order_acquire);
    return sum;
}
