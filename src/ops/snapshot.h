/* SPDX-License-Identifier: MIT */
/* What /metrics, `sanad status` and `sanad top` say, read once from shared memory
 * and from the kernel, before it is written in any format. Whichever process reads
 * it, it is the whole node's. The memory may be another program's, so that no
 * number in it is trusted to lie within a table. */
#pragma once

#include "base/arena.h"
#include "base/metrics.h"
#include "ops/disk_room.h"
#include "ops/process_info.h"
#include "ops/slots.h"

/* Where to read. */
struct node_source {
    const struct metrics_page *pages;       /* one a row                      */
    size_t                     page_count;
    const struct worker_slots *slots;
    const struct kept_file    *files;       /* whose room on the disk is told; may be none */
    size_t                     file_count;  /* at most KEPT_FILES_MAX                      */
};

/* A series with the sum over all workers. */
struct series_row {
    enum series_kind     kind;
    unsigned             a, b, c;
    struct histogram_sum sum;
};

struct worker_view {
    int                 index, pid;         /* index: the position                    */
    bool                superseded;         /* another one serves in its place        */
    uint32_t            epoch;              /* of its settings                        */
    enum worker_state   state;
    uint64_t            restarts;
    wall_ms             started;
    int64_t             silence_ms;         /* since the last heartbeat; -1: none yet */
    int                 row;                /* of the slots, and of the pages         */
    uint64_t            requests;           /* answered, with its predecessors'       */
    int64_t             connections;
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
    unsigned             workers_in[WORKER_STATE_COUNT];   /* how many rows are in each state       */
    unsigned             workers_wanted;
    uint32_t             epoch;                            /* of the settings: 1 + reloads          */
    uint64_t             ends[WORKER_END_COUNT];           /* workers that ended, by why            */
    struct disk_room     rooms[KEPT_FILES_MAX];
    size_t               room_count;
    mono_ns              at;                               /* when it was taken, for differences    */
    wall_ms              taken, started;                   /* started: the master                   */
    int                  master;                           /* process id; 0: there is none          */
    struct process_info  processes;                        /* all of them together; cpu: also the dead */
};

/* Everything lives in the arena. NULL when that is full. */
struct snapshot *snapshot_take(const struct node_source *node, struct arena *arena);

/* One line of a list: what was asked of a route with a method (a, b), or of a statement
 * (a), over all outcomes. */
struct traffic {
    unsigned             a, b;
    uint64_t             errors;            /* answers of 500 and more; statements that failed */
    struct histogram_sum time;
};

/* The end of the run of series that starts at `from` and makes up one line. */
size_t snapshot_run(const struct snapshot *s, size_t from, struct traffic *ret_sum);

/* The value below which the share q of the observations lies, in seconds,
 * estimated as Prometheus does (evenly spread within a bucket; at most the
 * largest bound). 0 when there are none. */
double histogram_quantile(const struct histogram_sum *sum, double q);

/* Adds `from` to `to`. */
void histogram_merge(struct histogram_sum *to, const struct histogram_sum *from);
