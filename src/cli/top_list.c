/* SPDX-License-Identifier: MIT */
#include "cli/top_list.h"

#include <math.h>
#include <stdlib.h>

#include "cli/limits.h"
#include "db/statement.h"
#include "limit/limiter.h"
#include "ops/exposition.h"

enum { SILENCE_BAD_S = 10 };

static struct figure figure_plain(double n)
{
    struct figure f;

    snprintf(f.text, sizeof(f.text), "%.0f", n);
    return f;
}

/* ---- routes and statements ------------------------------------------------------------- */

static double traffic_rate(const struct list_view *v, const void *item)
{
    return interval_rate(v->interval, ((const struct traffic *)item)->time.count);
}

/* Of no observations there is no quantile. */
static double quantile(const void *item, double q)
{
    const struct traffic *t = item;

    return t->time.count > 0 ? histogram_quantile(&t->time, q) : NAN;
}

static double traffic_p50(const struct list_view *v, const void *item) { return (void)v, quantile(item, 0.50); }
static double traffic_p95(const struct list_view *v, const void *item) { return (void)v, quantile(item, 0.95); }
static double traffic_p99(const struct list_view *v, const void *item) { return (void)v, quantile(item, 0.99); }

static double traffic_mean(const struct list_view *v, const void *item)
{
    const struct traffic *t = item;

    (void)v;
    return t->time.count > 0 ? histogram_mean(&t->time) : NAN;
}

static double traffic_errors(const struct list_view *v, const void *item)
{
    return (void)v, (double)((const struct traffic *)item)->errors;
}

/* How many are under way at once, on average: what a statement costs in all. */
static double traffic_load(const struct list_view *v, const void *item)
{
    return (double)((const struct traffic *)item)->time.sum_ns / NS_PER_S / v->interval->seconds;
}

static void name_route(const struct list_view *v, const void *item, char out[static LIST_NAME_SIZE])
{
    const struct traffic *t = item;

    snprintf(out, LIST_NAME_SIZE, "%s %s", exposition_method(t->b), exposition_route(v->model->router, t->a));
}

static void name_statement(const struct list_view *v, const void *item, char out[static LIST_NAME_SIZE])
{
    (void)v;
    snprintf(out, LIST_NAME_SIZE, "%s", db_statement_name(((const struct traffic *)item)->a));
}

static const char *items_routes(const struct list_view *v, size_t *ret_count)
{
    *ret_count = v->interval->route_count;
    return (const char *)v->interval->routes;
}

static const char *items_statements(const struct list_view *v, size_t *ret_count)
{
    *ret_count = v->interval->statement_count;
    return (const char *)v->interval->statements;
}

/* ---- workers ------------------------------------------------------------------------------ */

static double worker_pid(const struct list_view *v, const void *item)
{
    const struct worker_view *w = ((const struct worker_interval *)item)->view;

    return (void)v, w->pid > 0 ? (double)w->pid : (double)NAN;
}

static double worker_age(const struct list_view *v, const void *item)
{
    const struct worker_view *w = ((const struct worker_interval *)item)->view;
    const wall_ms now = v->model->now->taken;

    return w->known && now > w->started ? (double)(now - w->started) / MS_PER_S : NAN;
}

static double worker_cpu(const struct list_view *v, const void *item)
{
    const struct worker_interval *w = item;

    return (void)v, w->view->known ? w->cpu : NAN;
}

static double worker_memory(const struct list_view *v, const void *item)
{
    const struct worker_view *w = ((const struct worker_interval *)item)->view;

    return (void)v, w->known ? (double)w->info.rss_bytes : NAN;
}

static double worker_rate(const struct list_view *v, const void *item)
{
    return interval_rate(v->interval, ((const struct worker_interval *)item)->requests);
}

static double worker_connections(const struct list_view *v, const void *item)
{
    return (void)v, (double)((const struct worker_interval *)item)->view->connections;
}

static double worker_silence(const struct list_view *v, const void *item)
{
    const struct worker_view *w = ((const struct worker_interval *)item)->view;

    return (void)v, w->known && w->silence_ms >= 0 ? (double)w->silence_ms / MS_PER_S : NAN;
}

