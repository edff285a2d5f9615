/* SPDX-License-Identifier: MIT */
/* Entities: what the domain stores, as rows of tables.
 *
 * One `struct field` row is one column: its kind, its bounds, who may see it.
 * Columns are selected, and rows written as JSON, in the order of such a list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "db/statement.h"

/* What a column holds, and how JSON shows it. */
enum field_kind {
    FIELD_TEXT,      /* text                                                       */
    FIELD_DATE,      /* a day: 'YYYY-MM-DD'                                        */
    FIELD_TIME,      /* a moment: unix milliseconds; shown as ISO 8601 in UTC      */
    FIELD_MONEY,     /* minor units (paise), an integer: never a fraction          */
    FIELD_INT,
    FIELD_BOOL,      /* 0 or 1; shown as false or true                             */
    FIELD_ENUM,      /* one of `choices`                                           */
    FIELD_LIST,      /* JSON array, checked when stored                            */
    FIELD_OBJECT,    /* JSON object, checked when stored                           */
    FIELD_IMAGE,     /* where an image is kept                                     */
    FIELD_REF,       /* id of a row elsewhere                                      */
    FIELD_KINDS
};

enum field_flag {
    FIELD_REQUIRED = 1 << 0,
    FIELD_SEARCH   = 1 << 1,   /* the office searches by it                        */
    FIELD_PUBLIC   = 1 << 2,   /* may be shown to anybody, if the row is public    */
};

/* One column. */
struct field {
    const char        *name;      /* column, and key in JSON                       */
    enum field_kind    kind;
    uint32_t           max;       /* TEXT: bytes. LIST: items. MONEY, INT: value   */
    unsigned           flags;     /* enum field_flag                               */
    const char        *label;     /* for people                                    */
    const char *const *choices;   /* ENUM: NULL-terminated                         */
};

/* Writes key and value for each field; values[i] is the column of fields[i]. */
void entity_members(struct json *j, const struct field *fields, size_t count, const struct db_value *values);
