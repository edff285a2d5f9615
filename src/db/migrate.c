/* SPDX-License-Identifier: MIT */
#include "db/migrate.h"

#include <sodium.h>
#include <stdio.h>

#include "db/copy.h"
#include "db/driver.h"
#include "db/pool.h"

enum {
    LOCK_WAIT_S = 60, /* for another process that migrates        */
    ARENA_BYTES = 4 * 1024 * 1024,
    HASH_HEX = 2 * crypto_hash_sha256_BYTES,
};

static const struct db_statement make_table = {
    "migrations_table",
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER NOT NULL PRIMARY KEY, name VARCHAR(200) NOT NULL,"
    " sha256 CHAR(64) NOT NULL, applied_at BIGINT NOT NULL)",
    DB_WRITE,
};
static const struct db_statement select_applied = {
    "migrations_applied",
    "SELECT number, name, sha256 FROM schema_migrations ORDER BY number",
    DB_READ_LONG,
};
static const struct db_statement insert_applied = {
    "migration_applied",
    "INSERT INTO schema_migrations (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
    DB_WRITE,
};

/* One call of this file's functions. */
struct run {
    struct db *db;
    const struct migration *list;
    size_t count;
    struct arena arena;
    char *error;
    size_t size;
};

/* ---- refusing ------------------------------------------------------------------ */

static enum err refuse(const struct run *r, int number, const char *name, const char *what)
{
    snprintf(r->error, r->size, "migration %d (%s) %s", number, name, what);
    return E_CONFLICT;
}

/* A failure that the database explained, or that stands for itself. Why it does
 * not open is a sentence of its own. */
static enum err failed(const struct run *r, enum err e, const char *doing, const char *reason)
{
    if (db_last_error(r->db)[0] != '\0')
        snprintf(r->error, r->size, "%s", db_last_error(r->db));
    else if (reason[0] != '\0')
        snprintf(r->error, r->size, "%s: %s", doing, reason);
    else
        snprintf(r->error, r->size, "%s (%s)", doing, err_name(e));
    return e;
}

/* The numbers of the program's own files run from 1 without a gap. */
static enum err check_list(const struct run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->list[i].number == (int)i + 1)
            continue;
        snprintf(r->error, r->size, "migration %d is missing: the next file is %d (%s)", (int)i + 1, r->list[i].number,
                 r->list[i].name);
        return E_CONFLICT;
    }
    return OK;
}

static struct str hash_of(const struct migration *m, char out[static HASH_HEX + 1])
{
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)m->sql, strlen(m->sql));
    sodium_bin2hex(out, HASH_HEX + 1, hash, sizeof(hash));
    return (struct str){ out, HASH_HEX };
}

static enum err check_row(const struct run *r, size_t at, const struct db_value *row)
{
    const int64_t number = db_int(&row[0]);
    const struct migration *m = at < r->count ? &r->list[at] : NULL;
    char name[201], hash[HASH_HEX + 1];

    snprintf(name, sizeof(name), STR_FMT, STR_ARG(db_text(&row[1])));
    if (number < 1 || number > (int64_t)r->count)
        return refuse(r, (int)number, name, "was applied to this database, but this program does not have it");
    if (number != m->number)
        return refuse(r, m->number, m->name, "was not applied to this database, though a later one was");
    if (!str_eq(db_text(&row[2]), hash_of(m, hash)))
        return refuse(r, m->number, m->name, "was changed after it was applied");
    return OK;
}

/* How many are applied; E_CONFLICT when the database and the list disagree. */
static enum err count_applied(struct run *r, struct db_scope *scope, size_t *ret_applied)
{
    struct db_rows rows;
    enum err e = db_query(scope, &select_applied, DB_NO_ARGS, &rows);

    if (e != OK)
        return failed(r, e, "cannot read the applied migrations", "");
    for (size_t i = 0; i < rows.count; i++) {
        e = check_row(r, i, db_row(&rows, i));
        if (e != OK)
            return e;
    }
    *ret_applied = rows.count;
    return OK;
}

/* Half of a database is nobody's to use. */
static enum err refuse_unfinished(const struct run *r)
{
    bool unfinished = false;
    const enum err e = copy_is_unfinished(r->db, &unfinished);

    if (e != OK)
        return failed(r, e, "cannot read the database", "");
    if (!unfinished)
        return OK;
    snprintf(r->error, r->size, "this database holds a copy that is not finished: run sanad copy again, as before");
    return E_CONFLICT;
}

/* The same without a lock, for a database that may be empty still. */
static enum err look(struct run *r, size_t *ret_applied)
{
    struct db_scope scope = db_scope_of(r->db, &r->arena);
    struct db_rows rows;
    enum err e = db_query(&scope, db_driver_of(r->db)->table_exists, DB_ARGS(DBV_TEXT(STR("schema_migrations"))),
                          &rows);

    if (e != OK)
        return failed(r, e, "cannot read the database", "");
    if (rows.count == 0) {
        *ret_applied = 0;
        return OK;
    }
    e = refuse_unfinished(r);
    return e == OK ? count_applied(r, &scope, ret_applied) : e;
}

/* ---- applying -------------------------------------------------------------------- */

static enum err record(const struct run *r, struct db_scope *scope, const struct migration *m)
{
    char hash[HASH_HEX + 1];
    struct db_rows rows;
    const enum err e = db_query(
        scope, &insert_applied,
        DB_ARGS(DBV_INT(m->number), DBV_TEXT(str_of(m->name)), DBV_TEXT(hash_of(m, hash)), DBV_INT(clock_wall())),
        &rows);

