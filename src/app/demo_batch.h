/* SPDX-License-Identifier: MIT */
/* Rows of one table, stored many at a time: a server takes fifty rows of one
 * statement in little more time than one.
 *
 *   add, add, ... (the 50th is stored with the 49 before it), ... flush (the rest)
 *
 * A batch copies what it is given, and owns it until it is stored.
 */
#pragma once

#include "base/arena.h"
#include "db/db.h"

/* The product, 1,000 arguments, is what the SQLite driver allows a statement. */
enum { BATCH_ROWS = 50, BATCH_COLUMNS_MAX = 20 };

/* A text BATCH_ROWS times, with commas between. */
#define BATCH_TWICE(x) x ", " x
#define BATCH_FIVE(x)  x ", " x ", " x ", " x ", " x
#define BATCH_TEXT(x)  BATCH_TWICE(BATCH_FIVE(BATCH_FIVE(x)))

struct batch {
    const struct db_statement *one;      /* stores one row               */
    const struct db_statement *many;     /* stores BATCH_ROWS of them    */
    size_t                     columns;

    /* private */
    struct arena     arena;              /* of the values and their texts */
    struct db_value *values;             /* row after row                 */
    size_t           rows;
};

void batch_init(struct batch *b, const struct db_statement *one, const struct db_statement *many, size_t columns);
void batch_done(struct batch *b);

/* Adds a row of `columns` values; stores what is full. */
MUSTCHECK enum err batch_add(struct batch *b, struct db_scope *scope, const struct db_value *row);

/* Stores what is left. */
MUSTCHECK enum err batch_flush(struct batch *b, struct db_scope *scope);
