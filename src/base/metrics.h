/* SPDX-License-Identifier: MIT */
/* Metrics: counters, gauges and histograms in shared memory.
 *
 * Each worker has a page and is its only writer, so an update is a plain
 * relaxed load and store; whoever answers /metrics sums the pages. A worker
 * that replaces a dead one goes on with its page: counters never fall. Gauges
 * say what is now, so the master clears them when a worker has died.
 *
 * The tables below are the only place where a metric is described; names and
 * buckets are OpenTelemetry's in Prometheus spelling.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"

/* X(id, name, help) */
#define METRIC_COUNTERS(X)                                                                                       \
    X(M_ACCEPTED,          "http_server_connections_accepted_total",   "Connections accepted")                   \
    X(M_BYTES_IN,          "http_server_request_bytes_total",          "Bytes received from clients")            \
    X(M_BYTES_OUT,         "http_server_response_bytes_total",         "Bytes sent to clients")                  \
    X(M_BAD_REQUESTS,      "http_server_malformed_requests_total",     "Requests that are not HTTP")             \
    X(M_SHED,              "http_server_shed_total",                   "Requests refused because too many were under way") \
    X(M_TIMEOUTS,          "http_server_timeouts_total",               "Connections closed because the client was too slow") \
    X(M_CANCELLED,         "http_server_cancelled_total",              "Requests whose client left before the response") \
    X(M_CACHE_HIT,         "cache_hits_total",                         "Responses answered from the cache")      \
    X(M_CACHE_MISS,        "cache_misses_total",                       "Responses that had to be made")          \
    X(M_CACHE_STALE,       "cache_stale_total",                        "Last good copies served while the database failed") \
    X(M_CACHE_COALESCED,   "cache_coalesced_total",                    "Requests that waited for another one's response") \
    X(M_CACHE_EVICTED,     "cache_evictions_total",                    "Responses dropped for the byte budget")  \
    X(M_CACHE_SHARED_HIT,  "cache_shared_hits_total",                  "Responses found in Redis")               \
    X(M_CACHE_SHARED_MISS, "cache_shared_misses_total",                "Responses not found in Redis")           \
    X(M_CACHE_SHARED_STORED, "cache_shared_stores_total",              "Responses stored in Redis")              \
    X(M_CACHE_SHARED_REJECTED, "cache_shared_rejected_total",          "Values found in Redis that were not ours") \
    X(M_POOL_OPENED,       "db_client_connection_opened_total",        "Database connections opened")            \
    X(M_POOL_ERRORS,       "db_client_connection_errors_total",        "Database connections that could not be opened") \
    X(M_POOL_INVALID,      "db_client_connection_invalidated_total",   "Database connections thrown away because they broke") \
    X(M_POOL_RECYCLED,     "db_client_connection_recycled_total",      "Database connections closed for their age") \
    X(M_POOL_HANDED_OVER,  "db_client_connection_handed_over_total",   "Database connections closed so that another worker may open one") \
    X(M_POOL_TIMEOUTS,     "db_client_connection_timeouts_total",      "Waits for a database connection that timed out") \
    X(M_POOL_LEAKS,        "db_client_connection_leaks_total",         "Database connections held longer than DB_POOL_LEAK_SECONDS") \
    X(M_DB_GROUP_COMMITS,  "db_client_group_commits_total",            "Commits that made several transactions durable at once") \
    X(M_DB_GROUPED,        "db_client_grouped_transactions_total",     "Transactions made durable by a shared commit") \
    X(M_DB_REPEATED,       "db_client_repeated_transactions_total",    "Transactions run again because the database undid them") \
    X(M_SLOW_LOG_DROPPED,  "slow_log_dropped_total",                   "Records of SLOW_LOG dropped because the file could not be written") \
    X(M_LIMIT_ALLOWED,     "rate_limit_allowed_total",                 "Requests that were counted and let through") \
    X(M_LIMIT_ALONE,       "rate_limit_fallbacks_total",               "Requests that this node decided alone because Redis did not answer") \
    X(M_LIMIT_REFUSED_API, "rate_limit_refused_total{class=\"api\"}", "Requests answered 429, by class of route") \
    X(M_LIMIT_REFUSED_LOGIN, "rate_limit_refused_total{class=\"login\"}", "Requests answered 429, by class of route") \
    X(M_LIMIT_REFUSED_ACCOUNT, "rate_limit_refused_total{class=\"account\"}", "Requests answered 429, by class of route") \
    X(M_REDIS_ERRORS,      "redis_client_errors_total",                "Commands that Redis refused, or that were lost with the connection") \
    X(M_REDIS_TIMEOUTS,    "redis_client_timeouts_total",              "Commands that Redis did not answer in time") \
    X(M_REDIS_UNAVAILABLE, "redis_client_unavailable_total",           "Commands not sent because Redis was away") \
    X(M_REDIS_RECONNECTS,  "redis_client_reconnects_total",            "Connections to Redis made again")        \
    X(M_REDIS_MESSAGES,    "redis_client_messages_total",              "Messages that Redis passed on")          \
    X(M_LOG_DROPPED,       "access_log_dropped_total",                 "Access log lines dropped because the log could not be written")

