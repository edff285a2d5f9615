/* SPDX-License-Identifier: MIT */
/* The master's half of the composition: everything that exists before the
 * first fork. Nothing here starts a thread. */
#include "app/service.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/service_parts.h"
#include "base/log.h"
#include "base/random.h"
#include "base/shared.h"
#include "db/slow_file.h"
#include "ops/access_log.h"
#include "ops/master.h"
#include "settings/table.h"

enum {
    ERROR_SIZE = 256,
    SPARE_DESCRIPTORS = 64,
    DESCRIPTORS_A_DB = 2,
    DB_SILENCE_S = 30,
    NAME_SIZE = 512,
    REDIS_CONF_BYTES = 16384,
    EXIT_CANNOT = 1,
    EXIT_SETTINGS = 78,
};

/* ---- limits of the system ---------------------------------------------------- */

/* For the workers and their successors, and some to spare. */
static int bells_of(const struct settings *s)
{
    const int wanted = 2 * s->max_workers + 4;

    return wanted < BUDGET_ROWS_MAX ? wanted : BUDGET_ROWS_MAX;
}

/* What a worker needs besides a descriptor for each client: for the connections of
 * a rush that is all its own, and for all workers' bells. */
static int other_descriptors(const struct settings *s)
{
    const int most = (s->db_pool_size + s->max_workers - 1) / s->max_workers + s->db_max_overflow;

    return DESCRIPTORS_A_DB * most + bells_of(s) + SPARE_DESCRIPTORS;
}

/* Clients must not take what the database needs: more of them wait in the
 * backlog. Where there is too little of everything, they get half. */
int service_connections(const struct settings *s)
{
    struct rlimit limit;
    rlim_t room;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur >= (rlim_t)s->worker_connections + (rlim_t)other_descriptors(s))
        return s->worker_connections;
    room = limit.rlim_cur / 2;
    if (limit.rlim_cur - room > (rlim_t)other_descriptors(s))
        room = limit.rlim_cur - (rlim_t)other_descriptors(s);
    return room < 1 ? 1 : room < (rlim_t)s->worker_connections ? (int)room : s->worker_connections;
}

static void raise_descriptor_limit(const struct settings *s)
{
    const rlim_t wanted = (rlim_t)s->worker_connections + (rlim_t)other_descriptors(s);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    if (limit.rlim_max < wanted && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ wanted, wanted }) == 0)
        return; /* root may */
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_event(
            LOG_WARNING,
            "too few file descriptors for WORKER_CONNECTIONS; raise the limit (ulimit -n, or LimitNOFILE= of the unit)",
            LOG_I("limit", (int64_t)limit.rlim_cur), LOG_I("wanted", (int64_t)wanted),
            LOG_I("connections_a_worker", service_connections(s)));
}

static void warn_of_backlog(const struct settings *s)
{
    const int most = listeners_backlog_limit();

    if (most >= 0 && s->backlog > most)
        log_event(LOG_WARNING, "the kernel cuts BACKLOG; raise net.core.somaxconn", LOG_I("backlog", s->backlog),
                  LOG_I("somaxconn", most));
}

static void warn_of_proxies(const struct settings *s)
{
    if (s->proxy_protocol && s->trusted_proxies.count == 0)
        log_text(LOG_WARNING, "PROXY_PROTOCOL does nothing: TRUSTED_PROXIES names nobody who may speak it");
}

static void tell_planned(const struct settings *s)
{
    const struct setting *row;

    for (size_t at = 0; (row = settings_planned(s, &at)) != NULL;)
        log_event(LOG_WARNING, "this version does not act on a setting", LOG_C("key", row->key));
}

/* ---- the database before anybody is served --------------------------------------- */

struct db_conf service_db_conf(const struct settings *s)
{
    static const char *const drivers[] = { [DB_DRIVER_SQLITE] = "sqlite", [DB_DRIVER_MYSQL] = "mysql" };

    return (struct db_conf){
        .driver = drivers[s->db_driver],
        .path = s->db_path.ptr,
        .hosts = s->db_host.rows,
        .host_count = s->db_host.count,
        .port = s->db_port,
        .socket = s->db_socket.ptr,
        .name = s->db_name.ptr,
        .user = s->db_user.ptr,
        .password = s->db_password.ptr,
        .ssl = s->db_ssl,
        .ssl_ca = s->db_ssl_ca.ptr,
        .io_timeout_s = DB_SILENCE_S,
        .pool_size = s->db_pool_size,
        .max_overflow = s->db_max_overflow,
        .pool_warm = s->db_pool_warm,
        .pool_timeout_s = s->db_pool_timeout_s,
        .pool_recycle_s = s->db_pool_recycle_s,
        .pool_pre_ping = s->db_pool_pre_ping,
        .pool_leak_s = s->db_pool_leak_s,
        .slow_query_ms = s->slow_query_ms,
    };
}

