/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/random.h"
#include "db/pool.h"
#include "fake_driver.h"

static struct db_conf conf;
static struct pool pool;
static const struct pool_holder nobody = { .route = "/test" };

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_ERROR + 1, LOG_TEXT, "test");
    conf = (struct db_conf){ .pool_size = 2, .max_overflow = 1, .pool_timeout_s = 30 };
    fake_start();
    assert_int_equal(pool_init(&pool, &fake_driver, &conf), OK);
    pool.now = fake_now;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    run_loop();
    pool_done(&pool);
    fake_end();
    assert_int_equal(fake.open_now, 0);
    return 0;
}

static void resize(int size, int overflow)
{
    pool_done(&pool);
    conf.pool_size = size;
    conf.max_overflow = overflow;
    assert_int_equal(pool_init(&pool, &fake_driver, &conf), OK);
    pool.now = fake_now;
}

static void put_forward(double seconds) { fake.ahead += (mono_ns)(seconds * NS_PER_S); }

/* Outside a coroutine. */
static struct db_pooled *take(void)
{
    struct db_pooled *c = NULL;

    assert_int_equal(pool_get(&pool, &nobody, &c), OK);
    return c;
}

/* A borrower in a coroutine of its own. */
struct borrower {
    uint64_t hold_ms;
    bool keep; /* does not return it         */
    bool makes_dirty;
    enum err result;
    bool done;
    int order; /* when it got its connection */
    struct db_pooled *conn;
    struct coro *coro;
};
static int served;

static void borrow(void *arg)
{
    struct borrower *b = arg;

    b->result = pool_get(&pool, &nobody, &b->conn);
    if (b->result == OK) {
        b->order = served++;
        if (b->hold_ms > 0)
            b->result = task_sleep(b->hold_ms);
        if (b->makes_dirty)
            b->conn->conn->in_transaction = true;
        if (!b->keep)
            pool_put(b->conn);
    }
    b->done = true;
}

static void start(struct borrower *b) { b->coro = go(borrow, b); }

/* ---- borrowing ------------------------------------------------------------- */

static void test_get__opens_when_needed_and_reuses_the_newest(void **state)
{
    struct db_pooled *a, *b;
    (void)state;

    assert_int_equal(fake.opens, 0);
    a = take();
    b = take();
    pool_put(a);
    pool_put(b);
    assert_ptr_equal(take(), b);
    assert_int_equal(fake.opens, 2);
    pool_put(b);
}

static void test_get__outside_a_coroutine_is_busy_at_the_budget(void **state)
{
    struct db_pooled *c[3], *none = NULL;
    (void)state;

    for (int i = 0; i < 3; i++)
        c[i] = take();
    assert_int_equal(pool_get(&pool, &nobody, &none), E_BUSY);
    assert_null(none);
    for (int i = 0; i < 3; i++)
        pool_put(c[i]);
}

static void test_get__serves_ten_thousand_waiters_in_order(void **state)
{
    enum { N = 10000 };
    struct borrower *b = calloc(N, sizeof(*b));
    (void)state;

    served = 0;
    fake.open_ms = 1;
    for (int i = 0; i < N; i++) {
        b[i].hold_ms = (uint64_t)(i % 1000 == 0);
        start(&b[i]);
    }
    assert_int_equal(pool.waiting, N);
    run_loop();
    for (int i = 0; i < N; i++) {
        assert_int_equal(b[i].result, OK);
        assert_int_equal(b[i].order, i);
    }
    assert_int_equal(fake.most_open, 3);
    assert_int_equal(pool.waiting, 0);
    free(b);
}

static void test_get__newcomer_does_not_overtake_a_waiter(void **state)
{
    struct borrower first = { .hold_ms = 5 }, newcomer = { .hold_ms = 0 };
    struct db_pooled *c[3];
    (void)state;

    served = 0;
    for (int i = 0; i < 3; i++)
        c[i] = take();
    start(&first);
    pool_put(c[0]);   /* goes to the first in line ... */
    start(&newcomer); /* ... who still holds it        */
    assert_int_equal(pool.waiting, 1);
    run_loop();
    assert_int_equal(first.order, 0);
    assert_int_equal(newcomer.order, 1);
    pool_put(c[1]);
    pool_put(c[2]);
}

