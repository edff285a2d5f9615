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

/* Ours is UTC and strict, and a transaction sees one moment: a copy relies on it. A Galera node that has lost its
 * cluster would let us set that, and read variables, but begins no transaction. */
static const char session[] =
    "SET time_zone = '+00:00', sql_mode = 'TRADITIONAL,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', "
    "autocommit = 1, innodb_lock_wait_timeout = 10; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; "
    "START TRANSACTION; COMMIT";

enum { FAREWELL_MS = 1000 };

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

enum err mariadb_stmt_error(struct mariadb_conn *c, MYSQL_STMT *stmt)
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

void mariadb_note_transaction(struct mariadb_conn *c)
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
    mariadb_note_transaction(c);
    return OK;
}

/* ---- connections ------------------------------------------------------------------------------ */

static enum err mariadb_script(struct db_conn *base, const char *sql)
{
    struct mariadb_conn *c = mariadb_of(base);
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
    mariadb_note_transaction(c);
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
static enum err mariadb_ping(struct db_conn *base) { return mariadb_check_writable(mariadb_of(base)); }

static enum err mariadb_reset(struct db_conn *base)
{
    struct mariadb_conn *c = mariadb_of(base);
    int failed = 0;

    AWAIT(c, mysql_reset_connection_start(&failed, c->mysql), mysql_reset_connection_cont(&failed, c->mysql, came));
    mariadb_forget_statements(c);
    return failed ? mariadb_error(c) : mariadb_begin_session(c);
}

/* A connection that is broken may have a full socket, into which even the word
 * of farewell would block: then it is not said. */
void mariadb_close(struct db_conn *base)
{
    struct mariadb_conn *c = mariadb_of(base);

    if (!c)
        return;
    task_fd_close(c->fd);
    if (c->base.broken && mysql_get_socket(c->mysql) != MARIADB_INVALID_SOCKET)
        shutdown(mysql_get_socket(c->mysql), SHUT_RDWR);
    mariadb_forget_statements(c);
    mysql_close(c->mysql);
    free(c);
}

/* The server counts a connection until its own thread has closed it, some time after
 * our farewell: a duplicate of the socket stays to hear of that. */
static void mariadb_leave(struct db_conn *base)
{
    const int fd = dup(mysql_get_socket(mariadb_of(base)->mysql));
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
