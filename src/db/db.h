/* SPDX-License-Identifier: MIT */
/* The database as the rest of the program sees it.
 *
 *   db_query(scope, &statement, ARGS(...), &rows)      one statement
 *   db_begin(scope); ... db_commit(scope)              several, all or none
 *
 * A scope is one borrower: a request, or a tool's run. It holds at most one
 * connection, only while a statement runs or a transaction is open, and counts
 * what it used. All functions here may suspend the running coroutine.
 */
#pragma once

#include "base/clock.h"
#include "base/trace.h"
#include "db/statement.h"

struct budget;
struct db;
struct db_pooled;

/* The settings of a database; values, owned by the caller, alive as long as
 * the database. */
struct db_conf {
    const char *driver;             /* "sqlite"                                      */
    const char *path;               /* sqlite: the file                              */
    const struct str *hosts;        /* mysql: tried in this order                    */
    size_t      host_count;
    size_t      first_host;         /* but this one first: the pool's, where it was served last */
    int         port;
    const char *socket;             /* mysql: a unix socket instead of a host; may be NULL */
    const char *name, *user, *password;
    bool        ssl;                /* mysql: TLS, with the certificate checked      */
    bool        only_read;          /* mysql: a tool that writes nothing: any server will do */
    const char *ssl_ca;             /* mysql: its authorities; empty: the system's   */
    double      io_timeout_s;       /* mysql: a server that is silent for so long is lost */
    int         pool_size;          /* connections that are kept                     */
    int         max_overflow;       /* and beyond                                    */
    struct budget *budget;          /* they are all workers' together; NULL: ours    */
    int         budget_row;         /* this worker's                                 */
    bool        pool_warm;          /* the kept ones are opened at once              */
    double      pool_timeout_s;     /* wait for a connection                         */
    double      pool_recycle_s;     /* age at which one is replaced, +-10 %; 0: never */
    bool        pool_pre_ping;
    double      pool_leak_s;        /* held longer: a log line; 0: never             */
    int         slow_query_ms;      /* slower: told by slow_log.h; 0: never          */
    bool        explain_slow;       /* with its plan, if it reads                    */
    const char *slow_log;           /* and into this file; may be NULL               */
    int         busy_timeout_ms;    /* sqlite: wait for another process's write      */
    bool        must_exist;         /* sqlite: a file that is not there is not made  */
};

struct db_scope {
    struct db        *db;
    struct arena     *arena;        /* where results go                     */
    const char       *route;        /* for the log; may be NULL             */
    struct str        request_id;   /* likewise                             */
    struct trace      trace;        /* likewise                             */
    struct db_pooled *held;         /* connection, while one is borrowed    */
    bool              in_transaction;
    unsigned          queries;      /* statements run                       */
    mono_ns           wait_ns;      /* spent waiting for a connection       */
    mono_ns           query_ns;     /* spent in statements                  */
};

/* A database with its pool; opens nothing yet. NULL for an unknown driver or
 * no memory. */
struct db *db_new(const struct db_conf *conf);

/* Closes all idle connections. None may be borrowed. NULL is fine. */
void db_free(struct db *db);

/* Its worker is being replaced: from now on only what is in use stays open. */
void db_drain(struct db *db);

/* Ends pooling: idle connections close now, borrowed ones on return. */
void db_shutdown(struct db *db);

/* The file of slow statements was renamed: opens its path anew. NULL is fine. */
void db_reopen_slow_log(struct db *db);

/* The pool's housekeeping; call about once a second, on the loop. */
void db_tick(struct db *db);

/* Borrows, asks the server for a sign of life, returns. For readiness. */
MUSTCHECK enum err db_ping(struct db *db);

/* Milliseconds until the pool next tries a database that is away; 0 when it is
 * not known to be away. For Retry-After. */
int64_t db_retry_after_ms(const struct db *db);

/* Why the last attempt to open a connection failed, a sentence for the operator;
 * empty when it did not. */
const char *db_last_error(const struct db *db);

/* "size=50 overflow=100 active=150 idle=0 waiting=37 oldest_wait_ms=29910" */
size_t db_describe(const struct db *db, char *out, size_t size);

/* The folder of its migrations: "sqlite", "mysql". */
const char *db_dialect(const struct db *db);

/* The same before there is one; empty for an unknown driver. */
const char *db_dialect_of(const struct db_conf *conf);

struct db_scope db_scope_of(struct db *db, struct arena *arena);

/* Rolls back what is open and returns the connection. Call when the borrower
 * is done, whatever happened; harmless when nothing is held. */
void db_scope_end(struct db_scope *scope);

#define DB_ARGS(...)                                                                     \
    (const struct db_value[]){ __VA_ARGS__ },                                            \
    sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value)
#define DB_NO_ARGS NULL, 0

/* Runs one statement. Rows and texts live in the scope's arena. Errors:
 * E_BUSY (no connection in time), E_UNAVAILABLE (database away), E_CONFLICT
 * (unique or foreign key), E_DISK_FULL, E_READ_ONLY, E_CANCELLED, E_DATABASE. */
MUSTCHECK enum err db_query(struct db_scope *scope, const struct db_statement *st, const struct db_value *args,
                            size_t count, struct db_rows *ret_rows);

/* A write transaction. Until db_commit() returns OK nothing is promised; then
 * it is durable. With a single-writer driver several transactions of this
 * process share one commit (db/group.h). */
MUSTCHECK enum err db_begin(struct db_scope *scope);
MUSTCHECK enum err db_commit(struct db_scope *scope);
void db_rollback(struct db_scope *scope);
