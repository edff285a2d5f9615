/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sqlite_fixture.h"

static const struct db_statement make_item = {
    "make_item",
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL CHECK (size < 100), data BLOB)", DB_WRITE
};
static const struct db_statement make_part = {
    "make_part", "CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL REFERENCES item(id))", DB_WRITE
};
static const struct db_statement add = { "add", "INSERT INTO item (id, name, size, data) VALUES (?, ?, ?, ?)",
                                         DB_WRITE };
static const struct db_statement add_part = { "add_part", "INSERT INTO part (item_id) VALUES (?)", DB_WRITE };
static const struct db_statement by_id = { "by_id", "SELECT id, name, size, data FROM item WHERE id = ?", DB_READ };
static const struct db_statement touch = { "touch", "UPDATE item SET size = 1", DB_WRITE };
static const struct db_statement count_up = {
    "count_up",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i, 'row ' || i FROM n",
    DB_READ_LONG
};

static int setup(void **state)
{
    struct db_rows rows;

    return fixture_setup(state) == 0 && query(&make_item, DB_NO_ARGS, &rows) == OK &&
                   query(&make_part, DB_NO_ARGS, &rows) == OK
               ? 0
               : -1;
}

static enum err add_item(int64_t id, const char *name, double size)
{
    struct db_rows rows;

    return query(&add, DB_ARGS(DBV_INT(id), DBV_TEXT(str_of(name)), DBV_REAL(size), DBV_NULL), &rows);
}

static void test_run__round_trips_every_kind(void **state)
{
    const struct str text = STR("na\xc3\xafve \0 text"), blob = { "\0\1\2", 3 };
    struct db_rows rows;
    (void)state;

    assert_int_equal(query(&add, DB_ARGS(DBV_INT(INT64_MIN), DBV_TEXT(text), DBV_REAL(0.1), DBV_BLOB(blob)), &rows),
                     OK);
    assert_int_equal(rows.changes, 1);
    assert_int_equal(rows.insert_id, INT64_MIN);
    for (int i = 0; i < 2; i++) { /* compiled on a thread, then run where it is called */
        const struct db_value *row;

        assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(INT64_MIN)), &rows), OK);
        assert_int_equal(rows.count, 1);
        assert_int_equal(rows.columns, 4);
        row = db_row(&rows, 0);
        assert_int_equal(db_int(&row[0]), INT64_MIN);
        assert_true(str_eq(db_text(&row[1]), text));
        assert_true(row[2].kind == DB_REAL && row[2].d == 0.1);
        assert_true(row[3].kind == DB_BLOB && str_eq(row[3].s, blob));
    }
}

static void test_run__empty_text_is_not_null(void **state)
{
    struct db_rows rows;
    (void)state;

    assert_int_equal(
        query(&add, DB_ARGS(DBV_INT(1), DBV_TEXT(((struct str){ NULL, 0 })), DBV_NULL, DBV_BLOB(STR_EMPTY)), &rows),
        OK);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), OK);
    assert_int_equal(rows.values[1].kind, DB_TEXT);
    assert_int_equal(rows.values[1].s.len, 0);
    assert_int_equal(rows.values[2].kind, DB_NULL);
    assert_int_equal(rows.values[3].kind, DB_BLOB);
}

static void test_run__names_errors(void **state)
{
    struct db_rows rows;
    (void)state;

    assert_int_equal(add_item(1, "one", 1), OK);
    assert_int_equal(add_item(1, "other", 1), E_CONFLICT); /* primary key */
    assert_int_equal(add_item(2, "one", 1), E_CONFLICT);   /* unique      */
    assert_int_equal(add_item(2, "two", 100), E_INVALID);  /* check       */
    assert_int_equal(query(&add_part, DB_ARGS(DBV_INT(99)), &rows), E_CONFLICT);
    assert_int_equal(query(&add_part, DB_ARGS(DBV_NULL), &rows), E_INVALID);
    assert_int_equal(query(&add_part, DB_NO_ARGS, &rows), E_INTERNAL);
    assert_int_equal(counter(M_POOL_INVALID), 0);
}

static void test_run__refuses_a_read_that_writes_and_a_text_that_is_wrong(void **state)
{
    static const struct db_statement liar = { "liar", "DELETE FROM item", DB_READ };
    static const struct db_statement wrong = { "wrong", "SELEKT 1", DB_READ };
    static const struct db_statement quoted = { "quoted", "SELECT \"no such column\"", DB_READ };
    struct db_rows rows;
    (void)state;

    assert_int_equal(add_item(1, "one", 1), OK);
    assert_int_equal(query(&liar, DB_NO_ARGS, &rows), E_INTERNAL);
    assert_int_equal(query(&wrong, DB_NO_ARGS, &rows), E_DATABASE);
    assert_int_equal(query(&quoted, DB_NO_ARGS, &rows), E_DATABASE);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), OK);
    assert_int_equal(rows.count, 1);
}

