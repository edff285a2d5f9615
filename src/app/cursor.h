/* SPDX-License-Identifier: MIT */
/* Cursors: where a list goes on, as a text that the client hands back.
 *
 *   base64url( position, 20 bytes | keyed BLAKE2b of list and position, 16 bytes )
 *
 * Opaque and signed: a client can neither make one nor use one on another list
 * than it came from. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* A place in a list that is ordered by (at descending, id, category). */
struct cursor {
    int64_t  at;         /* generated_at of the last row seen     */
    uint32_t category;   /* its category's index                  */
    int64_t  id;
};

enum { CURSOR_LEN = 48, CURSOR_KEY_BYTES = 32 };

/* Writes CURSOR_LEN characters of [A-Za-z0-9_-], no NUL. `list` tells lists
 * (route and filter) apart. */
void cursor_write(const struct cursor *c, uint32_t list, const uint8_t key[static CURSOR_KEY_BYTES],
                  char out[static CURSOR_LEN]);

/* E_INVALID for a text that cursor_write() did not make with this list and key. */
MUSTCHECK enum err cursor_read(struct str text, uint32_t list, const uint8_t key[static CURSOR_KEY_BYTES],
                               struct cursor *ret_cursor);
