/* SPDX-License-Identifier: MIT */
/* A small application on the same service, for tests of what the real one does
 * not show: a counter that is written, handlers that sleep, hold, fail, crash,
 * and echo. It knows nothing of certificates, and the layers below know
 * nothing of it. Settings come from the environment, as for `sanad serve`. */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/service.h"
#include "base/json.h"
#include "base/task.h"
#include "ops/exposition.h"
#include "ops/health.h"

enum { TAG_COUNT = 1 << 0, TAG_FLAKY = 1 << 1, BIG_MAX = 64 * 1024 * 1024 };

static const struct migration migrations[] = {
    { 1, "counter",
      "CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
      "INSERT INTO counter VALUES (1, 0);"
      "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;" },
};

static const struct migration *migrations_for(const char *dialect, size_t *ret_count)
{
    (void)dialect;
    *ret_count = sizeof(migrations) / sizeof(*migrations);
    return migrations;
}

static const struct db_statement q_read = { "counter_read", "SELECT value FROM counter WHERE id = 1", DB_READ };
static const struct db_statement q_add = { "counter_add", "UPDATE counter SET value = value + 1 WHERE id = 1",
                                           DB_WRITE };
static const struct db_statement q_note = { "note_add", "INSERT INTO notes (text) VALUES (?)", DB_WRITE };
static const struct db_statement *const statements[] = { &q_read, &q_add, &q_note };

static struct response failed(struct request *req, enum err e)
{
    struct response res = problem_err(req, e);
    char pool[200];

    if (e == E_BUSY) {
        db_describe(request_db(req)->db, pool, sizeof(pool));
        res = problem(req, 503, "no connection in time: %s", pool);
    }
    response_field(&res, "Retry-After", STR("1"));
    return res;
}

static struct response number(struct request *req, int64_t value)
{
    return response_json(200,
                         arena_printf(&req->arena, "{\"value\":%lld,\"pid\":%ld}", (long long)value, (long)getpid()));
}

static enum err read_counter(struct request *req, int64_t *ret_value)
{
    struct db_rows rows;
    enum err e = db_query(request_db(req), &q_read, DB_NO_ARGS, &rows);

    if (e == OK)
        *ret_value = db_int(db_row(&rows, 0));
    return e;
}

static struct response count_get(struct request *req)
{
    int64_t value = 0;
    enum err e = read_counter(req, &value);

    return e == OK ? response_json(200, arena_printf(&req->arena, "{\"value\":%lld}", (long long)value))
                   : failed(req, e);
}

/* Counts, notes the request's id, and tells every worker before it answers. */
static struct response count_post(struct request *req)
{
    struct db_scope *db = request_db(req);
    struct db_rows rows;
    int64_t value = 0;
    enum err e = db_begin(db);

    if (e == OK)
        e = db_query(db, &q_add, DB_NO_ARGS, &rows);
    if (e == OK)
        e = db_query(db, &q_note, DB_ARGS(DBV_TEXT(req->id)), &rows);
    if (e == OK)
        e = read_counter(req, &value);
    if (e == OK)
        e = db_commit(db);
    if (e != OK)
        return failed(req, e);
    cache_invalidate(request_service(req)->generations, TAG_COUNT);
    return number(req, value);
}

static struct response slow(struct request *req)
{
    enum err e = task_sleep((uint64_t)req->args[0].i);

    return e == OK ? number(req, req->args[0].i) : problem_err(req, e);
}

/* Holds a connection in an open transaction. */
static struct response hold(struct request *req)
{
    struct db_scope *db = request_db(req);
    struct db_rows rows;
    enum err e = db_begin(db);

    if (e == OK)
        e = db_query(db, &q_add, DB_NO_ARGS, &rows);
    if (e == OK)
        e = task_sleep((uint64_t)req->args[0].i);
    db_rollback(db);
    return e == OK ? number(req, 0) : failed(req, e);
}

