/* SPDX-License-Identifier: MIT */
/* A response as it lies in Redis, where others may write, too.
 *
 *   stamp | "SRC" and the version | seal, 16 bytes | type | fields | body
 *
 * The seal is a keyed hash (BLAKE2b) over the key, the stamp and all that follows
 * it, with the secret of the installation: what was cut, changed, written by
 * another installation, or put under another key, is no value. The stamp stands in
 * front, so that the server itself can see whether the rest is worth sending.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/response.h"

enum { SHARED_VALUE_MAX = 512 * 1024, SHARED_SECRET_BYTES = 32 };

/* What a value is bound to. */
struct shared_seal {
    const uint8_t *secret;      /* SHARED_SECRET_BYTES                  */
    struct str     key;         /* of the response, whole               */
    struct str     stamp;       /* generations from before it was made  */
};

/* Appends a handler's response (200, BODY_BYTES); one that does not fit leaves the
 * buffer with its error. */
void shared_value_write(struct buf *out, const struct shared_seal *seal, const struct response *res);

/* The response, whose texts are views of the value, or copies in the arena. False:
 * it is not one of ours, or there is no memory. */
bool shared_value_read(struct str value, const struct shared_seal *seal, struct arena *arena,
                       struct response *ret_res);
