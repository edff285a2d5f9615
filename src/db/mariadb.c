/* SPDX-License-Identifier: MIT */
/* The driver for MariaDB and MySQL, on libmariadb's non-blocking calls.
 *
 * Each blocking call of the library has a _start and a _cont: they return what
 * they wait for (MYSQL_WAIT_READ, ...) or 0 when they are done. A coroutine
 * waits on the worker's own loop in between (base/task.h); outside a coroutine
 * (tools, start-up) poll(2) does. No thread is used but to connect.
 *
 * Statements are prepared once a connection, in the binary protocol. A session
 * is UTC, utf8mb4 and strict. COM_RESET_CONNECTION forgets prepared statements
 * and the session, so it is used only after a transaction that was left open.
 */
#include "db/mariadb.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/coro.h"

/* Ours is UTC and strict. A Galera node that has lost its cluster would let us set
 * that, and read variables, but begins no transaction. */
static const char session[] =
    "SET time_zone = '+00:00', sql_mode = 'TRADITIONAL,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', "
    "autocommit = 1, innodb_lock_wait_timeout = 10; START TRANSACTION; COMMIT";

enum {
    COLUMNS_MAX = 64, /* of a result                                       */
    ARGS_MAX = 65535, /* of a statement: the protocol's                    */
    ROWS_MAX = 100000,
    FAREWELL_MS = 1000,
    INLINE_BYTES = 256, /* a longer text is fetched by itself                */
    CHECK_EVERY_S = 5,  /* whether a server that is used is read-only now    */
};

/* Where the library puts one column of a row. */
struct cell {
    enum db_kind kind;
    bool is_day; /* a DATE: text to us                    */
    my_bool null;
    unsigned long length;
    union {
        int64_t i;
        double d;
        MYSQL_TIME day;
        char text[INLINE_BYTES];
    };
};

/* A statement as this connection knows it. */
struct mariadb_prepared {
    struct mariadb_prepared *next; /* in its bucket                         */
    const struct db_statement *st;
    MYSQL_STMT *stmt;
    struct cell *cells; /* one a column, bound once; NULL: none  */
    unsigned columns;
};

static struct mariadb_conn *of(struct db_conn *base) { return (struct mariadb_conn *)base; }

/* ---- errors --------------------------------------------------------------------- */

/* What a server's error means here. Not listed: E_DATABASE. */
static const struct outcome {
    unsigned code;
    enum err err;
    bool broken, lost; /* the connection; and all that are older */
} outcomes[] = {
    { ER_DUP_ENTRY, E_CONFLICT, false, false },
    { ER_ROW_IS_REFERENCED_2, E_CONFLICT, false, false },
    { ER_NO_REFERENCED_ROW_2, E_CONFLICT, false, false },
    { ER_LOCK_WAIT_TIMEOUT, E_DEADLOCK, false, false },
    { ER_LOCK_DEADLOCK, E_DEADLOCK, false, false },
    { ER_QUERY_INTERRUPTED, E_TIMEOUT, false, false }, /* KILL QUERY, by an operator or his watchdog */
    { ER_STATEMENT_TIMEOUT, E_TIMEOUT, false, false }, /* max_statement_time */
    { ER_DISK_FULL, E_DISK_FULL, false, false },
    { ER_RECORD_FILE_FULL, E_DISK_FULL, false, false },
    { ER_OPTION_PREVENTS_STATEMENT, E_READ_ONLY, true, true }, /* another host may be written to */
    { ER_READ_ONLY_MODE, E_READ_ONLY, true, true },
    { ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, E_READ_ONLY, true, true },
    { ER_DATA_TOO_LONG, E_INVALID, false, false },
    { ER_WARN_DATA_OUT_OF_RANGE, E_INVALID, false, false },
    { ER_BAD_NULL_ERROR, E_INVALID, false, false },
    { ER_CONSTRAINT_FAILED, E_INVALID, false, false },
    { ER_TRUNCATED_WRONG_VALUE, E_INVALID, false, false },
    { ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, E_INVALID, false, false },
    { ER_CANT_AGGREGATE_2COLLATIONS, E_INVALID, false, false }, /* a text that is not ASCII beside a code */
    { ER_UNKNOWN_COM_ERROR, E_UNAVAILABLE, true, true },        /* a Galera node that has lost its cluster */
    { ER_ERROR_DURING_COMMIT, E_UNAVAILABLE, true, true },      /* likewise; nobody knows what became of it */
    { ER_SERVER_SHUTDOWN, E_UNAVAILABLE, true, true },
    { ER_CONNECTION_KILLED, E_UNAVAILABLE, true, false },
    { CR_SERVER_GONE_ERROR, E_UNAVAILABLE, true, true },
    { CR_SERVER_LOST, E_UNAVAILABLE, true, true },
    { CR_SERVER_LOST_EXTENDED, E_UNAVAILABLE, true, true },
    { CR_COMMANDS_OUT_OF_SYNC, E_DATABASE, true, false },
    { 3024, E_TIMEOUT, false, false },    /* MySQL: max_execution_time */
    { 4031, E_UNAVAILABLE, true, false }, /* MySQL 8: closed for its idleness */
};

