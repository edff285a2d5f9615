/* SPDX-License-Identifier: MIT */
/* Hashing several texts as one list. */
#pragma once

#include <sodium.h>
#include <stdint.h>

#include "base/str.h"

/* With its length before it, so that no two lists of texts are the same bytes. */
static inline void hash_text(crypto_generichash_state *state, struct str s)
{
    const uint64_t length = s.len;

    crypto_generichash_update(state, (const unsigned char *)&length, sizeof(length));
    crypto_generichash_update(state, (const unsigned char *)s.ptr, s.len);
}
