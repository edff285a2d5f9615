/* SPDX-License-Identifier: MIT */
/* The catalog: every statement about certificates, made once at start from the
 * categories' rows, in the dialect of the database. Nothing that a user sent is
 * ever part of a text.
 *
 * Lists are ordered (generated_at DESC, id, category). The list of one category
 * is a range of its public index. The list of all merges those of the
 * categories in the database, by their keys, and then takes the rows behind the
 * keys of the page: one statement, which costs what it shows.
 *
 *   SELECT ... FROM (keys of a  UNION ALL  keys of b ...  ORDER BY ... LIMIT) AS k
 *     LEFT JOIN a ON a's key  LEFT JOIN b ON b's key ...
 *
 * The condition for what comes after a place (at, at, id),
 *     generated_at <= ? AND (generated_at < ? OR id > ?)
 * is a range of the index in SQLite and in InnoDB alike, whose hidden last
 * column is the id; no list sorts more than a page.
 */
#pragma once

#include "app/categories.h"
#include "app/cursor.h"
#include "base/arena.h"
#include "db/db.h"

/* The first columns of every public row. */
enum { ROW_ID, ROW_AT };

/* The statements of one list. */
struct catalog_list {
    struct db_statement first;        /* from the beginning, some rows passed over    */
    struct db_statement first_long;   /* the same, when they are many                 */
    struct db_statement after;        /* from a place on                              */
    size_t              category;     /* whose rows: from this category on            */
    size_t              count;        /* so many categories                           */
    bool                bounded;      /* each category's keys have a LIMIT of their own */
};

/* One category's public rows. */
struct catalog_entry {
    const struct category *category;
    const struct field    *columns;   /* of a public row, in the order of the SELECT  */
    size_t                 column_count;
    const size_t          *slots;     /* where each is in a row of all categories     */
    struct catalog_list    list;      /* its rows are the columns                     */
};

struct catalog {
    size_t               count;
    struct catalog_entry entries[CATEGORY_MAX];
    struct catalog_list  all;         /* its rows: the category, then see `slots`     */
    struct db_statement  find_code;   /* code, once a category: at most one such row  */
};

/* Builds the catalog for a dialect (db_dialect()) in an arena that lives as long
 * as the process. NULL when the arena is full, or the dialect unknown. At most
 * CATEGORY_MAX categories. */
const struct catalog *catalog_build(struct arena *a, const char *dialect, const struct category *list, size_t count);

/* Every statement of the catalog, for the names of metrics; how many. */
enum { CATALOG_STATEMENTS_MAX = 3 * (CATEGORY_MAX + 1) + 1 };
size_t catalog_statements(const struct catalog *c, const struct db_statement *out[static CATALOG_STATEMENTS_MAX]);

/* The arguments of a list's statements, for at most `limit` rows; how many. What
 * comes after a place: rows of its moment in the order of their ids, and of one
 * id in the order of categories. */
enum { CATALOG_ARGS_MAX = 4 * CATEGORY_MAX + 2 };
size_t catalog_first_args(const struct catalog_list *l, int64_t limit, int64_t skip,
                          struct db_value out[static CATALOG_ARGS_MAX]);
size_t catalog_after_args(const struct catalog_list *l, int64_t limit, const struct cursor *place,
                          struct db_value out[static CATALOG_ARGS_MAX]);

/* A row of all categories: its entry, and its values in the order of that
 * entry's columns, in the arena. NULL when that is full. */
const struct catalog_entry *catalog_row_entry(const struct catalog *c, const struct db_value *row);
const struct db_value *catalog_row_values(const struct catalog_entry *e, const struct db_value *row, struct arena *a);