static void tell_migration(void *arg, const struct migration *m)
{
    (void)arg;
    log_event(LOG_INFO, "migration applied", LOG_I("number", m->number), LOG_C("name", m->name));
}

static bool migrate(const struct settings *s, const struct application *app)
{
    const struct db_conf conf = service_db_conf(s);
    char error[ERROR_SIZE] = "out of memory";
    struct db *db = db_new(&conf);
    int applied = 0;
    enum err e = E_NO_MEMORY;

    if (db) {
        size_t count = 0;
        const struct migration *list = app->migrations(db_dialect(db), &count);

        e = migrate_up(db, list, count, tell_migration, NULL, &applied, error, sizeof(error));
    }
    db_free(db);
    if (e != OK)
        log_text(LOG_ERROR, "the database cannot be used: %s", error);
    return e == OK;
}

/* ---- what the operator is told ------------------------------------------------------ */

static const char *database_name(const struct settings *s, char out[static NAME_SIZE])
{
    const struct str place = s->db_socket.len > 0   ? s->db_socket
                             : s->db_host.count > 0 ? s->db_host.rows[0]
                                                    : STR_EMPTY;

    if (s->db_driver == DB_DRIVER_SQLITE)
        snprintf(out, NAME_SIZE, STR_FMT, STR_ARG(s->db_path));
    else
        snprintf(out, NAME_SIZE, STR_FMT " on " STR_FMT, STR_ARG(s->db_name), STR_ARG(place));
    return out;
}

static void print_ready(const struct node *n)
{
    char database[NAME_SIZE], places[NAME_SIZE], url[ENDPOINT_TEXT];
    const struct settings *s = n->settings;

    listeners_print(&n->listeners, places, sizeof(places));
    listeners_print_url(&n->listeners, url);

    fprintf(stderr,
            "\n  sanad " SANAD_VERSION " ready on %s/\n"
            "    certificates  %s/api/certificates/public\n"
            "    templates     %s/api/certificates/templates\n"
            "    health        %s/health   metrics  %s/metrics\n"
            "    listening on  %s, %d workers, %d connections and %d requests under way each, backlog %d\n"
            "    database      %s, pool %d + %d overflow for the node, cache %s\n"
            "    stop          Ctrl-C, or kill -TERM %ld\n\n",
            url, url, url, url, url, places, s->max_workers, service_connections(s), s->limit_concurrency, s->backlog,
            database_name(s, database), s->db_pool_size, s->db_max_overflow, s->cache_enabled ? "on" : "off",
            (long)getpid());
}

static void log_ready(const struct node *n, const char *what, const char *places)
{
    log_event(LOG_INFO, what, LOG_C("version", SANAD_VERSION), LOG_C("listening", places),
              LOG_I("port", listeners_port(&n->listeners)), LOG_I("workers", atomic_load(&n->slots->positions)));
}

static void tell_ready(void *arg)
{
    struct node *n = arg;
    char places[NAME_SIZE], told[NAME_SIZE + 64];

    listeners_print(&n->listeners, places, sizeof(places));
    snprintf(told, sizeof(told), "READY=1\nSTATUS=%d workers, listening on %s", atomic_load(&n->slots->positions),
             places);
    notify_send(&n->notify, told);
    n->times_ready++;
    service_tell_commands(n);
    if (!n->served)
        service_user_warn(n->settings);
    if (n->served)
        log_ready(n, "reloaded", places);
    else if (n->settings->log_format == LOG_TEXT)
        print_ready(n);
    else
        log_ready(n, "ready", places);
    n->served = true;
}

/* ---- putting it together --------------------------------------------------------------- */

/* A part of the shared memory: where the node keeps it, and how large it is. */
struct part {
    const char *name;
    void **place;
    size_t size;
};

enum { PARTS = 5 };

static void list_parts(struct node *n, struct part parts[static PARTS])
{
    const struct settings *s = n->settings;
    const struct part list[PARTS] = {
        { "workers", (void **)&n->slots, sizeof(struct worker_slots) },
        { "metrics", (void **)&n->pages, WORKER_ROWS_MAX * sizeof(struct metrics_page) },
        { "generations", (void **)&n->generations, sizeof(struct cache_generations) },
        { "budget", (void **)&n->budget, budget_bytes(s->db_pool_size, s->db_max_overflow) },
        { "limits", (void **)&n->limits, limit_table_bytes((size_t)s->rate_limit_clients) },
    };

    memcpy(parts, list, sizeof(list));
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text) { return mix(hash, text, strlen(text) + 1); }