static const struct outcome *outcome_of(unsigned code)
{
    static const struct outcome other = { 0, E_DATABASE, false, false };

    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
        if (outcomes[i].code == code)
            return &outcomes[i];
    return &other;
}

/* Notes the error for the pool and the log. The text is the server's: it may
 * quote values, so it goes to the log of errors only. */
static enum err fail(struct mariadb_conn *c, unsigned code, const char *text)
{
    const struct outcome *o = outcome_of(code);
    const bool known = c->base.read_only && o->err == E_READ_ONLY; /* another connection would do no better */

    snprintf(c->base.error, sizeof(c->base.error), "%u: %s", code, text);
    c->base.broken = c->base.broken || (o->broken && !known);
    c->base.lost = c->base.lost || (o->lost && !known);
    return o->err;
}

enum err mariadb_error(struct mariadb_conn *c) { return fail(c, mysql_errno(c->mysql), mysql_error(c->mysql)); }

static enum err stmt_error(struct mariadb_conn *c, MYSQL_STMT *stmt)
{
    return fail(c, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
}

/* ---- waiting ---------------------------------------------------------------------- */

/* For callers that cannot be suspended. */
static int block_for(MYSQL *mysql, int status, uint64_t limit_ms)
{
    struct pollfd p = { .fd = mysql_get_socket(mysql) };
    int came = 0;

    p.events = (short)((status & MYSQL_WAIT_READ ? POLLIN : 0) | (status & MYSQL_WAIT_WRITE ? POLLOUT : 0));
    if (poll(&p, 1, limit_ms > 0 ? (int)limit_ms : -1) <= 0)
        return 0;
    came |= p.revents & (POLLIN | POLLHUP | POLLERR) ? status & MYSQL_WAIT_READ : 0;
    came |= p.revents & (POLLOUT | POLLHUP | POLLERR) ? status & MYSQL_WAIT_WRITE : 0;
    return came;
}

bool mariadb_watch(struct mariadb_conn *c)
{
    if (!c->fd)
        c->fd = task_fd_open(mysql_get_socket(c->mysql));
    return c->fd != NULL;
}

static int suspend_for(struct mariadb_conn *c, int status, uint64_t limit_ms)
{
    const int events = (status & MYSQL_WAIT_READ ? UV_READABLE : 0) | (status & MYSQL_WAIT_WRITE ? UV_WRITABLE : 0);
    int came = 0;

    if (!mariadb_watch(c) || task_fd_wait(c->fd, events, limit_ms, &came) != OK)
        return 0;
    return (came & UV_READABLE ? MYSQL_WAIT_READ : 0) | (came & UV_WRITABLE ? MYSQL_WAIT_WRITE : 0);
}

/* Over TLS the library sets no limit to a wait, and goes on after a timeout as
 * if there had been none: then it shall read the end of the connection. */
int mariadb_wait(struct mariadb_conn *c, int status)
{
    const bool limited = (status & MYSQL_WAIT_TIMEOUT) != 0;
    const uint64_t limit_ms = limited ? mysql_get_timeout_value_ms(c->mysql)
                                      : (uint64_t)(c->base.conf->io_timeout_s * MS_PER_S);
    const int came = coro_self() ? suspend_for(c, status, limit_ms) : block_for(c->mysql, status, limit_ms);

    if (came == 0 && !limited)
        shutdown(mysql_get_socket(c->mysql), SHUT_RDWR);
    return came != 0 ? came : MYSQL_WAIT_TIMEOUT;
}

static void note_transaction(struct mariadb_conn *c)
{
    unsigned status = 0;

    mariadb_get_infov(c->mysql, MARIADB_CONNECTION_SERVER_STATUS, &status);
    c->base.in_transaction = (status & SERVER_STATUS_IN_TRANS) != 0;
}

static enum err query(struct mariadb_conn *c, const char *sql)
{
    int failed = 0;

