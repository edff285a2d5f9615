/* SPDX-License-Identifier: MIT */
/* The group through its users' door, db_begin() and db_commit(), on SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "sqlite_fixture.h"

static const struct db_statement make_counter = { "make_counter", "CREATE TABLE counter (n INTEGER NOT NULL)",
                                                  DB_WRITE };
static const struct db_statement make_entry = {
    "make_entry",
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, who INTEGER NOT NULL, turn INTEGER NOT NULL, UNIQUE (who, turn))",
    DB_WRITE
};
static const struct db_statement zero = { "zero", "INSERT INTO counter VALUES (0)", DB_WRITE };
static const struct db_statement increment = { "increment", "UPDATE counter SET n = n + 1", DB_WRITE };
static const struct db_statement value = { "value", "SELECT n FROM counter", DB_READ };
static const struct db_statement enter = { "enter", "INSERT INTO entry (who, turn) VALUES (?, ?)", DB_WRITE };
static const struct db_statement enter_or_undo_all = { "enter_or_undo_all",
                                                       "INSERT OR ROLLBACK INTO entry (who, turn) VALUES (?, ?)",
                                                       DB_WRITE };
static const struct db_statement entries = { "entries", "SELECT count(*) FROM entry", DB_READ };
static const struct db_statement entries_of_odd = { "odd", "SELECT count(*) FROM entry WHERE who % 2 = 1", DB_READ };

static int setup(void **state)
{
    struct db_rows rows;

    return fixture_setup(state) == 0 && query(&make_counter, DB_NO_ARGS, &rows) == OK &&
                   query(&make_entry, DB_NO_ARGS, &rows) == OK && query(&zero, DB_NO_ARGS, &rows) == OK
               ? 0
               : -1;
}

/* One who writes, again and again, in transactions of two statements. */
struct writer {
    struct arena arena;
    int id, turns;
    bool rolls_back; /* every one of them                        */
    bool dawdles;    /* waits in the middle of each              */
    bool undoes_all; /* its statement undoes the whole group     */
    bool ends;       /* neither commits nor rolls back by itself */
    int committed, failed;
    enum err last;
    struct coro *coro;
};

static enum err work(struct writer *w, struct db_scope *scope, int turn)
{
    struct db_rows rows;
    enum err e = db_query(scope, &increment, DB_NO_ARGS, &rows);

    if (e == OK && w->dawdles)
        e = task_sleep(1);
    if (e == OK)
        e = db_query(scope, w->undoes_all ? &enter_or_undo_all : &enter, DB_ARGS(DBV_INT(w->id), DBV_INT(turn)), &rows);
    return e;
}

static enum err transact(struct writer *w, int turn)
{
    struct db_scope scope = db_scope_of(db, &w->arena);
    enum err e = db_begin(&scope);

    if (e == OK) {
        e = work(w, &scope, turn);
        if (e == OK && !w->rolls_back && !w->ends)
            e = db_commit(&scope);
        else if (w->rolls_back)
            db_rollback(&scope);
    }
    db_scope_end(&scope);
    return e;
}

static void write_often(void *arg)
{
    struct writer *w = arg;

    arena_init(&w->arena, 1024 * 1024);
    for (int turn = 0; turn < w->turns; turn++) {
        w->last = transact(w, turn);
        if (w->last != OK)
            w->failed++;
        else if (!w->rolls_back && !w->ends)
            w->committed++;
        arena_reset(&w->arena);
        if (w->last == E_CANCELLED)
            break;
    }
    arena_done(&w->arena);
}

static void start(struct writer *w) { w->coro = go(write_often, w); }

static void test_commit__counts_are_exact_and_commits_are_shared(void **state)
{
    enum { N = 50, TURNS = 20 };
    struct writer w[N];
    const uint64_t commits = counter(M_DB_GROUP_COMMITS), grouped = counter(M_DB_GROUPED);
    (void)state;

    for (int i = 0; i < N; i++) {
        w[i] = (struct writer){ .id = i, .turns = TURNS };
        start(&w[i]);
    }
    run_loop();
    for (int i = 0; i < N; i++)
        assert_int_equal(w[i].committed, TURNS);
    assert_int_equal(number(&value), N * TURNS);
    assert_int_equal(number(&entries), N * TURNS);
    assert_true(counter(M_DB_GROUP_COMMITS) > commits);
    assert_true(counter(M_DB_GROUPED) - grouped >= 2 * (counter(M_DB_GROUP_COMMITS) - commits));
    assert_true(counter(M_DB_GROUPED) - grouped <= N * TURNS);
}

