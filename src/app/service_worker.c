/* SPDX-License-Identifier: MIT */
/* A worker's half of the composition: its loop, its parts, its end.
 *
 * Parts are made in order and torn down in reverse. The loop ends by itself
 * when the last handle is closed: drain -> parts close -> loop returns.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/service_cost.h"
#include "app/service_failure.h"
#include "app/service_parts.h"
#include "base/coro.h"
#include "base/log.h"
#include "base/random.h"
#include "base/task.h"
#include "cache/cache.h"
#include "http/server.h"
#include "http/static_files.h"
#include "limit/client_address.h"
#include "limit/cluster.h"
#include "limit/limiter.h"
#include "ops/access_log.h"
#include "ops/backtrace.h"
#include "ops/gate.h"
#include "ops/health.h"
#include "ops/worker.h"
#include "redis/redis.h"

enum {
    STACK_BYTES = 256 * 1024,
    STACKS_KEPT = 4,
    REQUEST_ARENA_BYTES = 32 * 1024 * 1024,
    HOUSEKEEPING_MS = 1000,
    STEP_COUNT = 3,
    ERROR_SIZE = 256,
    TEXT_BYTES = 16384,
};

static const int BODY_MIN_RATE = 500;

/* A worker cuts its connections this much before the master loses patience with
 * it: a part of the whole, but not more than some seconds. */
static const double HASTE_PART = 0.15, HASTE_MOST_S = 3;

/* Everything that a worker owns. */
struct keeper {
    const struct node *node;
    struct worker worker;
    struct service_context context;
    uv_loop_t loop;
    struct worker_watch watch;
    uv_timer_t housekeeping; /* the pool's                             */
    uv_timer_t patience;     /* of a drain: then connections are cut   */
    struct db_conf db_conf;
    struct arena texts; /* of the settings below                  */
    struct redis_conf redis_conf;
    struct router *router;
    struct shared_level *shared_cache; /* NULL: without Redis                */
    struct cache *cache;
    struct client_rule client_rule;
    struct service_failures failures;
    struct gate gate;
    uint64_t answered, enough; /* requests; then it is replaced; 0: never */
    struct limiter_conf limiter_conf;
    struct limiter limiter;
    struct http_step steps[STEP_COUNT];
    struct server_hooks hooks;
};

/* ---- per request ----------------------------------------------------------------- */

struct db_scope *request_db(struct request *req)
{
    struct db_scope *scope = req->local;

    if (scope)
        return scope;
    scope = arena_new(&req->arena, struct db_scope);
    if (!scope)
        return NULL;
    *scope = db_scope_of(request_worker(req)->db, &req->arena);
    scope->route = req->route->path;
    scope->request_id = req->id;
    scope->trace = req->trace;
    req->local = scope;
    return scope;
}

static void on_proxied(void *ctx, struct request *req)
{
    const struct keeper *k = ctx;

    req->client = client_address_find(&k->client_rule, &req->peer, req->head);
}

static void on_handled(void *ctx, struct request *req)
{
    const struct keeper *k = ctx;

    if (req->local)
        db_scope_end(req->local);
    service_cost_warn(req, k->node->settings->query_count_warn);
}

static void on_answering(void *ctx, struct request *req, struct response *res)
{
    (void)ctx;
    service_cost_tell(req, res);
}

static void on_finished(void *ctx, const struct exchange_record *record)
{
    struct keeper *k = ctx;

    service_failure_tell(&k->failures, record);
    if (k->worker.access_log)
        access_log_write(k->worker.access_log, record);
    if (++k->answered == k->enough)
        atomic_store(&worker_slot_of(&k->worker)->spent, true);
}

/* For the master, should this be the last thing that is heard of us. */
static void on_handling(void *ctx, const struct request *req)
{
    const struct keeper *k = ctx;

    slot_note_request(worker_slot_of(&k->worker), str_of(http_method_name(req->head->method)), str_of(req->route->path),
                      req->id);
}

/* ---- making the parts ---------------------------------------------------------------- */

static struct server_conf server_settings(const struct settings *s)
{
    return (struct server_conf){
        .max_connections = service_connections(s),
        .keep_alive_s = s->keep_alive_s,
        .header_timeout_s = s->header_timeout_s,
        .body_timeout_s = s->body_timeout_s,
        .body_min_rate = BODY_MIN_RATE,
        .write_timeout_s = s->write_timeout_s,
        .max_body_bytes = s->max_body_bytes,
        .request_arena_bytes = REQUEST_ARENA_BYTES,
        .trusted_proxies = &s->trusted_proxies,
        .proxy_protocol = s->proxy_protocol,
    };
}

