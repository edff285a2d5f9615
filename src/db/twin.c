/* SPDX-License-Identifier: MIT */
#include "db/twin.h"

#include "base/buf.h"

enum {
    SQL_MAX_BYTES = 64 * 1024,
    ARGS_MAX = 1000, /* of one statement: SQLite takes no more (db/sqlite.c) */
};

/* ---- statements --------------------------------------------------------------------- */

static struct str key_of(const struct copy_table *table)
{
    const struct str columns = str_of(table->columns);

    return str_slice(columns, 0, str_find(columns, ',', 0));
}

static size_t count_columns(const struct copy_table *table)
{
    size_t n = 0;

    for (struct str rest = str_of(table->columns); rest.ptr; n++)
        (void)str_split(&rest, ',');
    return n;
}

struct str twin_column(const struct twin *t, size_t index)
{
    struct str rest = str_of(t->table->columns), column = STR_EMPTY;

    for (size_t i = 0; i <= index && rest.ptr; i++)
        column = str_trim(str_split(&rest, ','));
    return column;
}

/* "(?, ?), (?, ?)" */
static void write_places(struct buf *b, size_t columns, size_t rows)
{
    for (size_t i = 0; i < rows * columns; i++) {
        buf_cstr(b, i == 0 ? "(" : i % columns == 0 ? "), (" : ", ");
        buf_byte(b, '?');
    }
    buf_byte(b, ')');
}

static struct db_statement insert(struct arena *a, const struct twin *t, const char *name, size_t rows)
{
    struct buf b;

    buf_init_arena(&b, a, SQL_MAX_BYTES);
    buf_printf(&b, "INSERT INTO %s (%s) VALUES ", t->table->name, t->table->columns);
    write_places(&b, t->columns, rows);
    buf_byte(&b, '\0');
    return (struct db_statement){ name, buf_ok(&b) ? b.ptr : NULL, DB_WRITE };
}

enum err twin_build(struct arena *a, const struct copy_table *table, struct twin *ret_twin)
{
    const char *name = table->name;
    const struct str key = key_of(table);
    struct twin t = { .table = table, .columns = count_columns(table) };

    t.chunk = ARGS_MAX / t.columns;
    t.page = (struct db_statement){ "copy_page",
                                    arena_printf(a,
                                                 "SELECT %s FROM %s WHERE " STR_FMT " > ? ORDER BY " STR_FMT " LIMIT ?",
                                                 table->columns, name, STR_ARG(key), STR_ARG(key))
                                        .ptr,
                                    DB_READ_LONG };
    t.size = (struct db_statement){
        "copy_size", arena_printf(a, "SELECT COUNT(*), MAX(" STR_FMT ") FROM %s", STR_ARG(key), name).ptr, DB_READ_LONG
    };
    t.drop = (struct db_statement){ "copy_drop", arena_printf(a, "DROP TABLE IF EXISTS %s", name).ptr, DB_WRITE };
    t.insert_many = insert(a, &t, "copy_insert_many", t.chunk);
    t.insert_one = insert(a, &t, "copy_insert_one", 1);
    if (a->full)
        return E_NO_MEMORY;
    *ret_twin = t;
    return OK;
}

/* ---- rows ------------------------------------------------------------------------------ */

enum err twin_size(const struct twin *t, struct db_scope *scope, struct twin_size *ret_size)
{
    struct db_rows rows;
    enum err e = db_query(scope, &t->size, DB_NO_ARGS, &rows);

    if (e != OK)
        return e;
    const struct db_value *row = db_row(&rows, 0);
    *ret_size = (struct twin_size){ .rows = db_int(&row[0]),
                                    .greatest = row[1].kind == DB_INT ? row[1].i : COPY_START };
    return OK;
}

enum err twin_page(const struct twin *t, struct db_scope *scope, int64_t after, size_t limit, struct db_rows *ret_rows)
{
    return db_query(scope, &t->page, DB_ARGS(DBV_INT(after), DBV_INT((int64_t)limit)), ret_rows);
}

enum err twin_insert(const struct twin *t, struct db_scope *scope, const struct db_value *rows, size_t count)
{
    struct db_rows none;

    return db_query(scope, count == 1 ? &t->insert_one : &t->insert_many, rows, count * t->columns, &none);
}

static bool is_bytes(const struct db_value *v) { return v->kind == DB_TEXT || v->kind == DB_BLOB; }

static bool equal(const struct db_value *a, const struct db_value *b)
{
    if (is_bytes(a) && is_bytes(b))
        return str_eq(a->s, b->s);
    if (a->kind != b->kind)
        return false;
    if (a->kind == DB_REAL)
        return memcmp(&a->d, &b->d, sizeof(a->d)) == 0;
    return a->kind == DB_NULL || a->i == b->i;
}

size_t twin_difference(const struct twin *t, const struct db_value *a, const struct db_value *b)
{
    size_t i = 0;

    while (i < t->columns && equal(&a[i], &b[i]))
        i++;
    return i;
}
