/* SPDX-License-Identifier: MIT */
/* Certificate categories: a list of fields (categories.c) and a table in the
 * migrations each. Statements (catalog.h) and JSON are made from the rows, so
 * that a new category is a new table, not new code.
 */
#pragma once

#include "app/entity.h"

/* One kind of certificate. Columns that all have: see certificate_head and
 * certificate_tail. */
struct category {
    const char         *id;           /* "spa_therapist"                           */
    const char         *title;
    const char         *party;        /* field that says whose certificate it is   */
    const char         *table;
    bool                sensitive;    /* money of a person or customer: never public by default,
                                         and what is public shows no certificate_data */
    const struct field *fields;
    size_t              field_count;
};

enum { CATEGORY_MAX = 16 };
extern const struct category    categories[];
extern const size_t             category_count;
extern const char *const        category_ids[];   /* the same order, NULL-terminated */

/* The columns that every certificate table has, before and after its own. A
 * public row shows all of them (certificate_data: unless sensitive). */
extern const struct field certificate_head[];
extern const size_t       certificate_head_count;
extern const struct field certificate_tail[];
extern const size_t       certificate_tail_count;

/* The category of that id, or NULL. Its index is `found - categories`. */
const struct category *category_find(struct str id);

/* The field of that name in a category, or NULL. */
const struct field *category_field(const struct category *c, const char *name);
