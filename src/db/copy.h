/* SPDX-License-Identifier: MIT */
/* Copies tables from one database into another of the same schema, exactly.
 *
 *   source        one transaction: the same from the first row to the last; a
 *                 source with a single writer takes no writes meanwhile
 *   batch         rows in the order of their keys: read, stored, read back,
 *                 compared, committed
 *   cut short     what is there of a table is all up to its greatest key, and
 *                 the next run goes on behind it
 *   at the end    both sides are read once more, counted and hashed
 *
 * Until all is equal the destination has a table that says so: nothing else will
 * use it (db/migrate.h), and a copy goes on only where there is one. The rows that
 * the destination would not take, or not as they are, are told one by one; then
 * nothing of their batch is stored, nor of what comes after.
 *
 * Knows nothing of what is copied. Blocks: for tools, outside a coroutine.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

/* A table and its columns, "id, name, email"; the first one is its key, a whole
 * number. Constants: they become part of statements. */
struct copy_table { const char *name, *columns; };

enum copy_phase { COPY_STORING, COPY_COMPARING };

/* Who is told how it goes, and asked; each may be NULL. */
struct copy_watcher {
    void (*progress)(void *arg, enum copy_phase phase, int64_t done, int64_t total);
    void (*refused)(void *arg, const char *table, int64_t key, const char *why);
    bool (*stopped)(void *arg);     /* whether to give up: E_CANCELLED */
    void *arg;
};

/* All of it outlives the copy, and the arena outlives both databases. */
struct copy_job {
    struct db               *from, *to;
    const struct copy_table *tables;    /* each behind those that it refers to */
    size_t                   count;
    struct arena            *arena;
    struct copy_watcher      watcher;
};

enum { COPY_HASH_BYTES = 32, COPY_ERROR_SIZE = 640 };

/* What one side holds of a table: the rows in the order of their keys. */
struct copy_sum { int64_t rows; uint8_t hash[COPY_HASH_BYTES]; };

struct copy_result {
    struct copy_sum from, to;
    bool            equal;
    int64_t         differs_at;     /* else: the first key at which they differ */
};

struct copy;

/* Whether a database holds a copy that was not finished. */
MUSTCHECK enum err copy_is_unfinished(struct db *db, bool *ret_unfinished);

/* Removes the tables of a copy that was not finished, and then the sign that it is
 * one: what is left is a new database. May be cut short and run again. */
MUSTCHECK enum err copy_discard(const struct copy_job *job, char *error, size_t size);

/* A copy between two databases that are migrated alike. E_CONFLICT: the destination
 * has rows that are not of such a copy. The sentence in `error` names the side. */
MUSTCHECK enum err copy_open(const struct copy_job *job, struct copy **ret_copy, char *error, size_t size);

/* Stores what is missing. E_INVALID: rows were refused, and told. */
MUSTCHECK enum err copy_store(struct copy *c, char *error, size_t size);

/* Compares both sides: one result a table. When all are equal, the copy is finished. */
MUSTCHECK enum err copy_compare(struct copy *c, struct copy_result *ret_results, bool *ret_equal, char *error,
                                size_t size);

/* Ends the source's transaction. NULL is fine. */
void copy_close(struct copy *c);
