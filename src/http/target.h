/* SPDX-License-Identifier: MIT */
/* Request targets: path segments and query, percent-decoded exactly once.
 *
 * A path is split at '/' first and decoded after, so that "%2F" is a slash in a
 * name and never a separator. Refused: a dot segment ("." or "..", however
 * encoded), a bad escape, NUL or another control character, bytes that are not
 * UTF-8 after decoding. A query is pairs name=value split at '&'; '+' is a
 * space in it (as HTML forms and every Python client write it).
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

enum { TARGET_SEGMENTS_MAX = 16, TARGET_PAIRS_MAX = 32 };

struct target_pair { struct str name, value; };

struct target {
    struct str         path;            /* raw, before '?'                */
    struct str         query;           /* raw, after '?'; empty if none  */
    size_t             segment_count;   /* "/" has 0, "/a" 1, "/a/" 2     */
    struct str         segments[TARGET_SEGMENTS_MAX];   /* decoded        */
    size_t             pair_count;
    struct target_pair pairs[TARGET_PAIRS_MAX];         /* decoded        */
};

/* Splits and decodes `raw` (origin-form; "*" gives no segments). Texts that need decoding are copied
 * to the arena, the others stay views into raw. E_SYNTAX with a sentence in
 * *ret_reason; E_NO_MEMORY. A query that cannot be decoded does not fail here
 * but sets *ret_bad_query to the sentence (the route may not care): then
 * pair_count is 0; it is NULL for a good one. On failure *ret_target holds
 * whatever was read so far. */
MUSTCHECK enum err target_parse(struct str raw, struct arena *arena, struct target *ret_target,
                                const char **ret_reason, const char **ret_bad_query);

/* Percent-decodes once; `plus` makes '+' a space. E_SYNTAX for a bad escape. */
MUSTCHECK enum err percent_decode(struct str raw, bool plus, struct arena *arena, struct str *ret_text);
