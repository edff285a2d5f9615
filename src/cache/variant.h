/* SPDX-License-Identifier: MIT */
/* A response as the cache keeps it: one blob an encoding, head and body. */
#pragma once

#include "cache/entry.h"

/* Makes the plain blob of a handler's response (200, BODY_BYTES), with its own
 * fields, ETag and caching rules. NULL without memory. */
struct blob *variant_plain(const struct response *res, const uint64_t content[2], char etag[static CACHE_ETAG_SIZE]);

/* The same response with another body: `plain` is its plain blob. */
struct blob *variant_encoded(const struct blob *plain, enum cache_encoding encoding, struct str body,
                             const char *plain_etag, char etag[static CACHE_ETAG_SIZE]);

/* Hash of type, fields and body (BLAKE2b, 128 bits): equal responses, equal
 * ETags, on every node. The fields count: a Link may change where rows do not. */
void variant_hash(const struct response *res, uint64_t ret_content[2]);

/* Fields of a 304 for this copy. */
struct response variant_not_modified(const char *etag);
