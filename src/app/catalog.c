/* SPDX-License-Identifier: MIT */
/* Texts of statements are put together in buffers of the arena; an arena that
 * is full shows in each text as NULL, and is looked at once, at the end. */
#include "app/catalog.h"

#include <assert.h>

enum { SQL_MAX_BYTES = 64 * 1024 };

#define AFTER_PLACE "is_public = 1 AND generated_at <= ? AND (generated_at < ? OR id > ?)"
#define IN_ORDER    " ORDER BY generated_at DESC, id"

/* A finished text, NUL-terminated. */
static const char *text_of(struct buf *b)
{
    buf_byte(b, '\0');
    return buf_ok(b) ? b->ptr : NULL;
}

static const char *sql_join(struct arena *a, const char *start, const char *table, const char *rest)
{
    return arena_printf(a, "%s FROM %s WHERE %s", start, table, rest).ptr;
}

/* A table whose rows are listed. MySQL's optimizer likes to walk the public
 * index from its top to the place; told to use it, it goes there at once. To
 * SQLite, which needs no telling, the hint is a comment. */
static const char *listed(struct arena *a, const struct category *c)
{
    return arena_printf(a, "%s /*! FORCE INDEX (idx_%s_public) */", c->table, c->id).ptr;
}

static struct db_statement statement(struct arena *a, const char *id, const char *verb, const char *sql,
                                     enum db_statement_kind kind)
{
    return (struct db_statement){ .name = arena_printf(a, "%s_%s", id, verb).ptr, .sql = sql, .kind = kind };
}

/* Whether a column is on a public row. Further particulars of a sensitive
 * category may repeat what its own fields hide. */
static bool is_shown(const struct category *c, const struct field *f)
{
    return (f->flags & FIELD_PUBLIC) != 0 && !(c->sensitive && f->kind == FIELD_OBJECT);
}

struct field_list {
    const struct field *rows;
    size_t count;
};

static void choose_columns(struct catalog_entry *e, struct arena *a)
{
    const struct category *c = e->category;
    const struct field_list lists[] = {
        { certificate_head, certificate_head_count },
        { c->fields, c->field_count },
        { certificate_tail, certificate_tail_count },
    };
    const size_t most = certificate_head_count + c->field_count + certificate_tail_count;
    struct field *columns = arena_array(a, struct field, most);

    for (size_t l = 0; columns && l < sizeof(lists) / sizeof(lists[0]); l++) {
        for (size_t i = 0; i < lists[l].count; i++) {
            if (is_shown(c, &lists[l].rows[i]))
                columns[e->column_count++] = lists[l].rows[i];
        }
    }
    e->columns = columns;
}

static const char *select_columns(const struct catalog_entry *e, struct arena *a)
{
    struct buf b;
    buf_init_arena(&b, a, SQL_MAX_BYTES);
    for (size_t i = 0; i < e->column_count; i++)
        buf_printf(&b, "%s%s", i == 0 ? "SELECT " : ", ", e->columns[i].name);
    return text_of(&b);
}

static void build_entry(struct catalog_entry *e, const struct category *c, struct arena *a)
{
    *e = (struct catalog_entry){ .category = c };
    choose_columns(e, a);
    const char *columns = select_columns(e, a);
    if (!columns)
        return;
    const char *page = sql_join(a, columns, listed(a, c), AFTER_PLACE IN_ORDER " LIMIT ?");
    const char *skip = sql_join(a, columns, c->table, "is_public = 1" IN_ORDER " LIMIT ? OFFSET ?");
    const char *by_id = sql_join(a, columns, c->table, "id = ? AND is_public = 1");
    e->page = statement(a, c->id, "public_page", page, DB_READ);
    e->skip = statement(a, c->id, "public_skip", skip, DB_READ);
    e->skip_long = statement(a, c->id, "public_skip_long", skip, DB_READ_LONG);
    e->by_id = statement(a, c->id, "public_by_id", by_id, DB_READ);
}

/* A top-N a category, each bounded by its own LIMIT and read from its index
 * alone; whoever reads the keys merges them. */
static const char *keys_sql(const struct category *list, size_t count, struct arena *a)
{
    struct buf b;
    buf_init_arena(&b, a, SQL_MAX_BYTES);
    for (size_t i = 0; i < count; i++)
        buf_printf(&b,
                   "%sSELECT * FROM (SELECT %zu AS category, generated_at, id FROM %s WHERE " AFTER_PLACE IN_ORDER
                   " LIMIT ?) AS keys_%zu",
                   i == 0 ? "" : " UNION ALL ", i, listed(a, &list[i]), i);
    return text_of(&b);
}

static const char *find_sql(const struct category *list, size_t count, struct arena *a)
{
    struct buf b;
    buf_init_arena(&b, a, SQL_MAX_BYTES);
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, "%sSELECT %zu AS category, id FROM %s WHERE code = ? AND is_public = 1",
                   i == 0 ? "" : " UNION ALL ", i, list[i].table);
    buf_cstr(&b, " LIMIT 1");
    return text_of(&b);
}

const struct catalog *catalog_build(struct arena *a, const struct category *list, size_t count)
{
    assert(count > 0 && count <= CATEGORY_MAX);
    struct catalog *catalog = arena_new(a, struct catalog);
    if (!catalog)
        return NULL;
    catalog->count = count;
    for (size_t i = 0; i < count; i++)
        build_entry(&catalog->entries[i], &list[i], a);
    const char *keys = keys_sql(list, count, a);
    catalog->keys = statement(a, "certificate", "keys", keys, DB_READ);
    catalog->keys_long = statement(a, "certificate", "keys_long", keys, DB_READ_LONG);
    catalog->find_code = statement(a, "certificate", "find_code", find_sql(list, count, a), DB_READ);
    return a->full ? NULL : catalog;
}

size_t catalog_statements(const struct catalog *c, const struct db_statement *out[static CATALOG_STATEMENTS_MAX])
{
    size_t n = 0;

    for (const struct catalog_entry *e = c->entries; e < c->entries + c->count; e++) {
        out[n++] = &e->page;
        out[n++] = &e->skip;
        out[n++] = &e->skip_long;
        out[n++] = &e->by_id;
    }
    out[n++] = &c->keys;
    out[n++] = &c->keys_long;
    out[n++] = &c->find_code;
    return n;
}

void catalog_place(const struct cursor *after, size_t category, int64_t limit, struct db_value args[static PLACE_ARGS])
{
    const int64_t id = category < after->category ? INT64_MAX : category == after->category ? after->id : 0;
    args[0] = DBV_INT(after->at);
    args[1] = DBV_INT(after->at);
    args[2] = DBV_INT(id);
    args[3] = DBV_INT(limit);
}
