/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/indexes.h"
#include "sqlite_fixture.h"

/* The statements that make the indexes of one migration's text, a line each. */
static const char *made_by(const char *sql)
{
    static char lines[2048];
    const struct migration m = { 1, "test", sql };
    struct db_indexes found = { .count = 0 };
    size_t n = 0;

    lines[0] = '\0';
    assert_int_equal(indexes_of(&m, 1, &arena, &found), OK);
    for (size_t i = 0; i < found.count; i++)
        n += (size_t)snprintf(lines + n, sizeof(lines) - n, STR_FMT "\n", STR_ARG(found.rows[i].sql));
    return lines;
}

static void test_of__the_keys_of_a_table(void **state)
{
    (void)state;
    assert_string_equal(made_by("-- KEY no (this); is a comment\n"
                                "CREATE TABLE IF NOT EXISTS `a` (\n"
                                "    id BIGINT NOT NULL, -- KEY nor (that)\n"
                                "    kind VARCHAR(9) DEFAULT ('x, KEY no (z)') CHECK (kind IN ('a', 'b;')),\n"
                                "    PRIMARY KEY (id),\n"
                                "    UNIQUE KEY a_kind (kind),\n"
                                "    KEY `a_both` (id, kind(4) DESC),\n"
                                "    INDEX a_id (id),\n"
                                "    CONSTRAINT a_b FOREIGN KEY (id) REFERENCES b (id)\n"
                                ") ENGINE=InnoDB;\n"),
                        "CREATE UNIQUE INDEX a_kind ON a (kind);\n"
                        "CREATE INDEX a_both ON a (id, kind(4) DESC);\n"
                        "CREATE INDEX a_id ON a (id);\n");
}

static void test_of__indexes_by_themselves(void **state)
{
    (void)state;
    assert_string_equal(made_by("create index one on a(x, y DESC);"
                                "CREATE UNIQUE INDEX IF NOT EXISTS \"two\" ON a ( x ) WHERE y > 0;"
                                "INSERT INTO a VALUES ('CREATE INDEX no ON a (x);')"),
                        "CREATE INDEX one ON a (x, y DESC);\n"
                        "CREATE UNIQUE INDEX two ON a (x) WHERE y > 0;\n");
}

static void test_of__one_that_is_dropped_again(void **state)
{
    const char *make = "CREATE TABLE a (x INT, KEY one (x)); CREATE TABLE b (x INT, KEY one (x), KEY two (x));";
    char sql[256];
    (void)state;

    snprintf(sql, sizeof(sql), "%s DROP INDEX one ON b;", make);
    assert_string_equal(made_by(sql), "CREATE INDEX one ON a (x);\nCREATE INDEX two ON b (x);\n");
    snprintf(sql, sizeof(sql), "%s DROP INDEX IF EXISTS two", make);
    assert_string_equal(made_by(sql), "CREATE INDEX one ON a (x);\nCREATE INDEX one ON b (x);\n");
}

static void test_of__texts_that_end_early(void **state)
{
    static const char *const texts[] = { "",          "CREATE",           "CREATE INDEX", "CREATE TABLE a",
                                         "DROP",      "CREATE TABLE a (", "DROP INDEX",   "/ ' ",
                                         "-- and no", "CREATE TABLE `a",  "(((",          ")))" };
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        (void)made_by(texts[i]);
}

static void test_of__the_embedded_migrations(void **state)
{
    static const char *const dialects[] = { "sqlite", "mysql" };
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct db_indexes found = { .count = 0 };
        size_t count = 0;
        const struct migration *list = migrations_of(dialects[i], &count);

        assert_int_equal(indexes_of(list, count, &arena, &found), OK);
        assert_true(found.count >= 9);
    }
}

static void test_missing__names_those_that_were_dropped(void **state)
{
    static const struct db_statement drop = { "drop", "DROP INDEX idx_spa_city", DB_WRITE };
    struct db_scope scope = db_scope_of(db, &arena);
    struct db_indexes wanted, missing;
    struct db_rows rows;
    size_t count = 0;
    int applied = 0;
    char error[256];
    const struct migration *list = migrations_of("sqlite", &count);
    (void)state;

    assert_int_equal(migrate_up(db, list, count, NULL, NULL, &applied, error, sizeof(error)), OK);
    assert_int_equal(indexes_of(list, count, &arena, &wanted), OK);
    assert_int_equal(indexes_missing(&scope, &wanted, &missing), OK);
    assert_int_equal(missing.count, 0);
    assert_int_equal(query(&drop, DB_NO_ARGS, &rows), OK);
    assert_int_equal(indexes_missing(&scope, &wanted, &missing), OK);
    assert_int_equal(missing.count, 1);
    assert_true(str_eq(missing.rows[0].name, STR("idx_spa_city")));
    assert_true(str_eq(missing.rows[0].sql, STR("CREATE INDEX idx_spa_city ON spa (is_active, city, name);")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_of__the_keys_of_a_table),       TEST(test_of__indexes_by_themselves),
        TEST(test_of__one_that_is_dropped_again), TEST(test_of__texts_that_end_early),
        TEST(test_of__the_embedded_migrations),   TEST(test_missing__names_those_that_were_dropped),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
