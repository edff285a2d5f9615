/* SPDX-License-Identifier: MIT */
/* When to try again after failures: after a pause that doubles up to a bound,
 * a little different each time so that many do not come back at once. Pure: the
 * caller brings the time. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"

struct retry {
    unsigned failures; /* in a row; attempts that fail together count once */
    mono_ns at;        /* no attempt before that                           */
    int64_t most_ms;   /* the longest pause; 0: half a minute              */
};

/* An attempt failed. Whether it is the first in a row. */
bool retry_failed(struct retry *r, mono_ns now);

/* Whether the pause is over; without failures it always is. */
static inline bool retry_due(const struct retry *r, mono_ns now) { return r->failures == 0 || now >= r->at; }

/* `value` more or less a tenth of it. */
double retry_jitter(double value);
