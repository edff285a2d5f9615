/* SPDX-License-Identifier: MIT */
/* The driver for SQLite.
 *
 * The library blocks, so whatever can take long runs on a thread: opening,
 * scripts, writes, long reads, and the first run of a statement, which compiles
 * it. Only an indexed read that is prepared runs where it is called, on the
 * loop; should it meet a lock there, it starts again on a thread.
 *
 * Write-ahead log: readers and the writer do not wait for each other. With
 * synchronous=NORMAL a commit is safe against a crash of the program; a power
 * cut may take the last commits, but never the file's integrity. The file is
 * not mapped into memory: a read error would then be a signal, not an error.
 *
 * trusted_schema stays on: SQLite 3.40 (Debian 12) would otherwise refuse the
 * schema's own CHECK (json_valid(...)). Only our migrations write the schema.
 *
 * A connection is opened without SQLite's own mutex: one coroutine uses it at a
 * time, and task_offload() orders what the loop and the thread see of it.
 */
#include "db/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/task.h"
#include "db/db.h"

enum {
    ROWS_MAX = 100000,     /* a result is held whole                       */
    ROWS_FIRST = 32,       /* room at first; doubles                       */
    STATEMENTS_FIRST = 64, /* slots at first; a power of two; doubles      */
    STATEMENTS_MAX = 4096,
    BUSY_MS = 5000, /* when the settings say nothing                */
    BUSY_STEP_MAX_MS = 10,
};

struct prepared {
    const struct db_statement *st;
    sqlite3_stmt *stmt;
};

struct sqlite_conn {
    struct db_conn base;
    sqlite3 *db;
    struct prepared *slots; /* open addressing by the statement's address     */
    size_t used, capacity;
    bool on_loop;       /* no sleeping: a lock is E_BUSY at once          */
    mono_ns give_up_at; /* of the wait for a lock                         */
};

static struct sqlite_conn *of(struct db_conn *c) { return container_of(c, struct sqlite_conn, base); }

/* ---- errors ---------------------------------------------------------------------- */

/* clang-format off */
static const struct outcome { int code; enum err err; bool broken, lost; } outcomes[] = {
  /* extended codes stand before the primary one that holds them */
    {SQLITE_CONSTRAINT_UNIQUE,      E_CONFLICT,    false, false},
    { SQLITE_CONSTRAINT_PRIMARYKEY, E_CONFLICT,    false, false },
    { SQLITE_CONSTRAINT_ROWID,      E_CONFLICT,    false, false },
    { SQLITE_CONSTRAINT_FOREIGNKEY, E_CONFLICT,    false, false },
    { SQLITE_CONSTRAINT,            E_INVALID,     false, false },
    { SQLITE_BUSY,                  E_BUSY,        false, false },
    { SQLITE_LOCKED,                E_BUSY,        false, false },
    { SQLITE_FULL,                  E_DISK_FULL,   false, false },
    { SQLITE_READONLY_DBMOVED,      E_UNAVAILABLE, true,  true },
    { SQLITE_READONLY,              E_READ_ONLY,   true,  false }, /* as it was opened: the next one may be better */
    { SQLITE_IOERR_NOMEM,           E_NO_MEMORY,   false, false },
    { SQLITE_NOMEM,                 E_NO_MEMORY,   false, false },
    { SQLITE_TOOBIG,                E_TOO_LARGE,   false, false },
    { SQLITE_CANTOPEN,              E_UNAVAILABLE, true,  false },
    { SQLITE_IOERR,                 E_UNAVAILABLE, true,  true },
    { SQLITE_CORRUPT,               E_DATABASE,    true,  false },
    { SQLITE_NOTADB,                E_DATABASE,    true,  true },
};
/* clang-format on */

static const struct outcome *outcome_of(int code)
{
    static const struct outcome other = { SQLITE_ERROR, E_DATABASE, false, false };

    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
        if (outcomes[i].code == code || outcomes[i].code == (code & 0xff))
            return &outcomes[i];
    return &other;
}

/* What a result code means; keeps its text and the connection's state. */
static enum err conclude(struct sqlite_conn *c, int code)
{
    const struct outcome *o;

    c->base.in_transaction = sqlite3_get_autocommit(c->db) == 0;
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return OK;
    o = outcome_of(code);
    c->base.broken |= o->broken;
    c->base.lost |= o->lost;
    snprintf(c->base.error, sizeof(c->base.error), "%s", sqlite3_errmsg(c->db));
    return o->err;
}

