/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/plan.h"
#include "sqlite_fixture.h"

static const struct db_statement make = { "make", "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)",
                                          DB_WRITE };
static const struct db_statement index_it = { "index", "CREATE INDEX idx_item_name ON item (name)", DB_WRITE };
static const struct db_statement by_name = { "by_name", "SELECT id FROM item WHERE name = ? ORDER BY size", DB_READ };
static const struct db_statement broken = { "broken", "SELECT nothing FROM nowhere", DB_READ };

static int setup(void **state)
{
    struct db_rows rows;

    return fixture_setup(state) == 0 && query(&make, DB_NO_ARGS, &rows) == OK &&
                   query(&index_it, DB_NO_ARGS, &rows) == OK
               ? 0
               : -1;
}

static struct db_conn *open_conn(void)
{
    char error[200];
    struct db_conn *c = NULL;

    assert_int_equal(db_sqlite.open(&conf, &c, error, sizeof(error)), OK);
    return c;
}

static void test_explain__names_the_index_and_no_value(void **state)
{
    struct db_conn *c = open_conn();
    struct str plan;
    (void)state;

    plan = plan_explain(c, &by_name, DB_ARGS(DBV_TEXT(STR("a secret"))), &arena);
    assert_true(str_eq(plan, STR("SEARCH item USING INDEX idx_item_name (name=?) | USE TEMP B-TREE FOR ORDER BY")));
    db_sqlite.close(c);
}

static void test_explain__says_nothing_when_the_database_does_not(void **state)
{
    struct db_conn *c = open_conn();
    (void)state;

    assert_int_equal(plan_explain(c, &broken, DB_NO_ARGS, &arena).len, 0);
    assert_int_equal(plan_explain(c, &by_name, DB_NO_ARGS, &arena).len, 0);
    assert_false(c->broken);
    assert_int_equal(c->driver->ping(c), OK);
    db_sqlite.close(c);
}

/* What a server answers, by the number of columns. */
static struct db_value answer[12];
static struct db_rows answers;

static enum err give_answers(struct db_conn *c, const struct db_statement *st, const struct db_value *args,
                             size_t count, struct arena *a, struct db_rows *ret_rows)
{
    (void)c, (void)st, (void)args, (void)count, (void)a;
    *ret_rows = answers;
    return OK;
}

static struct str explain_answers(void)
{
    static const struct db_driver server = { .explain = "EXPLAIN", .run_once = give_answers };
    struct db_conn c = { .driver = &server };

    return plan_explain(&c, &by_name, DB_NO_ARGS, &arena);
}

static void test_explain__reads_mariadb(void **state)
{
    (void)state;
    answers = (struct db_rows){ .count = 1, .columns = 10, .values = answer };
    memset(answer, 0, sizeof(answer));
    answer[2] = DBV_TEXT(STR("item"));
    answer[3] = DBV_TEXT(STR("ref"));
    answer[5] = DBV_TEXT(STR("idx_item_name"));
    answer[8] = DBV_TEXT(STR("12"));
    answer[9] = DBV_TEXT(STR("Using filesort"));
    assert_true(str_eq(explain_answers(), STR("item type=ref key=idx_item_name rows=12 Using filesort")));
}

static void test_explain__reads_mysql(void **state)
{
    (void)state;
    answers = (struct db_rows){ .count = 1, .columns = 12, .values = answer };
    memset(answer, 0, sizeof(answer));
    answer[2] = DBV_TEXT(STR("item"));
    answer[4] = DBV_TEXT(STR("ALL"));
    answer[9] = DBV_INT(2000);
    assert_true(str_eq(explain_answers(), STR("item type=ALL rows=2000")));
}

static void test_explain__leaves_out_what_is_too_long_or_unknown(void **state)
{
    static struct db_value many[1000 * 4];
    (void)state;

    for (size_t i = 0; i < 1000; i++)
        many[i * 4 + 3] = DBV_TEXT(STR("SCAN item"));
    answers = (struct db_rows){ .count = 1000, .columns = 4, .values = many };
    assert_in_range(explain_answers().len, PLAN_MAX_BYTES / 2, PLAN_MAX_BYTES);
    answers.columns = 3;
    assert_int_equal(explain_answers().len, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_explain__names_the_index_and_no_value),
        T(test_explain__says_nothing_when_the_database_does_not),
        T(test_explain__reads_mariadb),
        T(test_explain__reads_mysql),
        T(test_explain__leaves_out_what_is_too_long_or_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