/* What the memory means: the sizes of its parts, and the tables whose indices stand in
 * it. An heir with the same works on in it; another one begins anew. */
static uint64_t layout_of(struct node *n)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    struct part parts[PARTS];

    list_parts(n, parts);
    for (size_t i = 0; i < PARTS; i++)
        hash = mix(hash, &parts[i].size, sizeof(parts[i].size));
    hash = mix(hash, &n->settings->db_pool_size, sizeof(n->settings->db_pool_size));
    for (size_t i = 0; i < METRIC_COUNTER_COUNT; i++)
        hash = mix_text(hash, metric_counter_info[i].name);
    for (size_t i = 0; i < METRIC_GAUGE_COUNT; i++)
        hash = mix_text(hash, metric_gauge_info[i].name);
    for (size_t i = 0; i < METRIC_HISTOGRAM_COUNT; i++)
        hash = mix_text(hash, metric_histogram_info[i].name);
    for (size_t i = 0; i < n->app->route_count; i++)
        hash = mix_text(mix(hash, &n->app->routes[i].method, sizeof(n->app->routes[i].method)), n->app->routes[i].path);
    for (size_t i = 0; i < n->app->statement_count; i++)
        hash = mix_text(hash, n->app->statements[i]->name);
    return hash;
}

static bool inherit_memory(struct node *n)
{
    struct part parts[PARTS];

    if (shared_inherit(&n->shared, layout_of(n)) != 0)
        return false;
    list_parts(n, parts);
    for (size_t i = 0; i < PARTS; i++) {
        *parts[i].place = shared_find(&n->shared, parts[i].name, parts[i].size);
        if (*parts[i].place)
            continue;
        shared_close(&n->shared);
        return false;
    }
    budget_inherit(n->budget);
    return true;
}

static bool make_memory(struct node *n)
{
    const struct settings *s = n->settings;
    struct part parts[PARTS];
    size_t room = 4096;

    list_parts(n, parts);
    for (size_t i = 0; i < PARTS; i++)
        room += parts[i].size;
    if (shared_open(&n->shared, room) != 0) {
        log_text(LOG_ERROR, "cannot map %zu bytes of shared memory", room);
        return false;
    }
    shared_describe(&n->shared, layout_of(n));
    for (size_t i = 0; i < PARTS; i++) {
        *parts[i].place = shared_take(&n->shared, parts[i].size);
        shared_publish(&n->shared, parts[i].name, *parts[i].place, parts[i].size);
    }
    if (budget_init(n->budget, s->db_pool_size, s->db_max_overflow, bells_of(s)) == OK)
        return true;
    log_text(LOG_ERROR, "too few file descriptors to share the database connections among %d workers", s->max_workers);
    return false;
}

static bool share_memory(struct node *n)
{
    uint8_t secret[LIMIT_SECRET_SIZE];

    if (inherit_memory(n))
        return true;
    if (!make_memory(n))
        return false;
    slots_init(n->slots, 0);
    random_secret(secret, sizeof(secret));
    n->limits = limit_table_init(n->limits, (size_t)n->settings->rate_limit_clients, secret);
    return true;
}

static void on_bequeath(void *arg)
{
    const struct node *n = arg;

    shared_bequeath(&n->shared);
    budget_bequeath(n->budget);
}

/* It may have worked in our memory, and called it its own. */
static void on_disinherit(void *arg)
{
    struct node *n = arg;

    shared_describe(&n->shared, layout_of(n));
    n->times_stayed++;
    service_tell_commands(n);
}

/* Without the file the service serves as well; only the commands do not find it. */
static void take_pid_file(struct node *n)
{
    const char *path = n->settings->pid_file.ptr;
    char error[ERROR_SIZE];

    if (*path && pid_file_take(&n->pid_file, path, error, sizeof(error)) != OK)
        log_text(LOG_WARNING, "%s; commands such as sanad limits will not find this server", error);
}

/* A worker's connections ended with it. */
static void on_buried(void *arg, int row)
{
    const struct node *n = arg;

    budget_forget(n->budget, row);
}

static void on_seated(void *arg, int row, int position)
{
    const struct node *n = arg;

    budget_seat(n->budget, row, position);
}

static void on_share(void *arg, int positions)
{
    const struct node *n = arg;

    budget_share(n->budget, positions);
}

