/* SPDX-License-Identifier: MIT */
#include "ops/exposition.h"

#include "base/json.h"
#include "db/statement.h"

#include <stdio.h>

/* --- tables: which numbers stand in which object, and under which name -------- */

struct counter_row {
    const char *key;
    enum metric_counter id;
};
struct gauge_row {
    const char *key;
    enum metric_gauge id;
};
struct time_row {
    const char *key;
    enum metric_histogram id;
};

struct section {
    const char *key;
    const struct gauge_row *gauges; /* ended by a NULL key; likewise below */
    const struct counter_row *counters;
    const struct time_row *times;
};

static const struct gauge_row no_gauges[] = { { NULL, 0 } };
static const struct time_row no_times[] = { { NULL, 0 } };

static const struct gauge_row pool_gauges[] = {
    { "size", M_POOL_SIZE },
    { "max", M_POOL_MAX },
    { "idle", M_POOL_IDLE },
    { "used", M_POOL_USED },
    { "opening", M_POOL_OPENING },
    { "closing", M_POOL_CLOSING },
    { "overflow", M_POOL_OVERFLOW },
    { "waiting", M_POOL_WAITING },
    { "oldest_wait_ms", M_POOL_OLDEST_WAIT_MS },
    { "away", M_POOL_AWAY },
    { "read_only", M_POOL_READ_ONLY },
    { NULL, 0 },
};
static const struct counter_row pool_counters[] = {
    { "opened", M_POOL_OPENED },
    { "errors", M_POOL_ERRORS },
    { "invalidated", M_POOL_INVALID },
    { "recycled", M_POOL_RECYCLED },
    { "handed_over", M_POOL_HANDED_OVER },
    { "timeouts", M_POOL_TIMEOUTS },
    { "leaks", M_POOL_LEAKS },
    { "group_commits", M_DB_GROUP_COMMITS },
    { "grouped_transactions", M_DB_GROUPED },
    { "repeated_transactions", M_DB_REPEATED },
    { NULL, 0 },
};
static const struct time_row pool_times[] = {
    { "wait", M_POOL_WAIT },
    { "use", M_POOL_USE },
    { "create", M_POOL_CREATE },
    { NULL, 0 },
};
static const struct gauge_row connection_gauges[] = { { "open", M_CONNECTIONS }, { NULL, 0 } };
static const struct counter_row connection_counters[] = {
    { "accepted", M_ACCEPTED },
    { "bytes_in", M_BYTES_IN },
    { "bytes_out", M_BYTES_OUT },
    { "timeouts", M_TIMEOUTS },
    { NULL, 0 },
};
static const struct gauge_row cache_gauges[] = {
    { "entries", M_CACHE_ENTRIES },
    { "bytes", M_CACHE_BYTES },
    { NULL, 0 },
};
static const struct counter_row cache_counters[] = {
    { "hits", M_CACHE_HIT },
    { "misses", M_CACHE_MISS },
    { "stale", M_CACHE_STALE },
    { "coalesced", M_CACHE_COALESCED },
    { "evictions", M_CACHE_EVICTED },
    { "shared_hits", M_CACHE_SHARED_HIT },
    { "shared_misses", M_CACHE_SHARED_MISS },
    { "shared_stores", M_CACHE_SHARED_STORED },
    { "shared_rejected", M_CACHE_SHARED_REJECTED },
    { NULL, 0 },
};
static const struct counter_row log_counters[] = { { "dropped_lines", M_LOG_DROPPED }, { NULL, 0 } };
static const struct counter_row slow_counters[] = { { "dropped_records", M_SLOW_LOG_DROPPED }, { NULL, 0 } };

static const struct gauge_row limit_gauges[] = {
    { "clients", M_LIMIT_CLIENTS },
    { "clients_max", M_LIMIT_CAPACITY },
    { "evicted", M_LIMIT_EVICTIONS },
    { NULL, 0 },
};
static const struct counter_row limit_counters[] = {
    { "allowed", M_LIMIT_ALLOWED },
    { "fallbacks", M_LIMIT_ALONE },
    { "refused", M_LIMIT_REFUSED_API },
    { "refused_login", M_LIMIT_REFUSED_LOGIN },
    { "refused_account", M_LIMIT_REFUSED_ACCOUNT },
    { NULL, 0 },
};

