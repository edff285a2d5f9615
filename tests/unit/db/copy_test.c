/* SPDX-License-Identifier: MIT */
/* Copies between two SQLite files; tests/faults has the servers, and the kills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "db/copy.h"

enum { ROWS = 2500, TABLES = 3 };

#define SCHEMA                                                                                                         \
    "CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY);"                                                     \
    "INSERT INTO schema_migrations VALUES (1);"                                                                        \
    "CREATE TABLE house (id INTEGER PRIMARY KEY, name TEXT, height REAL, plan BLOB) STRICT;"                           \
    "CREATE TABLE room (id INTEGER PRIMARY KEY, house_id INTEGER REFERENCES house(id), name TEXT UNIQUE) STRICT;"      \
    "CREATE TABLE wish (id INTEGER PRIMARY KEY) STRICT;"
#define STRICTER                                                                                                       \
    "CREATE TRIGGER short BEFORE INSERT ON room WHEN length(NEW.name) > 9 BEGIN SELECT RAISE(ABORT, 'long'); END;"
#define CHANGING                                                                                                       \
    "CREATE TRIGGER trims AFTER INSERT ON room BEGIN UPDATE room SET name = trim(name) WHERE id = NEW.id; END;"

static const struct copy_table tables[TABLES] = {
    { "house", "id, name, height, plan" },
    { "room", "id, house_id, name" },
    { "wish", "id" },
};

struct side {
    char path[96];
    sqlite3 *raw;
    struct db_conf conf;
    struct db *db;
};

static char folder[32];
static struct side from, to;
static struct arena arena;
static struct copy_job job;
static char error[COPY_ERROR_SIZE];
static struct copy_result results[TABLES];
static char refused[512];
static int64_t told_done, told_total;

/* ---- the two files ---- */

static void sql(const struct side *s, const char *text)
{
    char *said = NULL;

    if (sqlite3_exec(s->raw, text, NULL, NULL, &said) != SQLITE_OK)
        fail_msg("%s: %s", said, text);
}

