/* SPDX-License-Identifier: MIT */
/* sanad status: whether the server that runs here serves, and how it fares. Reads the
 * memory that its processes share, so it also answers for a server whose workers hang. */
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/figures.h"
#include "cli/running.h"
#include "ops/interval.h"
#include "ops/listening.h"

enum { SNAPSHOT_BYTES = 32 * 1024 * 1024, JSON_BYTES = 1024 * 1024, PLACES_MAX = 16 };

/* What is said, in either form. */
struct status {
    const struct running *running;
    const struct snapshot *now;
    const struct interval *total;
    struct limit_stats limits;
    struct listening places[PLACES_MAX];
    size_t place_count;
};

/* ---- judging --------------------------------------------------------------------------- */

static size_t count_state(const struct interval *i, enum worker_state state)
{
    size_t n = 0;

    for (size_t w = 0; w < i->worker_count; w++)
        n += i->workers[w].view->state == state;
    return n;
}

static bool serves(const struct status *s) { return count_state(s->total, WORKER_READY) > 0; }

static const char *state_of(const struct status *s)
{
    if (serves(s))
        return "serving";
    return count_state(s->total, WORKER_STARTING) > 0   ? "starting"
           : count_state(s->total, WORKER_DRAINING) > 0 ? "stopping"
                                                        : "not serving";
}

static double age_s(const struct status *s, wall_ms then)
{
    return then > 0 && s->now->taken > then ? (double)(s->now->taken - then) / MS_PER_S : 0;
}

static uint64_t refused(const struct interval *i)
{
    return i->counters[M_LIMIT_REFUSED_API] + i->counters[M_LIMIT_REFUSED_LOGIN] + i->counters[M_LIMIT_REFUSED_ACCOUNT];
}

static uint64_t lookups(const struct interval *i) { return i->counters[M_CACHE_HIT] + i->counters[M_CACHE_MISS]; }

/* ---- for people ------------------------------------------------------------------------- */

static void print_places(const struct status *s)
{
    for (size_t i = 0; i < s->place_count; i++)
        printf("%-12s %s\n", i == 0 ? "listening" : "", s->places[i].text);
}

static void print_worker(const struct status *s, const struct worker_interval *w)
{
    const struct worker_view *v = w->view;
    char silence[32] = "-";

    if (v->silence_ms >= 0 && v->known)
        snprintf(silence, sizeof(silence), "%s ago", figure_seconds((double)v->silence_ms / MS_PER_S).text);
    printf("%6d %8d %-9s %12s %9llu %12s %10s %12llu %6lld\n", v->index, v->pid, worker_state_name(v->state),
           v->known ? figure_age(age_s(s, v->started)).text : "-", (unsigned long long)v->restarts, silence,
           v->known ? figure_bytes((double)v->info.rss_bytes).text : "-", (unsigned long long)v->requests,
           (long long)v->connections);
}

static void print_workers(const struct status *s)
{
    printf("\n%6s %8s %-9s %12s %9s %12s %10s %12s %6s\n", "WORKER", "PID", "STATE", "AGE", "RESTARTS", "HEARTBEAT",
           "MEMORY", "REQUESTS", "CONNS");
    for (size_t i = 0; i < s->total->worker_count; i++)
        print_worker(s, &s->total->workers[i]);
}

static void print_figures(const struct status *s)
{
    const struct interval *t = s->total;
    const int64_t *g = s->now->gauges;

    printf("\n%-12s %llu answered, %llu of them errors (5xx); %lld under way on %lld connections\n", "requests",
           (unsigned long long)t->http.count, (unsigned long long)t->statuses[5], (long long)g[M_ACTIVE_REQUESTS],
           (long long)g[M_CONNECTIONS]);
    printf("%-12s p50 %s, p95 %s, p99 %s since the start\n", "latency",
           figure_seconds(histogram_quantile(&t->http, 0.50)).text,
           figure_seconds(histogram_quantile(&t->http, 0.95)).text,
           figure_seconds(histogram_quantile(&t->http, 0.99)).text);
    printf("%-12s %lld used, %lld idle, %lld requests waiting; %lld kept, at most %lld\n", "pool",
           (long long)g[M_POOL_USED], (long long)g[M_POOL_IDLE], (long long)g[M_POOL_WAITING],
           (long long)g[M_POOL_SIZE], (long long)g[M_POOL_MAX]);
    printf("%-12s %s of %llu found, %lld kept (%s)\n", "cache",
           figure_share(interval_share(t->counters[M_CACHE_HIT], lookups(t))).text, (unsigned long long)lookups(t),
           (long long)g[M_CACHE_ENTRIES], figure_bytes((double)g[M_CACHE_BYTES]).text);
    printf("%-12s %llu let through, %llu refused; %llu clients known\n", "limiter",
           (unsigned long long)t->counters[M_LIMIT_ALLOWED], (unsigned long long)refused(t),
           (unsigned long long)s->limits.clients);
}

