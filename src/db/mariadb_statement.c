/* SPDX-License-Identifier: MIT */
/* Statements on a connection to MariaDB or MySQL: prepared once each, arguments
 * and rows in the binary protocol, rows into the caller's arena. */
#include "db/mariadb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS_MAX = 64, /* of a result                                       */
    ARGS_MAX = 65535, /* of a statement: the protocol's                    */
    ROWS_MAX = 100000,
    INLINE_BYTES = 256, /* a longer text is fetched by itself                */
    CHECK_EVERY_S = 5,  /* whether a server that is used is read-only now    */
};

/* Where the library puts one column of a row. */
struct cell {
    enum db_kind kind;
    bool is_day; /* a DATE: text to us                    */
    my_bool null;
    unsigned long length;
    union {
        int64_t i;
        double d;
        MYSQL_TIME day;
        char text[INLINE_BYTES];
    };
};

/* A statement as this connection knows it. */
struct mariadb_prepared {
    struct mariadb_prepared *next; /* in its bucket                         */
    const struct db_statement *st;
    MYSQL_STMT *stmt;
    struct cell *cells; /* one a column, bound once; NULL: none  */
    unsigned columns;
};

/* ---- prepared statements -------------------------------------------------------------- */

static struct mariadb_prepared **bucket_of(struct mariadb_conn *c, const struct db_statement *st)
{
    return &c->statements[((uintptr_t)st >> 4) & (MARIADB_STATEMENT_BUCKETS - 1)];
}

static struct mariadb_prepared *lookup(struct mariadb_conn *c, const struct db_statement *st)
{
    struct mariadb_prepared *p = *bucket_of(c, st);

    while (p && p->st != st)
        p = p->next;
    return p;
}

static void prepared_done(struct mariadb_prepared *p)
{
    if (p->stmt)
        mysql_stmt_close(p->stmt);
    free(p->cells);
}

static void prepared_free(struct mariadb_prepared *p)
{
    prepared_done(p);
    free(p);
}

static enum db_kind kind_of(enum enum_field_types type)
{
    switch (type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return DB_INT;
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
        return DB_REAL;
    default:
        return DB_TEXT;
    }
}

static void bind_cell(MYSQL_BIND *bind, struct cell *cell, enum enum_field_types type)
{
    static const enum enum_field_types types[] = {
        [DB_INT] = MYSQL_TYPE_LONGLONG,
        [DB_REAL] = MYSQL_TYPE_DOUBLE,
        [DB_TEXT] = MYSQL_TYPE_STRING,
    };

    cell->kind = kind_of(type);
    cell->is_day = type == MYSQL_TYPE_DATE;
    *bind = (MYSQL_BIND){
        .buffer_type = cell->is_day ? type : types[cell->kind],
        .buffer = cell->text,
        .buffer_length = sizeof(cell->text),
        .length = &cell->length,
        .is_null = &cell->null,
    };
}

/* Says, once, where the rows of a statement go. */
static enum err bind_rows(struct mariadb_conn *c, struct mariadb_prepared *p)
{
    MYSQL_RES *meta = mysql_stmt_result_metadata(p->stmt);
    MYSQL_BIND binds[COLUMNS_MAX];

    if (!meta)
        return OK; /* it gives no rows */
    p->columns = mysql_num_fields(meta);
    p->cells = calloc(p->columns, sizeof(*p->cells));
    for (unsigned i = 0; p->cells && p->columns <= COLUMNS_MAX && i < p->columns; i++)
        bind_cell(&binds[i], &p->cells[i], mysql_fetch_field_direct(meta, i)->type);
    mysql_free_result(meta);
    if (!p->cells)
        return E_NO_MEMORY;
    if (p->columns > COLUMNS_MAX)
        return E_INTERNAL;
    return mysql_stmt_bind_result(p->stmt, binds) == 0 ? OK : mariadb_stmt_error(c, p->stmt);
}

static enum err prepare_on(struct mariadb_conn *c, struct mariadb_prepared *p)
{
    int failed = 0;

    p->stmt = mysql_stmt_init(c->mysql);
    if (!p->stmt)
        return E_NO_MEMORY;
    AWAIT(c, mysql_stmt_prepare_start(&failed, p->stmt, p->st->sql, (unsigned long)strlen(p->st->sql)),
          mysql_stmt_prepare_cont(&failed, p->stmt, came));
    return failed ? mariadb_stmt_error(c, p->stmt) : bind_rows(c, p);
}