static void test_rollback__undoes_its_own_part_only(void **state)
{
    enum { N = 40, TURNS = 10 };
    struct writer w[N];
    (void)state;

    for (int i = 0; i < N; i++) {
        w[i] = (struct writer){
            .id = i, .turns = TURNS, .rolls_back = i % 2 == 1 && i % 4 == 1, .ends = i % 4 == 3, .dawdles = i % 5 == 0
        };
        start(&w[i]);
    }
    run_loop();
    assert_int_equal(number(&value), N / 2 * TURNS);
    assert_int_equal(number(&entries), N / 2 * TURNS);
    assert_int_equal(number(&entries_of_odd), 0);
}

static void test_rollback__of_the_last_member_commits_the_others(void **state)
{
    struct writer first = { .id = 1, .turns = 1 }, last = { .id = 2, .turns = 1, .rolls_back = true };
    (void)state;

    start(&first);
    start(&last);
    run_loop();
    assert_int_equal(first.committed, 1);
    assert_int_equal(number(&value), 1);
}

static void test_commit__failed_member_statement_leaves_the_others(void **state)
{
    struct writer w[3] = { { .id = 1, .turns = 1 }, { .id = 1, .turns = 1 }, { .id = 2, .turns = 1 } };
    (void)state;

    for (int i = 0; i < 3; i++)
        start(&w[i]);
    run_loop();
    assert_int_equal(w[0].committed, 1);
    assert_int_equal(w[1].last, E_CONFLICT);
    assert_int_equal(w[2].committed, 1);
    assert_int_equal(number(&value), 2);
}

static void test_commit__transaction_undone_by_the_database_fails_every_member(void **state)
{
    struct writer w[4] = { { .id = 1, .turns = 1 },
                           { .id = 2, .turns = 1 },
                           { .id = 1, .turns = 1, .undoes_all = true },
                           { .id = 3, .turns = 1 } };
    (void)state;

    for (int i = 0; i < 4; i++)
        start(&w[i]);
    run_loop();
    assert_int_equal(w[0].last, E_CONFLICT);
    assert_int_equal(w[1].last, E_CONFLICT);
    assert_int_equal(w[2].last, E_CONFLICT);
    assert_int_equal(w[3].committed, 1); /* of the next group */
    assert_int_equal(number(&value), 1);
    assert_int_equal(number(&entries), 1);
}

static void test_query__in_an_undone_transaction_is_refused(void **state)
{
    struct db_scope scope = db_scope_of(db, &arena);
    struct db_rows rows;
    (void)state;

    assert_int_equal(query(&enter, DB_ARGS(DBV_INT(1), DBV_INT(1)), &rows), OK);
    assert_int_equal(db_begin(&scope), OK);
    assert_int_equal(db_query(&scope, &enter_or_undo_all, DB_ARGS(DBV_INT(1), DBV_INT(1)), &rows), E_CONFLICT);
    assert_int_equal(db_query(&scope, &increment, DB_NO_ARGS, &rows), E_DATABASE);
    assert_int_equal(db_commit(&scope), E_CONFLICT);
    assert_int_equal(number(&value), 0);
}

static void test_begin__cancelled_member_leaves_the_line(void **state)
{
    struct writer w[3] = { { .id = 1, .turns = 1, .dawdles = true }, { .id = 2, .turns = 1 }, { .id = 3, .turns = 1 } };
    (void)state;

    for (int i = 0; i < 3; i++)
        start(&w[i]);
    coro_cancel(w[1].coro);
    run_loop();
    assert_int_equal(w[0].committed, 1);
    assert_int_equal(w[1].last, E_CANCELLED);
    assert_int_equal(w[2].committed, 1);
    assert_int_equal(number(&value), 2);
}

static void test_begin__times_out_as_busy(void **state)
{
    struct db_scope holder = db_scope_of(db, &arena);
    struct writer late = { .id = 1, .turns = 1 };
    struct db_scope other = db_scope_of(db, &arena);
    (void)state;

    conf.pool_timeout_s = 0.02;
    assert_int_equal(db_begin(&holder), OK);
    assert_int_equal(db_begin(&other), E_BUSY); /* outside a coroutine: at once */
    start(&late);
    run_loop();
    assert_int_equal(late.last, E_BUSY);
    assert_int_equal(db_commit(&holder), OK);
}