static void print_text(const struct status *s)
{
    printf("%-12s sanad %s, process %ld, up %s, %s\n", "server", SANAD_VERSION, (long)s->running->pid,
           figure_age(age_s(s, s->now->started)).text, state_of(s));
    print_places(s);
    print_figures(s);
    print_workers(s);
}

/* ---- for programs ------------------------------------------------------------------------ */

static void open_member(struct json *j, const char *key)
{
    json_key(j, str_of(key));
    json_object(j);
}

static void write_server(struct json *j, const struct status *s)
{
    json_member_str(j, "state", str_of(state_of(s)));
    json_member_str(j, "version", STR(SANAD_VERSION));
    json_member_int(j, "pid", s->running->pid);
    json_member_double(j, "uptime_seconds", age_s(s, s->now->started));
    json_key(j, STR("listening"));
    json_array(j);
    for (size_t i = 0; i < s->place_count; i++)
        json_str(j, str_of(s->places[i].text));
    json_array_end(j);
}

static void write_worker(struct json *j, const struct status *s, const struct worker_view *v)
{
    json_object(j);
    json_member_int(j, "index", v->index);
    json_member_int(j, "pid", v->pid);
    json_member_str(j, "state", str_of(worker_state_name(v->state)));
    json_member_double(j, "age_seconds", v->known ? age_s(s, v->started) : 0);
    json_member_uint(j, "restarts", v->restarts);
    json_key(j, STR("heartbeat_age_ms"));
    if (v->silence_ms < 0)
        json_null(j);
    else
        json_int(j, v->silence_ms);
    json_member_int(j, "rss_bytes", v->info.rss_bytes);
    json_member_double(j, "cpu_seconds", v->info.cpu_seconds);
    json_member_uint(j, "requests", v->requests);
    json_member_int(j, "connections", v->connections);
    json_object_end(j);
}

static void write_requests(struct json *j, const struct status *s)
{
    const struct interval *t = s->total;

    open_member(j, "requests");
    json_member_uint(j, "answered", t->http.count);
    json_member_uint(j, "errors", t->statuses[5]);
    json_member_int(j, "active", s->now->gauges[M_ACTIVE_REQUESTS]);
    json_member_int(j, "connections", s->now->gauges[M_CONNECTIONS]);
    json_member_uint(j, "shed", t->counters[M_SHED]);
    json_member_double(j, "p50_ms", histogram_quantile(&t->http, 0.50) * MS_PER_S);
    json_member_double(j, "p95_ms", histogram_quantile(&t->http, 0.95) * MS_PER_S);
    json_member_double(j, "p99_ms", histogram_quantile(&t->http, 0.99) * MS_PER_S);
    json_object_end(j);
}

static void write_parts(struct json *j, const struct status *s)
{
    const struct interval *t = s->total;
    const int64_t *g = s->now->gauges;

    open_member(j, "pool");
    json_member_int(j, "size", g[M_POOL_SIZE]);
    json_member_int(j, "max", g[M_POOL_MAX]);
    json_member_int(j, "used", g[M_POOL_USED]);
    json_member_int(j, "idle", g[M_POOL_IDLE]);
    json_member_int(j, "waiting", g[M_POOL_WAITING]);
    json_member_uint(j, "timeouts", t->counters[M_POOL_TIMEOUTS]);
    json_object_end(j);
    open_member(j, "cache");
    json_member_uint(j, "hits", t->counters[M_CACHE_HIT]);
    json_member_uint(j, "misses", t->counters[M_CACHE_MISS]);
    json_member_double(j, "hit_ratio", interval_share(t->counters[M_CACHE_HIT], lookups(t)));
    json_member_int(j, "entries", g[M_CACHE_ENTRIES]);
    json_member_int(j, "bytes", g[M_CACHE_BYTES]);
    json_object_end(j);
    open_member(j, "limiter");
    json_member_uint(j, "allowed", t->counters[M_LIMIT_ALLOWED]);
    json_member_uint(j, "refused", refused(t));
    json_member_uint(j, "clients", s->limits.clients);
    json_object_end(j);
}

