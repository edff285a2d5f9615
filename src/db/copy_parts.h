/* SPDX-License-Identifier: MIT */
/* The inside of a copy, for the files that make it up: one stores (copy.c), one
 * compares (copy_compare.c). */
#pragma once

#include "db/copy.h"
#include "db/twin.h"

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

void copy_tell(const struct copy *c, enum copy_phase phase);

/* The sign of an unfinished copy goes. */
MUSTCHECK enum err copy_unmark(struct copy *c);