static int64_t number(const struct side *s, const char *text)
{
    sqlite3_stmt *st;
    int64_t n;

    assert_int_equal(sqlite3_prepare_v2(s->raw, text, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void open_side(struct side *s, const char *name)
{
    snprintf(s->path, sizeof(s->path), "%s/%s.db", folder, name);
    assert_int_equal(sqlite3_open(s->path, &s->raw), SQLITE_OK);
    sqlite3_busy_timeout(s->raw, 5000);
    sql(s, "PRAGMA journal_mode = WAL;" SCHEMA);
    s->conf = (struct db_conf){
        .driver = "sqlite", .path = s->path, .pool_size = 1, .pool_timeout_s = 1, .busy_timeout_ms = 100
    };
    s->db = db_new(&s->conf);
    assert_non_null(s->db);
}

static void close_side(struct side *s)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char name[128];

    db_free(s->db);
    sqlite3_close(s->raw);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", s->path, suffixes[i]);
        unlink(name);
    }
}

static void on_progress(void *arg, enum copy_phase phase, int64_t done, int64_t total)
{
    (void)arg, (void)phase;
    assert_true(done <= total);
    told_done = done;
    told_total = total;
}

static void on_refused(void *arg, const char *table, int64_t key, const char *why)
{
    const size_t used = strlen(refused);

    (void)arg;
    snprintf(refused + used, sizeof(refused) - used, "%s %lld: %s\n", table, (long long)key, why);
}

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_NONE, LOG_TEXT, "test");
    snprintf(folder, sizeof(folder), "/tmp/sanad-copy-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    open_side(&from, "from");
    open_side(&to, "to");
    sql(&from, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
               " INSERT INTO house SELECT i, 'house ' || i, i / 8.0, randomblob(i % 40) FROM n;"
               "INSERT INTO room SELECT id * 3, id, 'r' || id FROM house");
    arena_init(&arena, 1024 * 1024);
    job = (struct copy_job){ from.db, to.db, tables, TABLES, &arena, { on_progress, on_refused, NULL } };
    refused[0] = error[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_side(&from);
    close_side(&to);
    arena_done(&arena);
    return rmdir(folder);
}

/* ---- runs ---- */

static enum err store(void)
{
    struct copy *c = NULL;
    enum err e = copy_open(&job, &c, error, sizeof(error));

    if (e == OK)
        e = copy_store(c, error, sizeof(error));
    copy_close(e == OK ? c : NULL);
    return e;
}

/* All of it; E_CONFLICT with an empty `error` when the sides differ. */
static enum err copy_all(void)
{
    struct copy *c = NULL;
    bool equal = false;
    enum err e = copy_open(&job, &c, error, sizeof(error));

    if (e != OK)
        return e;
    e = copy_store(c, error, sizeof(error));
    if (e == OK)
        e = copy_compare(c, results, &equal, error, sizeof(error));
    copy_close(c);
    return e == OK && !equal ? E_CONFLICT : e;
}

static bool unfinished(const struct side *s)
{
    bool yes = false;

    assert_int_equal(copy_is_unfinished(s->db, &yes), OK);
    return yes;
}

static void assert_copied(void)
{
    const enum err e = copy_all();

    if (e != OK)
        fail_msg("%s: %s", err_name(e), error);
    assert_false(unfinished(&to));
    for (size_t i = 0; i < TABLES; i++) {
        assert_true(results[i].equal);
        assert_int_equal(results[i].from.rows, results[i].to.rows);
        assert_memory_equal(results[i].from.hash, results[i].to.hash, COPY_HASH_BYTES);
    }
}

/* ---- tests ---- */

static void test_copy__every_value_as_it_is(void **state)
{
    char attach[160];
    (void)state;

    sql(&from, "INSERT INTO house VALUES (-5, '', -0.0, x''), (0, NULL, NULL, NULL),"
               " (9223372036854775807, 'nul' || char(0) || 'within 😀', 1e308, x'00ff00'),"
               " (9007199254740993, 'a\r\n\\''\"', 4.9e-324, zeroblob(70000)), (-9223372036854775807, '𝔄', 0.1, NULL)");
    assert_copied();
    assert_int_equal(results[0].to.rows, ROWS + 5);
    assert_int_equal(told_done, told_total);
    snprintf(attach, sizeof(attach), "ATTACH '%s' AS other", to.path);
    sql(&from, attach);
    assert_int_equal(number(&from, "SELECT count(*) FROM house JOIN other.house AS o USING (id) WHERE house.name IS "
                                   "o.name AND house.height IS o.height AND house.plan IS o.plan AND typeof(house.name)"
                                   " = typeof(o.name) AND typeof(house.plan) = typeof(o.plan)"),
                     ROWS + 5);
}

static void test_copy__texts_that_fill_many_statements(void **state)
{
    (void)state;
    sql(&from, "UPDATE house SET plan = zeroblob(100000 + id) WHERE id % 20 = 0; UPDATE house SET plan = "
               "randomblob(3000000) WHERE id = 1500");
    assert_copied();
}

static void test_copy__of_nothing(void **state)
{
    (void)state;
    sql(&from, "DELETE FROM room; DELETE FROM house");
    assert_copied();
    assert_int_equal(results[0].from.rows, 0);
}

static void test_open__rows_of_somebody_else_are_refused(void **state)
{
    (void)state;
    sql(&to, "INSERT INTO wish VALUES (1)");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_non_null(strstr(error, "wish: 1 rows"));
    assert_false(unfinished(&to));
    assert_int_equal(number(&to, "SELECT count(*) FROM house"), 0);
}

static void test_open__schemas_that_differ_are_refused(void **state)
{
    (void)state;
    sql(&to, "INSERT INTO schema_migrations VALUES (2)");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_non_null(strstr(error, "migrations"));
}

static void test_open__a_source_that_is_written_to_is_refused(void **state)
{
    (void)state;
    sql(&from, "BEGIN IMMEDIATE");
    assert_int_equal(copy_all(), E_BUSY);
    assert_non_null(strstr(error, "the source"));
    sql(&from, "ROLLBACK");
    assert_copied();
}

static void test_open__nobody_writes_to_the_source_meanwhile(void **state)
{
    struct copy *c = NULL;
    (void)state;

    assert_int_equal(copy_open(&job, &c, error, sizeof(error)), OK);
    sqlite3_busy_timeout(from.raw, 0);
    assert_int_equal(sqlite3_exec(from.raw, "DELETE FROM wish", NULL, NULL, NULL), SQLITE_BUSY);
    copy_close(c);
    sql(&from, "DELETE FROM wish");
}

static void test_store__goes_on_behind_what_is_there(void **state)
{
    (void)state;
    assert_int_equal(store(), OK);
    assert_true(unfinished(&to));
    sql(&to, "DELETE FROM room WHERE id > 3000");
    assert_copied();
    assert_int_equal(results[1].to.rows, ROWS);
}

static void test_store__takes_what_came_after(void **state)
{
    (void)state;
    assert_int_equal(store(), OK);
    sql(&from, "INSERT INTO house VALUES (5000, 'new', 1, NULL); INSERT INTO room VALUES (9000, 5000, 'new')");
    assert_copied();
    assert_int_equal(results[0].to.rows, ROWS + 1);
}

static void test_open__a_part_of_another_copy_is_refused(void **state)
{
    (void)state;
    assert_int_equal(store(), OK);
    sql(&from, "UPDATE room SET name = 'other' WHERE id = 7500");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_non_null(strstr(error, "row 7500 of room"));
    assert_true(unfinished(&to));
}

static void test_compare__names_the_first_row_that_differs(void **state)
{
    (void)state;
    assert_int_equal(store(), OK);
    sql(&from, "UPDATE house SET name = 'changed' WHERE id IN (1717, 2000); DELETE FROM room WHERE id = 30");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_false(results[0].equal);
    assert_int_equal(results[0].differs_at, 1717);
    assert_false(results[1].equal);
    assert_int_equal(results[1].differs_at, 30);
    assert_int_equal(results[1].from.rows + 1, results[1].to.rows);
    assert_true(results[2].equal);
    assert_true(unfinished(&to));
}

static void test_compare__nothing_is_neither_zero_nor_the_empty_text(void **state)
{
    (void)state;
    sql(&from, "UPDATE house SET name = '', height = 0.0, plan = x'' WHERE id IN (700, 800, 900)");
    assert_int_equal(store(), OK);
    sql(&from, "UPDATE house SET height = NULL WHERE id = 800");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_int_equal(results[0].differs_at, 800);
    sql(&from, "UPDATE house SET name = NULL WHERE id = 700");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_int_equal(results[0].differs_at, 700);
}

static void test_compare__a_row_too_many_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(store(), OK);
    sql(&from, "DELETE FROM room WHERE id = 7497");
    assert_int_equal(copy_all(), E_CONFLICT);
    assert_int_equal(results[1].differs_at, 7497);
    assert_true(results[0].equal);
}

