/* SPDX-License-Identifier: MIT */
/* What /metrics says, read once from shared memory and from the kernel, before
 * it is written in any format. Whichever worker reads it, it is the whole
 * node's. */
#pragma once

#include "base/arena.h"
#include "base/metrics.h"
#include "ops/process_info.h"
#include "ops/slots.h"

/* Where to read. */
struct node_source {
    const struct metrics_page *pages;       /* one a worker                   */
    size_t                     page_count;
    const struct worker_slots *slots;
};

/* A series with the sum over all workers. */
struct series_row {
    enum series_kind     kind;
    unsigned             a, b, c;
    struct histogram_sum sum;
};

struct worker_view {
    int                 index, pid;
    enum worker_state   state;
    uint64_t            restarts;
    wall_ms             started;
    int64_t             silence_ms;         /* since the last heartbeat; -1: none yet */
    bool                known;              /* `info` could be read                   */
    struct process_info info;
};

struct snapshot {
    uint64_t             counters[METRIC_COUNTER_COUNT];
    int64_t              gauges[METRIC_GAUGE_COUNT];       /* none of the pool's is negative        */
    struct histogram_sum histograms[METRIC_HISTOGRAM_COUNT];
    struct series_row   *series;                           /* sorted by kind, a, b, c               */
    size_t               series_count;
    struct worker_view  *workers;
    size_t               worker_count;
    wall_ms              taken, started;                   /* started: the master                   */
    struct process_info  processes;                        /* all of them together; cpu: also the dead */
};

/* Everything lives in the arena. NULL when that is full. */
struct snapshot *snapshot_take(const struct node_source *node, struct arena *arena);

/* The value below which the share q of the observations lies, in seconds,
 * estimated as Prometheus does (evenly spread within a bucket; at most the
 * largest bound). 0 when there are none. */
double histogram_quantile(const struct histogram_sum *sum, double q);

/* Adds `from` to `to`. */
void histogram_merge(struct histogram_sum *to, const struct histogram_sum *from);