static bool open_listeners(struct node *n)
{
    const struct settings *s = n->settings;
    const struct listeners_conf conf = {
        .host = s->host.ptr,
        .port = s->port,
        .count = s->max_workers,
        .backlog = s->backlog,
        .path = s->unix_socket.ptr,
        .mode = s->unix_socket_mode,
    };
    char error[ERROR_SIZE];

    if (listeners_open(&conf, &n->listeners, error, sizeof(error)) == OK)
        return true;
    log_text(LOG_ERROR, "%s", error);
    return false;
}

/* Each worker opens it for itself; that it cannot is said once, here. */
static bool check_access_log(const struct settings *s)
{
    char error[ERROR_SIZE];

    if (s->access_log.len == 0 || access_log_check(s->access_log.ptr, error, sizeof(error)))
        return true;
    log_text(LOG_ERROR, "%s", error);
    return false;
}

static bool check_slow_log(const struct settings *s)
{
    char error[ERROR_SIZE];

    if (s->slow_log.len == 0 || slow_file_check(s->slow_log.ptr, error, sizeof(error)))
        return true;
    log_text(LOG_ERROR, "%s", error);
    return false;
}

static bool derive_key(struct node *n)
{
    char error[ERROR_SIZE] = "";

    if (service_key(n->settings, "service", n->key, error, sizeof(error)) == OK)
        return true;
    log_text(LOG_ERROR, "%s", error);
    return false;
}

/* What root may be needed for comes first; afterwards nobody is root who need not be. */
static bool open_doors(struct node *n)
{
    struct privileges who;
    const bool drops = service_user_find(n->settings, &who);

    if (drops)
        service_user_make_folders(n->settings, &who);
    return open_listeners(n) && (!drops || service_user_become(n, &who));
}

/* The port comes before the database: a program that was started by mistake
 * beside the one that serves must not migrate what that one works with. */
static bool prepare(struct node *n)
{
    raise_descriptor_limit(n->settings);
    warn_of_backlog(n->settings);
    warn_of_proxies(n->settings);
    tell_planned(n->settings);
    db_register(n->app->statements, n->app->statement_count);
    return open_doors(n) && service_try_settings(n->settings) && share_memory(n) && migrate(n->settings, n->app) &&
           derive_key(n) && service_look_at_server(n->settings);
}

/* Whether it names a Redis that we can speak to; each worker reads it for itself. */
static bool check_redis_url(const struct settings *s)
{
    const char *why = err_text(E_NO_MEMORY);
    struct redis_conf conf;
    struct arena arena;
    enum err e = OK;

    arena_init(&arena, REDIS_CONF_BYTES);
    if (s->redis_enabled)
        e = service_redis_conf(s, &arena, &conf, &why);
    if (e != OK)
        log_text(LOG_ERROR, "REDIS_URL cannot be used: %s", why);
    arena_done(&arena);
    return e == OK;
}

bool service_try_settings(const struct settings *s)
{
    return check_redis_url(s) && check_access_log(s) && check_slow_log(s);
}

static int run(struct node *n)
{
    struct master_conf conf = {
        .listeners = &n->listeners,
        .notify = &n->notify,
        .pages = n->pages,
        .ready = tell_ready,
        .share = on_share,
        .seated = on_seated,
        .buried = on_buried,
        .reload = service_reload,
        .bequeath = on_bequeath,
        .disinherit = on_disinherit,
        .pid_file = &n->pid_file,
    };

    service_tell_master(n, &conf);
    return master_run(&conf, n->slots, service_worker_main, n);
}

static void clean_up(struct node *n)
{
    listeners_close(&n->listeners);
    pid_file_drop(&n->pid_file);
    notify_close(&n->notify);
    if (n->shared.base)
        shared_close(&n->shared);
    for (size_t i = 0; i < sizeof(n->reloaded) / sizeof(n->reloaded[0]); i++)
        settings_done(&n->reloaded[i]);
    sodium_memzero(n->key, sizeof(n->key));
}

int service_run(const struct settings *settings, const struct application *app, const struct settings_source *again)
{
    static struct node n; /* one a process; too large for a stack */
    int status = EXIT_CANNOT;

    n = (struct node){ .settings = settings, .again = again, .app = app };
    if (sodium_init() < 0)
        return EXIT_CANNOT;
    log_setup(settings->log_level, settings->log_format, "master");
    (void)signal(SIGPIPE, SIG_IGN);
    notify_open(&n.notify);
    if (!check_redis_url(settings) || !service_user_known(settings))
        return EXIT_SETTINGS;
    if (prepare(&n)) {
        take_pid_file(&n);
        status = run(&n);
    }
    clean_up(&n);
    return status;
}
