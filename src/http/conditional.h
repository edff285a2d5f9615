/* SPDX-License-Identifier: MIT */
/* Conditional requests (RFC 9110 §13): comparing entity tags. Pure. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Whether If-None-Match names this entity tag (`"abc"` or `W/"abc"`): a list,
 * compared weakly (W/ does not count), or "*" for any. What is not well formed
 * ends the list: a needless full response is better than a wrong 304. */
bool etag_matches(struct str if_none_match, struct str etag);

/* Strong comparison of two tags, as If-Range asks for: neither may be weak. */
bool etag_same(struct str a, struct str b);
