/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/migrate.h"
#include "sqlite_fixture.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct migration three[] = {
    { 1, "first", "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);" },
    { 2, "second",
      "CREATE TABLE b (id INTEGER PRIMARY KEY);\n-- a comment; with a semicolon\nINSERT INTO a VALUES (2);" },
    { 3, "third", "INSERT INTO a VALUES (3)" },
};
static const struct db_statement rows_of_a = { "rows_of_a", "SELECT count(*) FROM a", DB_READ };
static const struct db_statement recorded = { "recorded", "SELECT count(*) FROM schema_migrations", DB_READ };

static char error[256];
static int applied;

static enum err up(const struct migration *list, size_t count)
{
    applied = 0;
    error[0] = '\0';
    return migrate_up(db, list, count, NULL, NULL, &applied, error, sizeof(error));
}

static int pending(const struct migration *list, size_t count)
{
    int n = -1;

    error[0] = '\0';
    return migrate_pending(db, list, count, &n, error, sizeof(error)) == OK ? n : -1;
}

static void remember(void *arg, const struct migration *m)
{
    int *sum = arg;

    *sum = *sum * 10 + m->number;
}

static void test_up__applies_each_once_in_order(void **state)
{
    int order = 0;
    (void)state;

    assert_int_equal(migrate_up(db, three, 3, remember, &order, &applied, error, sizeof(error)), OK);
    assert_int_equal(order, 123);
    assert_int_equal(applied, 3);
    assert_int_equal(up(three, 3), OK);
    assert_int_equal(applied, 0);
    assert_int_equal(number(&rows_of_a), 3);
    assert_int_equal(number(&recorded), 3);
}

static void test_up__goes_on_where_it_stood(void **state)
{
    (void)state;
    assert_int_equal(up(three, 1), OK);
    assert_int_equal(pending(three, 3), 2);
    assert_int_equal(up(three, 3), OK);
    assert_int_equal(applied, 2);
    assert_int_equal(number(&rows_of_a), 3);
}

static void test_up__failed_migration_leaves_nothing_of_itself(void **state)
{
    static const struct migration bad[] = {
        { 1, "first", "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);" },
        { 2, "half", "INSERT INTO a VALUES (2); INSERT INTO nowhere VALUES (1);" },
    };
    (void)state;

    assert_int_equal(up(bad, COUNT(bad)), E_DATABASE);
    assert_string_equal(error, "migration 2 (half) failed: no such table: nowhere");
    assert_int_equal(number(&rows_of_a), 1);
    assert_int_equal(number(&recorded), 1);
    assert_int_equal(up(three, 1), OK);
}

static void test_up__refuses_a_file_that_ends_its_transaction(void **state)
{
    static const struct migration sly[] = { { 1, "sly", "CREATE TABLE a (id INTEGER); COMMIT" } };
    (void)state;

    assert_int_equal(up(sly, 1), E_CONFLICT);
    assert_string_equal(error, "migration 1 (sly) ends the transaction it runs in");
}

static void test_up__refuses_a_changed_one(void **state)
{
    struct migration changed[3];
    (void)state;

    memcpy(changed, three, sizeof(three));
    changed[1].sql = "CREATE TABLE b (id INTEGER PRIMARY KEY)";
    assert_int_equal(up(three, 2), OK);
    assert_int_equal(up(changed, 3), E_CONFLICT);
    assert_string_equal(error, "migration 2 (second) was changed after it was applied");
    assert_int_equal(pending(changed, 3), -1);
    assert_int_equal(number(&recorded), 2);
}

static void test_up__refuses_a_database_of_a_newer_program(void **state)
{
    (void)state;
    assert_int_equal(up(three, 3), OK);
    assert_int_equal(up(three, 2), E_CONFLICT);
    assert_string_equal(error, "migration 3 (third) was applied to this database, but this program does not have it");
}

static void test_up__refuses_a_gap_in_the_numbers(void **state)
{
    static const struct migration gap[] = { { 1, "first", "SELECT 1" }, { 3, "third", "SELECT 1" } };
    (void)state;

    assert_int_equal(up(gap, 2), E_CONFLICT);
    assert_string_equal(error, "migration 2 is missing: the next file is 3 (third)");
}

static void test_up__refuses_a_gap_in_the_database(void **state)
{
    static const struct db_statement forget = { "forget", "DELETE FROM schema_migrations WHERE number = 2", DB_WRITE };
    struct db_rows rows;
    (void)state;

    assert_int_equal(up(three, 3), OK);
    assert_int_equal(query(&forget, DB_NO_ARGS, &rows), OK);
    assert_int_equal(up(three, 3), E_CONFLICT);
    assert_string_equal(error, "migration 2 (second) was not applied to this database, though a later one was");
}

static void test_up__says_why_a_database_cannot_be_opened(void **state)
{
    struct db_conf wrong = conf;
    struct db *none;
    (void)state;

    wrong.path = "/nonexistent/deep/x.db";
    none = db_new(&wrong);
    assert_int_equal(migrate_up(none, three, 3, NULL, NULL, &applied, error, sizeof(error)), E_UNAVAILABLE);
    assert_non_null(strstr(error, "/nonexistent/deep"));
    db_free(none);
}

static void test_pending__writes_nothing(void **state)
{
    static const struct db_statement tables = { "tables", "SELECT count(*) FROM sqlite_master", DB_READ };
    (void)state;

    assert_int_equal(pending(three, 3), 3);
    assert_int_equal(number(&tables), 0);
}

static void test_up__several_processes_migrate_once(void **state)
{
    enum { CHILDREN = 6 };
    pid_t pids[CHILDREN];
    int by_all = 0;
    (void)state;

    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            const enum err e = up(three, 3);

            db_free(db);
            _exit(e == OK ? applied : 100);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 100);
        by_all += WEXITSTATUS(status);
    }
    assert_int_equal(by_all, 3);
    assert_int_equal(number(&rows_of_a), 3);
}

static void test_migrations_of__embedded_files_apply_to_an_empty_database(void **state)
{
    size_t count = 0;
    const struct migration *list = migrations_of("sqlite", &count);
    enum err e;
    (void)state;

    assert_non_null(list);
    assert_true(count > 0);
    e = up(list, count);
    assert_string_equal(error, "");
    assert_int_equal(e, OK);
    assert_int_equal(applied, (int)count);
    assert_null(migrations_of("no such dialect", &count));
    assert_int_equal(count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_up__several_processes_migrate_once),
        T(test_up__applies_each_once_in_order),
        T(test_up__goes_on_where_it_stood),
        T(test_up__failed_migration_leaves_nothing_of_itself),
        T(test_up__refuses_a_file_that_ends_its_transaction),
        T(test_up__refuses_a_changed_one),
        T(test_up__refuses_a_database_of_a_newer_program),
        T(test_up__refuses_a_gap_in_the_numbers),
        T(test_up__refuses_a_gap_in_the_database),
        T(test_up__says_why_a_database_cannot_be_opened),
        T(test_pending__writes_nothing),
        T(test_migrations_of__embedded_files_apply_to_an_empty_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
