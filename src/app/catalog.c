/* SPDX-License-Identifier: MIT */
/* Texts of statements are put together in buffers of the arena; an arena that
 * is full shows in each text as NULL, and is looked at once, at the end. */
#include "app/catalog.h"

#include <assert.h>
#include <string.h>

enum { SQL_MAX_BYTES = 64 * 1024, SLOTS_MAX = 64 };

#define SHOWN       "is_public = 1"
#define AFTER_PLACE SHOWN " AND generated_at <= ? AND (generated_at < ? OR id > ?)"
#define IN_ORDER    " ORDER BY generated_at DESC, id"

/* How databases merge the ordered keys of the categories. SQLite takes them one
 * by one from each, as long as more are wanted, but knows no LIMIT within; the
 * others would read every key there is without one. */
static const struct dialect {
    const char *name;
    const char *open, *close; /* around the keys of a category */
    bool bounded;             /* which have a LIMIT            */
} dialects[] = {
    { "sqlite", "", "", false },
    { "mysql", "(", IN_ORDER " LIMIT ?)", true },
};

static const struct dialect *find_dialect(const char *name)
{
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    }
    return NULL;
}

/* ---- columns ---------------------------------------------------------------------- */

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

/* A row of all categories: the category, then slots, each for columns of one
 * kind, which a database can put into one column. */
struct layout {
    size_t count;
    enum field_kind kinds[SLOTS_MAX];
};

enum { SLOT_CATEGORY, SLOT_ID, SLOT_AT, SLOTS_OF_KEYS };

static const struct layout empty_layout = { .count = 1, .kinds = { [SLOT_CATEGORY] = FIELD_KINDS } };

/* The first slot for a kind from `from` on; a new one, if there is none. */
static size_t find_slot(struct layout *l, enum field_kind kind, size_t from)
{
    for (size_t p = from; p < l->count; p++) {
        if (l->kinds[p] == kind)
            return p;
    }
    assert(l->count < SLOTS_MAX);
    l->kinds[l->count] = kind;
    return l->count++;
}

static void choose_slots(struct catalog_entry *e, struct layout *l, struct arena *a)
{
    size_t next[FIELD_KINDS] = { 0 };
    size_t *slots = arena_array(a, size_t, e->column_count);

    for (size_t i = 0; slots && i < e->column_count; i++) {
        const enum field_kind kind = e->columns[i].kind;
        slots[i] = find_slot(l, kind, next[kind]);
        next[kind] = slots[i] + 1;
    }
    e->slots = slots;
}

/* The column that an entry has in a slot; NULL. */
static const char *column_at(const struct catalog_entry *e, size_t slot)
{
    for (size_t i = 0; i < e->column_count; i++) {
        if (e->slots[i] == slot)
            return e->columns[i].name;
    }
    return NULL;
}

/* ---- texts ------------------------------------------------------------------------- */

/* A finished text, NUL-terminated. */
static const char *text_of(struct buf *b)
{
    buf_byte(b, '\0');
    return buf_ok(b) ? b->ptr : NULL;
}

/* A table whose rows are listed. MySQL's optimizer likes to walk the public
 * index from its top to the place; told to use it, it goes there at once. To
 * SQLite, which needs no telling, the hint is a comment. */
static const char *listed(struct arena *a, const struct category *c)
{
    return arena_printf(a, "%s /*! FORCE INDEX (idx_%s_public) */", c->table, c->id).ptr;
}

static const char *one_sql(const struct catalog_entry *e, const char *rest, struct arena *a)
{
    struct buf b;
    buf_init_arena(&b, a, SQL_MAX_BYTES);
    for (size_t i = 0; i < e->column_count; i++)
        buf_printf(&b, "%s%s", i == 0 ? "SELECT " : ", ", e->columns[i].name);
    buf_printf(&b, " FROM %s WHERE %s", listed(a, e->category), rest);
    return text_of(&b);
}

/* What the statements about all categories are made of. */
struct draft {
    const struct catalog *catalog;
    const struct dialect *dialect;
    struct layout layout;
    struct arena *arena;
};

/* A slot of the row, whoever has it; the tables of others give NULL. */
static void put_slot(struct buf *b, const struct draft *d, size_t slot)
{
    buf_cstr(b, ", COALESCE(");
    for (size_t i = 0; i < d->catalog->count; i++) {
        const char *column = column_at(&d->catalog->entries[i], slot);
        if (column)
            buf_printf(b, "t%zu.%s, ", i, column);
    }
    buf_cstr(b, "NULL)");
}

/* The keys of all categories, merged up to the page's end. */
static void put_keys(struct buf *b, const struct draft *d, const char *condition)
{
    for (size_t i = 0; i < d->catalog->count; i++)
        buf_printf(b, "%s%sSELECT %zu AS category, generated_at, id FROM %s WHERE %s%s", i == 0 ? "" : " UNION ALL ",
                   d->dialect->open, i, listed(d->arena, d->catalog->entries[i].category), condition,
                   d->dialect->close);
}

static const char *all_sql(const struct draft *d, const char *condition, const char *limit)
{
    struct buf b;
    buf_init_arena(&b, d->arena, SQL_MAX_BYTES);
    buf_cstr(&b, "SELECT k.category, k.id, k.generated_at");
    for (size_t slot = SLOTS_OF_KEYS; slot < d->layout.count; slot++)
        put_slot(&b, d, slot);
    buf_cstr(&b, " FROM (");
    put_keys(&b, d, condition);
    buf_printf(&b, IN_ORDER ", category%s) AS k", limit);
    for (size_t i = 0; i < d->catalog->count; i++)
        buf_printf(&b, " LEFT JOIN %s AS t%zu ON t%zu.id = CASE k.category WHEN %zu THEN k.id END",
                   d->catalog->entries[i].category->table, i, i, i);
    buf_cstr(&b, " ORDER BY k.generated_at DESC, k.id, k.category");
    return text_of(&b);
}