static void test_get__takes_a_returned_connection_before_a_slow_new_one(void **state)
{
    struct borrower waiter = { .keep = true };
    struct db_pooled *c = take();
    (void)state;

    fake.open_ms = 20;
    start(&waiter);
    assert_false(waiter.done);
    pool_put(c);
    assert_true(waiter.done);
    assert_ptr_equal(waiter.conn, c);
    run_loop();
    pool_put(c);
    assert_int_equal(pool_total(&pool), 2);
}

static void test_get__opens_few_at_once_and_never_beyond_the_budget(void **state)
{
    struct borrower b[40] = { { .hold_ms = 0 } };
    (void)state;

    resize(10, 5);
    fake.open_ms = 2;
    for (int i = 0; i < 40; i++) {
        b[i].hold_ms = 20;
        start(&b[i]);
    }
    run_loop();
    for (int i = 0; i < 40; i++)
        assert_int_equal(b[i].result, OK);
    assert_int_equal(fake.most_opening, 4);
    assert_int_equal(fake.most_open, 15);
}

static void test_get__times_out_as_busy_with_numbers(void **state)
{
    struct borrower late = { .hold_ms = 0 };
    const uint64_t timeouts = counter(M_POOL_TIMEOUTS);
    struct db_pooled *c[3];
    char text[160];
    (void)state;

    conf.pool_timeout_s = 0.02;
    for (int i = 0; i < 3; i++)
        c[i] = take();
    start(&late);
    put_forward(1);
    pool_describe(&pool, text, sizeof(text));
    assert_non_null(strstr(text, "size=2 overflow=1 active=3 idle=0 waiting=1 oldest_wait_ms=10"));
    run_loop();
    assert_int_equal(late.result, E_BUSY);
    assert_int_equal(counter(M_POOL_TIMEOUTS), timeouts + 1);
    assert_int_equal(pool.waiting, 0);
    for (int i = 0; i < 3; i++)
        pool_put(c[i]);
}

static void test_get__cancelled_waiter_leaves_the_line(void **state)
{
    struct borrower gone = { .hold_ms = 0 }, next = { .hold_ms = 0 };
    struct db_pooled *c[3];
    (void)state;

    for (int i = 0; i < 3; i++)
        c[i] = take();
    start(&gone);
    start(&next);
    coro_cancel(gone.coro);
    assert_int_equal(gone.result, E_CANCELLED);
    assert_int_equal(pool.waiting, 1);
    pool_put(c[0]);
    assert_true(next.done);
    assert_int_equal(next.result, OK);
    pool_put(c[1]);
    pool_put(c[2]);
}

/* Returns a connection and cancels the one who was given it, in one go. */
struct betrayal {
    struct db_pooled *conn;
    struct coro *victim;
};
static void give_and_cancel(void *arg)
{
    struct betrayal *b = arg;

    pool_put(b->conn);
    coro_cancel(b->victim);
}

static void test_get__connection_given_to_a_cancelled_waiter_is_not_lost(void **state)
{
    struct borrower gone = { .keep = true };
    struct db_pooled *c[3];
    struct betrayal b;
    (void)state;

    for (int i = 0; i < 3; i++)
        c[i] = take();
    start(&gone);
    b = (struct betrayal){ c[0], gone.coro };
    go(give_and_cancel, &b);
    run_loop();
    if (gone.result == OK)
        pool_put(gone.conn);
    pool_put(c[1]);
    pool_put(c[2]);
    assert_int_equal(pool.counts[POOL_IDLE], 3);
}

static void test_get__opens_a_burst_at_once_and_more_at_a_pace(void **state)
{
    struct borrower b[60] = { { .hold_ms = 0 } };
    int at_once;
    (void)state;

    resize(60, 0);
    for (int i = 0; i < 60; i++) {
        b[i].keep = true;
        start(&b[i]);
    }
    at_once = fake.opens;
    assert_int_equal(at_once, 20);
    run_loop();
    assert_int_equal(fake.opens, 60);
    for (int i = 0; i < 60; i++)
        pool_put(b[i].conn);
}