    AWAIT(c, mysql_real_query_start(&failed, c->mysql, sql, (unsigned long)strlen(sql)),
          mysql_real_query_cont(&failed, c->mysql, came));
    if (failed)
        return mariadb_error(c);
    note_transaction(c);
    return OK;
}

/* ---- prepared statements -------------------------------------------------------------- */

static struct mariadb_prepared **bucket_of(struct mariadb_conn *c, const struct db_statement *st)
{
    return &c->statements[((uintptr_t)st >> 4) & (MARIADB_STATEMENT_BUCKETS - 1)];
}

static struct mariadb_prepared *lookup(struct mariadb_conn *c, const struct db_statement *st)
{
    struct mariadb_prepared *p = *bucket_of(c, st);

    while (p && p->st != st)
        p = p->next;
    return p;
}

static void prepared_done(struct mariadb_prepared *p)
{
    if (p->stmt)
        mysql_stmt_close(p->stmt);
    free(p->cells);
}

static void prepared_free(struct mariadb_prepared *p)
{
    prepared_done(p);
    free(p);
}

static enum db_kind kind_of(enum enum_field_types type)
{
    switch (type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return DB_INT;
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
        return DB_REAL;
    default:
        return DB_TEXT;
    }
}

static void bind_cell(MYSQL_BIND *bind, struct cell *cell, enum enum_field_types type)
{
    static const enum enum_field_types types[] = {
        [DB_INT] = MYSQL_TYPE_LONGLONG,
        [DB_REAL] = MYSQL_TYPE_DOUBLE,
        [DB_TEXT] = MYSQL_TYPE_STRING,
    };

    cell->kind = kind_of(type);
    cell->is_day = type == MYSQL_TYPE_DATE;
    *bind = (MYSQL_BIND){
        .buffer_type = cell->is_day ? type : types[cell->kind],
        .buffer = cell->text,
        .buffer_length = sizeof(cell->text),
        .length = &cell->length,
        .is_null = &cell->null,
    };
}

/* Says, once, where the rows of a statement go. */
static enum err bind_rows(struct mariadb_conn *c, struct mariadb_prepared *p)
{
    MYSQL_RES *meta = mysql_stmt_result_metadata(p->stmt);
    MYSQL_BIND binds[COLUMNS_MAX];

    if (!meta)
        return OK; /* it gives no rows */
    p->columns = mysql_num_fields(meta);
    p->cells = calloc(p->columns, sizeof(*p->cells));
    for (unsigned i = 0; p->cells && p->columns <= COLUMNS_MAX && i < p->columns; i++)
        bind_cell(&binds[i], &p->cells[i], mysql_fetch_field_direct(meta, i)->type);
    mysql_free_result(meta);
    if (!p->cells)
        return E_NO_MEMORY;
    if (p->columns > COLUMNS_MAX)
        return E_INTERNAL;
    return mysql_stmt_bind_result(p->stmt, binds) == 0 ? OK : stmt_error(c, p->stmt);
}

static enum err prepare_on(struct mariadb_conn *c, struct mariadb_prepared *p)
{
    int failed = 0;

    p->stmt = mysql_stmt_init(c->mysql);
    if (!p->stmt)
        return E_NO_MEMORY;
    AWAIT(c, mysql_stmt_prepare_start(&failed, p->stmt, p->st->sql, (unsigned long)strlen(p->st->sql)),
          mysql_stmt_prepare_cont(&failed, p->stmt, came));
    return failed ? stmt_error(c, p->stmt) : bind_rows(c, p);
}

static enum err prepare(struct mariadb_conn *c, const struct db_statement *st, struct mariadb_prepared **ret_prepared)
{
    struct mariadb_prepared *p = calloc(1, sizeof(*p)), **bucket = bucket_of(c, st);
    enum err e;

