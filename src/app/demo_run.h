/* SPDX-License-Identifier: MIT */
/* One filling of a database with demo data: what its parts share.
 *
 *   demo.c  ->  demo_chain.c (spas, users, templates)  ->  demo_certificates.c, demo_forms.c
 *
 * Rows are made one by one; the arena is emptied after each, so that five million
 * rows need no more memory than one. Certificates are stored many at a time
 * (demo_batch.h). What outlives a row (the spas) is in the run itself.
 */
#pragma once

#include "app/demo.h"
#include "app/demo_dice.h"
#include "app/demo_templates.h"
#include "base/clock.h"
#include "db/db.h"

/* Row ids are given: users are the owner, the admins, a manager for each spa
 * (in the spas' order), and others. */
enum {
    DEMO_SPAS = 40, DEMO_OWNERS = 1, DEMO_ADMINS = 4, DEMO_OTHERS = 5,
    DEMO_USERS = DEMO_OWNERS + DEMO_ADMINS + DEMO_SPAS + DEMO_OTHERS,
    DEMO_CANDIDATE_FORMS = 300, DEMO_HIRING_FORMS = 120,
};

/* The chain and the two years in which it worked: 9:30 to 19:30 in India, each
 * day up to 2026-10-31. Constants, so that the clock changes nothing. */
#define DEMO_CHAIN  "Sukoon"
#define DEMO_DOMAIN "sukoon.example"
enum { DEMO_DAYS = 730, DEMO_LAST_DAY = 20757, DEMO_FIRST_DAY = DEMO_LAST_DAY - DEMO_DAYS + 1 };

struct demo_spa { const struct demo_place *place; char name[64], code[16]; };

struct demo_run {
    struct db_scope  scope;
    struct arena     arena;     /* of the row that is being made */
    struct demo_dice dice;
    struct demo_spa  spas[DEMO_SPAS];
};

/* Stores a row and forgets its texts. */
MUSTCHECK enum err run_insert(struct demo_run *run, const struct db_statement *st, const struct db_value *args,
                              size_t count);

/* The moment of the i-th of n events, spread over the chain's working hours;
 * whole seconds, growing with i. */
wall_ms  run_moment(int64_t i, int64_t n);
demo_day moment_day(wall_ms at);

/* A spa's number, from 0; its row's id is one more. */
int run_spa(struct demo_run *run);
/* Who works for that spa: mostly its manager, sometimes an admin. */
int64_t run_clerk(struct demo_run *run, int spa);

MUSTCHECK enum err demo_chain_fill(struct demo_run *run);
MUSTCHECK enum err demo_forms_fill(struct demo_run *run);
MUSTCHECK enum err demo_certificates_fill(struct demo_run *run, const struct demo_options *options);
