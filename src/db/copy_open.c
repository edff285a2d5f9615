/* SPDX-License-Identifier: MIT */
/* How a copy begins, goes on, and is discarded: what the destination must be, and
 * the sign that it holds a copy that is not finished. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/copy_parts.h"
#include "db/driver.h"

enum {
    ROWS_MAX_BYTES = 512 * 1024 * 1024, /* a batch, twice: as read and as read back */
    LOOK_MAX_BYTES = 64 * 1024,
};

static const struct db_statement make_mark = {
    "copy_mark",
    "CREATE TABLE " COPY_MARK " (begun_at BIGINT NOT NULL PRIMARY KEY)",
    DB_WRITE,
};
static const struct db_statement drop_mark = { "copy_unmark", "DROP TABLE IF EXISTS " COPY_MARK, DB_WRITE };
static const struct db_statement drop_migrations = {
    "copy_drop_migrations",
    "DROP TABLE IF EXISTS schema_migrations",
    DB_WRITE,
};
static const struct db_statement schema_version = {
    "copy_schema_version",
    "SELECT COUNT(*), MAX(number) FROM schema_migrations",
    DB_READ_LONG,
};

/* ---- the sign of an unfinished copy ------------------------------------------------------------ */

static enum err find_mark(struct db_scope *scope, bool *ret_unfinished)
{
    struct db_rows rows;
    const enum err e = db_query(scope, db_driver_of(scope->db)->table_exists, DB_ARGS(DBV_TEXT(STR(COPY_MARK))), &rows);

    if (e == OK)
        *ret_unfinished = rows.count > 0;
    return e;
}

enum err copy_is_unfinished(struct db *db, bool *ret_unfinished)
{
    struct arena arena;
    struct db_scope scope = db_scope_of(db, &arena);
    enum err e;

    arena_init(&arena, LOOK_MAX_BYTES);
    e = find_mark(&scope, ret_unfinished);
    arena_done(&arena);
    return e;
}

enum err copy_unmark(struct copy *c)
{
    struct db_rows none;

    return db_query(&c->to, &drop_mark, DB_NO_ARGS, &none);
}

/* ---- opening -------------------------------------------------------------------------------------- */

static enum err build(struct copy *c)
{
    const struct copy_job *job = c->job;
    enum err e = OK;

    c->places = arena_array(job->arena, struct copy_place, job->count);
    if (!c->places)
        return E_NO_MEMORY;
    for (size_t i = 0; e == OK && i < job->count; i++)
        e = twin_build(job->arena, &job->tables[i], &c->places[i].twin);
    return e;
}

static enum err measure(struct copy *c, char *error, size_t size)
{
    enum err e = OK;

    for (size_t i = 0; i < c->job->count; i++) {
        struct copy_place *p = &c->places[i];

        e = twin_size(&p->twin, &c->from, &p->from);
        if (e != OK)
            return copy_failed(c, &c->from, e, error, size);
        e = twin_size(&p->twin, &c->to, &p->to);
        if (e != OK)
            return copy_failed(c, &c->to, e, error, size);
    }
    return OK;
}

static enum err version_of(struct copy *c, struct db_scope *side, int64_t ret[2], char *error, size_t size)
{
    struct db_rows rows;
    const enum err e = db_query(side, &schema_version, DB_NO_ARGS, &rows);

    if (e != OK)
        return copy_failed(c, side, e, error, size);
    ret[0] = db_int(&rows.values[0]);
    ret[1] = db_int(&rows.values[1]);
    return OK;
}

/* Migrations are numbered alike in every dialect. */
static enum err check_versions(struct copy *c, char *error, size_t size)
{
    int64_t from[2] = { 0, 0 }, to[2] = { 0, 0 };
    enum err e = version_of(c, &c->from, from, error, size);

    if (e == OK)
        e = version_of(c, &c->to, to, error, size);
    if (e != OK || (from[0] == to[0] && from[1] == to[1]))
        return e;
    snprintf(error, size,
             "the source has %" PRId64 " migrations, the last of them %" PRId64 ", but the destination %" PRId64
             ", the last of them %" PRId64,
             from[0], from[1], to[0], to[1]);
    return E_CONFLICT;
}

/* A new destination has no rows; from its first one on it is marked. */
static enum err begin_anew(struct copy *c, char *error, size_t size)
{
    struct db_rows none;
    enum err e;

