/* SPDX-License-Identifier: MIT */
/* Reading public certificates: the list, and one by its code.
 *
 * The list of one category is one statement. The list of all is two steps:
 *
 *    keys:  the next N (moment, id) of each category, from its index alone
 *      |    merged here, newest first, until the page is known
 *      v
 *    rows:  of each category that has a part in the page, its rows
 *
 * so a page costs what it shows, however many certificates there are. When rows
 * are skipped by number, the keys are read in rounds of bounded size.
 */
#include "app/app.h"
#include "app/code.h"

enum { ARG_CATEGORY, ARG_SKIP, ARG_LIMIT, ARG_CURSOR };

enum {
    LONG_READ_ROWS = 1000, /* more than so many rows are read off the loop  */
    ROUND_KEYS = 2048,     /* most keys of a category that one round reads  */
    ROUND_MAX_BYTES = 16 * 1024 * 1024,
};

struct page_row {
    const struct catalog_entry *entry;
    const struct db_value *values;
};

/* A page being read. */
struct page {
    struct request *req;
    const struct catalog *catalog;
    size_t limit, skip;
    struct cursor after;   /* the page begins behind it                 */
    struct page_row *rows; /* room for `limit`                          */
    size_t count;          /* rows so far                               */
    struct cursor last;    /* where the next page begins, if there is   */
    bool more;             /* one                                       */
};

static void page_add(struct page *p, size_t category, const struct db_value *values)
{
    p->rows[p->count++] = (struct page_row){ &p->catalog->entries[category], values };
}

/* One category: a row more than wanted tells whether there is a next page. */
static enum err read_category(struct page *p, size_t category)
{
    const struct catalog_entry *e = &p->catalog->entries[category];
    const int64_t want = (int64_t)p->limit + 1;
    struct db_value args[PLACE_ARGS] = { DBV_INT(want), DBV_INT((int64_t)p->skip) };
    const struct db_statement *st = p->skip > LONG_READ_ROWS ? &e->skip_long : &e->skip;
    size_t arg_count = 2;
    struct db_rows rows;

    if (p->skip == 0) {
        catalog_place(&p->after, category, want, args);
        st = &e->page;
        arg_count = PLACE_ARGS;
    }
    enum err err = db_query(request_db(p->req), st, args, arg_count, &rows);
    if (err != OK)
        return err;
    p->more = rows.count > p->limit;
    for (size_t i = 0; i < rows.count && i < p->limit; i++)
        page_add(p, category, db_row(&rows, i));
    if (p->more) {
        const struct db_value *last = db_row(&rows, p->limit - 1);
        p->last = (struct cursor){ db_int(&last[ROW_AT]), (uint32_t)category, db_int(&last[ROW_ID]) };
    }
    return OK;
}

/* The part of one category in a merge: rows in order, the first not yet taken
 * at the front. */
struct strand {
    const struct db_value *next;
    size_t left, columns;
};

/* Index of the strand whose next row is newest; `count` when all are empty.
 * Ties go to the lower category, as the order of lists has it. */
static size_t newest_strand(const struct strand *strands, size_t count, size_t at_column)
{
    size_t newest = count;
    for (size_t i = 0; i < count; i++) {
        if (strands[i].left == 0)
            continue;
        if (newest == count || db_int(&strands[i].next[at_column]) > db_int(&strands[newest].next[at_column]))
            newest = i;
    }
    return newest;
}

static const struct db_value *strand_take(struct strand *s)
{
    const struct db_value *row = s->next;
    s->next += s->columns;
    s->left--;
    return row;
}

/* The walk over the keys of all categories up to the end of the page. */
struct walk {
    struct cursor at;                  /* last key passed                          */
    size_t to_skip, to_take;           /* left before the page, and in it          */
    bool ended;                        /* there are no more keys                   */
    size_t part[CATEGORY_MAX];         /* rows of each category in the page        */
    struct cursor first[CATEGORY_MAX]; /* the first of them                        */
};

