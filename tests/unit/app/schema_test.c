/* SPDX-License-Identifier: MIT */
/* The table of tables against what the migrations make: a new table or column
 * that it forgets would be left behind by `sanad copy`. That both dialects make
 * the same is tests/faults/test_10_schema.py's. */
#include "harness.h"

#include "app/schema.h"

enum { LIST_SIZE = 2048 };

static void list(const char *sql, const char *arg, char out[static LIST_SIZE])
{
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_prepare_v2(harness.raw, sql, -1, &st, NULL), SQLITE_OK);
    if (arg)
        sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    snprintf(out, LIST_SIZE, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
}

static void test_tables__are_those_of_the_migrations_in_their_order(void **state)
{
    char made[LIST_SIZE], listed[LIST_SIZE] = "";
    (void)state;

    list("SELECT group_concat(name, ', ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> "
         "'schema_migrations' AND name NOT LIKE 'sqlite_%' ORDER BY rowid)",
         NULL, made);
    for (size_t i = 0; i < schema_table_count; i++) {
        const size_t used = strlen(listed);
        snprintf(listed + used, sizeof(listed) - used, "%s%s", i > 0 ? ", " : "", schema_tables[i].name);
    }
    assert_string_equal(listed, made);
}

static void test_columns__are_all_of_each_table(void **state)
{
    char made[LIST_SIZE], listed[LIST_SIZE];
    (void)state;

    for (size_t i = 0; i < schema_table_count; i++) {
        list("SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(?) ORDER BY name)",
             schema_tables[i].name, made);
        list("SELECT group_concat(trim(value), ', ') FROM (SELECT value FROM json_each('[\"' || replace(?, ', ', "
             "'\",\"') || '\"]') ORDER BY value)",
             schema_tables[i].columns, listed);
        assert_string_equal(listed, made);
    }
}

static void test_columns__the_first_is_the_key(void **state)
{
    char key[LIST_SIZE];
    (void)state;

    for (size_t i = 0; i < schema_table_count; i++) {
        list("SELECT group_concat(name || ' ' || type) FROM pragma_table_info(?) WHERE pk > 0", schema_tables[i].name,
             key);
        assert_string_equal(key, "id INTEGER");
        assert_memory_equal(schema_tables[i].columns, "id, ", 4);
    }
}

static int position_of(const char *table)
{
    for (size_t i = 0; i < schema_table_count; i++) {
        if (strcmp(schema_tables[i].name, table) == 0)
            return (int)i;
    }
    fail_msg("no table %s", table);
    return -1;
}

static void test_tables__stand_behind_what_they_refer_to(void **state)
{
    sqlite3_stmt *st;
    (void)state;

    for (size_t i = 0; i < schema_table_count; i++) {
        assert_int_equal(
            sqlite3_prepare_v2(harness.raw, "SELECT \"table\" FROM pragma_foreign_key_list(?)", -1, &st, NULL),
            SQLITE_OK);
        sqlite3_bind_text(st, 1, schema_tables[i].name, -1, SQLITE_STATIC);
        while (sqlite3_step(st) == SQLITE_ROW)
            assert_true(position_of((const char *)sqlite3_column_text(st, 0)) < (int)i);
        sqlite3_finalize(st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables__are_those_of_the_migrations_in_their_order),
        cmocka_unit_test(test_columns__are_all_of_each_table),
        cmocka_unit_test(test_columns__the_first_is_the_key),
        cmocka_unit_test(test_tables__stand_behind_what_they_refer_to),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
