/* SPDX-License-Identifier: MIT */
#include "app/service_cost.h"

#include "base/buf.h"
#include "base/log.h"
#include "db/db.h"

enum { TIMING_MAX = 200 };

/* The request's database scope, if it has used one. */
static const struct db_scope *scope_of(const struct request *req) { return req->local; }

static double ms_of(mono_ns ns) { return (double)ns / NS_PER_MS; }

void service_cost_warn(const struct request *req, int most)
{
    const struct db_scope *scope = scope_of(req);

    if (!scope || most <= 0 || scope->queries <= (unsigned)most)
        return;
    log_event(LOG_WARNING, "many statements for one request", LOG_I("statements", scope->queries),
              LOG_I("db_ms", scope->query_ns / NS_PER_MS), LOG_C("route", scope->route), LOG_S("request_id", req->id),
              LOG_TRACE(req->trace));
}

void service_cost_tell(struct request *req, struct response *res)
{
    const struct db_scope *scope = scope_of(req);
    char room[TIMING_MAX];
    struct buf b;
    struct str value;

    buf_init_fixed(&b, room, sizeof(room));
    if (req->cache != CACHE_NONE)
        buf_printf(&b, "cache;desc=%s, ", cache_outcome_name(req->cache));
    if (scope)
        buf_printf(&b, "pool;dur=%.3f, db;dur=%.3f;desc=\"statements=%u\", ", ms_of(scope->wait_ns),
                   ms_of(scope->query_ns), scope->queries);
    buf_printf(&b, "total;dur=%.3f", ms_of(clock_mono() - req->started));
    value = arena_str(&req->arena, buf_view(&b));
    if (value.ptr)
        response_field(res, "Server-Timing", value);
}
