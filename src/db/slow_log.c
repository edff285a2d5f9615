/* SPDX-License-Identifier: MIT */
#include "db/slow_log.h"

#include "base/arena.h"
#include "base/log.h"
#include "db/db.h"
#include "db/driver.h"
#include "db/plan.h"

enum {
    PLAN_MEMORY = 256 * 1024,
    PLANS_APART_MS = 100,
    FIELDS_MAX = 10,
};

void slow_log_init(struct slow_log *log, const struct db_conf *conf)
{
    *log = (struct slow_log){ .conf = conf };
    slow_file_init(&log->file, conf->slow_log);
}

void slow_log_done(struct slow_log *log) { slow_file_close(&log->file); }
void slow_log_reopen(struct slow_log *log) { slow_file_reopen(&log->file); }

bool slow_log_wants(const struct slow_log *log, mono_ns took)
{
    const int64_t limit_ms = log->conf->slow_query_ms;

    return limit_ms > 0 && took >= limit_ms * NS_PER_MS;
}

/* Its own arena: the request's may be full, and is not there for this. */
static struct str ask_for_plan(struct slow_log *log, struct db_conn *c, const struct slow_query *q, struct arena *arena)
{
    const mono_ns now = clock_mono();

    if (!log->conf->explain_slow || q->result != OK || q->st->kind == DB_WRITE || now < log->plan_due)
        return STR_EMPTY;
    log->plan_due = now + (mono_ns)PLANS_APART_MS * NS_PER_MS;
    return plan_explain(c, q->st, q->args, q->arg_count, arena);
}

static void write_line(const struct slow_query *q, struct str plan)
{
    struct log_field fields[FIELDS_MAX] = {
        LOG_C("statement", q->st->name),
        LOG_I("ms", q->took / NS_PER_MS),
        LOG_I("rows", (int64_t)q->rows),
        LOG_I("changes", (int64_t)q->changes),
        LOG_C("route", q->route),
        LOG_S("request_id", q->request_id),
        LOG_TRACE(q->trace),
    };
    size_t count = 8;

    if (q->result != OK)
        fields[count++] = (struct log_field)LOG_C("error", err_name(q->result));
    if (plan.len > 0)
        fields[count++] = (struct log_field)LOG_S("plan", plan);
    log_line(LOG_WARNING, "slow query", fields, count);
}

void slow_log_tell(struct slow_log *log, struct db_conn *c, const struct slow_query *q)
{
    struct arena arena;

    slow_file_write(&log->file, q);
    arena_init(&arena, PLAN_MEMORY);
    write_line(q, ask_for_plan(log, c, q, &arena));
    arena_done(&arena);
}