static double worker_restarts(const struct list_view *v, const void *item)
{
    return (void)v, (double)((const struct worker_interval *)item)->view->restarts;
}

static void name_worker(const struct list_view *v, const void *item, char out[static LIST_NAME_SIZE])
{
    const struct worker_view *w = ((const struct worker_interval *)item)->view;

    (void)v;
    snprintf(out, LIST_NAME_SIZE, "%3d %s", w->index, worker_state_name(w->state));
}

static const char *items_workers(const struct list_view *v, size_t *ret_count)
{
    *ret_count = v->interval->worker_count;
    return (const char *)v->interval->workers;
}

/* ---- clients ------------------------------------------------------------------------------- */

static double client_minute(const struct list_view *v, const void *item)
{
    return (void)v, ((const struct limit_client *)item)->minute;
}

static double client_hour(const struct list_view *v, const void *item)
{
    return (void)v, ((const struct limit_client *)item)->hour;
}

static double client_refused(const struct list_view *v, const void *item)
{
    return (void)v, ((const struct limit_client *)item)->refused;
}

static double client_seen(const struct list_view *v, const void *item)
{
    const int64_t ago_ms = v->model->now->at / NS_PER_MS - ((const struct limit_client *)item)->seen_ms;

    return ago_ms > 0 ? (double)ago_ms / MS_PER_S : 0;
}

static void name_client(const struct list_view *v, const void *item, char out[static LIST_NAME_SIZE])
{
    const struct limit_client *c = item;
    char name[LIMITS_NAME_SIZE];

    (void)v;
    limits_name_client(&c->key, name);
    snprintf(out, LIST_NAME_SIZE, "%s %s", limit_class_name(c->key.kind), name);
}

static const char *items_clients(const struct list_view *v, size_t *ret_count)
{
    *ret_count = v->model->client_count;
    return (const char *)v->model->clients;
}

/* ---- the table -------------------------------------------------------------------------------- */

/* clang-format off */
static const struct list_column route_columns[] = {
    { "REQ/S",  8, traffic_rate,   figure_rate,    false, 0 },
    { "MEAN",   8, traffic_mean,   figure_seconds, false, 0 },
    { "P50",    8, traffic_p50,    figure_seconds, false, 0 },
    { "P95",    8, traffic_p95,    figure_seconds, false, 0 },
    { "P99",    8, traffic_p99,    figure_seconds, false, 0 },
    { "5XX",    5, traffic_errors, figure_count,   false, 1 },
};
static const struct list_column statement_columns[] = {
    { "CALLS/S", 8, traffic_rate,   figure_rate,    false, 0 },
    { "LOAD",    8, traffic_load,   figure_share,   false, 0 },
    { "MEAN",    8, traffic_mean,   figure_seconds, false, 0 },
    { "P95",     8, traffic_p95,    figure_seconds, false, 0 },
    { "P99",     8, traffic_p99,    figure_seconds, false, 0 },
    { "FAILED",  7, traffic_errors, figure_count,   false, 1 },
};
static const struct list_column worker_columns[] = {
    { "PID",       8, worker_pid,         figure_plain,   true,  0 },
    { "AGE",      11, worker_age,         figure_age,     false, 0 },
    { "CPU",       8, worker_cpu,         figure_share,   false, 0 },
    { "MEMORY",    9, worker_memory,      figure_bytes,   false, 0 },
    { "REQ/S",     7, worker_rate,        figure_rate,    false, 0 },
    { "CONNS",     6, worker_connections, figure_count,   false, 0 },
    { "BEAT",      8, worker_silence,     figure_seconds, false, SILENCE_BAD_S },
    { "RESTARTS",  9, worker_restarts,    figure_count,   false, 0 },
};
static const struct list_column client_columns[] = {
    { "MINUTE",  9, client_minute,  figure_count, false, 0 },
    { "HOUR",    9, client_hour,    figure_count, false, 0 },
    { "REFUSED", 9, client_refused, figure_count, false, 1 },
    { "SEEN",   10, client_seen,    figure_age,   true,  0 },
};