    if (!p)
        return E_NO_MEMORY;
    p->st = st;
    e = prepare_on(c, p);
    if (e != OK) {
        prepared_free(p);
        return e;
    }
    p->next = *bucket;
    *bucket = p;
    *ret_prepared = p;
    return OK;
}

/* The library waits for the rows of a query that failed in the middle of its
 * answer, which will not come: the statement is prepared anew for the next time. */
static void forget(struct mariadb_conn *c, struct mariadb_prepared *p)
{
    struct mariadb_prepared **at = bucket_of(c, p->st);

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    prepared_free(p);
}

/* After COM_RESET_CONNECTION the server knows none of them; before a close it is
 * told of each, in a packet that waits for no answer. */
static void forget_statements(struct mariadb_conn *c)
{
    for (size_t i = 0; i < MARIADB_STATEMENT_BUCKETS; i++) {
        struct mariadb_prepared *p;
        while ((p = c->statements[i]) != NULL) {
            c->statements[i] = p->next;
            prepared_free(p);
        }
    }
}

/* ---- arguments ---------------------------------------------------------------------------- */

static enum err bind_args(struct mariadb_conn *c, struct mariadb_prepared *p, const struct db_value *args, size_t count,
                          struct arena *arena)
{
    static const enum enum_field_types types[] = {
        [DB_NULL] = MYSQL_TYPE_NULL,   [DB_INT] = MYSQL_TYPE_LONGLONG, [DB_REAL] = MYSQL_TYPE_DOUBLE,
        [DB_TEXT] = MYSQL_TYPE_STRING, [DB_BLOB] = MYSQL_TYPE_BLOB,
    };
    MYSQL_BIND *binds;

    if (count > ARGS_MAX || count != mysql_stmt_param_count(p->stmt))
        return E_INTERNAL;
    binds = arena_array(arena, MYSQL_BIND, count);
    if (!binds)
        return E_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct db_value *v = &args[i];
        const bool text = v->kind == DB_TEXT || v->kind == DB_BLOB;

        binds[i].buffer_type = types[v->kind];
        binds[i].buffer = text ? (void *)(uintptr_t)v->s.ptr : (void *)(uintptr_t)&v->i;
        binds[i].buffer_length = text ? v->s.len : sizeof(v->i);
    }
    return count == 0 || mysql_stmt_bind_param(p->stmt, binds) == 0 ? OK : stmt_error(c, p->stmt);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* A text that did not fit its cell is fetched whole, straight into the arena. */
static enum err take_text(struct mariadb_conn *c, struct mariadb_prepared *p, unsigned column, struct arena *arena,
                          struct str *ret_text)
{
    const struct cell *cell = &p->cells[column];
    unsigned long length = cell->length;
    MYSQL_BIND whole = { .buffer_type = MYSQL_TYPE_STRING, .buffer_length = length, .length = &length };
    char *room = arena_alloc(arena, length + 1);

    if (!room)
        return E_NO_MEMORY;
    whole.buffer = room;
    if (length <= INLINE_BYTES)
        memcpy(room, cell->text, length);
    else if (mysql_stmt_fetch_column(p->stmt, &whole, column, 0) != 0)
        return stmt_error(c, p->stmt);
    room[length] = '\0';
    *ret_text = (struct str){ room, length };
    return OK;
}

/* 'YYYY-MM-DD'. The library would do it with sprintf(), once a column of a row. */
static enum err take_day(const struct cell *cell, struct arena *arena, struct str *ret_text)
{
    const unsigned pairs[] = { cell->day.year / 100 % 100, cell->day.year % 100, cell->day.month, cell->day.day };
    static const unsigned char at[] = { 0, 2, 5, 8 };
    static const char form[] = "0000-00-00";
    char *day = arena_alloc(arena, sizeof(form));

