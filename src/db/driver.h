/* SPDX-License-Identifier: MIT */
/* What a database driver is: a row of functions that read as if they blocked.
 *
 * Each function marked (waits) runs in a coroutine and may suspend it: an
 * embedded database through task_offload(), a server's client library through
 * its non-blocking calls and a wait for its socket on the loop. The pool and all
 * above it never know which. A connection is used by one coroutine at a time.
 */
#pragma once

#include <stdint.h>

#include "db/statement.h"

struct db_conf;

/* A connection as the pool sees it; a driver embeds it first in its own. */
struct db_conn {
    const struct db_driver *driver;
    const struct db_conf   *conf;
    size_t                  host;            /* by the driver: its place in conf->hosts       */
    bool                    in_transaction;  /* kept by the driver                        */
    bool                    dirty;           /* by the driver: reset before the next use  */
    bool                    broken;          /* by the driver: do not use again           */
    bool                    lost;            /* with broken: so are all opened before now */
    bool                    read_only;       /* by the driver: writes are refused         */
    char                    error[160];      /* last error's text, for the log only       */
};

struct db_driver {
    const char *name;               /* "sqlite"                                            */
    bool        single_writer;      /* one write transaction at a time: commits are grouped */
    const char *migrations;         /* folder of its dialect under migrations/             */
    const char *begin;              /* opens a write transaction                           */
    const char *explain;            /* before a statement's text: asks for its plan        */
    bool        ddl_commits;        /* CREATE and ALTER end the transaction they stand in  */

    /* One row with 1 when this connection alone may migrate now, until it is
     * reset; NULL when `begin` locks the database anyway. */
    const struct db_statement *lock_migrations;

    /* One row when the table that its argument names exists. */
    const struct db_statement *table_exists;

    /* Table and name of each index. */
    const struct db_statement *indexes;

    /* Opens a connection (waits). On failure *ret_conn is untouched and the
     * reason is written to `error` (size bytes), without secrets. */
    enum err (*open)(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size);

    /* Closes and frees; takes NULL. Does not wait. */
    void (*close)(struct db_conn *c);

    /* The same, and returns when the other side has closed it, too, or keeps one
     * waiting for a second (waits). NULL: closing is all there is to it. */
    void (*leave)(struct db_conn *c);

    /* Whether the other side has closed a connection that nobody uses, as far
     * as is known without asking; NULL: never known. Does not wait. */
    bool (*is_gone)(const struct db_conn *c);

    /* Whether the connection still answers (waits). */
    enum err (*ping)(struct db_conn *c);

    /* Back to a fresh state for the next borrower: an open transaction is
     * rolled back (waits). */
    enum err (*reset)(struct db_conn *c);

    /* Runs a statement with `count` arguments; rows, if any, go to the arena
     * (waits). */
    enum err (*run)(struct db_conn *c, const struct db_statement *st, const struct db_value *args, size_t count,
                    struct arena *arena, struct db_rows *ret_rows);

    /* The same, of a statement that is not kept for another time (waits). */
    enum err (*run_once)(struct db_conn *c, const struct db_statement *st, const struct db_value *args, size_t count,
                         struct arena *arena, struct db_rows *ret_rows);

    /* Runs a text that may hold several statements and has no arguments; for
     * migrations and transaction control only (waits). */
    enum err (*script)(struct db_conn *c, const char *sql);
};

extern const struct db_driver db_sqlite, db_mariadb;

/* A database with a given driver; db_new() finds it by conf->driver. */
struct db *db_new_with(const struct db_driver *driver, const struct db_conf *conf);
const struct db_driver *db_driver_of(const struct db *db);

/* Where its transactions that were undone wait for their turn (db/transaction.h). */
struct repeat_lane *db_repeat_lane(struct db *db);
