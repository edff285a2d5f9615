/* SPDX-License-Identifier: MIT */
/* A table that two databases have: how its rows are read, stored and compared.
 *
 * The statements are made once, from constant names (db/copy.h); their texts and
 * they themselves live in an arena that outlives both databases. Rows are read
 * in the order of their key, a page at a time.
 */
#pragma once

#include "db/copy.h"
#include "db/db.h"

/* How many rows one side has, and the greatest key. */
struct twin_size {
    int64_t rows;
    int64_t greatest;   /* COPY_START when there are none */
};

struct twin {
    const struct copy_table *table;
    size_t                   columns;
    size_t                   chunk;                    /* rows of one insert_many */
    struct db_statement      page, size, insert_many, insert_one, drop;
};

/* Smaller than any key. */
#define COPY_START INT64_MIN

/* E_NO_MEMORY. */
MUSTCHECK enum err twin_build(struct arena *a, const struct copy_table *table, struct twin *ret_twin);

/* The column at an index, by name. */
struct str twin_column(const struct twin *t, size_t index);

MUSTCHECK enum err twin_size(const struct twin *t, struct db_scope *scope, struct twin_size *ret_size);

/* At most `limit` rows whose key is greater than `after`. */
MUSTCHECK enum err twin_page(const struct twin *t, struct db_scope *scope, int64_t after, size_t limit,
                             struct db_rows *ret_rows);

/* Stores `count` rows that stand one after another, t->chunk or one: all or none. */
MUSTCHECK enum err twin_insert(const struct twin *t, struct db_scope *scope, const struct db_value *rows, size_t count);

/* A row's key. */
static inline int64_t twin_key(const struct db_value *row) { return db_int(&row[0]); }

/* The first column in which two rows differ; t->columns when they are equal.
 * What one database calls a text and the other bytes is equal by its bytes. */
size_t twin_difference(const struct twin *t, const struct db_value *a, const struct db_value *b);