    if (!day)
        return E_NO_MEMORY;
    memcpy(day, form, sizeof(form));
    for (size_t i = 0; i < sizeof(at); i++) {
        day[at[i]] = (char)('0' + pairs[i] / 10 % 10);
        day[at[i] + 1] = (char)('0' + pairs[i] % 10);
    }
    *ret_text = (struct str){ day, sizeof(form) - 1 };
    return OK;
}

static enum err take_row(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_value *row)
{
    for (unsigned i = 0; i < p->columns; i++) {
        const struct cell *cell = &p->cells[i];
        enum err e = OK;

        row[i] = (struct db_value){ .kind = cell->null ? DB_NULL : cell->kind };
        if (row[i].kind == DB_INT)
            row[i].i = cell->i;
        else if (row[i].kind == DB_REAL)
            row[i].d = cell->d;
        else if (row[i].kind == DB_TEXT)
            e = cell->is_day ? take_day(cell, arena, &row[i].s) : take_text(c, p, i, arena, &row[i].s);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err take_rows(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_rows *rows)
{
    const uint64_t count = mysql_stmt_num_rows(p->stmt);
    enum err e = OK;

    if (count > ROWS_MAX)
        return E_TOO_LARGE;
    rows->columns = p->columns;
    rows->values = arena_array(arena, struct db_value, count * p->columns);
    if (!rows->values)
        return E_NO_MEMORY;
    for (; e == OK && rows->count < count; rows->count++) {
        const int fetched = mysql_stmt_fetch(p->stmt); /* of the stored result: does not wait */

        if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED)
            return stmt_error(c, p->stmt);
        e = take_row(c, p, arena, rows->values + rows->count * p->columns);
    }
    return e;
}

static enum err collect(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_rows *rows)
{
    my_bool not_freed = 0;
    int failed = 0;
    enum err e;

    AWAIT(c, mysql_stmt_store_result_start(&failed, p->stmt), mysql_stmt_store_result_cont(&failed, p->stmt, came));
    e = failed ? stmt_error(c, p->stmt) : take_rows(c, p, arena, rows);
    AWAIT(c, mysql_stmt_free_result_start(&not_freed, p->stmt), mysql_stmt_free_result_cont(&not_freed, p->stmt, came));
    return e;
}

static enum err execute(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_rows *rows)
{
    int failed = 0;

    AWAIT(c, mysql_stmt_execute_start(&failed, p->stmt), mysql_stmt_execute_cont(&failed, p->stmt, came));
    if (failed)
        return stmt_error(c, p->stmt);
    if (p->columns > 0)
        return collect(c, p, arena, rows);
    rows->changes = mysql_stmt_affected_rows(p->stmt);
    rows->insert_id = (int64_t)mysql_stmt_insert_id(p->stmt);
    return OK;
}

/* Where rows go. */
struct answer {
    struct arena *arena;
    struct db_rows *ret_rows;
};

static enum err run_prepared(struct mariadb_conn *c, struct mariadb_prepared *p, const struct db_value *args,
                             size_t count, const struct answer *to)
{
    struct db_rows rows = { .count = 0 };
    enum err e = bind_args(c, p, args, count, to->arena);

    if (e == OK)
        e = execute(c, p, to->arena, &rows);
    if (e == OK)
        *to->ret_rows = rows;
    return e;
}

/* A server that was made read-only still answers: one that is asked all the time
 * is asked about that, too, now and then. */
static bool is_check_due(const struct mariadb_conn *c)
{
    return !c->base.in_transaction && clock_mono() - c->checked_at >= (mono_ns)CHECK_EVERY_S * NS_PER_S;
}

enum err mariadb_run(struct db_conn *base, const struct db_statement *st, const struct db_value *args, size_t count,
                     struct arena *arena, struct db_rows *ret_rows)
{
    struct mariadb_conn *c = of(base);
    struct mariadb_prepared *p = lookup(c, st);
    enum err e = p ? OK : prepare(c, st, &p);

    if (e == OK)
        e = run_prepared(c, p, args, count, &(struct answer){ arena, ret_rows });
    if (e != OK && p && p->columns > 0)
        forget(c, p);
    note_transaction(c);
    if ((mariadb_is_stale(c) || (e == OK && is_check_due(c))) && mariadb_check_writable(c) != OK)
        c->base.broken = true; /* this was the last answer from there */
    return e;
}

static enum err mariadb_run_once(struct db_conn *base, const struct db_statement *st, const struct db_value *args,
                                 size_t count, struct arena *arena, struct db_rows *ret_rows)
{
    struct mariadb_conn *c = of(base);
    struct mariadb_prepared p = { .st = st };
    enum err e = prepare_on(c, &p);

    if (e == OK)
        e = run_prepared(c, &p, args, count, &(struct answer){ arena, ret_rows });
    prepared_done(&p);
    note_transaction(c);
    return e;
}

/* ---- connections ------------------------------------------------------------------------------ */

static enum err mariadb_script(struct db_conn *base, const char *sql)
{
    struct mariadb_conn *c = of(base);
    enum err e = query(c, sql);
    int more = 0;