static enum client_header header_of(enum real_ip_header_choice choice)
{
    static const enum client_header headers[] = {
        [REAL_IP_HEADER_ANY] = CLIENT_HEADER_ANY,
        [REAL_IP_HEADER_X_FORWARDED_FOR] = CLIENT_HEADER_X_FORWARDED_FOR,
        [REAL_IP_HEADER_FORWARDED] = CLIENT_HEADER_FORWARDED,
        [REAL_IP_HEADER_X_REAL_IP] = CLIENT_HEADER_X_REAL_IP,
    };

    return headers[choice];
}

/* Each returns 0 or a uv error. */

static int open_watch(struct keeper *k, const struct worker_seat *seat)
{
    return worker_watch_start(&k->watch, &k->loop, seat->slot, seat->lifeline);
}

static int open_access_log(struct keeper *k, const struct worker_seat *seat)
{
    const struct settings *s = k->node->settings;
    const struct access_log_conf conf = { s->access_log.ptr, s->log_format, seat->index };
    char error[ERROR_SIZE];

    if (s->access_log.len == 0)
        return 0;
    k->worker.access_log = access_log_open(&k->loop, &conf, error, sizeof(error));
    if (!k->worker.access_log)
        log_text(LOG_ERROR, "%s", error);
    return k->worker.access_log ? 0 : UV_EIO;
}

static int open_database(struct keeper *k, const struct worker_seat *seat)
{
    k->db_conf = service_db_conf(k->node->settings);
    k->db_conf.budget = k->node->budget;
    k->db_conf.budget_row = seat->row;
    k->db_conf.slow_log = k->node->settings->slow_log.ptr;
    k->db_conf.explain_slow = k->node->settings->debug;
    k->worker.db = db_new(&k->db_conf);
    k->worker.coros = coro_pool_new(STACK_BYTES, STACKS_KEPT);
    if (!k->worker.db || !k->worker.coros)
        return UV_ENOMEM;
    db_tick(k->worker.db); /* what is to be warm is opened now */
    k->worker.readiness = readiness_start(&k->loop, k->worker.coros, k->worker.db);
    return k->worker.readiness ? 0 : UV_ENOMEM;
}

/* One that is away is no reason not to start. */
static int open_redis(struct keeper *k, const struct worker_seat *seat)
{
    const char *why;

    (void)seat;
    if (!k->node->settings->redis_enabled)
        return 0;
    if (service_redis_conf(k->node->settings, &k->texts, &k->redis_conf, &why) != OK)
        return UV_EINVAL; /* the master has read it, too, and has said why */
    k->worker.redis = redis_new(&k->redis_conf);
    return k->worker.redis ? 0 : UV_ENOMEM;
}

static int open_shared_cache(struct keeper *k, const struct worker_seat *seat)
{
    (void)seat;
    const struct shared_conf conf = {
        .redis = k->worker.redis,
        .redis_conf = &k->redis_conf,
        .generations = k->node->generations,
        .secret = k->node->key,
        .ttl_s = k->node->settings->cache_ttl_s,
    };

    _Static_assert(sizeof(k->node->key) == SHARED_SECRET_BYTES, "the key of the installation seals");
    if (!k->worker.redis || !k->node->settings->cache_enabled)
        return 0;
    k->shared_cache = shared_level_new(&conf);
    return k->shared_cache ? 0 : UV_ENOMEM;
}

static int open_cache(struct keeper *k, const struct worker_seat *seat)
{
    (void)seat;
    const struct settings *s = k->node->settings;
    const struct cache_conf conf = {
        .enabled = s->cache_enabled,
        .ttl_s = s->cache_ttl_s,
        .max_bytes = (size_t)(s->cache_max_bytes / s->max_workers),
        .shared = k->shared_cache,
    };

    k->cache = k->context.cache = cache_new(&conf, k->node->generations);
    return k->cache ? 0 : UV_ENOMEM;
}

