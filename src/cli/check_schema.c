/* SPDX-License-Identifier: MIT */
/* Of `sanad check`: whether the database has all tables and indexes that the
 * program works with. */
#include "cli/check.h"

#include "db/indexes.h"

enum { ERROR_SIZE = 256, INDEXES_BYTES = 1024 * 1024 };

static void tell_missing(struct findings *f, const struct db_indexes *wanted, const struct db_indexes *missing)
{
    if (missing->count == 0)
        finding_good("indexes", "all %zu are there", wanted->count);
    for (size_t i = 0; i < missing->count; i++) {
        const struct db_index *index = &missing->rows[i];
        finding_warn(f, "indexes", STR_FMT " is missing, lists and look-ups that need it are slow; " STR_FMT,
                     STR_ARG(index->name), STR_ARG(index->sql));
    }
}

/* Those of the migrations that are applied: a table that is to come has none. */
static void check_indexes(struct findings *f, struct db *db, const struct migration *applied, size_t count)
{
    struct db_indexes wanted, missing;
    struct db_scope scope;
    struct arena arena;
    enum err e;

    arena_init(&arena, INDEXES_BYTES);
    scope = db_scope_of(db, &arena);
    e = indexes_of(applied, count, &arena, &wanted);
    if (e == OK)
        e = indexes_missing(&scope, &wanted, &missing);
    if (e == OK)
        tell_missing(f, &wanted, &missing);
    else
        finding_warn(f, "indexes", "cannot be read (%s)", err_name(e));
    arena_done(&arena);
}

void check_schema(struct findings *f, struct db *db, const struct application *app)
{
    char error[ERROR_SIZE] = "";
    size_t count = 0;
    int pending = 0;
    const struct migration *list = app->migrations(db_dialect(db), &count);

    if (migrate_pending(db, list, count, &pending, error, sizeof(error)) != OK) {
        finding_bad(f, "migrations", "%s", error);
        return;
    }
    if (pending > 0)
        finding_warn(f, "migrations", "%d of %zu to be applied; sanad serve and sanad migrate do that", pending, count);
    else
        finding_good("migrations", "%d of %zu to be applied", pending, count);
    if ((size_t)pending < count)
        check_indexes(f, db, list, count - (size_t)pending);
}