static void walk_pass(struct walk *w, struct page *p, const struct cursor *key)
{
    w->at = *key;
    if (w->to_skip > 0) {
        w->to_skip--;
    } else if (w->to_take > 0) {
        if (w->part[key->category]++ == 0)
            w->first[key->category] = *key;
        w->to_take--;
        p->last = *key;
    } else {
        p->more = true;
    }
}

/* The next `want` keys of each category. They go to `arena`, not to the request's. */
static enum err read_keys(struct page *p, const struct walk *w, size_t want, struct arena *arena, struct db_rows *ret)
{
    const size_t count = p->catalog->count;
    struct db_value args[CATEGORY_MAX * PLACE_ARGS];
    struct db_scope *scope = request_db(p->req);
    struct arena *const usual = scope->arena;

    for (size_t c = 0; c < count; c++)
        catalog_place(&w->at, c, (int64_t)want, &args[c * PLACE_ARGS]);
    scope->arena = arena;
    enum err err = db_query(scope, want * count > LONG_READ_ROWS ? &p->catalog->keys_long : &p->catalog->keys, args,
                            count * PLACE_ARGS, ret);
    scope->arena = usual;
    return err;
}

static void split_keys(const struct db_rows *keys, struct strand *strands)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct db_value *key = db_row(keys, i);
        struct strand *s = &strands[db_int(&key[KEY_CATEGORY])];
        if (s->left++ == 0)
            *s = (struct strand){ .next = key, .left = 1, .columns = KEY_COLUMNS };
    }
}

/* Merges one round of keys, as far as they reach: where a category may have
 * more keys than were read, the next round goes on. */
static enum err walk_round(struct page *p, struct walk *w, struct arena *arena)
{
    const size_t wanted = w->to_skip + w->to_take + 1;
    const size_t want = wanted < ROUND_KEYS ? wanted : ROUND_KEYS;
    struct strand strands[CATEGORY_MAX] = { 0 };
    size_t taken[CATEGORY_MAX] = { 0 };
    struct db_rows keys;

    enum err err = read_keys(p, w, want, arena, &keys);
    if (err != OK)
        return err;
    split_keys(&keys, strands);
    while (!p->more) {
        const size_t c = newest_strand(strands, p->catalog->count, KEY_AT);
        w->ended = c == p->catalog->count;
        if (w->ended)
            break;
        const struct db_value *key = strand_take(&strands[c]);
        walk_pass(w, p, &(struct cursor){ db_int(&key[KEY_AT]), (uint32_t)c, db_int(&key[KEY_ID]) });
        if (++taken[c] == want)
            break;
    }
    return OK;
}

static enum err walk_to_page(struct page *p, struct walk *w)
{
    struct arena arena;
    enum err err = OK;

    arena_init(&arena, ROUND_MAX_BYTES);
    while (err == OK && !p->more && !w->ended) {
        arena_reset(&arena);
        err = walk_round(p, w, &arena);
    }
    arena_done(&arena);
    return err;
}

/* The rows behind the keys. A row that was withdrawn since does not appear; its
 * successor, which would come instead, belongs to the next page. */
static enum err read_rows(struct page *p, const struct walk *w)
{
    struct strand strands[CATEGORY_MAX] = { 0 };

    for (size_t c = 0; c < p->catalog->count; c++) {
        if (w->part[c] == 0)
            continue;
        struct db_value args[PLACE_ARGS];
        struct db_rows rows;
        const struct cursor before = { w->first[c].at, (uint32_t)c, w->first[c].id - 1 };
        catalog_place(&before, c, (int64_t)w->part[c], args);
        enum err err = db_query(request_db(p->req), &p->catalog->entries[c].page, args, PLACE_ARGS, &rows);
        if (err != OK)
            return err;
        if (rows.count > 0)
            strands[c] = (struct strand){ db_row(&rows, 0), rows.count, rows.columns };
    }
    while (p->count < p->limit) {
        const size_t c = newest_strand(strands, p->catalog->count, ROW_AT);
        if (c == p->catalog->count)
            break;
        const struct db_value *row = strand_take(&strands[c]);
        const struct cursor place = { db_int(&row[ROW_AT]), (uint32_t)c, db_int(&row[ROW_ID]) };
        if (cursor_cmp(&place, &p->last) > 0)
            break;
        page_add(p, c, row);
    }
    return OK;
}