static const char *find_sql(const struct draft *d)
{
    struct buf b;
    buf_init_arena(&b, d->arena, SQL_MAX_BYTES);
    for (size_t i = 0; i < d->catalog->count; i++) {
        const struct catalog_entry *e = &d->catalog->entries[i];
        buf_printf(&b, "%sSELECT %zu AS category", i == 0 ? "" : " UNION ALL ", i);
        for (size_t slot = SLOT_ID; slot < d->layout.count; slot++) {
            const char *column = column_at(e, slot);
            buf_printf(&b, ", %s", column ? column : "NULL");
        }
        buf_printf(&b, " FROM %s WHERE code = ? AND " SHOWN, e->category->table);
    }
    buf_cstr(&b, " LIMIT 1");
    return text_of(&b);
}

/* ---- statements ---------------------------------------------------------------------- */

static struct db_statement statement(struct arena *a, const char *id, const char *verb, const char *sql,
                                     enum db_statement_kind kind)
{
    return (struct db_statement){ .name = arena_printf(a, "%s_%s", id, verb).ptr, .sql = sql, .kind = kind };
}

static struct catalog_list list_of(struct arena *a, const char *id, const char *first, const char *after)
{
    return (struct catalog_list){
        .first = statement(a, id, "public_first", first, DB_READ),
        .first_long = statement(a, id, "public_first_long", first, DB_READ_LONG),
        .after = statement(a, id, "public_after", after, DB_READ),
        .count = 1,
    };
}

static void build_entry(struct catalog_entry *e, size_t index, struct arena *a)
{
    const char *first = one_sql(e, SHOWN IN_ORDER " LIMIT ? OFFSET ?", a);
    const char *after = one_sql(e, AFTER_PLACE IN_ORDER " LIMIT ?", a);

    e->list = list_of(a, e->category->id, first, after);
    e->list.category = index;
}

static void build_all(struct catalog *c, const struct draft *d)
{
    const char *first = all_sql(d, SHOWN, " LIMIT ? OFFSET ?");
    const char *after = all_sql(d, AFTER_PLACE, " LIMIT ?");

    c->all = list_of(d->arena, "certificate", first, after);
    c->all.count = c->count;
    c->all.bounded = d->dialect->bounded;
    c->find_code = statement(d->arena, "certificate", "find_code", find_sql(d), DB_READ);
}

const struct catalog *catalog_build(struct arena *a, const char *dialect, const struct category *list, size_t count)
{
    assert(count > 0 && count <= CATEGORY_MAX);
    struct catalog *c = arena_new(a, struct catalog);
    struct draft d = { .catalog = c, .dialect = find_dialect(dialect), .layout = empty_layout, .arena = a };

    if (!c || !d.dialect)
        return NULL;
    c->count = count;
    for (size_t i = 0; i < count && !a->full; i++) {
        c->entries[i].category = &list[i];
        choose_columns(&c->entries[i], a);
        choose_slots(&c->entries[i], &d.layout, a);
        build_entry(&c->entries[i], i, a);
    }
    if (!a->full)
        build_all(c, &d);
    return a->full ? NULL : c;
}

static size_t put_statements(const struct catalog_list *l, const struct db_statement **out)
{
    out[0] = &l->first;
    out[1] = &l->first_long;
    out[2] = &l->after;
    return 3;
}

size_t catalog_statements(const struct catalog *c, const struct db_statement *out[static CATALOG_STATEMENTS_MAX])
{
    size_t n = put_statements(&c->all, out);

    for (const struct catalog_entry *e = c->entries; e < c->entries + c->count; e++)
        n += put_statements(&e->list, out + n);
    out[n++] = &c->find_code;
    return n;
}

/* ---- arguments and rows ------------------------------------------------------------------ */

size_t catalog_first_args(const struct catalog_list *l, int64_t limit, int64_t skip,
                          struct db_value out[static CATALOG_ARGS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; l->bounded && i < l->count; i++)
        out[n++] = DBV_INT(skip + limit);
    out[n++] = DBV_INT(limit);
    out[n++] = DBV_INT(skip);
    return n;
}

size_t catalog_after_args(const struct catalog_list *l, int64_t limit, const struct cursor *place,
                          struct db_value out[static CATALOG_ARGS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++) {
        const bool same_id_too = l->category + i > place->category;

        out[n++] = DBV_INT(place->at);
        out[n++] = DBV_INT(place->at);
        out[n++] = DBV_INT(same_id_too ? place->id - 1 : place->id);
        if (l->bounded)
            out[n++] = DBV_INT(limit);
    }
    out[n++] = DBV_INT(limit);
    return n;
}

const struct catalog_entry *catalog_row_entry(const struct catalog *c, const struct db_value *row)
{
    const size_t category = (size_t)db_int(&row[SLOT_CATEGORY]);

    assert(category < c->count);
    return &c->entries[category];
}

const struct db_value *catalog_row_values(const struct catalog_entry *e, const struct db_value *row, struct arena *a)
{
    struct db_value *values = arena_array(a, struct db_value, e->column_count);

    for (size_t i = 0; values && i < e->column_count; i++)
        values[i] = row[e->slots[i]];
    return values;
}
