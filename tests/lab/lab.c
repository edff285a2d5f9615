/* SPDX-License-Identifier: MIT */
/* A small application on the same service, for tests of what the real one does
 * not show: a counter that is written, handlers that sleep, hold, fail, crash,
 * and echo. It knows nothing of certificates, and the layers below know
 * nothing of it. Settings come from the environment, as for `sanad serve`. */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/service.h"
#include "base/coro.h"
#include "base/json.h"
#include "base/task.h"
#include "db/transaction.h"
#include "limit/client_address.h"
#include "ops/exposition.h"
#include "ops/health.h"
#include "redis/redis.h"

enum { TAG_COUNT = 1 << 0, TAG_FLAKY = 1 << 1, BIG_MAX = 64 * 1024 * 1024 };

/* In either dialect. */
#define ROWS "INSERT INTO counter VALUES (1, 0); INSERT INTO accounts VALUES (1, 0), (2, 0);"

static const struct migration in_sqlite = {
    1,
    "lab",
    "CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL) STRICT;"
    "CREATE TABLE piles (id INTEGER PRIMARY KEY, stuff BLOB NOT NULL) STRICT;" ROWS,
};
static const struct migration in_mysql = {
    1,
    "lab",
    "CREATE TABLE counter (id INT PRIMARY KEY, value BIGINT NOT NULL);"
    "CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(200) NOT NULL UNIQUE);"
    "CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL);"
    "CREATE TABLE piles (id INT AUTO_INCREMENT PRIMARY KEY, stuff LONGBLOB NOT NULL);" ROWS,
};

static const struct migration *migrations_for(const char *dialect, size_t *ret_count)
{
    *ret_count = 1;
    return strcmp(dialect, "mysql") == 0 ? &in_mysql : &in_sqlite;
}

static const struct db_statement q_read = { "counter_read", "SELECT value FROM counter WHERE id = 1", DB_READ };
static const struct db_statement q_add = { "counter_add", "UPDATE counter SET value = value + 1 WHERE id = 1",
                                           DB_WRITE };
static const struct db_statement q_note = { "note_add", "INSERT INTO notes (text) VALUES (?)", DB_WRITE };
static const struct db_statement q_give = { "account_give", "UPDATE accounts SET balance = balance + ? WHERE id = ?",
                                            DB_WRITE };
static const struct db_statement q_pile = { "pile_add", "INSERT INTO piles (stuff) VALUES (?)", DB_WRITE };
/* Slow in the database itself; MySQL only. */
static const struct db_statement q_nap = { "nap", "SELECT COUNT(*) FROM counter WHERE SLEEP(?) = 0", DB_READ_LONG };
/* Slow by counting; SQLite only. */
static const struct db_statement q_count_to = {
    "count_to",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    "SELECT COUNT(*) FROM n JOIN counter WHERE counter.id = 1",
    DB_READ_LONG,
};
static const struct db_statement *const statements[] = {
    &q_read, &q_add, &q_note, &q_give, &q_pile, &q_nap, &q_count_to
};

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

/* Counts, notes the request's id, and tells every worker, and every node, before it answers. */
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
    cache_written(request_service(req)->cache, TAG_COUNT);
    return number(req, value);
}

/* Notes the request's id, in a statement by itself. */
static struct response note(struct request *req)
{
    struct db_rows rows;
    enum err e = db_query(request_db(req), &q_note, DB_ARGS(DBV_TEXT(req->id)), &rows);

    return e == OK ? number(req, rows.insert_id) : failed(req, e);
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

/* Takes from one account, waits, gives to another, and notes the request's id:
 * who does it the other way round at that time is in the way. */
static enum err move_one(struct db_scope *db, void *arg)
{
    const struct request *req = arg;
    const struct arg *from = &req->args[0], *to = &req->args[1], *ms = &req->args[2];
    struct db_rows rows;
    enum err e = db_query(db, &q_give, DB_ARGS(DBV_INT(-1), DBV_INT(from->i)), &rows);

    if (e == OK && ms->i > 0)
        e = task_sleep((uint64_t)ms->i);
    if (e == OK)
        e = db_query(db, &q_give, DB_ARGS(DBV_INT(1), DBV_INT(to->i)), &rows);
    if (e == OK)
        e = db_query(db, &q_note, DB_ARGS(DBV_TEXT(req->id)), &rows);
    return e;
}

static struct response transfer(struct request *req)
{
    enum err e = db_transact(request_db(req), req->args[3].i ? DB_ONCE : DB_REPEATABLE, move_one, req);

    return e == OK ? number(req, 0) : failed(req, e);
}

/* Stores so many bytes. */
static struct response pile(struct request *req)
{
    const size_t size = (size_t)req->args[0].i;
    char *stuff = arena_alloc(&req->arena, size);
    struct db_rows rows;
    enum err e = E_NO_MEMORY;