static void test_warm__opens_what_is_kept_before_anybody_asks(void **state)
{
    (void)state;

    resize(7, 5);
    conf.pool_warm = true;
    pool_tick(&pool);
    run_loop();
    assert_int_equal(pool.counts[POOL_IDLE], 7);
    assert_int_equal(fake.opens, 7);
}

static void test_warm__is_warm_again_after_the_server_was_away(void **state)
{
    (void)state;

    resize(3, 0);
    conf.pool_warm = true;
    fake.away = true;
    pool_tick(&pool);
    run_loop();
    assert_int_equal(pool_total(&pool), 0);
    fake.away = false;
    put_forward(60);
    pool_tick(&pool);
    run_loop();
    assert_int_equal(pool.counts[POOL_IDLE], 3);
}

/* ---- overflow ----------------------------------------------------------------- */

static void test_overflow__lingers_under_swinging_load(void **state)
{
    struct db_pooled *c[8];
    (void)state;

    resize(3, 5);
    for (int wave = 0; wave < 50; wave++) {
        const int load = wave % 2 ? 3 : 8;

        for (int i = 0; i < load; i++)
            c[i] = take();
        for (int i = 0; i < load; i++)
            pool_put(c[i]);
        put_forward(1);
        pool_tick(&pool);
    }
    assert_int_equal(fake.opens, 8);
    assert_int_equal(gauge(M_POOL_OVERFLOW), 5);
}

static void test_overflow__closes_after_it_lingered(void **state)
{
    struct db_pooled *c[3];
    (void)state;

    for (int i = 0; i < 3; i++)
        c[i] = take();
    for (int i = 0; i < 3; i++)
        pool_put(c[i]);
    put_forward(29);
    pool_tick(&pool);
    assert_int_equal(pool_total(&pool), 3);
    put_forward(2);
    pool_tick(&pool);
    assert_int_equal(pool_total(&pool), 2);
    put_forward(1000);
    pool_tick(&pool);
    assert_int_equal(pool_total(&pool), 2); /* the base is kept */
}

/* ---- age ------------------------------------------------------------------------- */

static void test_recycle__replaces_an_idle_connection_in_the_background(void **state)
{
    const uint64_t recycled = counter(M_POOL_RECYCLED);
    (void)state;

    conf.pool_recycle_s = 100;
    pool_put(take());
    put_forward(89);
    pool_tick(&pool);
    assert_int_equal(counter(M_POOL_RECYCLED), recycled);
    put_forward(22);
    pool_tick(&pool);
    run_loop();
    assert_int_equal(counter(M_POOL_RECYCLED), recycled + 1);
    assert_int_equal(fake.opens, 2);
    assert_int_equal(pool.counts[POOL_IDLE], 1);
}

static void test_recycle__spreads_the_ends(void **state)
{
    struct db_pooled *c[20];
    mono_ns least = INT64_MAX, most = 0;
    (void)state;

    resize(20, 1);
    conf.pool_recycle_s = 1000;
    for (int i = 0; i < 20; i++) {
        mono_ns left;

        c[i] = take();
        left = c[i]->expires_at - c[i]->taken_at;
        least = left < least ? left : least;
        most = left > most ? left : most;
    }
    for (int i = 0; i < 20; i++)
        pool_put(c[i]);
    assert_true(least >= 899 * (mono_ns)NS_PER_S && most <= 1101 * (mono_ns)NS_PER_S);
    assert_true(most - least > 20 * (mono_ns)NS_PER_S);
}

static void test_recycle__borrowed_connection_goes_on_return(void **state)
{
    struct db_pooled *c;
    (void)state;

    conf.pool_recycle_s = 100;
    c = take();
    put_forward(200);
    pool_tick(&pool);
    assert_int_equal(fake.open_now, 1);
    pool_put(c);
    run_loop();
    assert_int_equal(fake.opens, 2);
    assert_int_equal(fake.open_now, 1);
}

/* ---- sign of life ------------------------------------------------------------------ */

static void test_pre_ping__only_after_a_while(void **state)
{
    (void)state;

    conf.pool_pre_ping = true;
    pool_put(take());
    pool_put(take());
    assert_int_equal(fake.pings, 0);
    put_forward(1);
    pool_put(take());
    assert_int_equal(fake.pings, 1);
}

