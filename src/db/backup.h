/* SPDX-License-Identifier: MIT */
/* An embedded database kept as one file, while others read and write it.
 *
 * The pages are copied in one read transaction of the write-ahead log: what is in
 * the copy is what was committed when it began, no writer waits, and steady writes
 * do not make it begin anew; it ends after the pages that there were. Meanwhile
 * the log cannot be emptied, and grows by what is written.
 *
 * The copy needs no log beside it, and may be read from a medium that cannot be
 * written to. Where its file goes, and when it counts, is the caller's.
 *
 * Blocks: for tools, outside a coroutine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Who is told how it goes, and asked; each may be NULL. */
struct backup_watcher {
    void (*progress)(void *arg, int64_t done, int64_t total);       /* pages copied          */
    void (*table)(void *arg, const char *name, int64_t rows);       /* of a file that is checked */
    bool (*stopped)(void *arg);                                     /* whether to give up    */
    void *arg;
};

/* What a database holds, the list of migrations not counted among the rows. */
struct backup_content { int64_t tables, rows, migrations; };

enum backup_depth {
    BACKUP_QUICK,     /* every page and row                          */
    BACKUP_THOROUGH,  /* and whether the indexes agree with the rows */
};

/* Copies the database `from` into the file `to`, which is there and empty; says what
 * is in it. E_NOT_FOUND: it is no database of this program. E_CANCELLED. Every
 * failure with a sentence in `error`. */
MUSTCHECK enum err backup_store(const char *from, const char *to, const struct backup_watcher *w,
                                struct backup_content *ret_content, char *error, size_t size);

/* Makes a database that nobody uses one file, without a log beside it. */
MUSTCHECK enum err backup_seal(const char *path, char *error, size_t size);

/* Reads all of a file, changing nothing: whether it is whole, and what it holds. */
MUSTCHECK enum err backup_check(const char *path, enum backup_depth depth, const struct backup_watcher *w,
                                struct backup_content *ret_content, char *error, size_t size);