    if (stuff) {
        memset(stuff, 'x', size);
        e = db_query(request_db(req), &q_pile, DB_ARGS(DBV_BLOB(((struct str){ stuff, size }))), &rows);
    }
    return e == OK ? number(req, rows.insert_id) : failed(req, e);
}

static struct response nap(struct request *req)
{
    struct db_rows rows;
    enum err e = db_query(request_db(req), &q_nap, DB_ARGS(DBV_REAL((double)req->args[0].i / MS_PER_S)), &rows);

    return e == OK ? number(req, 0) : failed(req, e);
}

static struct response count_to(struct request *req)
{
    struct db_rows rows;
    enum err e = db_query(request_db(req), &q_count_to, DB_ARGS(DBV_INT(req->args[0].i)), &rows);

    return e == OK ? number(req, db_int(db_row(&rows, 0))) : failed(req, e);
}

/* As many statements as asked for: what nobody should do. */
static struct response many(struct request *req)
{
    int64_t value = 0;
    enum err e = OK;

    for (int64_t i = 0; e == OK && i < req->args[0].i; i++)
        e = read_counter(req, &value);
    return e == OK ? number(req, value) : failed(req, e);
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

/* Whom the server takes the client for. */
static struct response whoami(struct request *req)
{
    const struct client_address *c = &req->client;
    const struct address key = client_key(&c->address);
    char client[ADDRESS_TEXT_SIZE], counted[CLIENT_KEY_TEXT_SIZE];

    address_print(&c->address, client);
    client_key_print(&key, counted);
    return response_json(200, arena_printf(&req->arena,
                                           "{\"client\":\"%s\",\"peer\":\"" STR_FMT
                                           "\",\"key\":\"%s\",\"via_proxy\":%s,\"hidden\":%s}",
                                           client, STR_ARG(peer_text(&req->peer)), counted,
                                           c->via_proxy ? "true" : "false", c->hidden ? "true" : "false"));
}

static void write_value(struct json *j, const struct redis_value *v)
{
    if (v->kind == REDIS_INT) {
        json_int(j, v->i);
    } else if (v->kind == REDIS_TEXT) {
        json_str(j, v->s);
    } else if (v->kind == REDIS_ARRAY) {
        json_array(j);
        for (size_t i = 0; i < v->count; i++)
            write_value(j, redis_item(v, i));
        json_array_end(j);
    } else {
        json_null(j);
    }
}

/* What came of a command, and how long it took: never an error to the client. */
static struct response told(struct request *req, enum err e, const struct redis_value *v, mono_ns since)
{
    struct json j;
    struct buf out;

    buf_init_arena(&out, &req->arena, BIG_MAX);
    json_init(&j, &out);
    json_object(&j);
    json_member_str(&j, "result", str_of(err_name(e)));
    json_member_double(&j, "ms", (double)(clock_mono() - since) / NS_PER_MS);
    json_key(&j, STR("value"));
    write_value(&j, v);
    json_object_end(&j);
    return buf_ok(&out) ? response_json(200, buf_view(&out)) : problem_err(req, out.err);
}

/* Any command of up to three words, the second of which is a key. */
static struct response redis_command(struct request *req)
{
    const struct redis_arg args[] = { RA_STR(req->args[0].s), RA_KEY(req->args[1].s), RA_STR(req->args[2].s) };
    const size_t count = req->args[2].given ? 3 : req->args[1].given ? 2 : 1;
    struct redis_value v = { .kind = REDIS_NIL };
    const mono_ns since = clock_mono();
    const enum err e = redis_call(request_worker(req)->redis, &(struct redis_command){ .args = args, .count = count },
                                  &req->arena, &v);

    return told(req, e, &v, since);
}

static const struct redis_script count_up = {
    "count_up",
    "local n = redis.call('INCRBY', KEYS[1], ARGV[1]) return { n, 'of', { KEYS[1] } }",
};

static struct response redis_function(struct request *req)
{
    struct redis *r = request_worker(req)->redis;
    struct redis_value v = { .kind = REDIS_NIL };
    const mono_ns since = clock_mono();
    enum err e = redis_add_script(r, &count_up);

    if (e == OK)
        e = redis_call(r, REDIS_EVAL(&count_up, RA_KEY(req->args[0].s), RA_INT(2)), &req->arena, &v);
    return told(req, e, &v, since);
}

/* Commands that are under way at once; the last one wakes the handler. */
struct volley {
    int left, good;
    struct coro *waiter;
};

static void on_hit(void *arg, enum err e, const struct redis_value *v)
{
    struct volley *volley = arg;

    volley->good += e == OK && v->kind == REDIS_INT;
    if (--volley->left == 0)
        coro_wake(volley->waiter, OK);
}

static struct response redis_volley(struct request *req)
{
    struct redis *r = request_worker(req)->redis;
    struct volley volley = { .waiter = coro_self() };