static void test_pre_ping__dead_connection_is_replaced_with_its_generation(void **state)
{
    const uint64_t invalid = counter(M_POOL_INVALID);
    struct db_pooled *a = take(), *b = take();
    (void)state;

    conf.pool_pre_ping = true;
    pool_put(a);
    pool_put(b);
    put_forward(1);
    fake.ping_fails = true;
    a = take();
    assert_int_equal(fake.opens, 3);
    assert_int_equal(fake.open_now, 1);
    assert_int_equal(fake.pings, 1);
    assert_int_equal(counter(M_POOL_INVALID), invalid + 2);
    pool_put(a);
}

/* ---- invalidation -------------------------------------------------------------------- */

static void test_put__broken_connection_is_closed_and_counted(void **state)
{
    const uint64_t invalid = counter(M_POOL_INVALID);
    struct db_pooled *a = take(), *b = take();
    (void)state;

    pool_put(b);
    a->conn->broken = true;
    pool_put(a);
    assert_int_equal(counter(M_POOL_INVALID), invalid + 1);
    assert_int_equal(fake.open_now, 1);
}

static void test_put__lost_connection_retires_older_ones_only(void **state)
{
    struct db_pooled *idle = take(), *busy = take(), *lost = take(), *newer;
    (void)state;

    pool_put(idle);
    lost->conn->broken = lost->conn->lost = true;
    pool_put(lost);
    assert_int_equal(fake.open_now, 1); /* the idle one went at once */
    newer = take();
    busy->conn->broken = busy->conn->lost = true;
    pool_put(busy); /* of the old generation: retires nobody again */
    pool_put(newer);
    assert_int_equal(fake.open_now, 1);
    assert_int_equal(pool.counts[POOL_IDLE], 1);
}

static void test_put__resets_only_what_needs_it(void **state)
{
    struct borrower clean = { .hold_ms = 0 }, dirty = { .makes_dirty = true };
    (void)state;

    start(&clean);
    run_loop();
    assert_int_equal(fake.resets, 0);
    start(&dirty);
    run_loop();
    assert_int_equal(fake.resets, 1);
    assert_int_equal(pool.counts[POOL_IDLE], 1);
}

static void test_put__failed_reset_closes_it(void **state)
{
    struct db_pooled *c = take();
    (void)state;

    fake.reset_fails = true;
    c->conn->dirty = true;
    pool_put(c);
    assert_int_equal(fake.open_now, 0);
}

static void test_put__cancelled_borrower_returns_it_clean(void **state)
{
    struct borrower gone = { .hold_ms = 1000, .makes_dirty = true };
    (void)state;

    start(&gone);
    coro_cancel(gone.coro);
    run_loop();
    assert_int_equal(gone.result, E_CANCELLED);
    assert_int_equal(fake.resets, 1);
    assert_int_equal(pool.counts[POOL_IDLE], 1);
}

/* ---- away ------------------------------------------------------------------------------- */

static void test_away__fails_at_once_and_comes_back(void **state)
{
    struct borrower b[3] = { { .hold_ms = 0 } }, late = { .hold_ms = 0 }, back = { .hold_ms = 0 };
    (void)state;

    fake.away = true;
    fake.open_ms = 1;
    for (int i = 0; i < 3; i++)
        start(&b[i]);
    run_loop();
    for (int i = 0; i < 3; i++)
        assert_int_equal(b[i].result, E_UNAVAILABLE);
    assert_true(pool_retry_after_ms(&pool) >= 1 && pool_retry_after_ms(&pool) <= 110);
    assert_string_equal(pool.reason, "the fake database is away");

    fake.opens = 0;
    start(&late);
    assert_int_equal(late.result, E_UNAVAILABLE); /* without waiting, without an attempt */
    assert_int_equal(fake.opens, 0);

    fake.away = false;
    put_forward(1);
    start(&back);
    run_loop();
    assert_int_equal(back.result, OK);
    assert_int_equal(pool_retry_after_ms(&pool), 0);
}

