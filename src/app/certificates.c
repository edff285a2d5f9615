/* SPDX-License-Identifier: MIT */
/* Reading public certificates: the list, and one by its code. Each is one
 * statement, whatever is asked for (catalog.h). */
#include "app/app.h"
#include "app/code.h"

enum { ARG_CATEGORY, ARG_SKIP, ARG_LIMIT, ARG_CURSOR };

enum { LONG_READ_ROWS = 1000 }; /* more than so many rows are passed over off the loop */

/* A certificate as it is shown. */
struct shown {
    const struct catalog_entry *entry;
    const struct db_value *values;
};

/* A page being read. */
struct page {
    struct request *req;
    const struct catalog_list *list;
    size_t limit, skip;
    const struct cursor *after; /* it begins behind this; NULL: with the list, but for `skip` rows */
    struct shown *rows;
    size_t count;
    bool more; /* there is a next page, behind the last row                        */
};

/* A row of a list: of one category, or of all. */
static struct shown shown_of(const struct page *p, const struct db_value *row)
{
    const struct catalog *catalog = app_catalog(p->req);

    if (p->list != &catalog->all)
        return (struct shown){ &catalog->entries[p->list->category], row };
    const struct catalog_entry *e = catalog_row_entry(catalog, row);
    return (struct shown){ e, catalog_row_values(e, row, &p->req->arena) };
}

/* A row more than wanted tells whether there is a next page. */
static enum err query_page(const struct page *p, struct db_rows *ret_rows)
{
    const struct catalog_list *list = p->list;
    const struct db_statement *st = p->skip > LONG_READ_ROWS ? &list->first_long : &list->first;
    const int64_t want = (int64_t)p->limit + 1;
    struct db_value args[CATALOG_ARGS_MAX];
    size_t count;

    if (p->after) {
        st = &list->after;
        count = catalog_after_args(list, want, p->after, args);
    } else {
        count = catalog_first_args(list, want, (int64_t)p->skip, args);
    }
    return db_query(request_db(p->req), st, args, count, ret_rows);
}

static enum err read_page(struct page *p)
{
    struct db_rows rows;
    enum err err = query_page(p, &rows);

    if (err != OK)
        return err;
    p->more = rows.count > p->limit;
    p->count = p->more ? p->limit : rows.count;
    p->rows = arena_array(&p->req->arena, struct shown, p->count);
    for (size_t i = 0; p->rows && i < p->count; i++)
        p->rows[i] = shown_of(p, db_row(&rows, i));
    return p->req->arena.full ? E_NO_MEMORY : OK;
}

static void shown_json(struct json *j, const struct shown *row)
{
    json_object(j);
    json_member_str(j, "category", str_of(row->entry->category->id));
    entity_members(j, row->entry->columns, row->entry->column_count, row->values);
    json_object_end(j);
}

/* Lists are told apart by their category in cursors: 0 is the list of all. */
static uint32_t list_number(const struct arg *category) { return category->given ? 1 + (uint32_t)category->i : 0; }

static struct cursor cursor_behind(const struct shown *row)
{
    return (struct cursor){
        .at = db_int(&row->values[ROW_AT]),
        .category = (uint32_t)row->entry->list.category,
        .id = db_int(&row->values[ROW_ID]),
    };
}

static void link_to_next(struct page *p, struct response *res)
{
    const struct arg *category = &p->req->args[ARG_CATEGORY];
    const struct cursor last = cursor_behind(&p->rows[p->count - 1]);
    char text[CURSOR_LEN];

    cursor_write(&last, list_number(category), app_cursor_key(p->req), text);
    const struct link_param params[] = {
        { "category", category->given ? category->s : STR_EMPTY },
        { "limit", arena_printf(&p->req->arena, "%zu", p->limit) },
        { "cursor", { text, sizeof(text) } },
    };
    link_next(p->req, res, params, sizeof(params) / sizeof(params[0]));
}

static struct response page_response(struct page *p)
{
    struct buf body;
    struct json j;

    body_init(p->req, &body, &j);
    json_array(&j);
    for (size_t i = 0; i < p->count; i++)
        shown_json(&j, &p->rows[i]);
    json_array_end(&j);
    struct response res = body_response(p->req, &body);
    if (p->more && res.status == 200)
        link_to_next(p, &res);
    return res;
}

struct response certificate_public_list(struct request *req)
{
    const struct arg *args = req->args;
    const struct catalog *catalog = app_catalog(req);
    struct page p = {
        .req = req,
        .list = args[ARG_CATEGORY].given ? &catalog->entries[args[ARG_CATEGORY].i].list : &catalog->all,
        .limit = (size_t)args[ARG_LIMIT].i,
        .skip = (size_t)args[ARG_SKIP].i,
    };
    struct cursor place;

    if (args[ARG_CURSOR].given && args[ARG_SKIP].given)
        return app_param_problem(req, "cursor", "goes without skip: it says where the page begins");
    if (args[ARG_CURSOR].given &&
        cursor_read(args[ARG_CURSOR].s, list_number(&args[ARG_CATEGORY]), app_cursor_key(req), &place) != OK)
        return app_param_problem(req, "cursor", "is not one that this list gave out");
    if (args[ARG_CURSOR].given)
        p.after = &place;

    enum err err = read_page(&p);
    return err == OK ? page_response(&p) : app_db_problem(req, err);
}

/* E_NOT_FOUND: no public certificate has the code. */
static enum err find_code(struct request *req, const char code[static CODE_LEN], struct shown *ret_found)
{
    const struct catalog *catalog = app_catalog(req);
    struct db_value args[CATEGORY_MAX];
    struct db_rows rows;

    for (size_t i = 0; i < catalog->count; i++)
        args[i] = DBV_TEXT(((struct str){ code, CODE_LEN }));
    enum err err = db_query(request_db(req), &catalog->find_code, args, catalog->count, &rows);
    if (err != OK)
        return err;
    if (rows.count == 0)
        return E_NOT_FOUND;
    const struct catalog_entry *e = catalog_row_entry(catalog, db_row(&rows, 0));
    const struct db_value *values = catalog_row_values(e, db_row(&rows, 0), &req->arena);
    if (!values)
        return E_NO_MEMORY;
    *ret_found = (struct shown){ e, values };
    return OK;
}

struct response certificate_get(struct request *req)
{
    char code[CODE_LEN];
    struct shown found;
    struct buf body;
    struct json j;

    if (code_parse(req->path_args[0], code) != OK)
        return app_not_found(req);
    enum err err = find_code(req, code, &found);
    if (err == E_NOT_FOUND)
        return app_not_found(req);
    if (err != OK)
        return app_db_problem(req, err);
    body_init(req, &body, &j);
    shown_json(&j, &found);
    return body_response(req, &body);
}