static const struct gauge_row redis_gauges[] = { { "up", M_REDIS_UP }, { "away", M_REDIS_AWAY }, { NULL, 0 } };
static const struct counter_row redis_counters[] = {
    { "errors", M_REDIS_ERRORS },         { "timeouts", M_REDIS_TIMEOUTS }, { "unavailable", M_REDIS_UNAVAILABLE },
    { "reconnects", M_REDIS_RECONNECTS }, { "messages", M_REDIS_MESSAGES }, { NULL, 0 },
};
static const struct time_row redis_times[] = { { "answer", M_REDIS_TIME }, { NULL, 0 } };

static const struct section sections[] = {
    { "pool", pool_gauges, pool_counters, pool_times },
    { "connections", connection_gauges, connection_counters, no_times },
    { "cache", cache_gauges, cache_counters, no_times },
    { "limits", limit_gauges, limit_counters, no_times },
    { "redis", redis_gauges, redis_counters, redis_times },
    { "access_log", no_gauges, log_counters, no_times },
    { "slow_log", no_gauges, slow_counters, no_times },
};

static const struct gauge_row http_gauges[] = {
    { "active_requests", M_ACTIVE_REQUESTS },
    { "coroutines", M_COROUTINES },
    { NULL, 0 },
};
static const struct counter_row http_counters[] = {
    { "malformed", M_BAD_REQUESTS },
    { "shed", M_SHED },
    { "cancelled", M_CANCELLED },
    { NULL, 0 },
};
static const struct section http_section = { "http", http_gauges, http_counters, no_times };

/* --- pieces ------------------------------------------------------------------------ */

static void write_ms(struct json *j, const char *key, double seconds)
{
    const double microseconds = seconds * 1e6;

    json_member_double(j, key, (double)(int64_t)(microseconds + 0.5) / 1000);
}

static void write_times(struct json *j, const struct histogram_sum *sum)
{
    json_member_uint(j, "count", sum->count);
    write_ms(j, "mean_ms", sum->count ? (double)sum->sum_ns / 1e9 / (double)sum->count : 0);
    write_ms(j, "p50_ms", histogram_quantile(sum, 0.50));
    write_ms(j, "p95_ms", histogram_quantile(sum, 0.95));
    write_ms(j, "p99_ms", histogram_quantile(sum, 0.99));
}

static void write_rows(struct json *j, const struct snapshot *s, const struct section *section)
{
    for (const struct gauge_row *g = section->gauges; g->key; g++)
        json_member_int(j, g->key, s->gauges[g->id]);
    for (const struct counter_row *c = section->counters; c->key; c++)
        json_member_uint(j, c->key, s->counters[c->id]);
    for (const struct time_row *t = section->times; t->key; t++) {
        json_key(j, str_of(t->key));
        json_object(j);
        write_times(j, &s->histograms[t->id]);
        json_object_end(j);
    }
}

static void write_route_name(struct json *j, const struct series_row *row, const struct router *router)
{
    json_member_str(j, "route", str_of(exposition_route(router, row->a)));
    json_member_str(j, "method", str_of(exposition_method(row->b)));
}

static void write_statement_name(struct json *j, const struct series_row *row, const struct router *router)
{
    (void)router;
    json_member_str(j, "name", str_of(db_statement_name(row->a)));
}

/* One object a run of series of this kind. */
static void write_series(struct json *j, const struct snapshot *s, enum series_kind kind, const struct router *router)
{
    size_t next;

    json_array(j);
    for (size_t i = 0; i < s->series_count; i = next) {
        struct traffic sum;
        next = snapshot_run(s, i, &sum);
        if (s->series[i].kind != kind)
            continue;
        json_object(j);
        (kind == SERIES_HTTP ? write_route_name : write_statement_name)(j, &s->series[i], router);
        write_times(j, &sum.time);
        json_member_uint(j, "errors", sum.errors);
        json_object_end(j);
    }
    json_array_end(j);
}

enum { STATUS_MAX = 600 };