static void test_away__one_probe_at_a_time_with_growing_pauses(void **state)
{
    struct borrower prober = { .hold_ms = 0 }, other = { .hold_ms = 0 };
    struct db_pooled *none = NULL;
    int64_t pause = 0;
    (void)state;

    fake.away = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pool_get(&pool, &nobody, &none), E_UNAVAILABLE);
        if (i < 5)
            assert_true(pool_retry_after_ms(&pool) > pause);
        pause = pool_retry_after_ms(&pool);
        assert_true(pause <= 33000);
        put_forward(40);
    }
    assert_int_equal(fake.opens, 20);

    fake.open_ms = 5;
    start(&prober);
    start(&other);
    assert_int_equal(other.result, E_UNAVAILABLE);
    assert_false(prober.done);
    run_loop();
    assert_int_equal(prober.result, E_UNAVAILABLE);
    assert_int_equal(fake.opens, 21);
}

static void test_away__tick_probes_without_any_borrower(void **state)
{
    struct db_pooled *none = NULL;
    (void)state;

    fake.away = true;
    assert_int_equal(pool_get(&pool, &nobody, &none), E_UNAVAILABLE);
    fake.away = false;
    pool_tick(&pool);
    assert_int_equal(fake.opens, 1);
    put_forward(1);
    pool_tick(&pool);
    run_loop();
    assert_int_equal(pool_retry_after_ms(&pool), 0);
    assert_int_equal(pool.counts[POOL_IDLE], 1);
}

static void test_away__waiter_goes_on_while_another_connection_works(void **state)
{
    struct borrower waiter = { .hold_ms = 0 };
    struct db_pooled *c = take();
    (void)state;

    fake.away = true; /* no further connection: "too many connections", say */
    start(&waiter);
    assert_int_equal(fake.opens, 2);
    assert_false(waiter.done);
    assert_int_equal(pool_retry_after_ms(&pool), 0);
    pool_put(c);
    assert_int_equal(waiter.result, OK);
    assert_true(waiter.done);
}