static void test_run__holds_many_rows_up_to_a_bound(void **state)
{
    struct db_rows rows;
    (void)state;

    assert_int_equal(query(&count_up, DB_ARGS(DBV_INT(5000)), &rows), OK);
    assert_int_equal(rows.count, 5000);
    for (size_t i = 0; i < rows.count; i++)
        assert_int_equal(db_int(&db_row(&rows, i)[0]), (int64_t)i + 1);
    assert_true(str_eq(db_text(&db_row(&rows, 4999)[1]), STR("row 5000")));
    assert_int_equal(query(&count_up, DB_ARGS(DBV_INT(100001)), &rows), E_TOO_LARGE);
}

static void test_run__full_arena_is_an_error(void **state)
{
    struct arena small;
    struct db_scope scope = db_scope_of(db, &small);
    struct db_rows rows;
    (void)state;

    arena_init(&small, 64 * 1024);
    assert_int_equal(db_query(&scope, &count_up, DB_ARGS(DBV_INT(50000)), &rows), E_NO_MEMORY);
    arena_done(&small);
}

static void test_run__many_statements_keep_apart(void **state)
{
    enum { N = 300 };
    static struct db_statement st[N];
    static char sql[N][32];
    (void)state;

    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++) {
            snprintf(sql[i], sizeof(sql[i]), "SELECT %d", i);
            st[i] = (struct db_statement){ "n", sql[i], DB_READ };
            assert_int_equal(number(&st[i]), i);
        }
}

/* A reader on the loop is not held up by a writer, nor the other way round. */
static void test_run__reads_while_another_writes(void **state)
{
    struct db_scope writer = db_scope_of(db, &arena);
    struct db_rows rows;
    (void)state;

    assert_int_equal(add_item(1, "one", 5), OK);
    assert_int_equal(db_begin(&writer), OK);
    assert_int_equal(db_query(&writer, &touch, DB_NO_ARGS, &rows), OK);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), OK);
    assert_true(rows.values[2].d == 5);
    assert_int_equal(db_commit(&writer), OK);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), OK);
    assert_true(rows.values[2].d == 1);
}

static void test_run__another_process_with_the_lock_is_busy_in_the_end(void **state)
{
    struct db_conf impatient = conf;
    struct db_scope writer = db_scope_of(db, &arena), late;
    struct db *other;
    struct db_rows rows;
    (void)state;

    impatient.busy_timeout_ms = 20;
    other = db_new(&impatient);
    late = db_scope_of(other, &arena);
    assert_int_equal(db_begin(&writer), OK);
    assert_int_equal(db_query(&late, &touch, DB_NO_ARGS, &rows), E_BUSY);
    db_rollback(&writer);
    assert_int_equal(db_query(&late, &touch, DB_NO_ARGS, &rows), OK);
    db_free(other);
}

static void test_run__full_disk_undoes_the_transaction(void **state)
{
    static const struct db_statement shrink = { "shrink", "PRAGMA max_page_count = 10", DB_WRITE };
    static const struct db_statement fill = { "fill", "INSERT INTO item (data) VALUES (zeroblob(100000))", DB_WRITE };
    static const struct db_statement items = { "items", "SELECT count(*) FROM item", DB_READ };
    struct db_scope scope = db_scope_of(db, &arena);
    struct db_rows rows;
    (void)state;

    conf.pool_size = 1;
    conf.max_overflow = 0;
    assert_int_equal(db_begin(&scope), OK);
    assert_int_equal(db_query(&scope, &shrink, DB_NO_ARGS, &rows), OK);
    assert_int_equal(db_query(&scope, &fill, DB_NO_ARGS, &rows), E_DISK_FULL);
    if (!scope.held->conn->in_transaction)
        assert_int_equal(db_query(&scope, &touch, DB_NO_ARGS, &rows), E_DATABASE);
    db_rollback(&scope);
    assert_int_equal(number(&items), 0);
}