static enum err prepare(struct mariadb_conn *c, const struct db_statement *st, struct mariadb_prepared **ret_prepared)
{
    struct mariadb_prepared *p = calloc(1, sizeof(*p)), **bucket = bucket_of(c, st);
    enum err e;

    if (!p)
        return E_NO_MEMORY;
    p->st = st;
    e = prepare_on(c, p);
    if (e != OK) {
        prepared_free(p);
        return e;
    }
    p->next = *bucket;
    *bucket = p;
    *ret_prepared = p;
    return OK;
}

/* The library waits for the rows of a query that failed in the middle of its
 * answer, which will not come: the statement is prepared anew for the next time. */
static void forget(struct mariadb_conn *c, struct mariadb_prepared *p)
{
    struct mariadb_prepared **at = bucket_of(c, p->st);

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    prepared_free(p);
}

void mariadb_forget_statements(struct mariadb_conn *c)
{
    for (size_t i = 0; i < MARIADB_STATEMENT_BUCKETS; i++) {
        struct mariadb_prepared *p;
        while ((p = c->statements[i]) != NULL) {
            c->statements[i] = p->next;
            prepared_free(p);
        }
    }
}

/* ---- arguments ---------------------------------------------------------------------------- */

static enum err bind_args(struct mariadb_conn *c, struct mariadb_prepared *p, const struct db_value *args, size_t count,
                          struct arena *arena)
{
    static const enum enum_field_types types[] = {
        [DB_NULL] = MYSQL_TYPE_NULL,   [DB_INT] = MYSQL_TYPE_LONGLONG, [DB_REAL] = MYSQL_TYPE_DOUBLE,
        [DB_TEXT] = MYSQL_TYPE_STRING, [DB_BLOB] = MYSQL_TYPE_BLOB,
    };
    MYSQL_BIND *binds;

    if (count > ARGS_MAX || count != mysql_stmt_param_count(p->stmt))
        return E_INTERNAL;
    binds = arena_array(arena, MYSQL_BIND, count);
    if (!binds)
        return E_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct db_value *v = &args[i];
        const bool text = v->kind == DB_TEXT || v->kind == DB_BLOB;

        binds[i].buffer_type = types[v->kind];
        binds[i].buffer = text ? (void *)(uintptr_t)v->s.ptr : (void *)(uintptr_t)&v->i;
        binds[i].buffer_length = text ? v->s.len : sizeof(v->i);
    }
    return count == 0 || mysql_stmt_bind_param(p->stmt, binds) == 0 ? OK : mariadb_stmt_error(c, p->stmt);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* A text that did not fit its cell is fetched whole, straight into the arena. */
static enum err take_text(struct mariadb_conn *c, struct mariadb_prepared *p, unsigned column, struct arena *arena,
                          struct str *ret_text)
{
    const struct cell *cell = &p->cells[column];
    unsigned long length = cell->length;
    MYSQL_BIND whole = { .buffer_type = MYSQL_TYPE_STRING, .buffer_length = length, .length = &length };
    char *room = arena_alloc(arena, length + 1);

    if (!room)
        return E_NO_MEMORY;
    whole.buffer = room;
    if (length <= INLINE_BYTES)
        memcpy(room, cell->text, length);
    else if (mysql_stmt_fetch_column(p->stmt, &whole, column, 0) != 0)
        return mariadb_stmt_error(c, p->stmt);
    room[length] = '\0';
    *ret_text = (struct str){ room, length };
    return OK;
}

/* 'YYYY-MM-DD'. The library would do it with sprintf(), once a column of a row. */
static enum err take_day(const struct cell *cell, struct arena *arena, struct str *ret_text)
{
    const unsigned pairs[] = { cell->day.year / 100 % 100, cell->day.year % 100, cell->day.month, cell->day.day };
    static const unsigned char at[] = { 0, 2, 5, 8 };
    static const char form[] = "0000-00-00";
    char *day = arena_alloc(arena, sizeof(form));

    if (!day)
        return E_NO_MEMORY;
    memcpy(day, form, sizeof(form));
    for (size_t i = 0; i < sizeof(at); i++) {
        day[at[i]] = (char)('0' + pairs[i] / 10 % 10);
        day[at[i] + 1] = (char)('0' + pairs[i] % 10);
    }
    *ret_text = (struct str){ day, sizeof(form) - 1 };
    return OK;
}