/* Works until a file named "down" exists: the database that fails. */
static struct response flaky(struct request *req)
{
    enum err e = task_sleep((uint64_t)req->args[0].i);

    if (e != OK || access("down", F_OK) == 0)
        return failed(req, E_UNAVAILABLE);
    return number(req, (int64_t)req->started);
}

static struct response echo(struct request *req)
{
    unsigned char hash[16];
    char hex[2 * sizeof(hash) + 1];
    crypto_generichash_state state;
    struct str piece;
    size_t length = 0;
    enum err e;

    crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    while ((e = request_body_piece(req, &piece)) == OK && piece.len > 0) {
        crypto_generichash_update(&state, (const unsigned char *)piece.ptr, piece.len);
        length += piece.len;
    }
    if (e != OK)
        return problem_err(req, e);
    crypto_generichash_final(&state, hash, sizeof(hash));
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    return response_json(200, arena_printf(&req->arena, "{\"length\":%zu,\"hash\":\"%s\"}", length, hex));
}

/* Answers a body without having read it. */
static struct response ignore(struct request *req) { return number(req, 0); }

static struct response big(struct request *req)
{
    const size_t size = (size_t)req->args[0].i;
    char *bytes = arena_alloc(&req->arena, size);

    if (!bytes)
        return problem_err(req, E_NO_MEMORY);
    memset(bytes, 'x', size);
    return response_bytes(200, "text/plain", (struct str){ bytes, size });
}

static struct response crash(struct request *req)
{
    (void)req;
    raise(SIGKILL);
    return response_empty(500);
}

static const struct param ms[] = {
    { .name = "ms", .kind = PARAM_INT, .min = 0, .max = 60000, .fallback = 0, .help = "milliseconds" }, { .name = NULL }
};
static const struct param bytes[] = {
    { .name = "bytes", .kind = PARAM_INT, .min = 0, .max = BIG_MAX, .fallback = 0, .help = "length" }, { .name = NULL }
};

enum { PROBE = ROUTE_INLINE | ROUTE_UNGATED };

/* clang-format off */
static const struct route routes[] = {
    { HTTP_GET,  "/health",       health_live,  PROBE,        0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/health/ready", health_ready, PROBE,        0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/metrics",      metrics_show, PROBE,        0, 0, 0,         metrics_params, "" },
    { HTTP_GET,  "/count",        count_get,    ROUTE_CACHED, 0, 0, TAG_COUNT, NULL,           "" },
    { HTTP_GET,  "/count/now",    count_get,    0,            0, 0, 0,         NULL,           "" },
    { HTTP_POST, "/count",        count_post,   0,            0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/flaky",        flaky,        ROUTE_CACHED, 0, 0, TAG_FLAKY, ms,             "" },
    { HTTP_GET,  "/slow",         slow,         0,            0, 0, 0,         ms,             "" },
    { HTTP_GET,  "/hold",         hold,         0,            0, 0, 0,         ms,             "" },
    { HTTP_POST, "/echo",         echo,         0,            0, 0, 0,         NULL,           "" },
    { HTTP_POST, "/ignore",       ignore,       0,            0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/big",          big,          0,            0, 0, 0,         bytes,          "" },
    { HTTP_GET,  "/big/inline",   big,          ROUTE_INLINE, 0, 0, 0,         bytes,          "" },
    { HTTP_GET,  "/crash",        crash,        0,            0, 0, 0,         NULL,           "" },
};
/* clang-format on */

static const struct application lab = {
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(*routes),
    .migrations = migrations_for,
    .statements = statements,
    .statement_count = sizeof(statements) / sizeof(*statements),
};

int main(void)
{
    struct settings_report report;
    struct settings settings;
    int status;

    if (settings_load(&settings, NULL, &report) != OK) {
        fprintf(stderr, "lab: wrong settings\n");
        return 78;
    }
    status = service_run(&settings, &lab);
    settings_done(&settings);
    return status;
}
