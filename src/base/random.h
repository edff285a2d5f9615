/* SPDX-License-Identifier: MIT */
/* Random numbers of two kinds: secret ones from the operating system (through
 * libsodium), and fast ones for jitter, sampling and request ids, which nobody
 * must rely on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Unpredictable bytes: codes, tokens, keys. Never fails (aborts if the system
 * has no randomness, as libsodium does). */
void random_secret(void *out, size_t n);

/* xoshiro256** (Blackman, Vigna 2018), repeatable for one seed. */
struct random { uint64_t s[4]; };
void     random_seed(struct random *r, uint64_t seed);
uint64_t random_next(struct random *r);

/* Uniform in [0, below); below > 0. Without modulo bias (Lemire 2019). */
uint64_t random_below(struct random *r, uint64_t below);

/* Fast numbers of this process, seeded from the system; seeded anew in a child
 * after fork. */
uint64_t random_fast(void);
