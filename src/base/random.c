/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 uint128;

static void start_sodium(void)
{
    if (sodium_init() < 0)
        abort();
}

void random_secret(void *out, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start_sodium);
    if (n > 0)
        randombytes_buf(out, n);
}

/* splitmix64 (Steele, Lea, Flood 2014): spreads any seed, even 0, over the
 * state, as xoshiro's authors advise. */
static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void random_seed(struct random *r, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, unsigned bits) { return x << bits | x >> (64 - bits); }

uint64_t random_next(struct random *r)
{
    uint64_t *s = r->s;
    const uint64_t result = rotate(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(struct random *r, uint64_t below)
{
    uint128 product;
    uint64_t threshold;

    assert(below > 0);
    product = (uint128)random_next(r) * below;
    if ((uint64_t)product >= below)
        return (uint64_t)(product >> 64);
    threshold = (0 - below) % below;
    while ((uint64_t)product < threshold)
        product = (uint128)random_next(r) * below;
    return (uint64_t)(product >> 64);
}

/* How many forks lie between this process and the first, plus 1: a thread whose
 * state is of another generation must seed it. */
static _Atomic unsigned generation;

static void on_fork(void) { atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed); }

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, on_fork) != 0)
        abort();
    on_fork();
}

uint64_t random_fast(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local struct random state;
    static _Thread_local unsigned seeded_in;
    uint64_t seed;

    pthread_once(&once, watch_forks);
    if (seeded_in != atomic_load_explicit(&generation, memory_order_relaxed)) {
        random_secret(&seed, sizeof(seed));
        random_seed(&state, seed);
        seeded_in = atomic_load_explicit(&generation, memory_order_relaxed);
    }
    return random_next(&state);
}
