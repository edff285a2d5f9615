/* SPDX-License-Identifier: MIT */
/* The inside of the MariaDB driver, for the files that make it up: one speaks with
 * the library and ends connections (mariadb.c), one opens them (mariadb_open.c), one
 * runs statements on them (mariadb_statement.c). */
#pragma once

#include <mysql.h>

#include "base/task.h"
#include "db/db.h"
#include "db/driver.h"

enum { MARIADB_STATEMENT_BUCKETS = 64 };   /* of the table of prepared statements, a power of 2 */

struct mariadb_prepared;

struct mariadb_conn {
    struct db_conn           base;
    MYSQL                   *mysql;
    struct task_fd          *fd;            /* watches its socket; NULL outside a loop */
    mono_ns                  checked_at;    /* when it was last known to be writable; read_only: not to be */
    struct mariadb_prepared *statements[MARIADB_STATEMENT_BUCKETS];
};

static inline struct mariadb_conn *mariadb_of(struct db_conn *base) { return (struct mariadb_conn *)base; }

/* Has the loop watch its socket from now on, also while nobody waits. False
 * without memory. */
bool mariadb_watch(struct mariadb_conn *c);

/* Waits for what the library asks for (MYSQL_WAIT_...); what came, in its words. */
int mariadb_wait(struct mariadb_conn *c, int status);

/* A call of the library as if it blocked: how it begins, and how it goes on with
 * what `came` of its wait. */
#define AWAIT(c, begin, go_on)                                                                                         \
    do {                                                                                                               \
        int waits = (begin);                                                                                           \
        while (waits) {                                                                                                \
            const int came = mariadb_wait((c), waits);                                                                 \
            waits = (go_on);                                                                                           \
        }                                                                                                              \
    } while (0)

/* Notes the library's last error in the connection; what it means here. */
enum err mariadb_error(struct mariadb_conn *c);
enum err mariadb_stmt_error(struct mariadb_conn *c, MYSQL_STMT *stmt);

/* Notes, after each answer, whether a transaction is open. */
void mariadb_note_transaction(struct mariadb_conn *c);

/* Asks whether the server may be written to. If that has changed, or nobody may
 * say so because a stand-in has served its time: E_READ_ONLY, and the connection,
 * as all that are older, is not to be used again. */
MUSTCHECK enum err mariadb_check_writable(struct mariadb_conn *c);

/* Whether it is a stand-in (mariadb_open.c) that has served its time. */
bool mariadb_is_stale(const struct mariadb_conn *c);

/* Makes a session ours. An error, too, of a server that takes no transactions. */
MUSTCHECK enum err mariadb_begin_session(struct mariadb_conn *c);

/* Functions of the driver (db/driver.h). */
MUSTCHECK enum err mariadb_open(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size);
void mariadb_close(struct db_conn *base);
MUSTCHECK enum err mariadb_run(struct db_conn *base, const struct db_statement *st, const struct db_value *args,
                               size_t count, struct arena *arena, struct db_rows *ret_rows);
MUSTCHECK enum err mariadb_run_once(struct db_conn *base, const struct db_statement *st, const struct db_value *args,
                                    size_t count, struct arena *arena, struct db_rows *ret_rows);

/* Those that were prepared on it. After COM_RESET_CONNECTION the server knows none of
 * them; before a close it is told of each, in a packet that waits for no answer. */
void mariadb_forget_statements(struct mariadb_conn *c);
