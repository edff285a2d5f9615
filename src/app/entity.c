/* SPDX-License-Identifier: MIT */
/* Rows to JSON: one small writer a kind of field, in a table. */
#include "app/entity.h"

#include "base/clock.h"

static void put_text(struct json *j, const struct db_value *v) { json_str(j, db_text(v)); }
static void put_int(struct json *j, const struct db_value *v) { json_int(j, db_int(v)); }
static void put_bool(struct json *j, const struct db_value *v) { json_bool(j, db_int(v) != 0); }
static void put_json(struct json *j, const struct db_value *v) { json_raw(j, db_text(v)); }

static void put_time(struct json *j, const struct db_value *v)
{
    char text[ISO_TIME_SIZE];
    size_t len = clock_iso(db_int(v), text);
    json_str(j, (struct str){ text, len });
}

typedef void put_fn(struct json *j, const struct db_value *v);

/* clang-format off */
static put_fn *const put[FIELD_KINDS] = {
    [FIELD_TEXT]  = put_text, [FIELD_DATE]   = put_text, [FIELD_TIME]  = put_time, [FIELD_MONEY] = put_int,
    [FIELD_INT]   = put_int,  [FIELD_BOOL]   = put_bool, [FIELD_ENUM]  = put_text, [FIELD_LIST]  = put_json,
    [FIELD_IMAGE] = put_text, [FIELD_OBJECT] = put_json, [FIELD_REF]   = put_int,
};
/* clang-format on */

void entity_members(struct json *j, const struct field *fields, size_t count, const struct db_value *values)
{
    for (size_t i = 0; i < count; i++) {
        json_key(j, str_of(fields[i].name));
        if (values[i].kind == DB_NULL)
            json_null(j);
        else
            put[fields[i].kind](j, &values[i]);
    }
}