    for (int64_t i = 0; i < req->args[0].i && i < 10000; i++)
        volley.left += redis_send(r, REDIS_COMMAND(RA_TEXT("INCR"), RA_KEY(STR("volley"))), on_hit, &volley) == OK;
    if (volley.left > 0 && coro_wait_firmly() != OK) /* firmly: they know our memory */
        volley.good = 0;
    return number(req, volley.good);
}

static struct response redis_state(struct request *req)
{
    const struct redis *r = request_worker(req)->redis;
    struct json j;
    struct buf out;

    buf_init_arena(&out, &req->arena, BIG_MAX);
    json_init(&j, &out);
    json_object(&j);
    json_member_bool(&j, "up", redis_is_up(r));
    json_member_str(&j, "why", str_of(redis_why_away(r)));
    json_member_int(&j, "away_ms", redis_away_ms(r));
    json_object_end(&j);
    return buf_ok(&out) ? response_json(200, buf_view(&out)) : problem_err(req, out.err);
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
static const struct param transfer_args[] = {
    { .name = "from", .kind = PARAM_INT, .min = 1, .max = 2, .fallback = 1, .help = "account" },
    { .name = "to", .kind = PARAM_INT, .min = 1, .max = 2, .fallback = 2, .help = "account" },
    { .name = "ms", .kind = PARAM_INT, .min = 0, .max = 60000, .fallback = 0, .help = "wait between the two" },
    { .name = "once", .kind = PARAM_INT, .min = 0, .max = 1, .fallback = 0, .help = "1: is not to be repeated" },
    { .name = NULL }
};

static const struct param times[] = {
    { .name = "times", .kind = PARAM_INT, .min = 0, .max = 100000000, .fallback = 0, .help = "how often" },
    { .name = NULL }
};

static const struct param redis_words[] = {
    { .name = "command", .kind = PARAM_TEXT, .min = 1, .max = 100, .help = "of Redis" },
    { .name = "key", .kind = PARAM_TEXT, .min = 1, .max = 1000, .help = "its key" },
    { .name = "value", .kind = PARAM_TEXT, .min = 0, .max = 8000, .help = "its value" },
    { .name = NULL }
};
static const struct param redis_key[] = {
    { .name = "key", .kind = PARAM_TEXT, .min = 1, .max = 100, .help = "a counter" }, { .name = NULL }
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
    { HTTP_POST, "/note",         note,         0,            0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/flaky",        flaky,        ROUTE_CACHED, 0, 0, TAG_FLAKY, ms,             "" },
    { HTTP_GET,  "/slow",         slow,         0,            0, 0, 0,         ms,             "" },
    { HTTP_GET,  "/hold",         hold,         0,            0, 0, 0,         ms,             "" },
    { HTTP_POST, "/transfer",     transfer,     0,            0, 0, 0,         transfer_args,  "" },
    { HTTP_POST, "/pile",         pile,         0,            0, 0, 0,         bytes,          "" },
    { HTTP_GET,  "/nap",          nap,          0,            0, 0, 0,         ms,             "" },
    { HTTP_GET,  "/count/to",     count_to,     0,            0, 0, 0,         times,          "" },
    { HTTP_GET,  "/many",         many,         0,            0, 0, 0,         times,          "" },
    { HTTP_GET,  "/many/cached",  many,         ROUTE_CACHED, 0, 0, TAG_COUNT, times,          "" },
    { HTTP_POST, "/echo",         echo,         0,            0, 0, 0,         NULL,           "" },
    { HTTP_POST, "/ignore",       ignore,       0,            0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/big",          big,          0,            0, 0, 0,         bytes,          "" },
    { HTTP_GET,  "/big/inline",   big,          ROUTE_INLINE, 0, 0, 0,         bytes,          "" },
    { HTTP_GET,  "/whoami",       whoami,       ROUTE_INLINE, 0, 0, 0,         NULL,           "" },
    { HTTP_GET,  "/redis",        redis_command, 0,           0, 0, 0,         redis_words,    "" },
    { HTTP_GET,  "/redis/function", redis_function, 0,        0, 0, 0,         redis_key,      "" },
    { HTTP_GET,  "/redis/volley", redis_volley, 0,            0, 0, 0,         times,          "" },
    { HTTP_GET,  "/redis/state",  redis_state,  PROBE,        0, 0, 0,         NULL,           "" },
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

static bool load_again(void *arg, struct settings *ret_settings)
{
    struct settings_report report;

    if (settings_load(ret_settings, arg, &report) == OK)
        return true;
    fprintf(stderr, "lab: wrong settings\n");
    settings_done(ret_settings);
    return false;
}

/* SETTINGS_FILE: a .env file, so that settings can change while it runs. */
int main(void)
{
    char *file = getenv("SETTINGS_FILE");
    const struct settings_source again = { load_again, file };
    struct settings_report report;
    struct settings settings;
    int status;

    if (settings_load(&settings, file, &report) != OK) {
        fprintf(stderr, "lab: wrong settings\n");
        return 78;
    }
    status = service_run(&settings, &lab, &again);
    settings_done(&settings);
    return status;
}