/* Whether another file, or none, has the database's name now: a backup was put
 * in its place, say. What this connection writes would be lost with the file
 * that it still has open, and what it reads is no longer what is stored. Not
 * asked within a transaction, which ends where it began. */
static enum err check_place(struct sqlite_conn *c)
{
    int moved = 0;

    if (c->base.in_transaction || sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
        !moved)
        return OK;
    c->base.broken = c->base.lost = true;
    snprintf(c->base.error, sizeof(c->base.error), "the database file was moved or replaced");
    return E_UNAVAILABLE;
}

static enum err misuse(struct sqlite_conn *c, const struct db_statement *st, const char *what)
{
    snprintf(c->base.error, sizeof(c->base.error), "statement %s: %s", st->name, what);
    return E_INTERNAL;
}

/* ---- waiting for another process's lock --------------------------------------------- */

static int busy_timeout_ms(const struct db_conf *conf)
{
    return conf->busy_timeout_ms > 0 ? conf->busy_timeout_ms : BUSY_MS;
}

/* Short pauses that differ between processes, so that they do not march in step. */
static void pause_before(int tries)
{
    const int ms = 1 + (tries < BUSY_STEP_MAX_MS ? tries : BUSY_STEP_MAX_MS);
    const int apart_us = (int)((unsigned)getpid() * 7919u % 1000u);
    const struct timespec t = { .tv_nsec = (long)ms * NS_PER_MS + (long)apart_us * 1000 };

    nanosleep(&t, NULL);
}

static int on_busy(void *arg, int tries)
{
    struct sqlite_conn *c = arg;
    const mono_ns now = clock_mono();

    if (c->on_loop)
        return 0;
    if (tries == 0)
        c->give_up_at = now + (mono_ns)busy_timeout_ms(c->base.conf) * NS_PER_MS;
    if (now >= c->give_up_at)
        return 0;
    pause_before(tries);
    return 1;
}

/* ---- prepared statements --------------------------------------------------------------- */

