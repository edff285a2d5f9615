/* SPDX-License-Identifier: MIT */
#include "db/indexes.h"

#include "db/driver.h"

/* ---- the words of an SQL text ----------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

static bool is(struct str token, const char *word) { return str_eq_nocase(token, str_of(word)); }

static void skip(struct str *text, size_t n) { *text = str_slice(*text, n, text->len); }

static void skip_space(struct str *text)
{
    while (text->len > 0)
        if (is_space(*text->ptr))
            skip(text, 1);
        else if (str_starts_with(*text, STR("--")))
            skip(text, str_find(*text, '\n', 0));
        else
            return;
}

static size_t token_length(struct str text)
{
    const char first = *text.ptr;
    size_t n = 1;

    if (first == '\'' || first == '"' || first == '`')
        return str_find(text, first, 1) + 1;
    while (is_word(first) && n < text.len && is_word(text.ptr[n]))
        n++;
    return n;
}

/* Cuts a word, a quoted text or a single character off the front; empty at the
 * end of the text. */
static struct str next(struct str *text)
{
    struct str token;

    skip_space(text);
    token = str_slice(*text, 0, text->len > 0 ? token_length(*text) : 0);
    skip(text, token.len);
    return token;
}

/* The next token as a name: without its quotes. */
static struct str next_name(struct str *text)
{
    const struct str token = next(text);
    const bool quoted = token.len >= 2 && (*token.ptr == '`' || *token.ptr == '"');

    return quoted ? str_slice(token, 1, token.len - 1) : token;
}

/* The same after an IF [NOT] EXISTS that may stand before it. */
static struct str next_subject(struct str *text)
{
    struct str name = next_name(text);

    if (is(name, "IF")) {
        name = next_name(text);
        if (is(name, "NOT"))
            name = next_name(text);
        name = next_name(text);
    }
    return name;
}

/* Cuts everything before the next `end` outside brackets off the front, and the
 * end itself. */
static struct str next_until(struct str *text, const char *end)
{
    const char *start = text->ptr;
    struct str token;
    bool ended;
    int depth = 0;

    do {
        token = next(text);
        ended = token.len == 0 || (depth == 0 && is(token, end));
        depth += is(token, "(") - is(token, ")");
    } while (!ended);
    return (struct str){ start, (size_t)(text->ptr - start) - token.len };
}

/* What stands in the brackets that come next. */
static struct str next_brackets(struct str *text)
{
    struct str inside;

    (void)next(text);
    inside = next_until(text, ")");
    return str_trim(inside);
}

/* ---- the indexes of a migration --------------------------------------------------------- */

struct reader {
    struct arena *arena;
    struct db_indexes found;
};

/* An index as it is written in a migration. */
struct definition {
    bool unique;
    struct str table, name, columns;
    struct str rest; /* " WHERE ..." */
};

static enum err add(struct reader *r, const struct definition *d)
{
    struct str sql;

    if (r->found.count == INDEXES_MAX)
        return E_TOO_LARGE;
    sql = arena_printf(r->arena, "CREATE %sINDEX " STR_FMT " ON " STR_FMT " (" STR_FMT ")" STR_FMT ";",
                       d->unique ? "UNIQUE " : "", STR_ARG(d->name), STR_ARG(d->table), STR_ARG(d->columns),
                       STR_ARG(d->rest));
    if (!sql.ptr)
        return E_NO_MEMORY;
    r->found.rows[r->found.count++] = (struct db_index){ d->table, d->name, sql };
    return OK;
}

/* A column, a key or a constraint of a table. */
static enum err read_part(struct reader *r, struct str table, struct str part)
{
    struct definition d = { .table = table };
    struct str word = next(&part);

    d.unique = is(word, "UNIQUE");
    if (d.unique)
        word = next(&part);
    if (!is(word, "KEY") && !is(word, "INDEX"))
        return OK;
    d.name = next_name(&part);
    d.columns = next_brackets(&part);
    return add(r, &d);
}

static enum err read_table(struct reader *r, struct str text)
{
    const struct str table = next_subject(&text);
    enum err e = OK;

    (void)next_until(&text, "(");
    while (e == OK && text.len > 0)
        e = read_part(r, table, next_until(&text, ","));
    return e;
}

static enum err read_index(struct reader *r, struct str text, bool unique)
{
    struct definition d = { .unique = unique, .name = next_subject(&text) };

    (void)next(&text); /* ON */
    d.table = next_name(&text);
    d.columns = next_brackets(&text);
    d.rest = text;
    return add(r, &d);
}

static enum err read_create(struct reader *r, struct str text)
{
    struct str word = next(&text);
    const bool unique = is(word, "UNIQUE");

    if (unique)
        word = next(&text);
    if (is(word, "TABLE"))
        return read_table(r, text);
    return is(word, "INDEX") ? read_index(r, text, unique) : OK;
}

/* MySQL's indexes are a table's, and it is named; SQLite's are the database's. */
static void read_drop(struct reader *r, struct str text)
{
    struct str name, table = { NULL, 0 };
    size_t kept = 0;

    if (!is(next(&text), "INDEX"))
        return;
    name = next_subject(&text);
    if (is(next(&text), "ON"))
        table = next_name(&text);
    for (size_t i = 0; i < r->found.count; i++) {
        const struct db_index row = r->found.rows[i];
        if (!str_eq_nocase(row.name, name) || (table.ptr && !str_eq_nocase(row.table, table)))
            r->found.rows[kept++] = row;
    }
    r->found.count = kept;
}

static enum err read_migration(struct reader *r, struct str text)
{
    enum err e = OK;

    while (e == OK && text.len > 0) {
        struct str statement = next_until(&text, ";");
        const struct str verb = next(&statement);

        if (is(verb, "CREATE"))
            e = read_create(r, statement);
        else if (is(verb, "DROP"))
            read_drop(r, statement);
    }
    return e;
}

enum err indexes_of(const struct migration *list, size_t count, struct arena *arena, struct db_indexes *ret_indexes)
{
    struct reader r = { .arena = arena, .found.rows = arena_array(arena, struct db_index, INDEXES_MAX) };
    enum err e = r.found.rows ? OK : E_NO_MEMORY;

    for (size_t i = 0; e == OK && i < count; i++)
        e = read_migration(&r, str_of(list[i].sql));
    if (e == OK)
        *ret_indexes = r.found;
    return e;
}

/* ---- what a database has ------------------------------------------------------------------- */

static bool has(const struct db_rows *there, const struct db_index *index)
{
    for (size_t i = 0; i < there->count; i++) {
        const struct db_value *row = db_row(there, i);
        if (str_eq_nocase(db_text(&row[0]), index->table) && str_eq_nocase(db_text(&row[1]), index->name))
            return true;
    }
    return false;
}

enum err indexes_missing(struct db_scope *scope, const struct db_indexes *wanted, struct db_indexes *ret_missing)
{
    struct db_indexes missing = { .rows = arena_array(scope->arena, struct db_index, wanted->count) };
    struct db_rows there;
    enum err e = missing.rows ? OK : E_NO_MEMORY;

    if (e == OK)
        e = db_query(scope, db_driver_of(scope->db)->indexes, DB_NO_ARGS, &there);
    if (e != OK)
        return e;
    for (size_t i = 0; i < wanted->count; i++)
        if (!has(&there, &wanted->rows[i]))
            missing.rows[missing.count++] = wanted->rows[i];
    *ret_missing = missing;
    return OK;
}
