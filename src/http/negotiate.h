/* SPDX-License-Identifier: MIT */
/* Content negotiation (RFC 9110 §12): what a client is willing to take. Pure. */
#pragma once

#include "base/str.h"

enum coding {
    CODING_GZIP        = 1 << 0,
    CODING_BR          = 1 << 1,
    CODING_NO_IDENTITY = 1 << 2,   /* "identity;q=0": the plain form is refused */
};

/* The codings that Accept-Encoding accepts (enum coding), those with q=0 left
 * out. An empty field accepts the plain form only. */
unsigned accept_encoding(struct str value);

/* How much Accept wants a media type: 0 (not at all) to 1000. The most specific
 * range decides (the type itself, then its family, then any); parameters but q
 * are not looked at. An empty field wants everything. */
int accepts(struct str accept, struct str type);