    /* Results of several statements: each is fetched and dropped. */
    while (e == OK && mysql_more_results(c->mysql)) {
        MYSQL_RES *rows = mysql_store_result(c->mysql);
        if (rows)
            mysql_free_result(rows);
        AWAIT(c, mysql_next_result_start(&more, c->mysql), mysql_next_result_cont(&more, c->mysql, came));
        e = more > 0 ? mariadb_error(c) : OK;
    }
    note_transaction(c);
    return e;
}

enum err mariadb_begin_session(struct mariadb_conn *c)
{
    const enum err e = mariadb_script(&c->base, session);

    return e == OK && c->base.read_only ? mariadb_script(&c->base, "SET SESSION TRANSACTION READ ONLY") : e;
}

/* A server says nothing unasked, but farewell. */
static bool mariadb_is_gone(const struct db_conn *base)
{
    const struct mariadb_conn *c = (const struct mariadb_conn *)base;

    return c->fd && task_fd_stirred(c->fd);
}

/* A sign of life, of a server that may still be written to. */
static enum err mariadb_ping(struct db_conn *base) { return mariadb_check_writable(of(base)); }

static enum err mariadb_reset(struct db_conn *base)
{
    struct mariadb_conn *c = of(base);
    int failed = 0;

    AWAIT(c, mysql_reset_connection_start(&failed, c->mysql), mysql_reset_connection_cont(&failed, c->mysql, came));
    forget_statements(c);
    return failed ? mariadb_error(c) : mariadb_begin_session(c);
}

/* A connection that is broken may have a full socket, into which even the word
 * of farewell would block: then it is not said. */
void mariadb_close(struct db_conn *base)
{
    struct mariadb_conn *c = of(base);

    if (!c)
        return;
    task_fd_close(c->fd);
    if (c->base.broken && mysql_get_socket(c->mysql) != MARIADB_INVALID_SOCKET)
        shutdown(mysql_get_socket(c->mysql), SHUT_RDWR);
    forget_statements(c);
    mysql_close(c->mysql);
    free(c);
}

/* The server counts a connection until its own thread has closed it, some time after
 * our farewell: a duplicate of the socket stays to hear of that. */
static void mariadb_leave(struct db_conn *base)
{
    const int fd = dup(mysql_get_socket(of(base)->mysql));
    struct task_fd *watch = fd >= 0 ? task_fd_open(fd) : NULL;
    int came = 0;

    mariadb_close(base);
    if (watch && task_fd_wait(watch, UV_READABLE, FAREWELL_MS, &came) != OK)
        came = 0; /* it takes its time; we do not */
    task_fd_close(watch);
    if (fd >= 0)
        close(fd);
}

static const struct db_statement table_exists = {
    "table_exists",
    "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    DB_READ,
};

/* Locks are the server's, not the database's: its name is part of theirs. */
static const struct db_statement lock_migrations = {
    "lock_migrations",
    "SELECT GET_LOCK(CONCAT('sanad.migrations.', DATABASE()), ?)",
    DB_READ,
};

static const struct db_statement indexes = {
    "indexes",
    "SELECT DISTINCT table_name, index_name FROM information_schema.statistics WHERE table_schema = DATABASE()",
    DB_READ_LONG,
};

const struct db_driver db_mariadb = {
    .name = "mysql",
    .migrations = "mysql",
    .begin = "START TRANSACTION",
    .explain = "EXPLAIN",
    .ddl_commits = true,
    .lock_migrations = &lock_migrations,
    .table_exists = &table_exists,
    .indexes = &indexes,
    .open = mariadb_open,
    .close = mariadb_close,
    .leave = mariadb_leave,
    .is_gone = mariadb_is_gone,
    .ping = mariadb_ping,
    .reset = mariadb_reset,
    .run = mariadb_run,
    .run_once = mariadb_run_once,
    .script = mariadb_script,
};
