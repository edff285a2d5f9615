/* SPDX-License-Identifier: MIT */
/* Counts of times in buckets that grow with the time, after HdrHistogram.
 *
 * Nanoseconds below 256 have a bucket each; above, every power of two is cut
 * into 128 equal ones. So a time is told at most 1/128 (0.8 %) too long, never
 * too short, from a nanosecond to eighteen minutes; longer ones count as that.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

enum { LATENCIES_FINE_BITS = 7, LATENCIES_MOST_BITS = 40 };
enum { LATENCIES_BUCKETS = (LATENCIES_MOST_BITS - LATENCIES_FINE_BITS + 1) << LATENCIES_FINE_BITS };

struct latencies {
    uint64_t counts[LATENCIES_BUCKETS];
    uint64_t count;
    double   sum_ns;
    mono_ns  longest;       /* exact */
};

void latencies_add(struct latencies *l, mono_ns time);
void latencies_merge(struct latencies *into, const struct latencies *from);

/* The time that `share` (0..1) of all are not longer than; 0 when there are none. */
mono_ns latencies_at(const struct latencies *l, double share);

/* In milliseconds. */
double latencies_mean_ms(const struct latencies *l);