static int open_limiter(struct keeper *k, const struct worker_seat *seat)
{
    (void)seat;
    const struct settings *s = k->node->settings;

    k->limiter_conf = (struct limiter_conf){
        .enabled = s->rate_limit_enabled,
        .api = { (uint32_t)s->rate_limit_per_minute, (uint32_t)s->rate_limit_per_hour },
        .allow = &s->rate_limit_allow,
    };
    if (k->worker.redis && limit_cluster_init(k->worker.redis) != OK)
        return UV_ENOMEM;
    limiter_init(&k->limiter, &k->limiter_conf, k->node->limits, k->worker.redis);
    return 0;
}

/* The steps before a handler, in the order in which a request takes them. */
static int open_server(struct keeper *k, const struct worker_seat *seat)
{
    (void)seat;
    const struct settings *s = k->node->settings;
    const struct server_conf conf = server_settings(s);

    k->client_rule = (struct client_rule){ &s->trusted_proxies, header_of(s->real_ip_header) };
    k->router = router_new(k->node->app->routes, k->node->app->route_count);
    k->steps[0] = (struct http_step){ .run = gate_step, .ctx = &k->gate };
    k->steps[1] = (struct http_step){ .run = limit_step, .ctx = &k->limiter, .always = true };
    k->steps[2] = (struct http_step){ .run = cache_step, .ctx = k->cache };
    k->hooks = (struct server_hooks){
        .ctx = k,
        .proxied = on_proxied,
        .finished = on_finished,
        .handling = on_handling,
        .handled = on_handled,
        .answering = s->debug ? on_answering : NULL,
    };
    if (!k->router)
        return UV_ENOMEM;
    k->worker.server = server_new(&k->loop, &conf, k->router, k->steps, STEP_COUNT, &k->hooks, &k->worker);
    if (!k->worker.server)
        return UV_ENOMEM;
    k->gate = (struct gate){ .limit = (size_t)s->limit_concurrency };
    return 0;
}

/* The server listens on duplicates: the worker's own descriptors would keep the
 * queues open when the server has stopped listening. */
static int listen_on(struct keeper *k, const struct worker_seat *seat)
{
    int failure = 0;

    for (int i = 0; i < seat->socket_count && failure == 0; i++) {
        failure = server_listen(k->worker.server, seat->sockets[i], k->node->settings->backlog);
        close(seat->sockets[i]);
    }
    return failure;
}

/* In the order in which they need each other. */
/* clang-format off */
static const struct part {
    const char *name;
    int (*open)(struct keeper *k, const struct worker_seat *seat);
} parts[] = {
    { "signals",          open_watch },
    { "access log",       open_access_log },
    { "database",         open_database },
    { "redis",            open_redis },
    { "shared cache",     open_shared_cache },
    { "cache",            open_cache },
    { "limiter",          open_limiter },
    { "server",           open_server },
    { "listening sockets", listen_on },
};
/* clang-format on */

static bool open_parts(struct keeper *k, const struct worker_seat *seat)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const int failure = parts[i].open(k, seat);
        if (failure == 0)
            continue;
        log_event(LOG_ERROR, "the worker cannot start", LOG_C("part", parts[i].name),
                  LOG_C("why", uv_strerror(failure)));
        return false;
    }
    return true;
}

static void on_housekeeping(uv_timer_t *timer)
{
    const struct keeper *k = timer->data;

    db_tick(k->worker.db);
    cache_tick(k->cache);
    if (k->worker.index == 0 && !k->watch.stopping)
        limiter_show(&k->limiter);
}