static int print_json_buffer(const struct buf *out)
{
    if (!buf_ok(out)) {
        fprintf(stderr, "sanad status: %s\n", err_text(out->err));
        return CLI_FAILED;
    }
    printf(STR_FMT "\n", STR_ARG(buf_view(out)));
    return CLI_OK;
}

static int print_json(const struct status *s)
{
    struct buf out;
    struct json j;
    int status;

    buf_init(&out, JSON_BYTES);
    json_init(&j, &out);
    json_object(&j);
    write_server(&j, s);
    write_requests(&j, s);
    write_parts(&j, s);
    json_key(&j, STR("workers"));
    json_array(&j);
    for (size_t i = 0; i < s->total->worker_count; i++)
        write_worker(&j, s, s->total->workers[i].view);
    json_array_end(&j);
    json_object_end(&j);
    status = print_json_buffer(&out);
    buf_done(&out);
    return status;
}

/* {"state":"down","reason":"..."} */
static void print_json_down(const char *why)
{
    struct buf out;
    struct json j;

    buf_init(&out, JSON_BYTES);
    json_init(&j, &out);
    json_object(&j);
    json_member_str(&j, "state", STR("down"));
    json_member_str(&j, "reason", str_of(why));
    json_object_end(&j);
    (void)print_json_buffer(&out);
    buf_done(&out);
}

/* ---- the command ------------------------------------------------------------------------- */

static int fail(const char *why, bool json)
{
    if (json)
        print_json_down(why);
    fprintf(stderr, "sanad status: %s\n", why);
    return CLI_FAILED;
}

static int tell(const struct running *r, const struct snapshot *now, const struct interval *total, bool json)
{
    struct status s = { .running = r, .now = now, .total = total };
    const struct limit_table *limits = running_limits(r);
    int status = CLI_OK;

    if (limits)
        s.limits = limit_table_stats(limits);
    s.place_count = listening_of(r->pid, s.places, PLACES_MAX);
    if (json)
        status = print_json(&s);
    else
        print_text(&s);
    if (status != CLI_OK || serves(&s))
        return status;
    fprintf(stderr, "sanad status: the server (process %ld) is %s: no worker is ready\n", (long)r->pid, state_of(&s));
    return CLI_FAILED;
}

static int look(const struct running *r, bool json)
{
    const struct snapshot *now = NULL;
    const struct interval *total = NULL;
    struct node_source node;
    struct arena arena;
    int status;

    if (!running_node(r, &node))
        return fail("the running server is another build, whose memory this one cannot read", json);
    arena_init(&arena, SNAPSHOT_BYTES);
    now = snapshot_take(&node, &arena);
    if (now)
        total = interval_between(NULL, now, &arena);
    status = total ? tell(r, now, total, json) : fail(err_text(E_NO_MEMORY), json);
    arena_done(&arena);
    return status;
}

static int run(int argc, char **argv)
{
    bool json = false;
    const struct cli_option own[] = { { "json", .given = &json }, { NULL } };
    char why[RUNNING_WHY_SIZE];
    struct cli_options options;
    struct running running;
    struct settings s;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    if (running_open(&s, RUNNING_READ, &running, why)) {
        status = look(&running, json);
        running_close(&running);
    } else {
        status = fail(why, json);
    }
    settings_done(&s);
    return status != CLI_OK ? status : cli_flush("status", stdout);
}

const struct command command_status = {
    .name = "status",
    .arguments = "[--json] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Says whether the server that runs here serves, and how it fares",
    .help = "Finds the server by PID_FILE and reads the memory that its processes share; the\n"
            "server is not asked and not disturbed. Exits with 0 when it serves, with 1 when\n"
            "it does not or cannot be found. Run it as the user of the server, or root, in\n"
            "the server's folder. Figures are sums over all workers since the start.\n"
            "\n"
            "  --json           as one JSON object, also when there is no server\n"
            "  --env FILE       read this file instead of ./.env\n"
            "  --set KEY=VALUE  override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sanad status --json\n",
    .run = run,
};
