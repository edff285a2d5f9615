/* SPDX-License-Identifier: MIT */
/* A database full of believable data, for a first look, a demonstration or a
 * benchmark: an invented chain of spas, its people, its certificates.
 *
 *   one seed  ->  the same bytes in every table, on every machine
 *   all rows or none: one transaction
 *
 * Nobody can sign in as any of the demo's users (their password hash matches
 * no password), and none of its addresses and numbers is meant to reach anybody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

enum { DEMO_CERTIFICATES_MAX = 5000000, DEMO_CERTIFICATES_DEFAULT = 100000 };

/* Tells how many certificates are made, now and then, and once at the end. */
typedef void demo_progress(void *arg, int64_t done, int64_t total);

struct demo_options {
    int64_t        certificates;    /* 0 .. DEMO_CERTIFICATES_MAX */
    uint64_t       seed;
    demo_progress *progress;        /* may be NULL                */
    void          *arg;             /* for progress               */
};

/* What was made. */
struct demo_counts { int64_t spas, users, templates, certificates, candidate_forms, hiring_forms; };

struct demo_error { char text[640]; bool has_data; };   /* the latter: that is why */

/* Fills a migrated database that holds no rows yet; E_CONFLICT if it has any.
 * On failure nothing has changed, and ret_error has a sentence for the operator. */
MUSTCHECK enum err demo_fill(struct db *db, const struct demo_options *options, struct demo_counts *ret_counts,
                             struct demo_error *ret_error);
