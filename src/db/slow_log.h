/* SPDX-License-Identifier: MIT */
/* Slow statements, told to the operator: a line in the log, and a record in
 * SLOW_LOG (db/slow_file.h) where there is one.
 *
 *   slow query statement=spas_active ms=312 rows=20 changes=0 route=/api/spas request_id=01J... plan="..."
 *
 * A statement is told by its name and its constant text, never by its values.
 * With `explain_slow` the line of a read also says how the database carries it
 * out (db/plan.h); a server that is slow is not asked that all the time.
 */
#pragma once

#include "base/clock.h"
#include "base/trace.h"
#include "db/slow_file.h"
#include "db/statement.h"

struct db_conf;
struct db_conn;

/* A statement that was slow. */
struct slow_query {
    const struct db_statement *st;
    const struct db_value     *args;       /* for its plan only */
    size_t                     arg_count;
    enum err                   result;
    uint64_t                   rows, changes;
    mono_ns                    took;
    const char                *route;      /* may be NULL       */
    struct str                 request_id;
    struct trace               trace;
};

struct slow_log {
    /* private */
    const struct db_conf *conf;
    struct slow_file      file;
    mono_ns               plan_due;        /* before that no plan is asked for */
};

/* Opens nothing yet. `conf` must outlive it. */
void slow_log_init(struct slow_log *log, const struct db_conf *conf);
void slow_log_done(struct slow_log *log);
void slow_log_reopen(struct slow_log *log);

/* Whether a statement that took so long is to be told. */
bool slow_log_wants(const struct slow_log *log, mono_ns took);

/* Tells it. `c` is the connection that ran it, still its borrower's; the plan
 * is asked for there (waits), and what goes wrong with that shows only in the
 * connection's own state. */
void slow_log_tell(struct slow_log *log, struct db_conn *c, const struct slow_query *q);