static void test_away__waiters_fail_when_the_last_connection_is_lost(void **state)
{
    struct borrower waiter = { .hold_ms = 0 };
    struct db_pooled *c = take();
    (void)state;

    fake.away = true;
    start(&waiter);
    assert_false(waiter.done);
    c->conn->broken = c->conn->lost = true;
    pool_put(c);
    assert_true(waiter.done);
    assert_int_equal(waiter.result, E_UNAVAILABLE);
    put_forward(1);
    fake.away = false;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void test_tick__names_who_holds_a_connection_for_long(void **state)
{
    const struct pool_holder who = { "/api/forgetful", STR("req-42") };
    const uint64_t leaks = counter(M_POOL_LEAKS);
    const int saved = dup(STDERR_FILENO);
    FILE *log = tmpfile();
    struct db_pooled *c = NULL;
    char line[1024] = "";
    (void)state;

    conf.pool_leak_s = 60;
    log_setup(LOG_INFO, LOG_TEXT, "test");
    dup2(fileno(log), STDERR_FILENO);
    assert_int_equal(pool_get(&pool, &who, &c), OK);
    c->statement = "spa_by_id";
    put_forward(59);
    pool_tick(&pool);
    put_forward(2);
    pool_tick(&pool);
    pool_tick(&pool);
    dup2(saved, STDERR_FILENO);
    close(saved);
    pool_put(c);
    assert_int_equal(counter(M_POOL_LEAKS), leaks + 1);
    rewind(log);
    assert_true(fread(line, 1, sizeof(line) - 1, log) > 0);
    fclose(log);
    assert_non_null(strstr(line, "/api/forgetful"));
    assert_non_null(strstr(line, "req-42"));
    assert_non_null(strstr(line, "spa_by_id"));
}

static void test_shutdown__fails_waiters_and_closes_on_return(void **state)
{
    struct borrower waiter = { .hold_ms = 0 }, late = { .hold_ms = 0 };
    struct db_pooled *c[3];
    (void)state;

    for (int i = 0; i < 3; i++)
        c[i] = take();
    pool_put(c[2]);
    c[2] = take();
    start(&waiter);
    pool_shutdown(&pool);
    assert_int_equal(waiter.result, E_UNAVAILABLE);
    start(&late);
    assert_int_equal(late.result, E_UNAVAILABLE);
    for (int i = 0; i < 3; i++)
        pool_put(c[i]);
    assert_int_equal(fake.open_now, 0);
}

static void test_metrics__say_what_is(void **state)
{
    struct db_pooled *a = take(), *b = take();
    (void)state;

    pool_put(a);
    assert_int_equal(gauge(M_POOL_USED), 1);
    assert_int_equal(gauge(M_POOL_IDLE), 1);
    assert_int_equal(gauge(M_POOL_OVERFLOW), 0);
    assert_int_equal(gauge(M_POOL_SIZE), 2);
    assert_int_equal(gauge(M_POOL_MAX), 3);
    pool_put(b);
}

/* Anything may happen to anyone: nobody is forgotten, the budget holds. */
static struct random dice;
static void live(void *arg)
{
    struct borrower *b = arg;

    for (int turn = 0; turn < 20; turn++) {
        const uint64_t luck = random_below(&dice, 100);

        b->result = pool_get(&pool, &nobody, &b->conn);
        if (b->result == E_CANCELLED)
            break;
        if (b->result != OK)
            continue;
        if (luck < 30 && task_sleep(luck % 3 + 1) != OK)
            b->result = E_CANCELLED;
        b->conn->conn->in_transaction = luck % 7 == 0;
        b->conn->conn->broken = luck % 31 == 0;
        b->conn->conn->lost = luck == 31;
        fake.away = luck == 99;
        pool_put(b->conn);
    }
    b->done = true;
}

static void test_pool__survives_anything(void **state)
{
    enum { N = 300 };
    struct borrower *b = calloc(N, sizeof(*b));
    (void)state;

    random_seed(&dice, 7);
    resize(5, 3);
    fake.open_ms = 1;
    for (int i = 0; i < N; i++)
        b[i].coro = go(live, &b[i]);
    for (int i = 0; i < N; i += 10) {
        if (!b[i].done)
            coro_cancel(b[i].coro);
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
    }
    run_loop();
    for (int i = 0; i < N; i++)
        assert_true(b[i].done);
    assert_true(fake.most_open <= 8);
    assert_int_equal(pool.waiting, 0);
    assert_int_equal(pool.counts[POOL_BUSY] + pool.counts[POOL_RESETTING] + pool.counts[POOL_CONNECTING], 0);
    free(b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_get__opens_when_needed_and_reuses_the_newest),
        T(test_get__outside_a_coroutine_is_busy_at_the_budget),
        T(test_get__serves_ten_thousand_waiters_in_order),
        T(test_get__newcomer_does_not_overtake_a_waiter),
        T(test_get__takes_a_returned_connection_before_a_slow_new_one),
        T(test_get__opens_few_at_once_and_never_beyond_the_budget),
        T(test_get__opens_a_burst_at_once_and_more_at_a_pace),
        T(test_warm__opens_what_is_kept_before_anybody_asks),
        T(test_warm__is_warm_again_after_the_server_was_away),
        T(test_get__times_out_as_busy_with_numbers),
        T(test_get__cancelled_waiter_leaves_the_line),
        T(test_get__connection_given_to_a_cancelled_waiter_is_not_lost),
        T(test_overflow__lingers_under_swinging_load),
        T(test_overflow__closes_after_it_lingered),
        T(test_recycle__replaces_an_idle_connection_in_the_background),
        T(test_recycle__spreads_the_ends),
        T(test_recycle__borrowed_connection_goes_on_return),
        T(test_pre_ping__only_after_a_while),
        T(test_pre_ping__dead_connection_is_replaced_with_its_generation),
        T(test_put__broken_connection_is_closed_and_counted),
        T(test_put__lost_connection_retires_older_ones_only),
        T(test_put__resets_only_what_needs_it),
        T(test_put__failed_reset_closes_it),
        T(test_put__cancelled_borrower_returns_it_clean),
        T(test_away__fails_at_once_and_comes_back),
        T(test_away__one_probe_at_a_time_with_growing_pauses),
        T(test_away__tick_probes_without_any_borrower),
        T(test_away__waiter_goes_on_while_another_connection_works),
        T(test_away__waiters_fail_when_the_last_connection_is_lost),
        T(test_tick__names_who_holds_a_connection_for_long),
        T(test_shutdown__fails_waiters_and_closes_on_return),
        T(test_metrics__say_what_is),
        T(test_pool__survives_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
