/* SPDX-License-Identifier: MIT */
/* The inside of a copy, for the files that make it up: one stores (copy.c), one
 * compares (copy_compare.c). */
#pragma once

#include "db/copy.h"
#include "db/twin.h"

/* The table that a database has while a copy into it is not finished. */
#define COPY_MARK "unfinished_copy"

struct copy_place {
    struct twin      twin;
    struct twin_size from, to;      /* as they were when the copy was opened */
};

struct copy {
    const struct copy_job *job;
    struct copy_place     *places;      /* one a table */
    struct arena           rows;        /* of the batch that is under way        */
    struct db_scope        from, to;    /* `from` is in a transaction throughout */
    size_t                 limit;       /* rows of a batch                       */
    int64_t                done, total;
    unsigned               refused;     /* rows that were told                   */
};

/* Says what failed on one side, and why, as far as its database tells. */
enum err copy_failed(const struct copy *c, const struct db_scope *side, enum err e, char *error, size_t size);

/* Smaller batches for rows that are too large to be held together; whether the
 * last one may be tried again. */
bool copy_shrink(struct copy *c, enum err e);

/* Tells how far it is. E_CANCELLED: no further. */
MUSTCHECK enum err copy_tell(const struct copy *c, enum copy_phase phase, char *error, size_t size);

/* The sign of an unfinished copy goes. */
MUSTCHECK enum err copy_unmark(struct copy *c);