static void test_open__configures_the_connection(void **state)
{
    static const struct {
        struct db_statement st;
        int64_t value;
    } wanted[] = {
        { { "a", "PRAGMA synchronous", DB_READ }, 1 },
        { { "b", "PRAGMA foreign_keys", DB_READ }, 1 },
        { { "c", "PRAGMA temp_store", DB_READ }, 2 },
    };
    static const struct db_statement journal = { "j", "PRAGMA journal_mode", DB_READ_LONG };
    struct db_rows rows;
    struct stat st;
    (void)state;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        assert_int_equal(number(&wanted[i].st), wanted[i].value);
    if (query(&journal, DB_NO_ARGS, &rows) == OK)
        assert_true(str_eq(db_text(&rows.values[0]), STR("wal")));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_open__says_why_not(void **state)
{
    char bad[160], text[200];
    struct db_conf wrong = conf;
    struct db *none;
    FILE *f;
    (void)state;

    wrong.path = "/nonexistent/deep/er/x.db";
    none = db_new(&wrong);
    assert_int_equal(db_ping(none), E_UNAVAILABLE);
    assert_non_null(strstr(db_last_error(none), "/nonexistent/deep/er does not exist"));
    db_free(none);

    snprintf(bad, sizeof(bad), "%s/letter.txt", folder);
    f = fopen(bad, "w");
    for (int i = 0; i < 200; i++)
        fputs("Dear reader, this is not a database. ", f);
    fclose(f);
    wrong.path = bad;
    none = db_new(&wrong);
    assert_int_equal(db_ping(none), E_UNAVAILABLE);
    snprintf(text, sizeof(text), "%s is not an SQLite database", bad);
    assert_string_equal(db_last_error(none), text);
    db_free(none);
    unlink(bad);
}

static void test_open__makes_the_folder(void **state)
{
    char deep[160], inner[160];
    struct db_conf fresh = conf;
    struct db *d;
    (void)state;

    snprintf(inner, sizeof(inner), "%s/data", folder);
    snprintf(deep, sizeof(deep), "%s/data/x.db", folder);
    fresh.path = deep;
    d = db_new(&fresh);
    assert_int_equal(db_ping(d), OK);
    db_free(d);
    unlink(deep);
    assert_int_equal(rmdir(inner), 0);
}

/* ---- in coroutines: on the loop and on threads at once ------------------------- */

struct reader {
    struct arena arena;
    int64_t id;
    int good;
};
static void read_often(void *arg)
{
    struct reader *r = arg;

    arena_init(&r->arena, 1024 * 1024);
    for (int i = 0; i < 50; i++) {
        struct db_scope scope = db_scope_of(db, &r->arena);
        struct db_rows rows;

        if (db_query(&scope, &by_id, DB_ARGS(DBV_INT(r->id)), &rows) == OK && rows.count == 1 &&
            db_int(&rows.values[0]) == r->id)
            r->good++;
        if (i % 10 == 0 && db_query(&scope, &count_up, DB_ARGS(DBV_INT(100)), &rows) != OK)
            r->good = -1000;
        if (scope.queries < 1 || scope.held)
            r->good = -1000;
        arena_reset(&r->arena);
    }
    arena_done(&r->arena);
}

static void test_run__serves_many_coroutines(void **state)
{
    struct reader r[100] = { { .id = 0 } };
    (void)state;

    for (int i = 0; i < 100; i++) {
        char name[32];

        snprintf(name, sizeof(name), "item %d", i);
        assert_int_equal(add_item(i + 1, name, 1), OK);
    }
    for (int i = 0; i < 100; i++) {
        r[i].id = i + 1;
        go(read_often, &r[i]);
    }
    run_loop();
    for (int i = 0; i < 100; i++)
        assert_int_equal(r[i].good, 50);
}

/* ---- a file that somebody takes away --------------------------------------------- */

static void take_away(char to[static 160])
{
    snprintf(to, 160, "%s.away", path);
    assert_int_equal(rename(path, to), 0);
}

static void test_run__does_not_write_to_a_file_that_was_moved(void **state)
{
    const uint64_t thrown_away = counter(M_POOL_INVALID);
    char away[160];
    (void)state;

    assert_int_equal(add_item(1, "before", 1), OK);
    take_away(away);
    assert_int_equal(add_item(2, "lost", 1), E_UNAVAILABLE);
    assert_true(counter(M_POOL_INVALID) > thrown_away);
    assert_int_equal(rename(away, path), 0);
}

static void test_run__follows_a_file_that_was_replaced(void **state)
{
    struct db_rows rows;
    char away[160], command[400];
    (void)state;

    assert_int_equal(add_item(1, "old", 1), OK);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), OK);
    take_away(away);
    snprintf(command, sizeof(command), "cp %s %s", away, path); /* as from a backup, in the same folder */
    assert_int_equal(system(command), 0);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), E_UNAVAILABLE);
    assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), OK);
    assert_int_equal(add_item(2, "new", 1), OK);
    assert_int_equal(unlink(away), 0);
}

static void test_open__does_not_make_again_what_is_gone(void **state)
{
    struct db_rows rows;
    char away[160];
    (void)state;

    assert_int_equal(add_item(1, "only", 1), OK);
    take_away(away);
    for (int i = 0; i < 3; i++)
        assert_int_equal(query(&by_id, DB_ARGS(DBV_INT(1)), &rows), E_UNAVAILABLE);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rename(away, path), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_run__names_errors),
        T(test_run__round_trips_every_kind),
        T(test_run__empty_text_is_not_null),
        T(test_run__refuses_a_read_that_writes_and_a_text_that_is_wrong),
        T(test_run__holds_many_rows_up_to_a_bound),
        T(test_run__full_arena_is_an_error),
        T(test_run__many_statements_keep_apart),
        T(test_run__reads_while_another_writes),
        T(test_run__another_process_with_the_lock_is_busy_in_the_end),
        T(test_run__full_disk_undoes_the_transaction),
        T(test_open__configures_the_connection),
        T(test_open__says_why_not),
        T(test_open__makes_the_folder),
        T(test_open__does_not_make_again_what_is_gone),
        T(test_run__does_not_write_to_a_file_that_was_moved),
        T(test_run__follows_a_file_that_was_replaced),
        T(test_run__serves_many_coroutines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