static enum err take_row(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_value *row)
{
    for (unsigned i = 0; i < p->columns; i++) {
        const struct cell *cell = &p->cells[i];
        enum err e = OK;

        row[i] = (struct db_value){ .kind = cell->null ? DB_NULL : cell->kind };
        if (row[i].kind == DB_INT)
            row[i].i = cell->i;
        else if (row[i].kind == DB_REAL)
            row[i].d = cell->d;
        else if (row[i].kind == DB_TEXT)
            e = cell->is_day ? take_day(cell, arena, &row[i].s) : take_text(c, p, i, arena, &row[i].s);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err take_rows(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_rows *rows)
{
    const uint64_t count = mysql_stmt_num_rows(p->stmt);
    enum err e = OK;

    if (count > ROWS_MAX)
        return E_TOO_LARGE;
    rows->columns = p->columns;
    rows->values = arena_array(arena, struct db_value, count * p->columns);
    if (!rows->values)
        return E_NO_MEMORY;
    for (; e == OK && rows->count < count; rows->count++) {
        const int fetched = mysql_stmt_fetch(p->stmt); /* of the stored result: does not wait */

        if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED)
            return mariadb_stmt_error(c, p->stmt);
        e = take_row(c, p, arena, rows->values + rows->count * p->columns);
    }
    return e;
}

static enum err collect(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_rows *rows)
{
    my_bool not_freed = 0;
    int failed = 0;
    enum err e;

    AWAIT(c, mysql_stmt_store_result_start(&failed, p->stmt), mysql_stmt_store_result_cont(&failed, p->stmt, came));
    e = failed ? mariadb_stmt_error(c, p->stmt) : take_rows(c, p, arena, rows);
    AWAIT(c, mysql_stmt_free_result_start(&not_freed, p->stmt), mysql_stmt_free_result_cont(&not_freed, p->stmt, came));
    return e;
}

static enum err execute(struct mariadb_conn *c, struct mariadb_prepared *p, struct arena *arena, struct db_rows *rows)
{
    int failed = 0;

    AWAIT(c, mysql_stmt_execute_start(&failed, p->stmt), mysql_stmt_execute_cont(&failed, p->stmt, came));
    if (failed)
        return mariadb_stmt_error(c, p->stmt);
    if (p->columns > 0)
        return collect(c, p, arena, rows);
    rows->changes = mysql_stmt_affected_rows(p->stmt);
    rows->insert_id = (int64_t)mysql_stmt_insert_id(p->stmt);
    return OK;
}

/* Where rows go. */
struct answer {
    struct arena *arena;
    struct db_rows *ret_rows;
};

static enum err run_prepared(struct mariadb_conn *c, struct mariadb_prepared *p, const struct db_value *args,
                             size_t count, const struct answer *to)
{
    struct db_rows rows = { .count = 0 };
    enum err e = bind_args(c, p, args, count, to->arena);

    if (e == OK)
        e = execute(c, p, to->arena, &rows);
    if (e == OK)
        *to->ret_rows = rows;
    return e;
}

/* A server that was made read-only still answers: one that is asked all the time
 * is asked about that, too, now and then. */
static bool is_check_due(const struct mariadb_conn *c)
{
    return !c->base.in_transaction && clock_mono() - c->checked_at >= (mono_ns)CHECK_EVERY_S * NS_PER_S;
}

enum err mariadb_run(struct db_conn *base, const struct db_statement *st, const struct db_value *args, size_t count,
                     struct arena *arena, struct db_rows *ret_rows)
{
    struct mariadb_conn *c = mariadb_of(base);
    struct mariadb_prepared *p = lookup(c, st);
    enum err e = p ? OK : prepare(c, st, &p);

    if (e == OK)
        e = run_prepared(c, p, args, count, &(struct answer){ arena, ret_rows });
    if (e != OK && p && p->columns > 0)
        forget(c, p);
    mariadb_note_transaction(c);
    if ((mariadb_is_stale(c) || (e == OK && is_check_due(c))) && mariadb_check_writable(c) != OK)
        c->base.broken = true; /* this was the last answer from there */
    return e;
}

enum err mariadb_run_once(struct db_conn *base, const struct db_statement *st, const struct db_value *args,
                          size_t count, struct arena *arena, struct db_rows *ret_rows)
{
    struct mariadb_conn *c = mariadb_of(base);
    struct mariadb_prepared p = { .st = st };
    enum err e = prepare_on(c, &p);

    if (e == OK)
        e = run_prepared(c, &p, args, count, &(struct answer){ arena, ret_rows });
    prepared_done(&p);
    mariadb_note_transaction(c);
    return e;
}