/* The slot of a statement, or the free one where it belongs. */
static struct prepared *find_slot(struct prepared *slots, size_t capacity, const struct db_statement *st)
{
    size_t at = (size_t)((uintptr_t)st / sizeof(void *) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (capacity - 1);

    while (slots[at].st && slots[at].st != st)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static sqlite3_stmt *lookup(const struct sqlite_conn *c, const struct db_statement *st)
{
    return c->capacity > 0 ? find_slot(c->slots, c->capacity, st)->stmt : NULL;
}

static bool grow_slots(struct sqlite_conn *c)
{
    const size_t capacity = c->capacity > 0 ? c->capacity * 2 : STATEMENTS_FIRST;
    struct prepared *slots;

    if (capacity > STATEMENTS_MAX)
        return false;
    slots = calloc(capacity, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < c->capacity; i++)
        if (c->slots[i].st)
            *find_slot(slots, capacity, c->slots[i].st) = c->slots[i];
    free(c->slots);
    c->slots = slots;
    c->capacity = capacity;
    return true;
}

static enum err compile(struct sqlite_conn *c, const struct db_statement *st, unsigned flags, sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = NULL;
    const int code = sqlite3_prepare_v3(c->db, st->sql, -1, flags, &stmt, NULL);

    if (code != SQLITE_OK)
        return conclude(c, code);
    if (!stmt || (st->kind != DB_WRITE && !sqlite3_stmt_readonly(stmt))) {
        sqlite3_finalize(stmt);
        return misuse(c, st, stmt ? "declared a read, but it writes" : "is empty");
    }
    *ret_stmt = stmt;
    return OK;
}

static enum err prepare(struct sqlite_conn *c, const struct db_statement *st, sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = NULL;
    enum err e;

    if (c->used * 2 >= c->capacity && !grow_slots(c))
        return E_NO_MEMORY;
    e = compile(c, st, SQLITE_PREPARE_PERSISTENT, &stmt);
    if (e != OK)
        return e;
    *find_slot(c->slots, c->capacity, st) = (struct prepared){ st, stmt };
    c->used++;
    *ret_stmt = stmt;
    return OK;
}

/* ---- running ------------------------------------------------------------------------------ */

struct job {
    struct sqlite_conn *conn;
    const struct db_statement *st;
    const struct db_value *args;
    size_t count;
    struct arena *arena;
    struct db_rows *ret_rows;
};

static int bind_one(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
    const char *bytes = v->kind >= DB_TEXT && v->s.ptr ? v->s.ptr : "";

    switch (v->kind) {
    case DB_INT:
        return sqlite3_bind_int64(stmt, at, v->i);
    case DB_REAL:
        return sqlite3_bind_double(stmt, at, v->d);
    case DB_TEXT:
        return sqlite3_bind_text64(stmt, at, bytes, v->s.len, SQLITE_STATIC, SQLITE_UTF8);
    case DB_BLOB:
        return sqlite3_bind_blob64(stmt, at, bytes, v->s.len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

static enum err bind_all(const struct job *j, sqlite3_stmt *stmt)
{
    if ((size_t)sqlite3_bind_parameter_count(stmt) != j->count)
        return misuse(j->conn, j->st, "wrong number of arguments");
    for (size_t i = 0; i < j->count; i++) {
        const int code = bind_one(stmt, (int)i + 1, &j->args[i]);

        if (code != SQLITE_OK)
            return conclude(j->conn, code);
    }
    return OK;
}

static struct str copy_bytes(struct arena *a, const void *bytes, int len)
{
    return len > 0 && bytes ? arena_str(a, (struct str){ bytes, (size_t)len }) : STR_EMPTY;
}

static struct db_value read_column(struct arena *a, sqlite3_stmt *stmt, int at)
{
    const void *bytes;

    switch (sqlite3_column_type(stmt, at)) {
    case SQLITE_INTEGER:
        return DBV_INT(sqlite3_column_int64(stmt, at));
    case SQLITE_FLOAT:
        return DBV_REAL(sqlite3_column_double(stmt, at));
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(stmt, at);
        return DBV_TEXT(copy_bytes(a, bytes, sqlite3_column_bytes(stmt, at)));
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(stmt, at);
        return DBV_BLOB(copy_bytes(a, bytes, sqlite3_column_bytes(stmt, at)));
    default:
        return DBV_NULL;
    }
}

/* Makes room for one more row. */
static enum err reserve_row(struct arena *a, struct db_rows *rows, size_t *capacity)
{
    const size_t wanted = *capacity > 0 ? *capacity * 2 : ROWS_FIRST;
    const size_t row_bytes = rows->columns * sizeof(struct db_value);
    struct db_value *values;

    if (rows->count >= ROWS_MAX)
        return E_TOO_LARGE;
    if (rows->count < *capacity)
        return OK;
    values = arena_grow(a, rows->values, *capacity * row_bytes, wanted * row_bytes);
    if (!values)
        return E_NO_MEMORY;
    rows->values = values;
    *capacity = wanted;
    return OK;
}

static enum err collect(const struct job *j, sqlite3_stmt *stmt, struct db_rows *rows)
{
    size_t capacity = 0;
    int code;

    rows->columns = (size_t)sqlite3_column_count(stmt);
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        const enum err e = reserve_row(j->arena, rows, &capacity);
        struct db_value *row;

        if (e != OK)
            return e;
        row = rows->values + rows->count * rows->columns;
        for (size_t i = 0; i < rows->columns; i++)
            row[i] = read_column(j->arena, stmt, (int)i);
        rows->count++;
    }
    if (code == SQLITE_DONE && j->arena->full)
        return E_NO_MEMORY;
    return conclude(j->conn, code);
}

static enum err execute(const struct job *j, sqlite3_stmt *stmt)
{
    struct db_rows rows = { .count = 0 };
    enum err e = bind_all(j, stmt);

    if (e == OK)
        e = collect(j, stmt, &rows);
    if (e == OK && j->st->kind == DB_WRITE) {
        rows.changes = (uint64_t)sqlite3_changes64(j->conn->db);
        rows.insert_id = sqlite3_last_insert_rowid(j->conn->db);
    }
    sqlite3_reset(stmt); /* repeats the error of the last step */
    sqlite3_clear_bindings(stmt);
    j->conn->base.in_transaction = sqlite3_get_autocommit(j->conn->db) == 0;
    if (e == OK)
        *j->ret_rows = rows;
    return e;
}

static enum err execute_on_thread(void *arg)
{
    const struct job *j = arg;
    sqlite3_stmt *stmt = lookup(j->conn, j->st);
    enum err e = stmt ? OK : prepare(j->conn, j->st, &stmt);

    return e == OK ? execute(j, stmt) : e;
}

static enum err sqlite_run(struct db_conn *base, const struct db_statement *st, const struct db_value *args,
                           size_t count, struct arena *arena, struct db_rows *ret_rows)
{
    struct sqlite_conn *c = of(base);
    struct job j = { .conn = c, .st = st, .args = args, .count = count, .arena = arena, .ret_rows = ret_rows };
    sqlite3_stmt *stmt = st->kind == DB_READ ? lookup(c, st) : NULL;
    enum err e = check_place(c);

    if (e != OK)
        return e;
    if (stmt) {
        c->on_loop = true;
        e = execute(&j, stmt);
        c->on_loop = false;
        if (e != E_BUSY)
            return e;
    }
    return task_offload(execute_on_thread, &j);
}

static enum err execute_once_on_thread(void *arg)
{
    const struct job *j = arg;
    sqlite3_stmt *stmt = NULL;
    enum err e = compile(j->conn, j->st, 0, &stmt);

    if (e == OK)
        e = execute(j, stmt);
    sqlite3_finalize(stmt);
    return e;
}

static enum err sqlite_run_once(struct db_conn *base, const struct db_statement *st, const struct db_value *args,
                                size_t count, struct arena *arena, struct db_rows *ret_rows)
{
    struct job j = { .conn = of(base), .st = st, .args = args, .count = count, .arena = arena, .ret_rows = ret_rows };
    const enum err e = check_place(j.conn);

    return e == OK ? task_offload(execute_once_on_thread, &j) : e;
}

/* ---- scripts ---------------------------------------------------------------------------- */

struct script {
    struct sqlite_conn *conn;
    const char *sql;
};

static enum err script_on_thread(void *arg)
{
    const struct script *s = arg;

    return conclude(s->conn, sqlite3_exec(s->conn->db, s->sql, NULL, NULL, NULL));
}

static enum err sqlite_script(struct db_conn *base, const char *sql)
{
    struct script s = { of(base), sql };
    const enum err e = check_place(s.conn);

    return e == OK ? task_offload(script_on_thread, &s) : e;
}

/* A lock that another process holds is a sign of life, too. */
static enum err sqlite_ping(struct db_conn *base)
{
    const enum err e = sqlite_script(base, "PRAGMA schema_version");

    return e == E_BUSY ? OK : e;
}

static enum err sqlite_reset(struct db_conn *base)
{
    return base->in_transaction ? sqlite_script(base, "ROLLBACK") : OK;
}

/* ---- opening ------------------------------------------------------------------------------ */

static void sqlite_close(struct db_conn *base)
{
    struct sqlite_conn *c;

    if (!base)
        return;
    c = of(base);
    for (size_t i = 0; i < c->capacity; i++)
        sqlite3_finalize(c->slots[i].stmt);
    free(c->slots);
    sqlite3_close_v2(c->db);
    free(c);
}

static struct str folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return STR(".");
    return slash == path ? STR("/") : (struct str){ path, (size_t)(slash - path) };
}

/* Makes the file, and the last folder of its path, for this user only: a new
 * database holds people's data from its first moment. A file that exists is not
 * touched (to open and close it here would drop the locks of this process). */
static void create_privately(const char *path)
{
    char folder[4096];
    const struct str f = folder_of(path);
    int fd;

    if (f.len >= sizeof(folder))
        return;
    memcpy(folder, f.ptr, f.len);
    folder[f.len] = '\0';
    if (access(folder, F_OK) != 0)
        (void)mkdir(folder, 0750); /* if it fails, opening says why */
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

/* Why a file could not be opened, as a sentence for the operator. */
static void explain(const char *path, sqlite3 *db, int code, char *error, size_t size)
{
    const struct str f = folder_of(path);
    char folder[4096];
    struct stat there;

    snprintf(folder, sizeof(folder), STR_FMT, STR_ARG(f));
    if (access(folder, F_OK) != 0)
        snprintf(error, size, "cannot open %s: the folder %s does not exist", path, folder);
    else if (stat(path, &there) == 0 && S_ISDIR(there.st_mode))
        snprintf(error, size, "cannot open %s: it is a folder, not a file", path);
    else if (access(folder, W_OK | X_OK) != 0)
        snprintf(error, size, "cannot open %s: this user may not write to the folder %s", path, folder);
    else if (access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0)
        snprintf(error, size, "cannot open %s: this user may not read and write it", path);
    else if ((code & 0xff) == SQLITE_NOTADB)
        snprintf(error, size, "%s is not an SQLite database", path);
    else
        snprintf(error, size, "cannot open %s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
}

static void set_limits(sqlite3 *db)
{
    static const struct {
        int id, most;
    } limits[] = {
        { SQLITE_LIMIT_LENGTH, 64 * 1024 * 1024 },  { SQLITE_LIMIT_SQL_LENGTH, 1024 * 1024 },
        { SQLITE_LIMIT_EXPR_DEPTH, 200 },           { SQLITE_LIMIT_COMPOUND_SELECT, 50 },
        { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000 }, { SQLITE_LIMIT_VARIABLE_NUMBER, 1000 },
        { SQLITE_LIMIT_TRIGGER_DEPTH, 10 },         { SQLITE_LIMIT_ATTACHED, 1 },
        { SQLITE_LIMIT_WORKER_THREADS, 0 },
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        sqlite3_limit(db, limits[i].id, limits[i].most);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL); /* "x" is a name, never a text */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
}

/* Two processes that switch a new file to WAL at once: one is refused without
 * the busy handler being asked, and tries again. */
static int use_wal(struct sqlite_conn *c)
{
    const mono_ns give_up_at = clock_mono() + (mono_ns)busy_timeout_ms(c->base.conf) * NS_PER_MS;
    int code;

    for (int tries = 0;; tries++) {
        code = sqlite3_exec(c->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY || clock_mono() >= give_up_at)
            return code;
        pause_before(tries);
    }
}

static int configure(struct sqlite_conn *c)
{
    static const char *const pragmas =
        "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096;"
        "PRAGMA mmap_size=0; PRAGMA journal_size_limit=67108864;";
    int code;

    sqlite3_busy_handler(c->db, on_busy, c);
    set_limits(c->db);
    code = use_wal(c);
    return code == SQLITE_OK ? sqlite3_exec(c->db, pragmas, NULL, NULL, NULL) : code;
}

struct opening {
    const struct db_conf *conf;
    struct db_conn **ret_conn;
    char *error;
    size_t size;
};

static enum err open_on_thread(void *arg)
{
    const struct opening *o = arg;
    struct sqlite_conn *c = calloc(1, sizeof(*c));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, code;

    if (!c)
        return E_NO_MEMORY;
    c->base = (struct db_conn){ .driver = &db_sqlite, .conf = o->conf };
    if (!o->conf->must_exist) {
        create_privately(o->conf->path);
        flags |= SQLITE_OPEN_CREATE;
    }
    code = sqlite3_open_v2(o->conf->path, &c->db, flags, NULL);
    if (code == SQLITE_OK)
        code = configure(c);
    if (code == SQLITE_OK) {
        *o->ret_conn = &c->base;
        return OK;
    }
    explain(o->conf->path, c->db, code, o->error, o->size);
    sqlite_close(&c->base);
    return outcome_of(code)->err;
}

/* SQLite would count its memory under a lock that all threads share; nobody
 * asks it for the sum. */
static void configure_library(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

static enum err sqlite_open(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct opening o = { conf, ret_conn, error, size };

    (void)pthread_once(&once, configure_library);
    return task_offload(open_on_thread, &o);
}

static const struct db_statement table_exists = {
    "table_exists",
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
    DB_READ,
};

static const struct db_statement indexes = {
    "indexes",
    "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'",
    DB_READ,
};

const struct db_driver db_sqlite = {
    .name = "sqlite",
    .single_writer = true,
    .migrations = "sqlite",
    .begin = "BEGIN IMMEDIATE",
    .explain = "EXPLAIN QUERY PLAN",
    .table_exists = &table_exists,
    .indexes = &indexes,
    .open = sqlite_open,
    .close = sqlite_close,
    .ping = sqlite_ping,
    .reset = sqlite_reset,
    .run = sqlite_run,
    .run_once = sqlite_run_once,
    .script = sqlite_script,
};
