/* SPDX-License-Identifier: MIT */
#include "app/demo_batch.h"

#include <assert.h>
#include <string.h>

enum { ARENA_MAX_BYTES = 4 << 20 };

void batch_init(struct batch *b, const struct db_statement *one, const struct db_statement *many, size_t columns)
{
    assert(columns > 0 && columns <= BATCH_COLUMNS_MAX);
    *b = (struct batch){ .one = one, .many = many, .columns = columns };
    arena_init(&b->arena, ARENA_MAX_BYTES);
}

void batch_done(struct batch *b) { arena_done(&b->arena); }

static void empty(struct batch *b)
{
    arena_reset(&b->arena);
    b->values = NULL;
    b->rows = 0;
}

static void copy_row(struct batch *b, const struct db_value *row)
{
    struct db_value *to = b->values + b->rows++ * b->columns;

    for (size_t i = 0; i < b->columns; i++) {
        to[i] = row[i];
        if (row[i].kind == DB_TEXT || row[i].kind == DB_BLOB)
            to[i].s = arena_str(&b->arena, row[i].s);
    }
}

enum err batch_add(struct batch *b, struct db_scope *scope, const struct db_value *row)
{
    struct db_rows done;
    enum err e;

    if (!b->values)
        b->values = arena_array(&b->arena, struct db_value, BATCH_ROWS * b->columns);
    if (b->values)
        copy_row(b, row);
    if (b->arena.full)
        return E_NO_MEMORY;
    if (b->rows < BATCH_ROWS)
        return OK;
    e = db_query(scope, b->many, b->values, b->rows * b->columns, &done);
    empty(b);
    return e;
}

enum err batch_flush(struct batch *b, struct db_scope *scope)
{
    struct db_rows done;
    enum err e = OK;

    for (size_t i = 0; i < b->rows && e == OK; i++)
        e = db_query(scope, b->one, b->values + i * b->columns, b->columns, &done);
    empty(b);
    return e;
}
