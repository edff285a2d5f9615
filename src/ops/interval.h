/* SPDX-License-Identifier: MIT */
/* What happened on a node between two snapshots: the differences of what only grows.
 *
 * A histogram's difference is the histogram of the time between, so its quantiles are
 * those of the last seconds, and not of all the time since the start. What fell all
 * the same (the two snapshots are of different servers) counts as nothing.
 */
#pragma once

#include "ops/snapshot.h"

enum { STATUS_CLASSES = 6 };   /* [2]: 200 to 299, ...; [0]: what is no status */

struct worker_interval {
    const struct worker_view *view;         /* as it is at the end                          */
    uint64_t                  requests;
    double                    cpu;          /* share of one processor: 1.0 is all of it     */
};

struct interval {
    double               seconds;                            /* never 0                     */
    uint64_t             counters[METRIC_COUNTER_COUNT];
    struct histogram_sum histograms[METRIC_HISTOGRAM_COUNT];
    struct histogram_sum http;                               /* all requests                */
    uint64_t             statuses[STATUS_CLASSES];
    struct traffic      *routes, *statements;                /* all of `to`, idle ones too  */
    size_t               route_count, statement_count;
    struct worker_interval *workers;
    size_t               worker_count;
    double               cpu;                                /* all processes; as above     */
};

/* From `from`, or, when that is NULL, from the start of the server. Lives in the arena,
 * and as long as `to`; NULL when the arena is full. */
struct interval *interval_between(const struct snapshot *from, const struct snapshot *to, struct arena *arena);

/* `part` of `whole`, 0 to 1; 0 when there is no whole. */
double interval_share(uint64_t part, uint64_t whole);

/* How many a second. */
double interval_rate(const struct interval *i, uint64_t count);

/* The mean of a histogram, in seconds; 0 when it is empty. */
double histogram_mean(const struct histogram_sum *sum);
