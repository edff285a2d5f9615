/* SPDX-License-Identifier: MIT */
/* The branches, as anybody may see them: no tax number, no internal note. */
#include "app/app.h"

enum { ARG_SKIP, ARG_LIMIT, ARG_CITY };

/* clang-format off */
/* X(column), in the order of the SELECT, after the id */
#define SPA_COLUMNS(X)                                                      \
    X(code) X(name) X(address) X(area) X(city) X(state) X(country)          \
    X(pincode) X(phone_number) X(email) X(website) X(logo)

static const struct field columns[] = {
    { .name = "id", .kind = FIELD_INT },
#define X(column) { .name = #column, .kind = FIELD_TEXT },
    SPA_COLUMNS(X)
#undef X
};
/* clang-format on */
enum { COLUMN_COUNT = sizeof(columns) / sizeof(columns[0]) };

#define X(column)     ", " #column
#define SELECT_ACTIVE "SELECT id" SPA_COLUMNS(X) " FROM spa WHERE is_active = 1"
#define PAGE          " ORDER BY name, id LIMIT ? OFFSET ?"

static const struct db_statement spas_active = { "spas_active", SELECT_ACTIVE PAGE, DB_READ };
static const struct db_statement spas_in_city = { "spas_in_city", SELECT_ACTIVE " AND city = ?" PAGE, DB_READ };
#undef X

const struct db_statement *const spa_statements[] = { &spas_active, &spas_in_city, NULL };

static void link_to_next(struct request *req, struct response *res, int64_t skip)
{
    const struct link_param params[] = {
        { "city", req->args[ARG_CITY].given ? req->args[ARG_CITY].s : STR_EMPTY },
        { "skip", arena_printf(&req->arena, "%lld", (long long)skip) },
        { "limit", arena_printf(&req->arena, "%lld", (long long)req->args[ARG_LIMIT].i) },
    };
    link_next(req, res, params, sizeof(params) / sizeof(params[0]));
}

/* One row more than wanted tells whether there is a next page. */
static enum err read_page(struct request *req, struct db_rows *ret_rows)
{
    const struct arg *city = &req->args[ARG_CITY];
    const struct db_value limit = DBV_INT(req->args[ARG_LIMIT].i + 1);
    const struct db_value skip = DBV_INT(req->args[ARG_SKIP].i);

    if (city->given)
        return db_query(request_db(req), &spas_in_city, DB_ARGS(DBV_TEXT(city->s), limit, skip), ret_rows);
    return db_query(request_db(req), &spas_active, DB_ARGS(limit, skip), ret_rows);
}

struct response spa_list(struct request *req)
{
    const size_t limit = (size_t)req->args[ARG_LIMIT].i;
    struct db_rows rows;
    struct buf body;
    struct json j;

    enum err err = read_page(req, &rows);
    if (err != OK)
        return app_db_problem(req, err);
    body_init(req, &body, &j);
    json_array(&j);
    for (size_t i = 0; i < rows.count && i < limit; i++) {
        json_object(&j);
        entity_members(&j, columns, COLUMN_COUNT, db_row(&rows, i));
        json_object_end(&j);
    }
    json_array_end(&j);
    struct response res = body_response(req, &body);
    if (rows.count > limit && res.status == 200)
        link_to_next(req, &res, req->args[ARG_SKIP].i + req->args[ARG_LIMIT].i);
    return res;
}
