/* SPDX-License-Identifier: MIT */
/* Statements, values and rows: what passes between the program and a database. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum db_kind { DB_NULL, DB_INT, DB_REAL, DB_TEXT, DB_BLOB };

struct db_value {
    enum db_kind kind;
    union { int64_t i; double d; struct str s; };
};

#define DBV_NULL    ((struct db_value){ .kind = DB_NULL })
#define DBV_INT(v)  ((struct db_value){ .kind = DB_INT,  .i = (v) })
#define DBV_REAL(v) ((struct db_value){ .kind = DB_REAL, .d = (v) })
#define DBV_TEXT(v) ((struct db_value){ .kind = DB_TEXT, .s = (v) })
#define DBV_BLOB(v) ((struct db_value){ .kind = DB_BLOB, .s = (v) })

enum db_statement_kind {
    DB_READ,        /* an indexed read of few rows: an embedded database may answer on the loop */
    DB_READ_LONG,   /* a read that can take long: never on the loop                             */
    DB_WRITE,       /* changes rows; an embedded database serialises these                      */
};

/* A statement is a constant: its text is never glued from anything a user sent.
 * It is prepared once a connection, under its name, and timed under it. The
 * struct's address is its identity; it must live as long as the process. */
struct db_statement {
    const char            *name;    /* "spa_by_id": label of metrics and slow log */
    const char            *sql;     /* '?' for each argument                      */
    enum db_statement_kind kind;
};

/* Gives statements an index each, for metrics that all processes of a node
 * share: call once, in the master, before it forks. Index 0 is "other": what was
 * never registered. The table is this process's, set here and only read after. */
enum { DB_STATEMENTS_MAX = 1024 };
void db_register(const struct db_statement *const *list, size_t count);
unsigned db_statement_index(const struct db_statement *st);
const char *db_statement_name(size_t index);

/* A result, whole, in the caller's arena. */
struct db_rows {
    size_t           count, columns;
    struct db_value *values;        /* count * columns, row after row */
    uint64_t         changes;       /* rows changed by a DB_WRITE     */
    int64_t          insert_id;     /* of an INSERT                   */
};

static inline const struct db_value *db_row(const struct db_rows *r, size_t row)
{
    return r->values + row * r->columns;
}

/* Lenient readers: NULL gives 0 or the empty text. */
static inline int64_t db_int(const struct db_value *v) { return v->kind == DB_INT ? v->i : 0; }
static inline struct str db_text(const struct db_value *v)
{
    return v->kind == DB_TEXT || v->kind == DB_BLOB ? v->s : STR_EMPTY;
}
