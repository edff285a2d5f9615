/* SPDX-License-Identifier: MIT */
#include "db/copy.h"

#include <inttypes.h>
#include <stdio.h>

#include "db/copy_parts.h"
#include "db/driver.h"
#include "db/pool.h"

enum {
    BATCH_ROWS = 1000,                     /* of a transaction                             */
    SHRINK = 10,                           /* so many times fewer when they are too large  */
    STATEMENT_MAX_BYTES = 2 * 1024 * 1024, /* larger rows are stored one by one            */
    LARGE_ROW_BYTES = 1024 * 1024,         /* worth telling when a server goes away        */
    REFUSED_MAX = 20,                      /* rows that are told                           */
};

/* ---- what went wrong -------------------------------------------------------------------- */

/* For the operator; errors that are not listed say no more than their name. */
static const char *reason_of(const struct db_scope *side, enum err e)
{
    static const char *const reasons[ERR_COUNT] = {
        [E_BUSY] = "another process is writing to it",
        [E_DEADLOCK] = "others are writing to it",
        [E_UNAVAILABLE] = "it is away",
        [E_DISK_FULL] = "its disk is full",
        [E_READ_ONLY] = "it cannot be written to",
        [E_NO_MEMORY] = "a row is too large for the memory that a copy may use",
    };
    const char *told = side->held ? side->held->conn->error : db_last_error(side->db);

    if (e != E_NO_MEMORY && told[0] != '\0')
        return told;
    return reasons[e] ? reasons[e] : err_name(e);
}

enum err copy_failed(const struct copy *c, const struct db_scope *side, enum err e, char *error, size_t size)
{
    snprintf(error, size, "%s: %s", side == &c->from ? "the source" : "the destination", reason_of(side, e));
    return e;
}

/* ---- batches ------------------------------------------------------------------------------- */

/* One batch of a table on its way. */
struct batch {
    struct copy *copy;
    const struct copy_place *place;
    struct db_rows rows;
    int64_t after; /* the key before its first */
    char *error;
    size_t size;
};

static const struct db_value *row_of(const struct batch *b, size_t i) { return db_row(&b->rows, i); }

static enum err failed(const struct batch *b, const struct db_scope *side, enum err e)
{
    return copy_failed(b->copy, side, e, b->error, b->size);
}

static void refuse(struct batch *b, size_t row, const char *why)
{
    const struct copy_watcher *w = &b->copy->job->watcher;

    b->copy->refused++;
    if (w->refused)
        w->refused(w->arg, b->place->twin.table->name, twin_key(row_of(b, row)), why);
}

static bool may_go_on(const struct batch *b) { return b->copy->refused < REFUSED_MAX; }

/* Whether the database said no to what it was given, and stands. */
static bool is_refusal(const struct copy *c, enum err e)
{
    const struct db_conn *conn = c->to.held->conn;

    return (e == E_INVALID || e == E_CONFLICT || e == E_TOO_LARGE || e == E_DATABASE) && !conn->broken &&
           conn->in_transaction;
}

static size_t bytes_of(const struct batch *b, size_t from, size_t count)
{
    const struct db_value *v = row_of(b, from);
    size_t bytes = 0;

    for (size_t i = 0; i < count * b->rows.columns; i++)
        bytes += db_text(&v[i]).len;
    return bytes;
}

/* A server that goes away over a large row may have been given more than it takes. */
static enum err lost_over(const struct batch *b, size_t row, enum err e)
{
    const size_t bytes = bytes_of(b, row, 1);

    failed(b, &b->copy->to, e);
    if (e == E_UNAVAILABLE && bytes > LARGE_ROW_BYTES) {
        const size_t used = strlen(b->error);
        snprintf(b->error + used, b->size - used,
                 " (over a row of %zu bytes, key %" PRId64 " of %s: is the server's max_allowed_packet large enough?)",
                 bytes, twin_key(row_of(b, row)), b->place->twin.table->name);
    }
    return e;
}

static enum err store_singly(struct batch *b, size_t from, size_t count)
{
    struct copy *c = b->copy;

    for (size_t i = from; i < from + count && may_go_on(b); i++) {
        const enum err e = twin_insert(&b->place->twin, &c->to, row_of(b, i), 1);

        if (e != OK && !is_refusal(c, e))
            return lost_over(b, i, e);
        if (e != OK)
            refuse(b, i, reason_of(&c->to, e));
    }
    return OK;
}

/* Many rows a statement; where one of them is refused, or they are large, singly. */
static enum err store_chunk(struct batch *b, size_t from, size_t count)
{
    const struct twin *t = &b->place->twin;
    enum err e;