#define METRIC_GAUGES(X)                                                                                         \
    X(M_CONNECTIONS,       "http_server_connections",                  "Open client connections")                \
    X(M_ACTIVE_REQUESTS,   "http_server_active_requests",              "Requests under way")                     \
    X(M_CACHE_ENTRIES,     "cache_entries",                            "Responses in the cache")                 \
    X(M_CACHE_BYTES,       "cache_bytes",                              "Memory held by cached responses")        \
    X(M_POOL_SIZE,         "db_client_connection_max_base",            "Database connections that are kept")     \
    X(M_POOL_MAX,          "db_client_connection_max",                 "Database connections allowed in all")    \
    X(M_POOL_IDLE,         "db_client_connections{db_client_connection_state=\"idle\"}", "Database connections, by what they do") \
    X(M_POOL_USED,         "db_client_connections{db_client_connection_state=\"used\"}", "Database connections, by what they do") \
    X(M_POOL_OPENING,      "db_client_connections{db_client_connection_state=\"opening\"}", "Database connections, by what they do") \
    X(M_POOL_CLOSING,      "db_client_connections{db_client_connection_state=\"closing\"}", "Database connections, by what they do") \
    X(M_POOL_OVERFLOW,     "db_client_connection_overflow",            "Open database connections beyond the base") \
    X(M_POOL_WAITING,      "db_client_connection_pending_requests",    "Requests waiting for a database connection") \
    X(M_POOL_OLDEST_WAIT_MS, "db_client_connection_oldest_wait_milliseconds", "Age of the longest wait for a database connection") \
    X(M_POOL_AWAY,         "db_client_away",                           "Workers that cannot reach the database")  \
    X(M_POOL_READ_ONLY,    "db_client_read_only",                      "Workers whose database may only be read") \
    X(M_LIMIT_CLIENTS,     "rate_limit_clients",                       "Clients that are remembered")            \
    X(M_LIMIT_CAPACITY,    "rate_limit_clients_max",                   "Clients that can be remembered at once") \
    X(M_LIMIT_EVICTIONS,   "rate_limit_evicted_clients",               "Clients that were forgotten for others, since the start") \
    X(M_REDIS_UP,          "redis_client_up",                          "Workers to which Redis answers")         \
    X(M_REDIS_AWAY,        "redis_client_away",                        "Workers that should reach Redis and do not") \
    X(M_COROUTINES,        "coroutines",                               "Coroutines running or suspended")

/* Histograms without labels; those with labels are series (below). */
#define METRIC_HISTOGRAMS(X)                                                                                     \
    X(M_POOL_WAIT,         "db_client_connection_wait_time_seconds",   "Time to get a database connection")      \
    X(M_POOL_USE,          "db_client_connection_use_time_seconds",    "Time a database connection was held")    \
    X(M_POOL_CREATE,       "db_client_connection_create_time_seconds", "Time to open a database connection")     \
    X(M_REDIS_TIME,        "redis_client_operation_duration_seconds",  "Time from a command to the answer of Redis")

