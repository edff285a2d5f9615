/* SPDX-License-Identifier: MIT */
#include "ops/snapshot.h"

#include <stdlib.h>
#include <unistd.h>

/* --- histograms -------------------------------------------------------------- */

double histogram_quantile(const struct histogram_sum *sum, double q)
{
    const double rank = q * (double)sum->count;
    double below = 0;

    if (sum->count == 0)
        return 0;
    for (int i = 0; i < METRIC_BUCKETS - 1; i++) {
        const double in_bucket = (double)sum->buckets[i];
        const double lower = i > 0 ? metric_bounds[i - 1] : 0;
        if (in_bucket > 0 && below + in_bucket >= rank)
            return lower + (metric_bounds[i] - lower) * (rank - below) / in_bucket;
        below += in_bucket;
    }
    return metric_bounds[METRIC_BUCKETS - 2];
}

void histogram_merge(struct histogram_sum *to, const struct histogram_sum *from)
{
    for (int i = 0; i < METRIC_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->sum_ns += from->sum_ns;
}

/* --- metrics ------------------------------------------------------------------- */

static int64_t largest_gauge(const struct node_source *node, enum metric_gauge id)
{
    int64_t largest = 0;

    for (size_t i = 0; i < node->page_count; i++) {
        const int64_t value = atomic_load_explicit(&node->pages[i].gauges[id], memory_order_relaxed);
        if (value > largest)
            largest = value;
    }
    return largest;
}

/* Of these the largest counts, not the sum: an age, and what a worker says of the
 * table that all share. */
static const enum metric_gauge not_summed[] = {
    M_POOL_OLDEST_WAIT_MS,
    M_LIMIT_CLIENTS,
    M_LIMIT_CAPACITY,
    M_LIMIT_EVICTIONS,
};

static void take_metrics(const struct node_source *node, struct snapshot *s)
{
    for (int i = 0; i < METRIC_COUNTER_COUNT; i++)
        s->counters[i] = metric_sum_counter(node->pages, node->page_count, (enum metric_counter)i);
    for (int i = 0; i < METRIC_GAUGE_COUNT; i++)
        s->gauges[i] = metric_sum_gauge(node->pages, node->page_count, (enum metric_gauge)i);
    for (int i = 0; i < METRIC_HISTOGRAM_COUNT; i++)
        metric_sum_histogram(node->pages, node->page_count, (enum metric_histogram)i, &s->histograms[i]);
    for (size_t i = 0; i < sizeof(not_summed) / sizeof(not_summed[0]); i++)
        s->gauges[not_summed[i]] = largest_gauge(node, not_summed[i]);
    if (s->gauges[M_POOL_OVERFLOW] < 0)
        s->gauges[M_POOL_OVERFLOW] = 0;
}

/* --- series ---------------------------------------------------------------------- */

struct series_list {
    struct snapshot *snapshot;
    struct arena *arena;
    size_t room;
};

static void keep_series(void *arg, enum series_kind kind, unsigned a, unsigned b, unsigned c,
                        const struct histogram_sum *sum)
{
    struct series_list *list = arg;
    struct snapshot *s = list->snapshot;

    if (s->series_count == list->room) {
        const size_t room = list->room ? list->room * 2 : 64;
        void *grown = arena_grow(list->arena, s->series, list->room * sizeof(*s->series), room * sizeof(*s->series));
        if (!grown)
            return; /* the arena remembers */
        s->series = grown;
        list->room = room;
    }
    s->series[s->series_count++] = (struct series_row){ kind, a, b, c, *sum };
}

static int order(const void *left, const void *right)
{
    const struct series_row *l = left, *r = right;
    const unsigned ls[] = { (unsigned)l->kind, l->a, l->b, l->c }, rs[] = { (unsigned)r->kind, r->a, r->b, r->c };

    for (int i = 0; i < 4; i++) {
        if (ls[i] != rs[i])
            return ls[i] < rs[i] ? -1 : 1;
    }
    return 0;
}

static void take_series(const struct node_source *node, struct snapshot *s, struct arena *arena)
{
    struct series_list list = { .snapshot = s, .arena = arena };

    metric_sum_series(node->pages, node->page_count, keep_series, &list);
    if (s->series_count > 1)
        qsort(s->series, s->series_count, sizeof(*s->series), order);
}

size_t snapshot_run(const struct snapshot *s, size_t from, struct traffic *ret_sum)
{
    const struct series_row *first = &s->series[from];
    const unsigned error_from = first->kind == SERIES_HTTP ? 500 : 1; /* statuses; enum err */
    size_t at = from;

    *ret_sum = (struct traffic){ .a = first->a, .b = first->b };
    for (; at < s->series_count; at++) {
        const struct series_row *row = &s->series[at];
        if (row->kind != first->kind || row->a != first->a || row->b != first->b)
            break;
        histogram_merge(&ret_sum->time, &row->sum);
        ret_sum->errors += row->c >= error_from ? row->sum.count : 0;
    }
    return at;
}

/* --- processes --------------------------------------------------------------------- */

static int64_t add_known(int64_t sum, int64_t value) { return value < 0 ? sum : sum + value; }

static void add_process(struct process_info *sum, const struct process_info *p)
{
    sum->rss_bytes += p->rss_bytes;
    sum->virtual_bytes += p->virtual_bytes;
    sum->cpu_seconds += p->cpu_seconds;
    sum->threads += p->threads;
    sum->open_fds = add_known(sum->open_fds, p->open_fds);
    sum->max_fds = add_known(sum->max_fds, p->max_fds);
}

static void count_requests(void *arg, enum series_kind kind, unsigned a, unsigned b, unsigned c,
                           const struct histogram_sum *sum)
{
    uint64_t *requests = arg;

    (void)a, (void)b, (void)c;
    if (kind == SERIES_HTTP)
        *requests += sum->count;
}

static struct worker_view view_worker(const struct node_source *node, int row)
{
    const struct worker_slot *slot = &node->slots->rows[row];
    struct worker_view v = {
        .index = atomic_load_explicit(&slot->position, memory_order_relaxed),
        .epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed),
        .pid = atomic_load_explicit(&slot->pid, memory_order_relaxed),
        .state = slot_state(slot),
        .restarts = atomic_load_explicit(&slot->restarts, memory_order_relaxed),
        .started = atomic_load_explicit(&slot->started_ms, memory_order_relaxed),
        .silence_ms = slot_silence_ms(slot, clock_mono()),
        .row = (int)(slot - node->slots->rows),
    };

    if ((size_t)row < node->page_count) {
        metric_sum_series(&node->pages[row], 1, count_requests, &v.requests);
        v.connections = metric_sum_gauge(&node->pages[row], 1, M_CONNECTIONS);
    }
    v.known = v.state != WORKER_DEAD && v.state != WORKER_NONE && process_info_read(v.pid, &v.info);
    return v;
}

