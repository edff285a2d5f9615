/* SPDX-License-Identifier: MIT */
#include "ops/interval.h"

static const double shortest_s = 0.001;

/* ---- subtraction --------------------------------------------------------------------- */

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

static void subtract_histogram(struct histogram_sum *from, const struct histogram_sum *what)
{
    from->count = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        from->buckets[i] = less(from->buckets[i], what->buckets[i]);
        from->count += from->buckets[i];
    }
    from->sum_ns = less(from->sum_ns, what->sum_ns);
}

static void subtract_traffic(struct traffic *from, const struct traffic *what)
{
    from->errors = less(from->errors, what->errors);
    subtract_histogram(&from->time, &what->time);
}

static int order(const struct traffic *x, const struct traffic *y)
{
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b == y->b ? 0 : x->b < y->b ? -1 : 1;
}

/* Both lists are in order, and whoever was in the earlier one is in the later. */
static void subtract_list(struct traffic *from, size_t from_count, const struct traffic *what, size_t what_count)
{
    size_t w = 0;

    for (size_t f = 0; f < from_count; f++) {
        while (w < what_count && order(&what[w], &from[f]) < 0)
            w++;
        if (w < what_count && order(&what[w], &from[f]) == 0)
            subtract_traffic(&from[f], &what[w]);
    }
}

static void subtract(struct interval *i, const struct interval *before)
{
    for (size_t n = 0; n < METRIC_COUNTER_COUNT; n++)
        i->counters[n] = less(i->counters[n], before->counters[n]);
    for (size_t n = 0; n < METRIC_HISTOGRAM_COUNT; n++)
        subtract_histogram(&i->histograms[n], &before->histograms[n]);
    for (size_t n = 0; n < STATUS_CLASSES; n++)
        i->statuses[n] = less(i->statuses[n], before->statuses[n]);
    subtract_histogram(&i->http, &before->http);
    subtract_list(i->routes, i->route_count, before->routes, before->route_count);
    subtract_list(i->statements, i->statement_count, before->statements, before->statement_count);
}

/* ---- since the start --------------------------------------------------------------------- */

static void total_requests(struct interval *i, const struct snapshot *s)
{
    for (size_t n = 0; n < s->series_count; n++) {
        const struct series_row *row = &s->series[n];
        const unsigned class = row->c / 100;

        if (row->kind != SERIES_HTTP)
            continue;
        i->statuses[class < STATUS_CLASSES ? class : 0] += row->sum.count;
        histogram_merge(&i->http, &row->sum);
    }
}

static void total_traffic(struct interval *i, const struct snapshot *s)
{
    for (size_t at = 0; at < s->series_count;) {
        const enum series_kind kind = s->series[at].kind;
        struct traffic line;

        at = snapshot_run(s, at, &line);
        if (kind == SERIES_HTTP)
            i->routes[i->route_count++] = line;
        else if (kind == SERIES_STATEMENT)
            i->statements[i->statement_count++] = line;
    }
}

/* All that a snapshot holds, as an interval; workers apart. */
static struct interval *total(const struct snapshot *s, struct arena *arena)
{
    struct interval *i = arena_new(arena, struct interval);

    if (!i)
        return NULL;
    i->routes = arena_array(arena, struct traffic, s->series_count);
    i->statements = arena_array(arena, struct traffic, s->series_count);
    if (!i->routes || !i->statements)
        return NULL;
    for (size_t n = 0; n < METRIC_COUNTER_COUNT; n++)
        i->counters[n] = s->counters[n];
    for (size_t n = 0; n < METRIC_HISTOGRAM_COUNT; n++)
        i->histograms[n] = s->histograms[n];
    total_requests(i, s);
    total_traffic(i, s);
    return i;
}

/* ---- workers ------------------------------------------------------------------------------- */

/* The same row before; NULL when there was none. */
static const struct worker_view *earlier(const struct snapshot *from, const struct worker_view *now)
{
    for (size_t n = 0; from && n < from->worker_count; n++) {
        if (from->workers[n].row == now->row)
            return &from->workers[n];
    }
    return NULL;
}

/* Of a worker that was started meanwhile, all that it used is of this interval. */
static struct worker_interval compare(const struct worker_view *before, const struct worker_view *now, double seconds)
{
    const bool same = before && before->known && before->pid == now->pid;
    const double cpu = now->known ? now->info.cpu_seconds - (same ? before->info.cpu_seconds : 0) : 0;

    return (struct worker_interval){
        .view = now,
        .requests = less(now->requests, before ? before->requests : 0),
        .cpu = cpu > 0 ? cpu / seconds : 0,
    };
}

/* Rows that were never used are none. */
static bool take_workers(struct interval *i, const struct snapshot *from, const struct snapshot *to,
                         struct arena *arena)
{
    i->workers = arena_array(arena, struct worker_interval, to->worker_count);
    if (!i->workers)
        return false;
    for (size_t n = 0; n < to->worker_count; n++) {
        const struct worker_view *now = &to->workers[n];
        if (now->state != WORKER_NONE)
            i->workers[i->worker_count++] = compare(earlier(from, now), now, i->seconds);
    }
    return true;
}

/* ---- the interval ---------------------------------------------------------------------------- */

static double length(const struct snapshot *from, const struct snapshot *to)
{
    const double seconds = from              ? (double)(to->at - from->at) / NS_PER_S
                           : to->started > 0 ? (double)(to->taken - to->started) / MS_PER_S
                                             : 0;

    return seconds > shortest_s ? seconds : shortest_s;
}

struct interval *interval_between(const struct snapshot *from, const struct snapshot *to, struct arena *arena)
{
    struct interval *i = total(to, arena), *before = from ? total(from, arena) : NULL;

    if (!i || (from && !before))
        return NULL;
    i->seconds = length(from, to);
    const double cpu = to->processes.cpu_seconds - (from ? from->processes.cpu_seconds : 0);
    i->cpu = cpu > 0 ? cpu / i->seconds : 0;
    if (before)
        subtract(i, before);
    return take_workers(i, from, to, arena) ? i : NULL;
}

double interval_share(uint64_t part, uint64_t whole) { return whole > 0 ? (double)part / (double)whole : 0; }
double interval_rate(const struct interval *i, uint64_t count) { return (double)count / i->seconds; }

double histogram_mean(const struct histogram_sum *sum)
{
    return sum->count > 0 ? (double)sum->sum_ns / NS_PER_S / (double)sum->count : 0;
}