#define X(id, name, help) id,
enum metric_counter { METRIC_COUNTERS(X) METRIC_COUNTER_COUNT };
enum metric_gauge { METRIC_GAUGES(X) METRIC_GAUGE_COUNT };
enum metric_histogram { METRIC_HISTOGRAMS(X) METRIC_HISTOGRAM_COUNT };
#undef X

/* X(seconds): upper bounds, OpenTelemetry's for HTTP and for databases merged,
 * so that one kind of histogram serves both; a last bucket has no bound. */
#define METRIC_BOUNDS(X)                                                                                         \
    X(0.0005) X(0.001) X(0.0025) X(0.005) X(0.01) X(0.025) X(0.05) X(0.075) X(0.1) X(0.25) X(0.5) X(0.75)        \
    X(1) X(2.5) X(5) X(7.5) X(10)

#define X(seconds) +1
enum { METRIC_BUCKETS = METRIC_BOUNDS(X) + 1 };
#undef X
extern const double metric_bounds[METRIC_BUCKETS - 1];

struct histogram {
    _Atomic uint64_t buckets[METRIC_BUCKETS];   /* not cumulative; the count is their sum */
    _Atomic uint64_t sum_ns;
};

/* Histograms with labels: HTTP by (route, method, status), statements by name.
 * A slot is taken at first use, never given back; when all are taken the rest
 * is counted in the last one. `a` is an index of the caller's table, `b` and
 * `c` are whatever else it labels with. */
enum series_kind { SERIES_FREE, SERIES_HTTP, SERIES_STATEMENT, SERIES_OTHER };
enum { METRIC_SERIES_MAX = 512 };

struct series {
    _Atomic uint32_t key;        /* kind << 28 | a << 16 | b << 12 | c; 0: free */
    struct histogram time;
};

struct metrics_page {
    _Atomic uint64_t counters[METRIC_COUNTER_COUNT];
    _Atomic int64_t  gauges[METRIC_GAUGE_COUNT];
    struct histogram histograms[METRIC_HISTOGRAM_COUNT];
    struct series    series[METRIC_SERIES_MAX];
};

/* The page that this process writes; a private one until told otherwise, so
 * that tools and tests need no shared memory. */
void metrics_use_page(struct metrics_page *page);
struct metrics_page *metrics_page(void);

void metric_add(enum metric_counter id, uint64_t n);
void metric_gauge_set(enum metric_gauge id, int64_t value);
void metric_gauge_add(enum metric_gauge id, int64_t n);
void metric_observe(enum metric_histogram id, mono_ns duration);

/* a < 4096, b < 16, c < 4096. */
void metric_series_observe(enum series_kind kind, unsigned a, unsigned b, unsigned c, mono_ns duration);

/* Reading: the sums over `count` pages, while others write them. */
uint64_t metric_sum_counter(const struct metrics_page *pages, size_t count, enum metric_counter id);
int64_t  metric_sum_gauge(const struct metrics_page *pages, size_t count, enum metric_gauge id);

struct histogram_sum { uint64_t buckets[METRIC_BUCKETS], count, sum_ns; };
void metric_sum_histogram(const struct metrics_page *pages, size_t count, enum metric_histogram id,
                          struct histogram_sum *ret_sum);

/* Calls each(arg, kind, a, b, c, sum) for each series in use on any page, once,
 * with the sum over the pages; SERIES_OTHER is what found no slot. A series that
 * appears on another page during the walk may be left to the next one. */
typedef void metric_series_fn(void *arg, enum series_kind kind, unsigned a, unsigned b, unsigned c,
                              const struct histogram_sum *sum);
void metric_sum_series(const struct metrics_page *pages, size_t count, metric_series_fn *each, void *arg);

/* Name and help of each table's row. */
struct metric_info { const char *name, *help; };
extern const struct metric_info metric_counter_info[METRIC_COUNTER_COUNT];
extern const struct metric_info metric_gauge_info[METRIC_GAUGE_COUNT];
extern const struct metric_info metric_histogram_info[METRIC_HISTOGRAM_COUNT];

/* Sets the gauges of a page to zero: its worker has died. */
void metrics_clear_gauges(struct metrics_page *page);