#define COLUMNS(rows) rows, sizeof(rows) / sizeof((rows)[0])
static const struct list lists[VIEW_COUNT] = {
    [VIEW_ROUTES]     = { COLUMNS(route_columns),     "ROUTE",     name_route,     items_routes,
                          sizeof(struct traffic),         0 },
    [VIEW_STATEMENTS] = { COLUMNS(statement_columns), "STATEMENT", name_statement, items_statements,
                          sizeof(struct traffic),         1 },
    [VIEW_WORKERS]    = { COLUMNS(worker_columns),    "WORKER",    name_worker,    items_workers,
                          sizeof(struct worker_interval), 0 },
    [VIEW_CLIENTS]    = { COLUMNS(client_columns),    "CLIENT",    name_client,    items_clients,
                          sizeof(struct limit_client),    0 },
};
/* clang-format on */

const struct list *list_of(enum top_view view) { return lists[view].columns ? &lists[view] : NULL; }

size_t list_length(const struct list *list, const struct list_view *v)
{
    size_t count = 0;

    (void)list->items(v, &count);
    return count;
}

/* ---- drawing ------------------------------------------------------------------------------------- */

/* An item and what it is ordered by: the smallest key first. */
struct ranked {
    const void *item;
    double key;
    size_t at;
};

static int order(const void *left, const void *right)
{
    const struct ranked *l = left, *r = right;

    if (l->key < r->key || l->key > r->key)
        return l->key < r->key ? -1 : 1;
    return l->at < r->at ? -1 : l->at > r->at;
}

static double key_of(const struct list_column *column, double value)
{
    if (isnan(value))
        return INFINITY;
    return column->ascending ? value : -value;
}

/* NULL when there are none. */
static struct ranked *rank(const struct list *list, const struct list_view *v, unsigned sort, size_t *ret_count,
                           struct arena *scratch)
{
    const struct list_column *column = &list->columns[sort % list->column_count];
    const char *items = list->items(v, ret_count);
    struct ranked *ranked = *ret_count > 0 ? arena_array(scratch, struct ranked, *ret_count) : NULL;

    for (size_t i = 0; ranked && i < *ret_count; i++) {
        const void *item = items + i * list->item_size;
        ranked[i] = (struct ranked){ item, key_of(column, column->value(v, item)), i };
    }
    if (ranked)
        qsort(ranked, *ret_count, sizeof(*ranked), order);
    return ranked;
}

static void draw_heads(struct screen *s, const struct list *list, unsigned sort)
{
    for (size_t i = 0; i < list->column_count; i++)
        screen_printf(s, i == sort % list->column_count ? STYLE_CHOSEN : STYLE_HEAD, "%*s", list->columns[i].width,
                      list->columns[i].head);
    screen_printf(s, STYLE_HEAD, "  %s", list->name_head);
    screen_next(s);
}

static void draw_item(struct screen *s, const struct list *list, const struct list_view *v, const void *item)
{
    char name[LIST_NAME_SIZE];

    for (size_t i = 0; i < list->column_count; i++) {
        const struct list_column *column = &list->columns[i];
        const double value = column->value(v, item);
        const bool bad = column->bad_from > 0 && value >= column->bad_from;
        screen_printf(s, bad ? STYLE_BAD : STYLE_PLAIN, "%*s", column->width,
                      isnan(value) ? "-" : column->write(value).text);
    }
    list->name(v, item, name);
    screen_printf(s, STYLE_PLAIN, "  %s", name);
    screen_next(s);
}

void list_draw(struct screen *s, const struct list *list, const struct list_view *v, struct list_place place,
               struct arena *scratch)
{
    size_t count = 0;
    const struct ranked *ranked = rank(list, v, place.sort, &count, scratch);
    const size_t first = place.scroll > 0 ? (size_t)place.scroll : 0;

    draw_heads(s, list, place.sort);
    for (size_t i = first; ranked && i < count && (int)(i - first) < place.lines; i++)
        draw_item(s, list, v, ranked[i].item);
}
