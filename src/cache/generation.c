/* SPDX-License-Identifier: MIT */
#include "cache/generation.h"

static int next_tag(uint32_t tags) { return __builtin_ctz(tags); }

static void bump(struct cache_generations *g, int tag)
{
    atomic_fetch_add_explicit(&g->tag[tag], 1, memory_order_release);
}

/* Who sees the new generation sees that it is untold, too. */
void cache_invalidate(struct cache_generations *g, uint32_t tags)
{
    for (; tags; tags &= tags - 1) {
        atomic_fetch_add_explicit(&g->written[next_tag(tags)], 1, memory_order_release);
        bump(g, next_tag(tags));
    }
}

uint64_t cache_stamp(const struct cache_generations *g, uint32_t tags)
{
    uint64_t sum = 0;

    for (; tags; tags &= tags - 1)
        sum += atomic_load_explicit(&g->tag[next_tag(tags)], memory_order_acquire);
    return sum;
}

/* First bumped, then noted: a worker that dies in between costs a second bump. */
void cache_hear(struct cache_generations *g, uint32_t tags, uint64_t message)
{
    for (; tags; tags &= tags - 1) {
        const int tag = next_tag(tags);
        if (atomic_load_explicit(&g->heard[tag], memory_order_acquire) == message)
            continue;
        bump(g, tag);
        atomic_store_explicit(&g->heard[tag], message, memory_order_release);
    }
}

void cache_doubt(struct cache_generations *g)
{
    for (int i = 0; i < CACHE_TAGS; i++)
        bump(g, i);
}

uint32_t cache_untold(const struct cache_generations *g, uint32_t tags)
{
    uint32_t untold = 0;

    for (; tags; tags &= tags - 1) {
        const int tag = next_tag(tags);
        const uint64_t told = atomic_load_explicit(&g->told[tag], memory_order_acquire);
        if (told < atomic_load_explicit(&g->written[tag], memory_order_acquire))
            untold |= UINT32_C(1) << tag;
    }
    return untold;
}

void cache_telling(struct cache_generations *g, uint32_t tags, uint64_t message, struct cache_writes *ret_writes)
{
    for (; tags; tags &= tags - 1) {
        const int tag = next_tag(tags);
        ret_writes->count[tag] = atomic_load_explicit(&g->written[tag], memory_order_acquire);
        atomic_store_explicit(&g->heard[tag], message, memory_order_release);
    }
}

void cache_told(struct cache_generations *g, uint32_t tags, const struct cache_writes *writes)
{
    for (; tags; tags &= tags - 1) {
        const int tag = next_tag(tags);
        uint64_t told = atomic_load_explicit(&g->told[tag], memory_order_relaxed);
        while (told < writes->count[tag] &&
               !atomic_compare_exchange_weak_explicit(&g->told[tag], &told, writes->count[tag], memory_order_release,
                                                      memory_order_relaxed))
            continue;
    }
}
