/* SPDX-License-Identifier: MIT */
#include "db/backup.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db/copy_parts.h"

enum {
    STEP_PAGES = 256,      /* between two looks at the watcher         */
    STEP_OPCODES = 100000, /* the same, while a statement runs         */
    BUSY_MS = 10000,       /* for a log that others recover, or a lock */
    SQL_SIZE = 256,
};

/* ---- errors --------------------------------------------------------------------------------- */

/* Why a file could not be used, as the system says it where it does. */
static enum err blame(sqlite3 *db, const char *what, const char *path, char *error, size_t size)
{
    const int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    const int system = db ? sqlite3_system_errno(db) : ENOMEM;

    if ((code & 0xff) == SQLITE_INTERRUPT)
        snprintf(error, size, "stopped");
    else if ((code & 0xff) == SQLITE_FULL)
        snprintf(error, size, "%s %s: %s", what, path, strerrordesc_np(ENOSPC));
    else if ((code & 0xff) == SQLITE_NOTADB)
        snprintf(error, size, "%s is not an SQLite database", path);
    else if (((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) && system != 0)
        snprintf(error, size, "%s %s: %s", what, path, strerrordesc_np(system));
    else
        snprintf(error, size, "%s %s: %s", what, path, db ? sqlite3_errmsg(db) : "not enough memory");
    return (code & 0xff) == SQLITE_INTERRUPT ? E_CANCELLED : (code & 0xff) == SQLITE_FULL ? E_DISK_FULL : E_IO;
}

static enum err cannot_read(sqlite3 *db, const char *path, char *error, size_t size)
{
    return blame(db, "cannot read", path, error, size);
}

/* ---- opening ----------------------------------------------------------------------------------- */

static int on_opcodes(void *arg)
{
    const struct backup_watcher *w = arg;

    return w->stopped && w->stopped(w->arg);
}

static enum err open_file(const char *path, int flags, const struct backup_watcher *w, sqlite3 **ret_db, char *error,
                          size_t size)
{
    sqlite3 *db = NULL;
    enum err e;

    if (access(path, F_OK) != 0) {
        snprintf(error, size, "%s: %s", path, strerrordesc_np(errno));
        return E_NOT_FOUND;
    }
    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK) {
        e = blame(db, "cannot open", path, error, size);
        sqlite3_close(db);
        return e;
    }
    sqlite3_busy_timeout(db, BUSY_MS);
    if (w)
        sqlite3_progress_handler(db, STEP_OPCODES, on_opcodes, (void *)w);
    *ret_db = db;
    return OK;
}

/* ---- what a database holds ------------------------------------------------------------------------ */

static const char is_there[] = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = '%s'";
static const char list_tables[] = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
                                  "ESCAPE '\\' AND name <> 'schema_migrations' ORDER BY rowid";

/* A file that is looked at. */
struct look {
    sqlite3 *db;
    const char *path;
    const struct backup_watcher *watcher;
    char *error;
    size_t size;
};

static enum err unreadable(const struct look *l) { return cannot_read(l->db, l->path, l->error, l->size); }

/* One number that a statement made of a table's name gives; names are quoted by SQLite. */
static enum err ask(const struct look *l, const char *format, const char *name, int64_t *ret_number)
{
    char sql[SQL_SIZE];
    sqlite3_stmt *stmt = NULL;
    enum err e = OK;

    sqlite3_snprintf(sizeof(sql), sql, format, name);
    if (sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        e = unreadable(l);
    else
        *ret_number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return e;
}

/* Begins the snapshot: all that follows in the transaction sees the same. */
static enum err check_kind(const struct look *l, struct backup_content *content)
{
    int64_t ours = 0, unfinished = 0;
    enum err e = ask(l, is_there, "schema_migrations", &ours);

    if (e == OK)
        e = ask(l, is_there, COPY_MARK, &unfinished);
    if (e == OK && ours > 0 && unfinished == 0)
        return ask(l, "SELECT COUNT(*) FROM \"%w\"", "schema_migrations", &content->migrations);
    if (e != OK)
        return e;
    snprintf(l->error, l->size,
             ours > 0 ? "%s holds a copy that is not finished" : "%s is not a database of this program", l->path);
    return ours > 0 ? E_CONFLICT : E_NOT_FOUND;
}

static enum err count_table(const struct look *l, const char *name, struct backup_content *content)
{
    int64_t rows = 0;
    const enum err e = ask(l, "SELECT COUNT(*) FROM \"%w\"", name, &rows);

    if (e != OK)
        return e;
    content->tables++;
    content->rows += rows;
    if (l->watcher->table)
        l->watcher->table(l->watcher->arg, name, rows);
    return OK;
}

static enum err count_rows(const struct look *l, struct backup_content *content)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(l->db, list_tables, -1, &stmt, NULL);
    enum err e = code == SQLITE_OK ? OK : unreadable(l);

