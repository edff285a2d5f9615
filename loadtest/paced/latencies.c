/* SPDX-License-Identifier: MIT */
#include "paced/latencies.h"

#include <math.h>
#include <stddef.h>

static size_t bucket_of(uint64_t time)
{
    if (time >> LATENCIES_MOST_BITS)
        return LATENCIES_BUCKETS - 1;
    if (time >> (LATENCIES_FINE_BITS + 1) == 0)
        return (size_t)time;
    const int shift = 63 - __builtin_clzll(time) - LATENCIES_FINE_BITS;
    return ((size_t)shift << LATENCIES_FINE_BITS) + (size_t)(time >> shift);
}

/* The longest time of a bucket. */
static mono_ns bucket_end(size_t bucket)
{
    if (bucket >> (LATENCIES_FINE_BITS + 1) == 0)
        return (mono_ns)bucket;
    const size_t shift = (bucket >> LATENCIES_FINE_BITS) - 1;
    return (mono_ns)(((uint64_t)(bucket - (shift << LATENCIES_FINE_BITS)) + 1) << shift) - 1;
}

void latencies_add(struct latencies *l, mono_ns time)
{
    if (time < 0)
        time = 0;
    l->counts[bucket_of((uint64_t)time)]++;
    l->count++;
    l->sum_ns += (double)time;
    if (time > l->longest)
        l->longest = time;
}

void latencies_merge(struct latencies *into, const struct latencies *from)
{
    for (size_t i = 0; i < LATENCIES_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->longest > into->longest)
        into->longest = from->longest;
}

mono_ns latencies_at(const struct latencies *l, double share)
{
    const uint64_t wanted = (uint64_t)ceil(share * (double)l->count);
    uint64_t seen = 0;

    for (size_t i = 0; i < LATENCIES_BUCKETS && l->count > 0; i++) {
        seen += l->counts[i];
        if (seen > 0 && seen >= wanted)
            return bucket_end(i) < l->longest ? bucket_end(i) : l->longest;
    }
    return 0;
}

double latencies_mean_ms(const struct latencies *l)
{
    return l->count > 0 ? l->sum_ns / (double)l->count / NS_PER_MS : 0;
}
