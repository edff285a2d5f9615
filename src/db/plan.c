/* SPDX-License-Identifier: MIT */
#include "db/plan.h"

#include "base/buf.h"

enum { PARTS_MAX = 5 };

/* The telling columns of a row of EXPLAIN. Databases are known by how many
 * columns such a row has. */
/* clang-format off */
static const struct form {
    size_t columns;
    struct part { const char *label; size_t column; } parts[PARTS_MAX];
} forms[] = {
    { 4,  { { "", 3 } } },                                                          /* SQLite  */
    { 10, { { "", 2 }, { "type=", 3 }, { "key=", 5 }, { "rows=", 8 }, { "", 9 } } },   /* MariaDB */
    { 12, { { "", 2 }, { "type=", 4 }, { "key=", 6 }, { "rows=", 9 }, { "", 11 } } },  /* MySQL   */
};
/* clang-format on */

static const struct form *form_of(size_t columns)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (forms[i].columns == columns)
            return &forms[i];
    return NULL;
}

static void put_part(struct buf *out, const struct part *part, const struct db_value *v)
{
    if (v->kind != DB_INT && db_text(v).len == 0)
        return;
    if (out->len > 0)
        buf_byte(out, ' ');
    buf_cstr(out, part->label);
    if (v->kind == DB_INT)
        buf_int(out, v->i);
    else
        buf_str(out, db_text(v));
}

/* What does not fit is left out. */
static struct str text_of(const struct db_rows *rows, struct arena *arena)
{
    const struct form *form = form_of(rows->columns);
    struct buf out;

    buf_init_arena(&out, arena, PLAN_MAX_BYTES);
    for (size_t r = 0; form && r < rows->count; r++) {
        if (r > 0)
            buf_cstr(&out, " |");
        for (size_t i = 0; i < PARTS_MAX && form->parts[i].label; i++)
            put_part(&out, &form->parts[i], &db_row(rows, r)[form->parts[i].column]);
    }
    return buf_view(&out);
}

struct str plan_explain(struct db_conn *c, const struct db_statement *st, const struct db_value *args, size_t count,
                        struct arena *arena)
{
    const struct db_statement question = {
        .name = st->name,
        .sql = arena_printf(arena, "%s %s", c->driver->explain, st->sql).ptr,
        .kind = DB_READ_LONG,
    };
    struct db_rows rows;

    if (!question.sql || c->broken || c->driver->run_once(c, &question, args, count, arena, &rows) != OK)
        return STR_EMPTY;
    return text_of(&rows, arena);
}
