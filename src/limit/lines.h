/* SPDX-License-Identifier: MIT */
/* The header lines that tell a client how it stands with its limits.
 *
 *   X-RateLimit-Limit, -Remaining, -Reset   of the window that is nearer to its end;
 *                                           Reset counts seconds from now
 *   RateLimit-Policy: "minute";q=60;w=60, "hour";q=1000;w=3600
 *   RateLimit: "minute";r=12;t=30, "hour";r=950;t=1800
 *
 * (draft-ietf-httpapi-ratelimit-headers: q quota, w window, r remaining, t seconds
 * until more is.) They go with every limited response, so they are put together
 * from pieces that are made once.
 */
#pragma once

#include "base/arena.h"
#include "limit/table.h"

enum { LIMIT_POLICY_SIZE = 160, LIMIT_LINES_SIZE = 384 };

/* What never changes of a rate's lines. */
struct limit_policy {
    struct limit_rate rate;
    size_t            len;
    char              text[LIMIT_POLICY_SIZE];
};

void limit_policy_init(struct limit_policy *p, const struct limit_rate *rate);

/* The lines, each with its CRLF, in the arena; empty without memory. */
struct str limit_lines(const struct limit_policy *policy, const struct limit_verdict *v, struct arena *arena);