    while (e == OK && (code = sqlite3_step(stmt)) == SQLITE_ROW)
        e = count_table(l, (const char *)sqlite3_column_text(stmt, 0), content);
    if (e == OK && code != SQLITE_DONE)
        e = unreadable(l);
    sqlite3_finalize(stmt);
    return e;
}

static enum err read_content(const struct look *l, struct backup_content *ret_content)
{
    struct backup_content content = { 0 };
    enum err e = check_kind(l, &content);

    if (e == OK)
        e = count_rows(l, &content);
    if (e == OK)
        *ret_content = content;
    return e;
}

/* ---- storing ------------------------------------------------------------------------------------------ */

static enum err copy_pages(sqlite3_backup *b, const struct backup_watcher *w)
{
    int code;

    do {
        if (w->stopped && w->stopped(w->arg))
            return E_CANCELLED;
        code = sqlite3_backup_step(b, STEP_PAGES);
        if (w->progress)
            w->progress(w->arg, sqlite3_backup_pagecount(b) - sqlite3_backup_remaining(b), sqlite3_backup_pagecount(b));
    } while (code == SQLITE_OK);
    return code == SQLITE_DONE ? OK : E_IO;
}

/* The transaction of `from` is open: between the steps the snapshot stays. */
static enum err copy_snapshot(sqlite3 *from, sqlite3 *to, const char *path, const struct look *l)
{
    sqlite3_backup *b;
    enum err e;

    /* A draft that is cut short is thrown away: no journal, and one fsync at its end. */
    if (sqlite3_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL) != SQLITE_OK)
        return blame(to, "cannot write", path, l->error, l->size);
    b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return blame(to, "cannot write", path, l->error, l->size);
    e = copy_pages(b, l->watcher);
    if (sqlite3_backup_finish(b) != SQLITE_OK || e == E_IO)
        return blame(to, "cannot write", path, l->error, l->size);
    if (e == E_CANCELLED)
        snprintf(l->error, l->size, "stopped");
    return e;
}

static enum err store(const struct look *l, const char *to, struct backup_content *ret_content)
{
    sqlite3 *copy = NULL;
    enum err e = OK;

    if (sqlite3_exec(l->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        e = unreadable(l);
    if (e == OK)
        e = read_content(l, ret_content);
    if (e == OK)
        e = open_file(to, SQLITE_OPEN_READWRITE, NULL, &copy, l->error, l->size);
    if (e == OK)
        e = copy_snapshot(l->db, copy, to, l);
    sqlite3_close(copy);
    return e;
}

enum err backup_store(const char *from, const char *to, const struct backup_watcher *w,
                      struct backup_content *ret_content, char *error, size_t size)
{
    struct look l = { .path = from, .watcher = w, .error = error, .size = size };
    enum err e = open_file(from, SQLITE_OPEN_READWRITE, w, &l.db, error, size);

    if (e == OK)
        e = store(&l, to, ret_content);
    sqlite3_close(l.db);
    return e == OK ? backup_seal(to, error, size) : e;
}

enum err backup_seal(const char *path, char *error, size_t size)
{
    sqlite3 *db = NULL;
    enum err e = open_file(path, SQLITE_OPEN_READWRITE, NULL, &db, error, size);

    if (e != OK)
        return e;
    if (sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
        e = blame(db, "cannot write", path, error, size);
    sqlite3_close(db);
    return e;
}

/* ---- checking --------------------------------------------------------------------------------------------- */

/* SQLite answers with one row, "ok", or with a row for each fault. */
static enum err check_integrity(const struct look *l, enum backup_depth depth)
{
    sqlite3_stmt *stmt = NULL;
    const char *sql = depth == BACKUP_QUICK ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)", *told;
    enum err e = OK;

    if (sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW) {
        e = unreadable(l);
    } else {
        told = (const char *)sqlite3_column_text(stmt, 0);
        if (!told || strcmp(told, "ok") != 0) {
            snprintf(l->error, l->size, "%s is damaged: %.200s", l->path, told ? told : "");
            e = E_DATABASE;
        }
    }
    sqlite3_finalize(stmt);
    return e;
}

enum err backup_check(const char *path, enum backup_depth depth, const struct backup_watcher *w,
                      struct backup_content *ret_content, char *error, size_t size)
{
    struct look l = { .path = path, .watcher = w, .error = error, .size = size };
    enum err e = open_file(path, SQLITE_OPEN_READONLY, w, &l.db, error, size);

    if (e == OK)
        e = check_integrity(&l, depth);
    if (e == OK)
        e = read_content(&l, ret_content);
    sqlite3_close(l.db);
    return e;
}
