/* SPDX-License-Identifier: MIT */
#include "ops/health.h"

#include "base/buf.h"
#include "base/json.h"
#include "ops/worker.h"
#include "redis/redis.h"

enum { HEALTH_BODY_MAX = 4096 };

static const struct status_row {
    const char *name;
    int http;
} status_rows[] = {
    [HEALTH_PASS] = { "pass", 200 },
    [HEALTH_WARN] = { "warn", 200 },
    [HEALTH_FAIL] = { "fail", 503 },
};

static enum health_status worse(enum health_status a, enum health_status b) { return a > b ? a : b; }

/* Answers about now: nobody may keep them. */
static struct response answer(int status, const char *type, const struct buf *body)
{
    struct response res = response_bytes(status, type, buf_view(body));

    response_field(&res, "Cache-Control", STR("no-store"));
    if (status != 200)
        response_field(&res, "Retry-After", STR("1"));
    return res;
}

struct response health_live(struct request *req)
{
    const struct worker *w = req->app;
    struct buf body;
    struct json j;

    buf_init_arena(&body, &req->arena, HEALTH_BODY_MAX);
    json_init(&j, &body);
    json_object(&j);
    json_member_str(&j, "status", STR("healthy"));
    json_member_str(&j, "version", STR(SANAD_VERSION));
    json_member_int(&j, "uptime_seconds", (clock_mono() - w->started) / NS_PER_S);
    json_member_int(&j, "worker", w->index);
    json_object_end(&j);
    return buf_ok(&body) ? answer(200, "application/json", &body) : problem_err(req, body.err);
}

/* --- ready ------------------------------------------------------------------------ */

/* A check is a list of one: the draft allows several nodes of a dependency. */
static void begin_check(struct json *j, const char *name, const char *component_type, enum health_status status)
{
    json_key(j, str_of(name));
    json_array(j);
    json_object(j);
    json_member_str(j, "componentType", str_of(component_type));
    json_member_str(j, "status", str_of(status_rows[status].name));
}

static void end_check(struct json *j, wall_ms at)
{
    char time[ISO_TIME_SIZE];

    if (at > 0)
        json_member_str(j, "time", (struct str){ time, clock_iso(at, time) });
    json_object_end(j);
    json_array_end(j);
}

/* One that drains because it is replaced is no reason to leave the node. */
static enum health_status worker_status(const struct worker *w, enum worker_state state)
{
    const bool leaves = state == WORKER_DRAINING && !atomic_load_explicit(&w->slots->stopping, memory_order_relaxed);

    return state == WORKER_READY || leaves ? HEALTH_PASS : HEALTH_FAIL;
}

static void check_worker(struct json *j, const struct worker *w, enum worker_state state)
{
    begin_check(j, "worker:state", "system", worker_status(w, state));
    json_member_str(j, "observedValue", str_of(worker_state_name(state)));
    end_check(j, clock_wall());
}

static void check_database(struct json *j, const struct health_finding *found)
{
    begin_check(j, "database:responseTime", "datastore", found->status);
    if (found->observed_ms >= 0) {
        json_member_double(j, "observedValue", found->observed_ms);
        json_member_str(j, "observedUnit", STR("ms"));
    }
    if (found->output[0] != '\0')
        json_member_str(j, "output", str_of(found->output));
    end_check(j, found->at);
}

/* Without Redis the node does all of its work, and counts and caches for itself. */
static enum health_status redis_status(const struct worker *w)
{
    return !w->redis || redis_is_up(w->redis) ? HEALTH_PASS : HEALTH_WARN;
}

static void check_redis(struct json *j, const struct worker *w)
{
    begin_check(j, "redis:connection", "datastore", redis_status(w));
    if (!redis_is_up(w->redis)) {
        json_member_double(j, "observedValue", (double)redis_away_ms(w->redis) / MS_PER_S);
        json_member_str(j, "observedUnit", STR("s"));
        json_member_str(j, "output", STR("Redis is away; limits and cache are this node's own"));
    }
    end_check(j, clock_wall());
}

static struct health_finding database_finding(const struct worker *w)
{
    return w->readiness ? readiness_database(w->readiness) : (struct health_finding){ .observed_ms = -1 };
}

struct response health_ready(struct request *req)
{
    const struct worker *w = req->app;
    const enum worker_state state = slot_state(worker_slot_of(w));
    const struct health_finding database = database_finding(w);
    const enum health_status inner = worse(worker_status(w, state), redis_status(w));
    const struct status_row *overall = &status_rows[worse(inner, database.status)];
    struct buf body;
    struct json j;

    buf_init_arena(&body, &req->arena, HEALTH_BODY_MAX);
    json_init(&j, &body);
    json_object(&j);
    json_member_str(&j, "status", str_of(overall->name));
    json_member_str(&j, "version", STR(SANAD_VERSION));
    json_key(&j, STR("checks"));
    json_object(&j);
    check_worker(&j, w, state);
    if (w->readiness)
        check_database(&j, &database);
    if (w->redis)
        check_redis(&j, w);
    json_object_end(&j);
    json_object_end(&j);
    return buf_ok(&body) ? answer(overall->http, "application/health+json", &body) : problem_err(req, body.err);
}
