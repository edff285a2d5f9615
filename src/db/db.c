/* SPDX-License-Identifier: MIT */
#include "db/db.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "db/driver.h"
#include "db/group.h"
#include "db/pool.h"
#include "db/slow_log.h"
#include "db/transaction.h"

struct db {
    const struct db_driver *driver;
    const struct db_conf *conf;
    struct pool pool;
    struct group group; /* used with a single-writer driver */
    struct repeat_lane lane;
    struct slow_log slow;
    mono_ns told; /* the last refusal that was logged       */
};

static const struct db_driver *const drivers[] = { &db_sqlite, &db_mariadb };

/* ---- life ------------------------------------------------------------------- */

struct db *db_new_with(const struct db_driver *driver, const struct db_conf *conf)
{
    struct db *db = calloc(1, sizeof(*db));

    if (!db)
        return NULL;
    *db = (struct db){ .driver = driver, .conf = conf };
    if (pool_init(&db->pool, driver, conf) != OK) {
        free(db);
        return NULL;
    }
    group_init(&db->group, &db->pool);
    repeat_lane_init(&db->lane);
    slow_log_init(&db->slow, conf);
    return db;
}

static const struct db_driver *find_driver(const char *name)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (str_eq(str_of(drivers[i]->name), str_of(name)))
            return drivers[i];
    return NULL;
}

struct db *db_new(const struct db_conf *conf)
{
    const struct db_driver *driver = find_driver(conf->driver);

    return driver ? db_new_with(driver, conf) : NULL;
}

const char *db_dialect_of(const struct db_conf *conf)
{
    const struct db_driver *driver = find_driver(conf->driver);

    return driver ? driver->migrations : "";
}

void db_free(struct db *db)
{
    if (!db)
        return;
    pool_done(&db->pool);
    slow_log_done(&db->slow);
    free(db);
}

void db_reopen_slow_log(struct db *db)
{
    if (db)
        slow_log_reopen(&db->slow);
}

void db_drain(struct db *db) { pool_drain(&db->pool); }
void db_shutdown(struct db *db) { pool_shutdown(&db->pool); }
void db_tick(struct db *db) { pool_tick(&db->pool); }
int64_t db_retry_after_ms(const struct db *db) { return pool_retry_after_ms(&db->pool); }
size_t db_describe(const struct db *db, char *out, size_t size) { return pool_describe(&db->pool, out, size); }
const char *db_last_error(const struct db *db) { return db->pool.reason; }
const char *db_dialect(const struct db *db) { return db->driver->migrations; }
const struct db_driver *db_driver_of(const struct db *db) { return db->driver; }
struct repeat_lane *db_repeat_lane(struct db *db) { return &db->lane; }

enum err db_ping(struct db *db)
{
    const struct pool_holder who = { .route = "ping" };
    struct db_pooled *c = NULL;
    enum err e = pool_get(&db->pool, &who, &c);

    if (e != OK)
        return e;
    e = db->driver->ping(c->conn);
    pool_put(c);
    return e;
}

/* ---- scopes ------------------------------------------------------------------ */

struct db_scope db_scope_of(struct db *db, struct arena *arena)
{
    return (struct db_scope){ .db = db, .arena = arena, .request_id = STR_EMPTY };
}

static struct pool_holder holder_of(const struct db_scope *scope)
{
    return (struct pool_holder){ .route = scope->route, .request_id = scope->request_id, .trace = scope->trace };
}

void db_scope_end(struct db_scope *scope)
{
    if (scope->in_transaction)
        db_rollback(scope);
}

/* ---- statements --------------------------------------------------------------- */

static void account(struct db_scope *scope, const struct db_statement *st, enum err e, mono_ns took)
{
    scope->queries++;
    scope->query_ns += took;
    metric_series_observe(SERIES_STATEMENT, db_statement_index(st), 0, (unsigned)e, took);
}

/* What a database refuses though it should not is an operator's to know: its own
 * words are in the log only, at most once a second. */
static void tell_refusal(struct db_scope *scope, const struct db_statement *st, const struct db_conn *conn)
{
    const mono_ns now = clock_mono();

    if (!scope->route || now - scope->db->told < NS_PER_S)
        return;
    scope->db->told = now;
    log_event(LOG_ERROR, "the database refused a statement", LOG_C("statement", st->name), LOG_C("why", conn->error),
              LOG_C("route", scope->route), LOG_S("request_id", scope->request_id));
}

/* Runs on the connection that the scope holds. A transaction that the database
 * has undone takes no more statements: each would be one of its own. */
