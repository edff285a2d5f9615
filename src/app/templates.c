/* SPDX-License-Identifier: MIT */
/* Reading certificate templates: those that are public and active. */
#include "app/app.h"

enum { ARG_CATEGORY, ARG_VARIANT };

/* clang-format off */
/* X(column, kind), in the order of the SELECT, after the id */
#define TEMPLATE_COLUMNS(X)               \
    X(name,             FIELD_TEXT)       \
    X(banner_image,     FIELD_IMAGE)      \
    X(category,         FIELD_TEXT)       \
    X(template_type,    FIELD_TEXT)       \
    X(template_variant, FIELD_TEXT)       \
    X(template_html,    FIELD_TEXT)       \
    X(template_config,  FIELD_OBJECT)     \
    X(created_by,       FIELD_REF)        \
    X(is_active,        FIELD_BOOL)       \
    X(is_public,        FIELD_BOOL)       \
    X(created_at,       FIELD_TIME)

enum template_column {
    TEMPLATE_ID,
#define X(column, kind) TEMPLATE_##column,
    TEMPLATE_COLUMNS(X)
#undef X
    TEMPLATE_COLUMN_COUNT
};

static const struct field columns[TEMPLATE_COLUMN_COUNT] = {
    { .name = "id", .kind = FIELD_INT },
#define X(column, of_kind) { .name = #column, .kind = of_kind },
    TEMPLATE_COLUMNS(X)
#undef X
};
/* clang-format on */

#define X(column, kind) ", " #column
#define SELECT_PUBLIC                                                                                                  \
    "SELECT id" TEMPLATE_COLUMNS(X) " FROM certificate_templates WHERE is_public = 1 AND is_active = 1"

/* Nobody has so many templates; a list has an end all the same. */
#define AT_MOST " LIMIT 1000"

static const struct db_statement templates_all = {
    "templates_all",
    SELECT_PUBLIC " ORDER BY category, id" AT_MOST,
    DB_READ,
};
static const struct db_statement templates_of_category = {
    "templates_of_category",
    SELECT_PUBLIC " AND category = ? ORDER BY id" AT_MOST,
    DB_READ,
};
static const struct db_statement templates_of_variant = {
    "templates_of_variant",
    SELECT_PUBLIC " AND template_variant = ? ORDER BY category, id" AT_MOST,
    DB_READ,
};
static const struct db_statement templates_of_both = {
    "templates_of_both",
    SELECT_PUBLIC " AND category = ? AND template_variant = ? ORDER BY id" AT_MOST,
    DB_READ,
};
static const struct db_statement templates_by_variant = {
    "templates_by_variant",
    SELECT_PUBLIC " AND category = ? ORDER BY template_variant, id" AT_MOST,
    DB_READ,
};
static const struct db_statement template_by_id = {
    "template_by_id",
    SELECT_PUBLIC " AND id = ?",
    DB_READ,
};
#undef X

const struct db_statement *const template_statements[] = {
    &templates_all,
    &templates_of_category,
    &templates_of_variant,
    &templates_of_both,
    &templates_by_variant,
    &template_by_id,
    NULL,
};

/* By which of the two is asked for: category | variant << 1. */
static const struct db_statement *const lists[] = {
    &templates_all,
    &templates_of_category,
    &templates_of_variant,
    &templates_of_both,
};

static void template_json(struct json *j, const struct db_value *row)
{
    json_object(j);
    entity_members(j, columns, TEMPLATE_COLUMN_COUNT, row);
    json_object_end(j);
}

struct response template_list(struct request *req)
{
    const struct arg *category = &req->args[ARG_CATEGORY];
    const struct arg *variant = &req->args[ARG_VARIANT];
    struct db_value args[2];
    size_t count = 0;
    struct db_rows rows;
    struct buf body;
    struct json j;

    if (category->given)
        args[count++] = DBV_TEXT(category->s);
    if (variant->given)
        args[count++] = DBV_TEXT(variant->s);
    const struct db_statement *st = lists[(unsigned)category->given | (unsigned)variant->given << 1];
    enum err err = db_query(request_db(req), st, count > 0 ? args : NULL, count, &rows);
    if (err != OK)
        return app_db_problem(req, err);
    body_init(req, &body, &j);
    json_array(&j);
    for (size_t i = 0; i < rows.count; i++)
        template_json(&j, db_row(&rows, i));
    json_array_end(&j);
    return body_response(req, &body);
}

struct response template_get(struct request *req)
{
    int64_t id;
    struct db_rows rows;
    struct buf body;
    struct json j;

    if (str_to_int(req->path_args[0], 1, INT64_MAX, &id) != OK)
        return app_not_found(req);
    enum err err = db_query(request_db(req), &template_by_id, DB_ARGS(DBV_INT(id)), &rows);
    if (err != OK)
        return app_db_problem(req, err);
    if (rows.count == 0)
        return app_not_found(req);
    body_init(req, &body, &j);
    template_json(&j, db_row(&rows, 0));
    return body_response(req, &body);
}

/* {"classic": [...], "modern": [...]}; rows come ordered by variant. */
static void variants_json(struct json *j, const struct db_rows *rows)
{
    json_object(j);
    for (size_t i = 0; i < rows->count; i++) {
        const struct str variant = db_text(&db_row(rows, i)[TEMPLATE_template_variant]);
        const bool another = i == 0 || !str_eq(variant, db_text(&db_row(rows, i - 1)[TEMPLATE_template_variant]));
        if (another && i > 0)
            json_array_end(j);
        if (another) {
            json_key(j, variant);
            json_array(j);
        }
        template_json(j, db_row(rows, i));
    }
    if (rows->count > 0)
        json_array_end(j);
    json_object_end(j);
}

static struct response no_such_category(struct request *req)
{
    enum { NAMES_MAX_BYTES = 2048 };
    struct buf names;

    buf_init_arena(&names, &req->arena, NAMES_MAX_BYTES);
    for (size_t i = 0; i < category_count; i++)
        buf_printf(&names, "%s%s", i == 0 ? "" : ", ", categories[i].id);
    return problem(req, err_http_status(E_NOT_FOUND), "There is no such category; there are: " STR_FMT ".",
                   STR_ARG(buf_view(&names)));
}

struct response template_by_category(struct request *req)
{
    const struct category *c = category_find(req->path_args[0]);
    struct db_rows rows;
    struct buf body;
    struct json j;

    if (!c)
        return no_such_category(req);
    enum err err = db_query(request_db(req), &templates_by_variant, DB_ARGS(DBV_TEXT(str_of(c->id))), &rows);
    if (err != OK)
        return app_db_problem(req, err);
    body_init(req, &body, &j);
    json_object(&j);
    json_member_str(&j, "category", str_of(c->id));
    json_member_str(&j, "title", str_of(c->title));
    json_key(&j, STR("variants"));
    variants_json(&j, &rows);
    json_object_end(&j);
    return body_response(req, &body);
}
