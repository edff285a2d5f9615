/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/entity.h"

static void assert_json(const struct field *fields, size_t count, const struct db_value *values, const char *expected)
{
    struct buf b;
    struct json j;

    buf_init(&b, 4096);
    json_init(&j, &b);
    json_object(&j);
    entity_members(&j, fields, count, values);
    json_object_end(&j);
    buf_byte(&b, '\0');
    assert_true(buf_ok(&b));
    assert_string_equal(b.ptr, expected);
    buf_done(&b);
}

static void test_entity_members__writes_each_kind_its_own_way(void **state)
{
    (void)state;
    static const struct field fields[] = {
        { .name = "text", .kind = FIELD_TEXT },     { .name = "date", .kind = FIELD_DATE },
        { .name = "time", .kind = FIELD_TIME },     { .name = "money", .kind = FIELD_MONEY },
        { .name = "int", .kind = FIELD_INT },       { .name = "bool", .kind = FIELD_BOOL },
        { .name = "enum", .kind = FIELD_ENUM },     { .name = "list", .kind = FIELD_LIST },
        { .name = "object", .kind = FIELD_OBJECT }, { .name = "image", .kind = FIELD_IMAGE },
        { .name = "ref", .kind = FIELD_REF },
    };
    const struct db_value values[] = {
        DBV_TEXT(STR("a\"b")),
        DBV_TEXT(STR("2026-01-31")),
        DBV_INT(1769860800000),
        DBV_INT(1234567890123),
        DBV_INT(-3),
        DBV_INT(1),
        DBV_TEXT(STR("upi")),
        DBV_TEXT(STR("[1,2]")),
        DBV_TEXT(STR("{\"a\":{}}")),
        DBV_TEXT(STR("p.jpg")),
        DBV_INT(9),
    };
    assert_int_equal(sizeof(fields) / sizeof(fields[0]), FIELD_KINDS);
    assert_json(
        fields, FIELD_KINDS, values,
        "{\"text\":\"a\\\"b\",\"date\":\"2026-01-31\",\"time\":\"2026-01-31T12:00:00Z\","
        "\"money\":1234567890123,\"int\":-3,\"bool\":true,\"enum\":\"upi\",\"list\":[1,2],\"object\":{\"a\":{}},"
        "\"image\":\"p.jpg\",\"ref\":9}");
}

static void test_entity_members__writes_null_for_every_kind(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < FIELD_KINDS; kind++) {
        const struct field field = { .name = "x", .kind = (enum field_kind)kind };
        assert_json(&field, 1, &DBV_NULL, "{\"x\":null}");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entity_members__writes_each_kind_its_own_way),
        cmocka_unit_test(test_entity_members__writes_null_for_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