/* The master's, with what its dead workers used; a process without a master is
 * its own. */
static void add_master(const struct node_source *node, struct snapshot *s)
{
    struct process_info master;

    s->master = atomic_load_explicit(&node->slots->master_pid, memory_order_relaxed);
    if (!process_info_read(s->master ? s->master : getpid(), &master))
        return;
    add_process(&s->processes, &master);
    s->processes.cpu_seconds += master.children_cpu_seconds;
}

static void take_rooms(const struct node_source *node, struct snapshot *s)
{
    for (size_t i = 0; i < node->file_count && i < KEPT_FILES_MAX; i++)
        s->room_count += disk_room_read(&node->files[i], &s->rooms[s->room_count]);
}

static void count_workers(const struct node_source *node, struct snapshot *s)
{
    for (size_t i = 0; i < s->worker_count; i++)
        s->workers_in[s->workers[i].state < WORKER_STATE_COUNT ? s->workers[i].state : WORKER_NONE]++;
    s->workers_wanted = (unsigned)atomic_load_explicit(&node->slots->positions, memory_order_relaxed);
    s->epoch = atomic_load_explicit(&node->slots->epoch, memory_order_relaxed);
    for (int i = 0; i < WORKER_END_COUNT; i++)
        s->ends[i] = atomic_load_explicit(&node->slots->ends[i], memory_order_relaxed);
}

/* By position; the one that serves there before those that it replaces. */
static int order_workers(const void *left, const void *right)
{
    const struct worker_view *l = left, *r = right;

    if (l->index != r->index)
        return l->index < r->index ? -1 : 1;
    if ((l->state == WORKER_DRAINING) != (r->state == WORKER_DRAINING))
        return l->state == WORKER_DRAINING ? 1 : -1;
    return l->started < r->started ? -1 : l->started > r->started;
}

static void sort_workers(struct snapshot *s)
{
    qsort(s->workers, s->worker_count, sizeof(*s->workers), order_workers);
    for (size_t i = 1; i < s->worker_count; i++)
        s->workers[i].superseded = s->workers[i].index == s->workers[i - 1].index;
}

/* Whatever the memory says. */
static int used_rows(const struct worker_slots *slots)
{
    const int count = atomic_load_explicit(&slots->count, memory_order_relaxed);

    return count < 0 ? 0 : count < WORKER_ROWS_MAX ? count : WORKER_ROWS_MAX;
}

static void take_processes(const struct node_source *node, struct snapshot *s, struct arena *arena)
{
    const int count = used_rows(node->slots);

    s->workers = arena_array(arena, struct worker_view, (size_t)count);
    if (!s->workers)
        return;
    for (int i = 0; i < count; i++) {
        struct worker_view *v = &s->workers[s->worker_count];

        *v = view_worker(node, i);
        if (v->known)
            add_process(&s->processes, &v->info);
        s->worker_count += v->state != WORKER_NONE;
    }
    sort_workers(s);
    s->started = atomic_load_explicit(&node->slots->started_ms, memory_order_relaxed);
    count_workers(node, s);
    add_master(node, s);
}

/* The pages of rows that were never used are not touched: they have no memory yet. */
struct snapshot *snapshot_take(const struct node_source *source, struct arena *arena)
{
    const size_t rows = (size_t)used_rows(source->slots);
    struct snapshot *s = arena_new(arena, struct snapshot);
    struct node_source used = *source;
    const struct node_source *node = &used;

    if (!s)
        return NULL;
    used.page_count = source->page_count < rows ? source->page_count : rows;
    s->at = clock_mono();
    s->taken = clock_wall();
    take_metrics(node, s);
    take_series(node, s, arena);
    take_processes(node, s, arena);
    take_rooms(node, s);
    return arena->full ? NULL : s;
}