static void test_store__refused_rows_are_all_told_and_nothing_of_them_is_stored(void **state)
{
    (void)state;
    sql(&to, STRICTER);
    sql(&from, "UPDATE room SET name = 'much too long ' || id WHERE id IN (3006, 3009, 7500)");
    assert_int_equal(copy_all(), E_INVALID);
    assert_string_equal(refused, "room 3006: long\nroom 3009: long\nroom 7500: long\n");
    assert_non_null(strstr(error, "3 rows of room"));
    assert_int_equal(number(&to, "SELECT max(id) FROM room"), 3000);
    refused[0] = '\0';
    sql(&from, "UPDATE room SET name = id WHERE id IN (3006, 3009, 7500)");
    assert_copied();
    assert_string_equal(refused, "");
}

static void test_store__a_row_that_would_change_is_refused(void **state)
{
    (void)state;
    sql(&to, CHANGING);
    sql(&from, "UPDATE room SET name = name || ' ' WHERE id IN (2997, 6000)");
    assert_int_equal(copy_all(), E_INVALID);
    assert_string_equal(refused, "room 2997: column name would not be stored as it is\n"
                                 "room 6000: column name would not be stored as it is\n");
    assert_int_equal(number(&to, "SELECT count(*) FROM room"), 0);
    assert_true(unfinished(&to));
}

static void test_store__stops_telling_when_there_is_no_end(void **state)
{
    int lines = 0;
    (void)state;

    sql(&to, STRICTER);
    sql(&from, "UPDATE room SET name = 'much too long ' || id");
    assert_int_equal(copy_all(), E_INVALID);
    assert_non_null(strstr(error, "at least"));
    for (const char *c = refused; *c; c++)
        lines += *c == '\n';
    assert_in_range(lines, 10, 20);
}

static void test_discard__leaves_a_new_database(void **state)
{
    (void)state;
    assert_int_equal(copy_discard(&job, error, sizeof(error)), OK); /* there is nothing to discard */
    assert_int_equal(number(&to, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 4);
    assert_int_equal(store(), OK);
    assert_int_equal(copy_discard(&job, error, sizeof(error)), OK);
    assert_int_equal(number(&to, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 0);
    sql(&to, SCHEMA);
    assert_copied();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_copy__every_value_as_it_is),
        TEST(test_copy__texts_that_fill_many_statements),
        TEST(test_copy__of_nothing),
        TEST(test_open__rows_of_somebody_else_are_refused),
        TEST(test_open__schemas_that_differ_are_refused),
        TEST(test_open__a_source_that_is_written_to_is_refused),
        TEST(test_open__nobody_writes_to_the_source_meanwhile),
        TEST(test_store__goes_on_behind_what_is_there),
        TEST(test_store__takes_what_came_after),
        TEST(test_open__a_part_of_another_copy_is_refused),
        TEST(test_compare__names_the_first_row_that_differs),
        TEST(test_compare__nothing_is_neither_zero_nor_the_empty_text),
        TEST(test_compare__a_row_too_many_at_the_end),
        TEST(test_store__refused_rows_are_all_told_and_nothing_of_them_is_stored),
        TEST(test_store__a_row_that_would_change_is_refused),
        TEST(test_store__stops_telling_when_there_is_no_end),
        TEST(test_discard__leaves_a_new_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