static void count_statuses(const struct snapshot *s, uint64_t counts[static STATUS_MAX])
{
    for (size_t i = 0; i < s->series_count; i++) {
        if (s->series[i].kind == SERIES_HTTP && s->series[i].c < STATUS_MAX)
            counts[s->series[i].c] += s->series[i].sum.count;
    }
}

/* "requests": how many in all; "statuses": {"200": how many, ...} */
static void write_statuses(struct json *j, const struct snapshot *s)
{
    uint64_t counts[STATUS_MAX] = { 0 }, all = 0;
    char key[16];

    count_statuses(s, counts);
    json_key(j, STR("statuses"));
    json_object(j);
    for (int i = 0; i < STATUS_MAX; i++) {
        all += counts[i];
        if (counts[i] == 0)
            continue;
        (void)snprintf(key, sizeof(key), "%d", i);
        json_member_uint(j, key, counts[i]);
    }
    json_object_end(j);
    json_member_uint(j, "requests", all);
}

/* --- the page ------------------------------------------------------------------------ */

/* The specification's five keys. */
static void write_headline(struct json *j, const struct snapshot *s)
{
    json_member_int(j, "pool_size", s->gauges[M_POOL_SIZE]);
    json_member_int(j, "checked_in", s->gauges[M_POOL_IDLE]);
    json_member_int(j, "checked_out", s->gauges[M_POOL_USED]);
    json_member_int(j, "overflow", s->gauges[M_POOL_OVERFLOW]);
    json_member_uint(j, "invalid", s->counters[M_POOL_INVALID]);
}

static void write_http(struct json *j, const struct snapshot *s, const struct router *router)
{
    json_key(j, STR("http"));
    json_object(j);
    write_statuses(j, s);
    write_rows(j, s, &http_section);
    json_key(j, STR("routes"));
    write_series(j, s, SERIES_HTTP, router);
    json_object_end(j);
}

static int64_t seconds_since(wall_ms then, wall_ms now) { return now > then ? (now - then) / MS_PER_S : 0; }

static void write_worker(struct json *j, const struct worker_view *w, wall_ms now)
{
    json_object(j);
    json_member_int(j, "index", w->index);
    json_member_int(j, "pid", w->pid);
    json_member_str(j, "state", str_of(worker_state_name(w->state)));
    json_member_int(j, "rss_bytes", w->info.rss_bytes);
    json_member_double(j, "cpu_seconds", w->info.cpu_seconds);
    json_member_uint(j, "restarts", w->restarts);
    json_member_int(j, "uptime_seconds", w->known ? seconds_since(w->started, now) : 0);
    json_key(j, STR("heartbeat_age_ms"));
    if (w->silence_ms < 0)
        json_null(j);
    else
        json_int(j, w->silence_ms);
    json_object_end(j);
}

static void write_workers(struct json *j, const struct snapshot *s)
{
    json_key(j, STR("workers"));
    json_array(j);
    for (size_t i = 0; i < s->worker_count; i++)
        write_worker(j, &s->workers[i], s->taken);
    json_array_end(j);
}

static void write_process(struct json *j, const struct snapshot *s)
{
    json_key(j, STR("process"));
    json_object(j);
    json_member_int(j, "rss_bytes", s->processes.rss_bytes);
    json_member_double(j, "cpu_seconds", s->processes.cpu_seconds);
    json_member_int(j, "threads", s->processes.threads);
    json_member_int(j, "open_fds", s->processes.open_fds);
    json_member_int(j, "uptime_seconds", s->started > 0 ? seconds_since(s->started, s->taken) : 0);
    json_member_str(j, "version", STR(SANAD_VERSION));
    json_object_end(j);
}

void exposition_json(const struct snapshot *s, const struct router *router, struct buf *out)
{
    struct json j;

    json_init(&j, out);
    json_object(&j);
    write_headline(&j, s);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        json_key(&j, str_of(sections[i].key));
        json_object(&j);
        write_rows(&j, s, &sections[i]);
        json_object_end(&j);
    }
    write_http(&j, s, router);
    json_key(&j, STR("statements"));
    write_series(&j, s, SERIES_STATEMENT, router);
    write_workers(&j, s);
    write_process(&j, s);
    json_object_end(&j);
}