static void open_timers(struct keeper *k)
{
    uv_timer_init(&k->loop, &k->housekeeping);
    uv_timer_init(&k->loop, &k->patience);
    k->housekeeping.data = k->patience.data = k;
    uv_timer_start(&k->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
}

static void name_files(struct worker_conf *conf, const struct settings *s)
{
    const char *database = s->db_driver == DB_DRIVER_SQLITE ? s->db_path.ptr : NULL;
    const struct kept_file files[] = {
        { "database", database },
        { "access_log", s->access_log.ptr },
        { "slow_log", s->slow_log.ptr },
    };

    _Static_assert(sizeof(files) <= sizeof(conf->files), "there is room for the files");
    memcpy(conf->files, files, sizeof(files));
    conf->file_count = sizeof(files) / sizeof(files[0]);
}

static void describe_worker(struct keeper *k, const struct worker_seat *seat)
{
    const struct node *n = k->node;

    k->context = (struct service_context){ .app = n->app };
    memcpy(k->context.key, n->key, sizeof(n->key));
    k->context.web = static_root_new(n->settings->web_dir.ptr);
    k->worker = (struct worker){
        .loop = &k->loop,
        .index = seat->index,
        .row = seat->row,
        .started = clock_mono(),
        .conf = { .metrics_allow = n->settings->metrics_allow },
        .slots = n->slots,
        .pages = n->pages,
        .page_count = WORKER_ROWS_MAX,
        .domain = &k->context,
    };
    name_files(&k->worker.conf, n->settings);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void close_parts(struct keeper *k)
{
    if (k->worker.readiness)
        readiness_stop(k->worker.readiness);
    if (k->worker.db)
        db_shutdown(k->worker.db);
    shared_level_close(k->shared_cache);
    redis_free(k->worker.redis);
    access_log_close(k->worker.access_log);
    uv_close((uv_handle_t *)&k->housekeeping, NULL);
    uv_close((uv_handle_t *)&k->patience, NULL);
    worker_watch_close(&k->watch);
}

static void free_parts(struct keeper *k)
{
    server_free(k->worker.server);
    cache_free(k->cache);
    shared_level_free(k->shared_cache);
    router_free(k->router);
    db_free(k->worker.db);
    coro_pool_free(k->worker.coros);
    static_root_free(k->context.web);
    arena_done(&k->texts);
}

static void on_drained(void *arg) { close_parts(arg); }

static void on_out_of_patience(uv_timer_t *timer)
{
    const struct keeper *k = timer->data;

    log_event(LOG_WARNING, "GRACEFUL_TIMEOUT is over: connections are cut",
              LOG_I("connections", (int64_t)server_connections(k->worker.server)));
    server_abort(k->worker.server);
}

/* What stands for the node in this worker's figures stands in its successor's now. */
static void leave_figures(void)
{
    static const enum metric_gauge gauges[] = { M_LIMIT_CLIENTS, M_LIMIT_CAPACITY, M_LIMIT_EVICTIONS };

    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        metric_gauge_set(gauges[i], 0);
}

static void on_stop(void *arg, enum drain_kind kind)
{
    struct keeper *k = arg;
    const double grace_s = k->node->settings->graceful_timeout_s;
    const double haste_s = grace_s * HASTE_PART < HASTE_MOST_S ? grace_s * HASTE_PART : HASTE_MOST_S;

    leave_figures();
    if (!uv_is_active((uv_handle_t *)&k->patience))
        uv_timer_start(&k->patience, on_out_of_patience, (uint64_t)((grace_s - haste_s) * MS_PER_S), 0);
    db_drain(k->worker.db);
    server_drain(k->worker.server, kind, on_drained, k);
}

/* The files were renamed. */
static void on_reopen(void *arg)
{
    const struct keeper *k = arg;

    access_log_reopen(k->worker.access_log);
    db_reopen_slow_log(k->worker.db);
}

/* MAX_REQUESTS, give or take as chance will have it. */
static uint64_t draw_enough(const struct settings *s)
{
    const uint64_t spread = (uint64_t)s->max_requests_jitter, most = (uint64_t)s->max_requests + spread;
    const uint64_t less = spread > 0 ? random_fast() % (2 * spread + 1) : 0;

    if (s->max_requests == 0)
        return 0;
    return most > less ? most - less : 1;
}

/* ---- the life ----------------------------------------------------------------------------- */

int service_worker_main(void *arg, const struct worker_seat *seat)
{
    static struct keeper k; /* one a process; too large for a stack */
    int failure, leftover;

    k = (struct keeper){ .node = arg };
    failure = uv_loop_init(&k.loop);
    if (failure != 0) {
        log_event(LOG_ERROR, "the worker cannot start", LOG_C("part", "loop"), LOG_C("why", uv_strerror(failure)));
        return WORKER_CANNOT_START;
    }
    backtrace_at_abort();
    task_use_loop(&k.loop);
    arena_init(&k.texts, TEXT_BYTES);
    describe_worker(&k, seat);
    open_timers(&k);
    if (!open_parts(&k, seat))
        return WORKER_CANNOT_START;
    worker_watch_on_stop(&k.watch, on_stop, &k);
    worker_watch_on_reopen(&k.watch, on_reopen, &k);
    k.enough = draw_enough(k.node->settings);
    slot_move(seat->slot, WORKER_READY);
    uv_run(&k.loop, UV_RUN_DEFAULT);
    free_parts(&k);
    leftover = uv_loop_close(&k.loop);
    if (leftover != 0)
        log_text(LOG_DEBUG, "the loop was left with open handles: %s", uv_err_name(leftover));
    return 0;
}