    return e == OK ? OK : failed(r, e, "cannot record a migration", scope->held->conn->error);
}

/* After a statement that may have ended the transaction. */
static enum err begin_again(const struct run *r, struct db_scope *scope)
{
    const struct db_driver *driver = db_driver_of(r->db);
    struct db_conn *conn = scope->held->conn;
    const enum err e = conn->in_transaction ? OK : driver->script(conn, driver->begin);

    return e == OK ? OK : failed(r, e, "cannot begin a transaction", conn->error);
}

static enum err apply(const struct run *r, struct db_scope *scope, const struct migration *m)
{
    struct db_conn *conn = scope->held->conn;
    enum err e = db_driver_of(r->db)->script(conn, m->sql);

    if (e != OK) {
        snprintf(r->error, r->size, "migration %d (%s) failed: %s", m->number, m->name, conn->error);
        return e;
    }
    if (!conn->in_transaction && !db_driver_of(r->db)->ddl_commits)
        return refuse(r, m->number, m->name, "ends the transaction it runs in");
    e = begin_again(r, scope);
    return e == OK ? record(r, scope, m) : e;
}

/* Where BEGIN does not keep other processes out. The lock goes when the
 * connection is reset on its return. */
static enum err lock(const struct run *r, struct db_scope *scope)
{
    const struct db_statement *statement = db_driver_of(r->db)->lock_migrations;
    struct db_rows rows;
    enum err e;

    if (!statement)
        return OK;
    scope->held->conn->dirty = true;
    e = db_query(scope, statement, DB_ARGS(DBV_INT(LOCK_WAIT_S)), &rows);
    if (e == OK && (rows.count != 1 || db_int(db_row(&rows, 0)) != 1))
        e = E_BUSY;
    return e == OK ? OK : failed(r, e, "cannot lock the database", scope->held->conn->error);
}

/* In the transaction: what another process has done meanwhile counts. */
static enum err apply_next_locked(struct run *r, struct db_scope *scope, const struct migration **ret_applied)
{
    struct db_rows rows;
    size_t applied = 0;
    enum err e = lock(r, scope);

    if (e != OK)
        return e;
    e = db_query(scope, &make_table, DB_NO_ARGS, &rows);
    if (e != OK)
        return failed(r, e, "cannot write to the database", scope->held->conn->error);
    e = begin_again(r, scope);
    if (e == OK)
        e = count_applied(r, scope, &applied);
    if (e != OK || applied == r->count)
        return e;
    e = apply(r, scope, &r->list[applied]);
    if (e == OK)
        *ret_applied = &r->list[applied];
    return e;
}

/* Waits for another process that holds the lock, which may be a long migration. */
static enum err begin(const struct run *r, struct db_scope *scope)
{
    const mono_ns give_up_at = clock_mono() + (mono_ns)LOCK_WAIT_S * NS_PER_S;
    enum err e;

    do
        e = db_begin(scope);
    while (e == E_BUSY && clock_mono() < give_up_at);
    return e == OK ? OK : failed(r, e, "cannot lock the database", "");
}

/* Applies the first that is missing; *ret_applied stays NULL when none is. */
static enum err apply_next(struct run *r, const struct migration **ret_applied)
{
    struct db_scope scope = db_scope_of(r->db, &r->arena);
    const struct migration *m = NULL;
    enum err e = begin(r, &scope);

    if (e != OK)
        return e;
    e = apply_next_locked(r, &scope, &m);
    if (e == OK && m) {
        e = db_commit(&scope);
        if (e != OK)
            return failed(r, e, "cannot commit a migration", "");
        *ret_applied = m;
    }
    db_scope_end(&scope);
    return e;
}

static enum err apply_all(struct run *r, migrate_progress *progress, void *arg, int *ret_applied)
{
    size_t done = 0;
    enum err e = look(r, &done);

    while (e == OK && done < r->count) {
        const struct migration *m = NULL;

        arena_reset(&r->arena);
        e = apply_next(r, &m);
        if (e != OK || !m)
            break;
        done = (size_t)m->number;
        ++*ret_applied;
        if (progress)
            progress(arg, m);
    }
    return e;
}

/* ---- the two entries ---------------------------------------------------------------- */

enum err migrate_up(struct db *db, const struct migration *list, size_t count, migrate_progress *progress, void *arg,
                    int *ret_applied, char *error, size_t size)
{
    struct run r = { .db = db, .list = list, .count = count, .error = error, .size = size };
    int applied = 0;
    enum err e = check_list(&r);

    if (e != OK)
        return e;
    arena_init(&r.arena, ARENA_BYTES);
    e = apply_all(&r, progress, arg, &applied);
    arena_done(&r.arena);
    if (e == OK)
        *ret_applied = applied;
    return e;
}

enum err migrate_pending(struct db *db, const struct migration *list, size_t count, int *ret_pending, char *error,
                         size_t size)
{
    struct run r = { .db = db, .list = list, .count = count, .error = error, .size = size };
    size_t applied = 0;
    enum err e = check_list(&r);

    if (e != OK)
        return e;
    arena_init(&r.arena, ARENA_BYTES);
    e = look(&r, &applied);
    arena_done(&r.arena);
    if (e == OK)
        *ret_pending = (int)(count - applied);
    return e;
}
