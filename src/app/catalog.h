/* SPDX-License-Identifier: MIT */
/* The catalog: every statement about certificates, made once at start from the
 * categories' rows. Nothing that a user sent is ever part of a text.
 *
 * Lists are ordered (generated_at DESC, category, id). A place in a list is
 * three arguments: at, at, id - the condition
 *     generated_at <= ? AND (generated_at < ? OR id > ?)
 * is a range of the public index in SQLite and in InnoDB alike, whose hidden
 * last column is the id; no list sorts.
 */
#pragma once

#include "app/categories.h"
#include "app/cursor.h"
#include "base/arena.h"
#include "db/db.h"

/* The first columns of every public row; those of keys are category, at, id. */
enum { ROW_ID, ROW_AT };
enum { KEY_CATEGORY, KEY_AT, KEY_ID, KEY_COLUMNS };

/* Arguments of one place in a list, with the number of rows wanted. */
enum { PLACE_ARGS = 4 };

/* One category's public rows. */
struct catalog_entry {
    const struct category *category;
    const struct field    *columns;      /* of a public row, in the order of the SELECT */
    size_t                 column_count;
    struct db_statement    page;         /* at, at, id, limit: rows after a place       */
    struct db_statement    skip;         /* limit, offset: rows by number               */
    struct db_statement    skip_long;    /* the same, when many are skipped             */
    struct db_statement    by_id;        /* id                                          */
};

struct catalog {
    size_t               count;
    struct catalog_entry entries[CATEGORY_MAX];
    struct db_statement  keys;           /* PLACE_ARGS a category: the next keys of each,
                                            from its index alone, category after category */
    struct db_statement  keys_long;      /* the same, when many are wanted                */
    struct db_statement  find_code;      /* code, once a category: category, id           */
};

/* Builds the catalog in an arena that lives as long as the process. NULL when
 * the arena is full. At most CATEGORY_MAX categories. */
const struct catalog *catalog_build(struct arena *a, const struct category *list, size_t count);

/* Every statement of the catalog, for the names of metrics; how many. */
enum { CATALOG_STATEMENTS_MAX = 4 * CATEGORY_MAX + 3 };
size_t catalog_statements(const struct catalog *c, const struct db_statement *out[static CATALOG_STATEMENTS_MAX]);

/* The arguments for what comes after a place, in one category: ties of the
 * place's moment are before it in lower categories and after it in higher. */
void catalog_place(const struct cursor *after, size_t category, int64_t limit, struct db_value args[static PLACE_ARGS]);