    for (size_t i = 0; i < c->job->count; i++) {
        const struct copy_place *p = &c->places[i];

        if (p->to.rows == 0)
            continue;
        snprintf(error, size, "the destination has data already (%s: %" PRId64 " rows); nothing was copied",
                 p->twin.table->name, p->to.rows);
        return E_CONFLICT;
    }
    e = db_query(&c->to, &make_mark, DB_NO_ARGS, &none);
    return e == OK ? OK : copy_failed(c, &c->to, e, error, size);
}

/* The last row of a table that is there must be the source's, too: it was left
 * by a copy of this source, and nobody has written since. */
static enum err check_last(struct copy *c, const struct copy_place *p, char *error, size_t size)
{
    struct db_rows ours, there;
    enum err e;

    if (p->to.rows == 0)
        return OK;
    e = twin_page(&p->twin, &c->from, p->to.greatest - 1, 1, &ours);
    if (e != OK)
        return copy_failed(c, &c->from, e, error, size);
    e = twin_page(&p->twin, &c->to, p->to.greatest - 1, 1, &there);
    if (e != OK)
        return copy_failed(c, &c->to, e, error, size);
    if (ours.count == 1 && there.count == 1 && twin_difference(&p->twin, ours.values, there.values) == p->twin.columns)
        return OK;
    snprintf(error, size,
             "the destination has a part of another copy: row %" PRId64 " of %s is not as in the source, or the source "
             "was changed since",
             p->to.greatest, p->twin.table->name);
    return E_CONFLICT;
}

static enum err go_on(struct copy *c, char *error, size_t size)
{
    enum err e = OK;

    for (size_t i = 0; e == OK && i < c->job->count; i++)
        e = check_last(c, &c->places[i], error, size);
    return e;
}

static enum err open_both(struct copy *c, char *error, size_t size)
{
    bool unfinished = false;
    enum err e = db_begin(&c->from);

    if (e != OK)
        return copy_failed(c, &c->from, e, error, size);
    e = find_mark(&c->to, &unfinished);
    if (e != OK)
        return copy_failed(c, &c->to, e, error, size);
    e = check_versions(c, error, size);
    if (e == OK)
        e = measure(c, error, size);
    if (e == OK)
        e = unfinished ? go_on(c, error, size) : begin_anew(c, error, size);
    return e;
}

static struct copy *copy_new(const struct copy_job *job)
{
    struct copy *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->job = job;
    arena_init(&c->rows, ROWS_MAX_BYTES);
    c->from = db_scope_of(job->from, &c->rows);
    c->to = db_scope_of(job->to, &c->rows);
    return c;
}

enum err copy_open(const struct copy_job *job, struct copy **ret_copy, char *error, size_t size)
{
    struct copy *c = copy_new(job);
    enum err e = c ? build(c) : E_NO_MEMORY;

    if (e == OK)
        e = open_both(c, error, size);
    else
        snprintf(error, size, "not enough memory");
    if (e == OK)
        *ret_copy = c;
    else
        copy_close(c);
    return e;
}

void copy_close(struct copy *c)
{
    if (!c)
        return;
    db_scope_end(&c->to);
    db_scope_end(&c->from);
    arena_done(&c->rows);
    free(c);
}

/* ---- discarding --------------------------------------------------------------------------------------- */

static enum err discard(struct copy *c)
{
    struct db_rows none;
    enum err e = OK;

    for (size_t i = c->job->count; e == OK && i > 0; i--)
        e = db_query(&c->to, &c->places[i - 1].twin.drop, DB_NO_ARGS, &none);
    if (e == OK)
        e = db_query(&c->to, &drop_migrations, DB_NO_ARGS, &none);
    return e == OK ? copy_unmark(c) : e;
}

enum err copy_discard(const struct copy_job *job, char *error, size_t size)
{
    struct copy *c = copy_new(job);
    bool unfinished = false;
    enum err e = c ? build(c) : E_NO_MEMORY;

    if (e != OK) {
        snprintf(error, size, "not enough memory");
        copy_close(c);
        return e;
    }
    e = find_mark(&c->to, &unfinished);
    if (e == OK && unfinished)
        e = discard(c);
    if (e != OK)
        (void)copy_failed(c, &c->to, e, error, size);
    copy_close(c);
    return e;
}