static enum err run_held(struct db_scope *scope, const struct db_statement *st, const struct db_value *args,
                         size_t count, struct db_rows *ret_rows)
{
    const struct db_driver *driver = scope->db->driver;
    struct db_conn *conn = scope->held->conn;
    struct db_rows rows = { .count = 0 };
    const mono_ns start = clock_mono();
    mono_ns took;
    enum err e;

    if (scope->in_transaction && !conn->in_transaction)
        return E_DATABASE;
    scope->held->statement = st->name;
    e = driver->run(conn, st, args, count, scope->arena, &rows);
    took = clock_mono() - start;
    account(scope, st, e, took);
    if (e == E_DATABASE)
        tell_refusal(scope, st, conn);
    if (scope->in_transaction && driver->single_writer)
        group_note(&scope->db->group, e);
    if (slow_log_wants(&scope->db->slow, took))
        slow_log_tell(&scope->db->slow, conn,
                      &(struct slow_query){ .st = st,
                                            .args = args,
                                            .arg_count = count,
                                            .result = e,
                                            .rows = rows.count,
                                            .changes = rows.changes,
                                            .took = took,
                                            .route = scope->route,
                                            .request_id = scope->request_id,
                                            .trace = scope->trace });
    if (e == OK)
        *ret_rows = rows;
    return e;
}

static enum err run_alone(struct db_scope *scope, const struct db_statement *st, const struct db_value *args,
                          size_t count, struct db_rows *ret_rows)
{
    const struct pool_holder who = holder_of(scope);
    const mono_ns start = clock_mono();
    enum err e = pool_get(&scope->db->pool, &who, &scope->held);

    scope->wait_ns += clock_mono() - start;
    if (e != OK)
        return e;
    e = run_held(scope, st, args, count, ret_rows);
    pool_put(scope->held);
    scope->held = NULL;
    return e;
}

static enum err run_in_group(struct db_scope *scope, const struct db_statement *st, const struct db_value *args,
                             size_t count, struct db_rows *ret_rows)
{
    struct db_rows rows = { .count = 0 };
    enum err e = db_begin(scope);

    if (e != OK)
        return e;
    e = run_held(scope, st, args, count, &rows);
    if (e != OK) {
        db_rollback(scope);
        return e;
    }
    e = db_commit(scope);
    if (e == OK)
        *ret_rows = rows;
    return e;
}

enum err db_query(struct db_scope *scope, const struct db_statement *st, const struct db_value *args, size_t count,
                  struct db_rows *ret_rows)
{
    if (scope->in_transaction)
        return run_held(scope, st, args, count, ret_rows);
    if (st->kind == DB_WRITE && scope->db->driver->single_writer)
        return run_in_group(scope, st, args, count, ret_rows);
    return run_alone(scope, st, args, count, ret_rows);
}

/* ---- transactions -------------------------------------------------------------- */

static enum err begin_alone(struct db *db, const struct pool_holder *who, struct db_pooled **ret_conn)
{
    struct db_pooled *c = NULL;
    enum err e = pool_get(&db->pool, who, &c);

    if (e != OK)
        return e;
    e = db->driver->script(c->conn, db->driver->begin);
    if (e == OK)
        *ret_conn = c;
    else
        pool_put(c);
    return e;
}

enum err db_begin(struct db_scope *scope)
{
    struct db *db = scope->db;
    const struct pool_holder who = holder_of(scope);
    const mono_ns start = clock_mono();
    enum err e;

    assert(!scope->in_transaction);
    e = db->driver->single_writer ? group_begin(&db->group, &who, &scope->held) : begin_alone(db, &who, &scope->held);
    scope->wait_ns += clock_mono() - start;
    scope->in_transaction = e == OK;
    return e;
}

static enum err commit_alone(struct db *db, struct db_pooled *c)
{
    enum err e = E_DATABASE; /* of a transaction that the database undid */

    if (c->conn->in_transaction)
        e = db->driver->script(c->conn, "COMMIT");
    pool_put(c);
    return e;
}

enum err db_commit(struct db_scope *scope)
{
    struct db *db = scope->db;
    struct db_pooled *held = scope->held;

    assert(scope->in_transaction);
    scope->in_transaction = false;
    scope->held = NULL;
    return db->driver->single_writer ? group_commit(&db->group) : commit_alone(db, held);
}

void db_rollback(struct db_scope *scope)
{
    struct db *db = scope->db;
    struct db_pooled *held = scope->held;

    if (!scope->in_transaction)
        return;
    scope->in_transaction = false;
    scope->held = NULL;
    if (db->driver->single_writer)
        group_rollback(&db->group);
    else
        pool_put(held); /* which rolls back, in its own time */
}
