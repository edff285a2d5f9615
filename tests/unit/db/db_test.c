/* SPDX-License-Identifier: MIT */
/* Scopes, transactions and timing over a driver without a database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/pool.h"
#include "fake_driver.h"

static const struct db_statement get = { "get", "SELECT", DB_READ };
static const struct db_statement put = { "put", "UPDATE", DB_WRITE };
static struct db_conf conf;
static struct db *db;

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_NONE, LOG_TEXT, "test");
    conf = (struct db_conf){ .pool_size = 1, .pool_timeout_s = 30 };
    fake_start();
    db = db_new_with(&fake_driver, &conf);
    return db ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    run_loop();
    db_free(db);
    fake_end();
    return 0;
}

static void test_new__refuses_an_unknown_driver(void **state)
{
    struct db_conf odd = { .driver = "oracle" };
    (void)state;

    assert_null(db_new(&odd));
}

static void test_query__holds_a_connection_only_while_it_runs(void **state)
{
    struct db_scope scope = db_scope_of(db, NULL);
    struct db_rows rows;
    (void)state;

    assert_int_equal(db_query(&scope, &get, DB_NO_ARGS, &rows), OK);
    assert_null(scope.held);
    assert_int_equal(db_query(&scope, &put, DB_NO_ARGS, &rows), OK);
    assert_int_equal(scope.queries, 2);
    assert_int_equal(fake.opens, 1);
    assert_int_equal(gauge(M_POOL_IDLE), 1);
}

static void test_begin__keeps_one_connection_until_commit(void **state)
{
    struct db_scope scope = db_scope_of(db, NULL), other = db_scope_of(db, NULL);
    struct db_rows rows;
    (void)state;

    assert_int_equal(db_begin(&scope), OK);
    assert_int_equal(db_query(&scope, &put, DB_NO_ARGS, &rows), OK);
    assert_int_equal(db_query(&other, &get, DB_NO_ARGS, &rows), E_BUSY);
    assert_int_equal(db_commit(&scope), OK);
    assert_int_equal(db_query(&other, &get, DB_NO_ARGS, &rows), OK);
    assert_int_equal(fake.resets, 0);
}

static void test_scope_end__rolls_back_what_is_open(void **state)
{
    struct db_scope scope = db_scope_of(db, NULL);
    (void)state;

    assert_int_equal(db_begin(&scope), OK);
    db_scope_end(&scope);
    db_scope_end(&scope);
    assert_int_equal(fake.resets, 1);
    assert_int_equal(gauge(M_POOL_IDLE), 1);
}

static void test_commit__of_an_undone_transaction_fails(void **state)
{
    struct db_scope scope = db_scope_of(db, NULL);
    struct db_rows rows;
    (void)state;

    assert_int_equal(db_begin(&scope), OK);
    scope.held->conn->in_transaction = false;
    assert_int_equal(db_query(&scope, &put, DB_NO_ARGS, &rows), E_DATABASE);
    assert_int_equal(fake.runs, 0);
    assert_int_equal(db_commit(&scope), E_DATABASE);
}

struct request {
    enum err result;
    struct coro *coro;
};
static void handle(void *arg)
{
    struct request *r = arg;
    struct db_scope scope = db_scope_of(db, NULL);
    struct db_rows rows;

    r->result = db_begin(&scope);
    if (r->result == OK)
        r->result = db_query(&scope, &put, DB_NO_ARGS, &rows);
    db_scope_end(&scope);
}

static void test_scope_end__cancelled_request_returns_its_connection_clean(void **state)
{
    struct request r = { OK, NULL };
    (void)state;

    fake.run_ms = 1000;
    r.coro = go(handle, &r);
    assert_int_equal(gauge(M_POOL_USED), 1);
    coro_cancel(r.coro);
    run_loop();
    assert_int_equal(r.result, E_CANCELLED);
    assert_int_equal(fake.resets, 1);
    assert_int_equal(gauge(M_POOL_USED), 0);
    assert_int_equal(gauge(M_POOL_IDLE), 1);
}

/* ---- statements by name --------------------------------------------------------- */

struct seen {
    unsigned index;
    uint64_t count;
};
static void look_for(void *arg, enum series_kind kind, unsigned a, unsigned b, unsigned c,
                     const struct histogram_sum *sum)
{
    struct seen *s = arg;

    (void)b, (void)c;
    if (kind == SERIES_STATEMENT && a == s->index)
        s->count += sum->count;
}

static uint64_t times_run(const struct db_statement *st)
{
    struct seen s = { db_statement_index(st), 0 };

    metric_sum_series(metrics_page(), 1, look_for, &s);
    return s.count;
}

static void test_register__times_each_statement_under_its_name(void **state)
{
    static const struct db_statement stranger = { "stranger", "SELECT", DB_READ };
    const struct db_statement *const list[] = { &get, &put };
    struct db_scope scope = db_scope_of(db, NULL);
    struct db_rows rows;
    uint64_t before;
    (void)state;

    db_register(list, 2);
    db_register(list, 2);
    assert_string_equal(db_statement_name(db_statement_index(&get)), "get");
    assert_string_equal(db_statement_name(db_statement_index(&put)), "put");
    assert_int_equal(db_statement_index(&stranger), 0);
    assert_string_equal(db_statement_name(0), "other");
    assert_string_equal(db_statement_name(3), "other");
    before = times_run(&put);
    assert_int_equal(db_query(&scope, &put, DB_NO_ARGS, &rows), OK);
    assert_int_equal(db_query(&scope, &get, DB_NO_ARGS, &rows), OK);
    assert_int_equal(times_run(&put), before + 1);
}

static void test_away__retry_after_is_known(void **state)
{
    struct db_scope scope = db_scope_of(db, NULL);
    struct db_rows rows;
    (void)state;

    assert_int_equal(db_retry_after_ms(db), 0);
    fake.away = true;
    assert_int_equal(db_query(&scope, &get, DB_NO_ARGS, &rows), E_UNAVAILABLE);
    assert_true(db_retry_after_ms(db) > 0);
    assert_string_equal(db_last_error(db), "the fake database is away");
    assert_int_equal(db_ping(db), E_UNAVAILABLE);
    assert_int_equal(fake.opens, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_new__refuses_an_unknown_driver),
        T(test_query__holds_a_connection_only_while_it_runs),
        T(test_begin__keeps_one_connection_until_commit),
        T(test_scope_end__rolls_back_what_is_open),
        T(test_commit__of_an_undone_transaction_fails),
        T(test_scope_end__cancelled_request_returns_its_connection_clean),
        T(test_register__times_each_statement_under_its_name),
        T(test_away__retry_after_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