static enum err read_all(struct page *p)
{
    struct walk w = { .at = p->after, .to_skip = p->skip, .to_take = p->limit };
    enum err err = walk_to_page(p, &w);
    return err == OK ? read_rows(p, &w) : err;
}

static void row_json(struct json *j, const struct page_row *row)
{
    json_object(j);
    json_member_str(j, "category", str_of(row->entry->category->id));
    entity_members(j, row->entry->columns, row->entry->column_count, row->values);
    json_object_end(j);
}

/* Lists are told apart by their category in cursors: 0 is the list of all. */
static uint32_t list_of(const struct arg *category) { return category->given ? 1 + (uint32_t)category->i : 0; }

static void link_to_next(struct page *p, struct response *res)
{
    const struct arg *category = &p->req->args[ARG_CATEGORY];
    char text[CURSOR_LEN];

    cursor_write(&p->last, list_of(category), app_cursor_key(p->req), text);
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
        row_json(&j, &p->rows[i]);
    json_array_end(&j);
    struct response res = body_response(p->req, &body);
    if (p->more && res.status == 200)
        link_to_next(p, &res);
    return res;
}

struct response certificate_public_list(struct request *req)
{
    const struct arg *args = req->args;
    struct page p = {
        .req = req,
        .catalog = app_catalog(req),
        .after = CURSOR_START,
        .limit = (size_t)args[ARG_LIMIT].i,
        .skip = (size_t)args[ARG_SKIP].i,
        .rows = arena_array(&req->arena, struct page_row, (size_t)args[ARG_LIMIT].i),
    };

    if (!p.rows)
        return problem_err(req, E_NO_MEMORY);
    if (args[ARG_CURSOR].given && args[ARG_SKIP].given)
        return app_param_problem(req, "cursor", "goes without skip: it says where the page begins");
    if (args[ARG_CURSOR].given &&
        cursor_read(args[ARG_CURSOR].s, list_of(&args[ARG_CATEGORY]), app_cursor_key(req), &p.after) != OK)
        return app_param_problem(req, "cursor", "is not one that this list gave out");

    enum err err = args[ARG_CATEGORY].given ? read_category(&p, (size_t)args[ARG_CATEGORY].i) : read_all(&p);
    return err == OK ? page_response(&p) : app_db_problem(req, err);
}

/* Which row a code names; E_NOT_FOUND. */
static enum err find_code(struct request *req, const char code[static CODE_LEN], size_t *ret_category, int64_t *ret_id)
{
    const struct catalog *catalog = app_catalog(req);
    struct db_value args[CATEGORY_MAX];
    struct db_rows found;

    for (size_t i = 0; i < catalog->count; i++)
        args[i] = DBV_TEXT(((struct str){ code, CODE_LEN }));
    enum err err = db_query(request_db(req), &catalog->find_code, args, catalog->count, &found);
    if (err == OK && found.count == 0)
        err = E_NOT_FOUND;
    if (err != OK)
        return err;
    *ret_category = (size_t)db_int(&db_row(&found, 0)[0]);
    *ret_id = db_int(&db_row(&found, 0)[1]);
    return OK;
}

struct response certificate_get(struct request *req)
{
    char code[CODE_LEN];
    size_t category;
    int64_t id;
    struct db_rows rows;
    struct buf body;
    struct json j;

    if (code_parse(req->path_args[0], code) != OK)
        return app_not_found(req);
    enum err err = find_code(req, code, &category, &id);
    if (err == E_NOT_FOUND)
        return app_not_found(req);
    if (err != OK)
        return app_db_problem(req, err);
    const struct catalog_entry *e = &app_catalog(req)->entries[category];
    err = db_query(request_db(req), &e->by_id, DB_ARGS(DBV_INT(id)), &rows);
    if (err != OK)
        return app_db_problem(req, err);
    if (rows.count == 0)
        return app_not_found(req);
    body_init(req, &body, &j);
    row_json(&j, &(struct page_row){ e, db_row(&rows, 0) });
    return body_response(req, &body);
}