    if (count < t->chunk || bytes_of(b, from, count) > STATEMENT_MAX_BYTES)
        return store_singly(b, from, count);
    e = twin_insert(t, &b->copy->to, row_of(b, from), count);
    if (e != OK && is_refusal(b->copy, e))
        return store_singly(b, from, count);
    return e == OK ? OK : failed(b, &b->copy->to, e);
}

static enum err store_rows(struct batch *b)
{
    const size_t chunk = b->place->twin.chunk;
    enum err e = OK;

    for (size_t at = 0; e == OK && at < b->rows.count && may_go_on(b); at += chunk)
        e = store_chunk(b, at, b->rows.count - at < chunk ? b->rows.count - at : chunk);
    return e;
}

/* Holds a row against what the destination made of it; NULL: it is not there. */
static void check_row(struct batch *b, size_t row, const struct db_value *there)
{
    const struct twin *t = &b->place->twin;
    const size_t column = there ? twin_difference(t, row_of(b, row), there) : 0;
    char why[160];

    if (column == t->columns || (!there && b->copy->refused > 0))
        return;
    snprintf(why, sizeof(why), "column " STR_FMT " would not be stored as it is", STR_ARG(twin_column(t, column)));
    refuse(b, row, why);
}

/* Before it is promised, all is read back. */
static enum err read_back(struct batch *b)
{
    struct db_rows stored;
    const enum err e = twin_page(&b->place->twin, &b->copy->to, b->after, b->rows.count, &stored);

    if (e != OK)
        return failed(b, &b->copy->to, e);
    for (size_t i = 0, at = 0; i < b->rows.count && may_go_on(b); i++) {
        const struct db_value *there = at < stored.count ? db_row(&stored, at) : NULL;
        const bool same = there && twin_key(there) == twin_key(row_of(b, i));

        check_row(b, i, same ? there : NULL);
        at += same;
    }
    return OK;
}

/* Once a row was refused, what comes after is tried for more of them, and undone. */
static enum err store_batch(struct batch *b)
{
    struct copy *c = b->copy;
    enum err e = db_begin(&c->to);

    if (e != OK)
        return failed(b, &c->to, e);
    e = store_rows(b);
    if (e == OK)
        e = read_back(b);
    if (e != OK || c->refused > 0) {
        db_rollback(&c->to);
        return e;
    }
    e = db_commit(&c->to);
    return e == OK ? OK : failed(b, &c->to, e);
}

/* Reads a batch and stores it; *more says whether others may follow. */
static enum err next_batch(struct batch *b, bool *more)
{
    struct copy *c = b->copy;
    enum err e;

    arena_reset(&c->rows);
    e = twin_page(&b->place->twin, &c->from, b->after, c->limit, &b->rows);
    if (e != OK)
        return failed(b, &c->from, e);
    *more = b->rows.count == c->limit;
    if (b->rows.count == 0)
        return OK;
    e = store_batch(b);
    if (e != OK)
        return e;
    b->after = twin_key(row_of(b, b->rows.count - 1));
    c->done += (int64_t)b->rows.count;
    return copy_tell(c, COPY_STORING, b->error, b->size);
}

bool copy_shrink(struct copy *c, enum err e)
{
    if (e != E_NO_MEMORY || c->limit == 1)
        return false;
    c->limit /= SHRINK;
    return true;
}

enum err copy_tell(const struct copy *c, enum copy_phase phase, char *error, size_t size)
{
    const struct copy_watcher *w = &c->job->watcher;

    if (w->progress)
        w->progress(w->arg, phase, c->done, c->total);
    if (!w->stopped || !w->stopped(w->arg))
        return OK;
    snprintf(error, size, "stopped");
    return E_CANCELLED;
}

static enum err store_table(struct copy *c, const struct copy_place *place, char *error, size_t size)
{
    struct batch b = { .copy = c, .place = place, .after = place->to.greatest, .error = error, .size = size };
    bool more = true;

    while (more && may_go_on(&b)) {
        const enum err e = next_batch(&b, &more);

        if (e != OK && !copy_shrink(c, e))
            return e;
        more = more || e != OK;
    }
    if (c->refused == 0)
        return OK;
    snprintf(error, size, "the destination does not take %u row%s of %s%s", c->refused, c->refused == 1 ? "" : "s",
             place->twin.table->name, may_go_on(&b) ? "" : " at least");
    return E_INVALID;
}

enum err copy_store(struct copy *c, char *error, size_t size)
{
    enum err e = OK;

    c->limit = BATCH_ROWS;
    c->done = c->total = 0;
    for (size_t i = 0; i < c->job->count; i++) {
        c->total += c->places[i].from.rows;
        c->done += c->places[i].to.rows;
    }
    for (size_t i = 0; e == OK && i < c->job->count; i++)
        e = store_table(c, &c->places[i], error, size);
    return e;
}