static void test_begin__who_stands_in_line_counts_as_waiting(void **state)
{
    const uint64_t timeouts = counter(M_POOL_TIMEOUTS);
    struct db_scope holder = db_scope_of(db, &arena);
    struct writer late[2] = { { .id = 1, .turns = 1 }, { .id = 2, .turns = 1 } };
    char text[200];
    (void)state;

    conf.pool_timeout_s = 0.02;
    assert_int_equal(db_begin(&holder), OK);
    start(&late[0]);
    start(&late[1]);
    db_describe(db, text, sizeof(text));
    assert_non_null(strstr(text, " active=1 idle=0 waiting=2 "));
    assert_int_equal(metric_sum_gauge(metrics_page(), 1, M_POOL_WAITING), 2);
    run_loop();
    db_describe(db, text, sizeof(text));
    assert_non_null(strstr(text, " waiting=0 oldest_wait_ms=0"));
    assert_int_equal(metric_sum_gauge(metrics_page(), 1, M_POOL_WAITING), 0);
    assert_int_equal(counter(M_POOL_TIMEOUTS) - timeouts, 2);
    assert_int_equal(db_commit(&holder), OK);
}

/* Members are cancelled at any moment: what was promised is there, once, and
 * nothing else. */
static void test_commit__survives_cancelling(void **state)
{
    enum { N = 60, TURNS = 10 };
    struct writer w[N];
    struct random dice;
    int64_t promised = 0;
    (void)state;

    random_seed(&dice, 11);
    for (int i = 0; i < N; i++) {
        w[i] = (struct writer){ .id = i, .turns = TURNS, .dawdles = i % 3 == 0, .rolls_back = i % 7 == 0 };
        start(&w[i]);
    }
    for (int i = 0; i < N / 2; i++) {
        struct writer *victim = &w[random_below(&dice, N)];

        if (victim->committed + victim->failed < TURNS && !victim->rolls_back && victim->last != E_CANCELLED)
            coro_cancel(victim->coro);
        for (int turn = 0; turn < 3; turn++)
            uv_run(uv_default_loop(), UV_RUN_ONCE);
    }
    run_loop();
    for (int i = 0; i < N; i++)
        promised += w[i].committed;
    assert_true(promised > 0 && promised < N * TURNS);
    assert_int_equal(number(&value), promised);
    assert_int_equal(number(&entries), promised);
}

/* ---- several processes ------------------------------------------------------- */

enum { CHILDREN = 4, CHILD_WRITERS = 10, CHILD_TURNS = 10 };

/* In the child: a database of its own on the same file. Returns its exit status. */
static int child(int index)
{
    struct writer w[CHILD_WRITERS];
    uv_loop_t loop;
    int committed = 0;

    if (uv_loop_init(&loop) != 0)
        return 1;
    task_use_loop(&loop);
    db = db_new(&conf);
    coros = coro_pool_new(256 * 1024, 16);
    for (int i = 0; i < CHILD_WRITERS; i++) {
        w[i] = (struct writer){ .id = index * 100 + i, .turns = CHILD_TURNS };
        start(&w[i]);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < CHILD_WRITERS; i++)
        committed += w[i].committed;
    db_free(db);
    return committed == CHILD_WRITERS * CHILD_TURNS ? 0 : 2;
}

static void test_commit__several_processes_lose_nothing(void **state)
{
    pid_t pids[CHILDREN];
    (void)state;

    db_free(db);
    db = NULL;
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(child(i));
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    db = db_new(&conf);
    assert_int_equal(number(&value), CHILDREN * CHILD_WRITERS * CHILD_TURNS);
    assert_int_equal(number(&entries), CHILDREN * CHILD_WRITERS * CHILD_TURNS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, before this process has threads */
        T(test_commit__several_processes_lose_nothing),
        T(test_commit__counts_are_exact_and_commits_are_shared),
        T(test_rollback__undoes_its_own_part_only),
        T(test_rollback__of_the_last_member_commits_the_others),
        T(test_commit__failed_member_statement_leaves_the_others),
        T(test_commit__transaction_undone_by_the_database_fails_every_member),
        T(test_query__in_an_undone_transaction_is_refused),
        T(test_begin__cancelled_member_leaves_the_line),
        T(test_begin__times_out_as_busy),
        T(test_begin__who_stands_in_line_counts_as_waiting),
        T(test_commit__survives_cancelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
