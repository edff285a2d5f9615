/* SPDX-License-Identifier: MIT */
/* The indexes that migrations make, and which of them a database lacks.
 *
 * The migrations' own text is the list: there is no second one to fall behind.
 * What is read of it: the keys with a name in CREATE TABLE, CREATE [UNIQUE] INDEX,
 * and DROP INDEX; a migration makes or drops an index in no other form. All
 * results live in the arena that is given, or point into the migrations.
 */
#pragma once

#include "db/migrate.h"

struct db_index {
    struct str table, name;
    struct str sql;             /* the statement that makes it */
};

enum { INDEXES_MAX = 1024 };

struct db_indexes {
    size_t           count;
    struct db_index *rows;
};

/* Those that are there when the migrations have run. E_NO_MEMORY, E_TOO_LARGE. */
MUSTCHECK enum err indexes_of(const struct migration *list, size_t count, struct arena *arena,
                              struct db_indexes *ret_indexes);

/* Those of `wanted` that the database has not. */
MUSTCHECK enum err indexes_missing(struct db_scope *scope, const struct db_indexes *wanted,
                                   struct db_indexes *ret_missing);
