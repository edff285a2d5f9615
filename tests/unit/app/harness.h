/* SPDX-License-Identifier: MIT */
/* A database with the program's own schema, and a request against it, for the
 * tests of handlers: what service.c is to the program. Everything runs at once,
 * outside a coroutine. One harness a test program. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sqlite3.h>

#include "app/app.h"
#include "db/migrate.h"

struct harness {
    char                  path[64];
    sqlite3              *raw;          /* for the tests to fill tables with */
    struct db_conf        conf;
    struct db            *db;
    struct arena          arena;        /* the catalog's                     */
    const struct catalog *catalog;
    struct request        req;
    struct db_scope       scope;
    uint8_t               key[CURSOR_KEY_BYTES];
};
static struct harness harness;

const uint8_t *app_cursor_key(struct request *req) { (void)req; return harness.key; }
const struct catalog *app_catalog(struct request *req) { (void)req; return harness.catalog; }

__attribute__((unused)) static void harness_sql(const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(harness.raw, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", error, sql);
}

struct db_scope *request_db(struct request *req)
{
    (void)req;
    return &harness.scope;
}

static int harness_open(void **state)
{
    (void)state;
    size_t count;
    const struct migration *list = migrations_of("sqlite", &count);

    snprintf(harness.path, sizeof(harness.path), "/tmp/sanad-app-test-%ld.db", (long)getpid());
    unlink(harness.path);
    assert_int_equal(sqlite3_open(harness.path, &harness.raw), SQLITE_OK);
    harness_sql("PRAGMA journal_mode = WAL");
    for (size_t i = 0; i < count; i++)
        harness_sql(list[i].sql);
    harness_sql("INSERT INTO users (id, email, username, password_hash, created_at) VALUES"
                " (1, 'a@example.com', 'a', '', 0)");
    harness.conf = (struct db_conf){
        .driver = "sqlite", .path = harness.path, .pool_size = 1, .pool_timeout_s = 1, .busy_timeout_ms = 1000,
    };
    harness.db = db_new(&harness.conf);
    assert_non_null(harness.db);
    arena_init(&harness.arena, 4 * 1024 * 1024);
    harness.catalog = catalog_build(&harness.arena, "sqlite", categories, category_count);
    assert_non_null(harness.catalog);
    arena_init(&harness.req.arena, 64 * 1024 * 1024);
    return 0;
}

static int harness_close(void **state)
{
    (void)state;
    char side[80];

    db_scope_end(&harness.scope);
    db_shutdown(harness.db);
    db_free(harness.db);
    sqlite3_close(harness.raw);
    arena_done(&harness.req.arena);
    arena_done(&harness.arena);
    unlink(harness.path);
    for (size_t i = 0; i < 2; i++) {
        snprintf(side, sizeof(side), "%s%s", harness.path, i == 0 ? "-wal" : "-shm");
        unlink(side);
    }
    return 0;
}

static const struct route *harness_route(http_handler *handler)
{
    for (size_t i = 0; i < app_route_count; i++) {
        if (app_routes[i].handler == handler)
            return &app_routes[i];
    }
    fail_msg("no route has this handler");
    return NULL;
}

/* Calls a handler as the server would: `query` without '?', path_arg may be
 * NULL. A query that params_check() refuses is the test's mistake. The answer
 * is valid until the next call. */
__attribute__((unused)) static struct response harness_get(http_handler *handler, const char *path_arg,
                                                           const char *query)
{
    struct request *req = &harness.req;
    struct field_errors errors = { 0 };
    const char *reason = NULL, *bad_query = NULL;
    static char raw[1024];

    db_scope_end(&harness.scope);
    arena_reset(&req->arena);
    harness.scope = db_scope_of(harness.db, &req->arena);
    *req = (struct request){ .arena = req->arena, .route = harness_route(handler), .path_args = { str_of(path_arg) } };
    snprintf(raw, sizeof(raw), "/x?%s", query);
    assert_int_equal(target_parse(str_of(raw), &req->arena, &req->target, &reason, &bad_query), OK);
    assert_int_equal(params_check(req->route, &req->target, &req->arena, req->args, &errors), OK);
    return handler(req);
}

/* What stands at a JSON path of an answer, as text; "" for null and for nothing.
 * Valid until the call after next. */
__attribute__((unused)) static const char *harness_json(const struct response *res, const char *path)
{
    static char texts[2][1024];
    static int turn;
    sqlite3_stmt *st;

    turn = !turn;
    assert_int_equal(res->kind, BODY_BYTES);
    assert_int_equal(sqlite3_prepare_v2(harness.raw, "SELECT json_extract(?, ?)", -1, &st, NULL), SQLITE_OK);
    sqlite3_bind_text(st, 1, res->body.ptr, (int)res->body.len, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, path, -1, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_ROW)
        fail_msg("%s: " STR_FMT, sqlite3_errmsg(harness.raw), STR_ARG(res->body));
    const char *text = (const char *)sqlite3_column_text(st, 0);
    snprintf(texts[turn], sizeof(texts[turn]), "%s", text ? text : "");
    sqlite3_finalize(st);
    return texts[turn];
}

/* Each row of an answer that is an array, as "category id". */
typedef void harness_row_fn(void *arg, size_t index, const char *category, long long id);
__attribute__((unused)) static size_t harness_rows(const struct response *res, harness_row_fn *each, void *arg)
{
    static const char sql[] = "SELECT value ->> 'category', value ->> 'id' FROM json_each(?) ORDER BY key";
    sqlite3_stmt *st;
    size_t count = 0;
    int step;

    assert_int_equal(sqlite3_prepare_v2(harness.raw, sql, -1, &st, NULL), SQLITE_OK);
    sqlite3_bind_text(st, 1, res->body.ptr, (int)res->body.len, SQLITE_STATIC);
    for (step = sqlite3_step(st); step == SQLITE_ROW; step = sqlite3_step(st))
        each(arg, count++, (const char *)sqlite3_column_text(st, 0), sqlite3_column_int64(st, 1));
    if (step != SQLITE_DONE)
        fail_msg("%s: " STR_FMT, sqlite3_errmsg(harness.raw), STR_ARG(res->body));
    sqlite3_finalize(st);
    return count;
}

/* Value of a response's field; empty when there is none. */
__attribute__((unused)) static struct str harness_field(const struct response *res, const char *name)
{
    for (unsigned i = 0; i < res->field_count; i++) {
        if (str_eq(res->fields[i].name, str_of(name)))
            return res->fields[i].value;
    }
    return STR_EMPTY;
}

/* How many lines of SQLite's plan of a statement hold a text. */
__attribute__((unused)) static int harness_plan_count(const char *sql, const char *text)
{
    char explain[65536];
    sqlite3_stmt *st;
    int found = 0;

    snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
    if (sqlite3_prepare_v2(harness.raw, explain, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(harness.raw), sql);
    while (sqlite3_step(st) == SQLITE_ROW)
        found += strstr((const char *)sqlite3_column_text(st, 3), text) != NULL;
    sqlite3_finalize(st);
    return found;
}
