/* SPDX-License-Identifier: MIT */
/* The budget, and pools that share one: several in one process here, whose bells
 * ring on one loop; in processes that are killed, in the last test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/shared.h"
#include "db/budget.h"
#include "db/pool.h"
#include "fake_driver.h"

enum { WORKERS = 3 };

static struct shared memory;
static struct budget *budget;
static struct db_conf confs[WORKERS];
static struct pool pools[WORKERS];
static const struct pool_holder nobody = { .route = "/test" };

static void make_budget(int size, int overflow, int sharers)
{
    const size_t room = budget_bytes(size, overflow);

    assert_int_equal(shared_open(&memory, room + 4096), 0);
    budget = shared_take(&memory, room);
    assert_int_equal(budget_init(budget, size, overflow, sharers), OK);
    budget_share(budget, sharers);
    for (int i = 0; i < sharers; i++)
        budget_seat(budget, i, i);
}

static int teardown(void **state)
{
    (void)state;
    budget_done(budget);
    shared_close(&memory);
    return 0;
}

static int permits_taken(void)
{
    int taken = 0;

    for (uint32_t i = 0; i < budget->permit_count; i++)
        taken += atomic_load(&budget->permits[i]) != 0;
    return taken;
}

/* ---- the budget alone ------------------------------------------------------------ */

static void test_sure__splits_the_base_evenly_and_the_rest_is_common(void **state)
{
    (void)state;
    make_budget(50, 100, 4);
    assert_int_equal(budget_sure(budget, 0), 13);
    assert_int_equal(budget_sure(budget, 1), 13);
    assert_int_equal(budget_sure(budget, 2), 12);
    assert_int_equal(budget_sure(budget, 3), 12);
    assert_int_equal(budget->permit_count, 150);
}

static void test_sure__is_one_at_least_at_the_cost_of_the_rest(void **state)
{
    (void)state;
    make_budget(2, 5, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(budget_sure(budget, i), 1);
    assert_int_equal(budget->permit_count, 7);
}

static void test_take__ends_at_the_total_whoever_takes(void **state)
{
    (void)state;
    make_budget(3, 4, 3);
    for (int i = 0; i < 5; i++)
        assert_true(budget_take(budget, 0));
    assert_false(budget_take(budget, 0)); /* the others' two sure ones are left */
    assert_true(budget_take(budget, 1));
    assert_true(budget_take(budget, 2));
    assert_int_equal(permits_taken(), 7);
    assert_false(budget_take(budget, 2));
    budget_give(budget, 0);
    assert_true(budget_take(budget, 2));
    assert_false(budget_take(budget, 1));
}

static void test_give__keeps_the_positions_own_to_the_last(void **state)
{
    (void)state;
    make_budget(3, 1, 3);
    assert_true(budget_take(budget, 0));
    assert_true(budget_take(budget, 0));
    budget_give(budget, 0);
    assert_true(budget_take(budget, 1));
    assert_true(budget_take(budget, 1)); /* what came back was the common one */
}

/* ---- two at a position -------------------------------------------------------------- */

static void test_seat__two_at_a_position_share_what_is_its(void **state)
{
    (void)state;
    make_budget(6, 0, 3);
    assert_true(budget_take(budget, 1));
    assert_true(budget_take(budget, 1));
    budget_seat(budget, 5, 1);
    assert_int_equal(budget_sure(budget, 1), 0);
    assert_int_equal(budget_sure(budget, 5), 0);
    assert_int_equal(budget_sure(budget, 0), 2);
    assert_false(budget_take(budget, 5));
    budget_give(budget, 1);
    assert_true(budget_take(budget, 5));
    assert_false(budget_take(budget, 5));
    budget_forget(budget, 1);
    assert_int_equal(budget_sure(budget, 5), 2);
    assert_true(budget_take(budget, 5));
    assert_int_equal(permits_taken(), 2);
}

static void test_seat__a_single_permit_goes_to_and_fro_between_two(void **state)
{
    (void)state;
    make_budget(3, 0, 3);
    budget_seat(budget, 3, 1);
    assert_true(budget_take(budget, 1));
    budget_want(budget, 3, 1);
    assert_true(budget_wanted_by_poorer(budget, 1));
    assert_false(budget_wanted_by_poorer(budget, 0));
}

static void test_settle__changes_common_ones_for_its_positions_own(void **state)
{
    (void)state;
    make_budget(3, 1, 3);
    assert_true(budget_take(budget, 1));
    budget_seat(budget, 3, 1);
    assert_true(budget_take(budget, 3));
    assert_false(budget_take(budget, 0) && budget_take(budget, 0));
    budget_forget(budget, 1);
    budget_settle(budget, 3);
    assert_int_equal(atomic_load(&budget->rows[3].held), 1);
    assert_int_equal(permits_taken(), 2);
    assert_true(budget_take(budget, 0)); /* the common one */
    assert_int_equal(permits_taken(), 3);
}

static void test_share__of_fewer_positions_is_larger_and_none_is_lost(void **state)
{
    (void)state;
    make_budget(4, 0, 4);
    for (int i = 0; i < 4; i++)
        assert_true(budget_take(budget, i));
    budget_share(budget, 2);
    budget_seat(budget, 2, 0);
    budget_seat(budget, 3, 1);
    budget_forget(budget, 2);
    budget_forget(budget, 3);
    assert_int_equal(budget_sure(budget, 0), 2);
    assert_true(budget_take(budget, 0));
    assert_true(budget_take(budget, 1));
    assert_false(budget_take(budget, 0));
    assert_int_equal(permits_taken(), 4);
}

static void test_forget__frees_what_the_dead_held_and_wanted(void **state)
{
    (void)state;
    make_budget(3, 4, 3);
    for (int i = 0; i < 3; i++)
        assert_true(budget_take(budget, 1));
    assert_true(budget_take(budget, 2));
    budget_want(budget, 1, 7);
    budget_forget(budget, 1);
    assert_int_equal(permits_taken(), 1);
    assert_false(budget_wanted(budget, 0));
}

static void test_wanted__is_of_others(void **state)
{
    (void)state;
    make_budget(3, 9, 3);
    budget_want(budget, 1, 2);
    assert_true(budget_wanted(budget, 0));
    assert_false(budget_wanted(budget, 1));
    budget_want(budget, 1, 0);
    assert_false(budget_wanted(budget, 0));
}

static void test_wanted_by_poorer__needs_two_permits_less(void **state)
{
    (void)state;
    make_budget(3, 9, 3);
    assert_true(budget_take(budget, 0));
    budget_want(budget, 1, 1);
    assert_false(budget_wanted_by_poorer(budget, 0));
    assert_true(budget_take(budget, 0));
    assert_true(budget_wanted_by_poorer(budget, 0));
    assert_true(budget_take(budget, 1));
    assert_false(budget_wanted_by_poorer(budget, 0));
}

static void test_use__sums_over_the_workers(void **state)
{
    struct budget_use use;
    (void)state;

    make_budget(3, 0, 3);
    atomic_store(&budget->rows[0].active, 4);
    atomic_store(&budget->rows[2].active, 5);
    atomic_store(&budget->rows[1].idle, 1);
    atomic_store(&budget->rows[1].waiting_since, 900);
    atomic_store(&budget->rows[2].waiting_since, 800);
    use = budget_use(budget);
    assert_int_equal(use.active, 9);
    assert_int_equal(use.idle, 1);
    assert_int_equal(use.waiting_since, 800);
}

/* Three processes take and give as fast as they can, and one after the other is
 * killed in the middle of it: nobody ever holds more than there is, and all comes
 * back. A permit's slot holds its owner, so two owners of one would show as a
 * count of gifts that fail; each child checks its own row against the slots. */
static _Noreturn void take_and_give(int index)
{
    for (uint32_t held = 0;; held++) {
        uint32_t mine = 0;

        if (held % 7 == 6) {
            while (atomic_load(&budget->rows[index].held) > 0)
                budget_give(budget, index);
        } else {
            (void)!budget_take(budget, index);
        }
        for (uint32_t i = 0; i < budget->permit_count; i++)
            mine += atomic_load(&budget->permits[i]) == index + 1;
        if (mine != atomic_load(&budget->rows[index].held))
            _exit(1);
    }
}

static pid_t fork_taker(int index)
{
    const pid_t pid = fork();

    if (pid == 0)
        take_and_give(index);
    return pid;
}

static void test_permits__survive_kills_at_any_instruction(void **state)
{
    pid_t pids[WORKERS];
    int status;
    (void)state;

    make_budget(3, 5, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fork_taker(i);
    for (int round = 0; round < 60; round++) {
        const int victim = round % WORKERS;

        usleep(1000);
        kill(pids[victim], SIGKILL);
        assert_int_equal(waitpid(pids[victim], &status, 0), pids[victim]);
        assert_true(WIFSIGNALED(status));
        budget_forget(budget, victim);
        for (uint32_t i = 0; i < budget->permit_count; i++)
            assert_int_not_equal(atomic_load(&budget->permits[i]), victim + 1);
        budget_seat(budget, victim, victim);
        pids[victim] = fork_taker(victim);
    }
    for (int i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
        assert_true(WIFSIGNALED(status));
        budget_forget(budget, i);
    }
    assert_int_equal(permits_taken(), 0);
}

/* ---- pools that share it ------------------------------------------------------------ */

static void make_pools(int size, int overflow)
{
    make_budget(size, overflow, WORKERS);
    log_setup(LOG_ERROR + 1, LOG_TEXT, "test");
    fake_start();
    for (int i = 0; i < WORKERS; i++) {
        confs[i] = (struct db_conf){ .pool_timeout_s = 30, .budget = budget, .budget_row = i };
        assert_int_equal(pool_init(&pools[i], &fake_driver, &confs[i]), OK);
        pools[i].now = fake_now;
    }
}

static void end_pools(void)
{
    for (int i = 0; i < WORKERS; i++)
        pool_shutdown(&pools[i]);
    run_loop();
    for (int i = 0; i < WORKERS; i++)
        pool_done(&pools[i]);
    assert_int_equal(permits_taken(), 0);
    assert_int_equal(fake.open_now, 0);
    fake_end();
}

struct borrower {
    struct pool *pool;
    struct db_pooled *conn;
    bool done;
};

static void borrow(void *arg)
{
    struct borrower *b = arg;

    b->done = pool_get(b->pool, &nobody, &b->conn) == OK;
}

/* Until it has happened, or for so many turns. */
static void run_until(const bool *done)
{
    for (int turn = 0; turn < 2000 && !*done; turn++) {
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
        usleep(500);
    }
}

static void borrow_many(struct borrower *b, int count, struct pool *p)
{
    for (int i = 0; i < count; i++) {
        b[i] = (struct borrower){ .pool = p };
        go(borrow, &b[i]);
    }
    run_until(&b[count - 1].done);
}

static void put_all(struct borrower *b, int count)
{
    for (int i = 0; i < count; i++)
        pool_put(b[i].conn);
}

static void test_pools__one_may_burst_into_all_that_is_common(void **state)
{
    struct borrower b[8];
    char text[160];
    (void)state;

    make_pools(6, 6);
    borrow_many(b, 8, &pools[1]);
    assert_true(b[7].done);
    assert_int_equal(permits_taken(), 8);
    pool_describe(&pools[0], text, sizeof(text));
    assert_non_null(strstr(text, "size=6 overflow=6 active=8 idle=0 waiting=0"));
    put_all(b, 8);
    end_pools();
}

static void test_pools__each_is_sure_of_its_share(void **state)
{
    struct borrower greedy[8], modest[2];
    (void)state;

    make_pools(6, 6);
    borrow_many(greedy, 8, &pools[0]);
    borrow_many(modest, 2, &pools[2]);
    assert_true(modest[0].done && modest[1].done);
    put_all(greedy, 8);
    put_all(modest, 2);
    end_pools();
}

static void test_pools__idle_overflow_goes_to_a_neighbour_who_waits(void **state)
{
    struct borrower first[8], second[8];
    (void)state;

    make_pools(6, 6);
    borrow_many(first, 8, &pools[0]);
    put_all(first, 8);
    assert_int_equal(pools[0].counts[POOL_IDLE], 8);
    borrow_many(second, 8, &pools[1]);
    assert_true(second[7].done);
    assert_int_equal(pools[0].counts[POOL_IDLE], 2);
    assert_true(fake.most_open <= 12);
    put_all(second, 8);
    end_pools();
}

static void test_pools__returned_overflow_goes_to_a_neighbour_who_waits(void **state)
{
    struct borrower first[8], second[3];
    (void)state;

    make_pools(6, 6);
    borrow_many(first, 8, &pools[0]);
    for (int i = 0; i < 3; i++) {
        second[i] = (struct borrower){ .pool = &pools[1] };
        go(borrow, &second[i]);
    }
    for (int turn = 0; turn < 20; turn++)
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
    assert_true(second[1].done && !second[2].done);
    pool_put(first[0].conn);
    run_until(&second[2].done);
    assert_true(second[2].done);
    assert_int_equal(fake.most_open, 10);
    put_all(first + 1, 7);
    put_all(second, 3);
    end_pools();
}

static void test_pools__the_dead_ones_permits_serve_the_living(void **state)
{
    struct borrower b[8];
    (void)state;

    make_pools(6, 6);
    for (int i = 0; i < 8; i++)
        assert_true(budget_take(budget, 2)); /* of a worker that then dies */
    for (int i = 0; i < 8; i++) {
        b[i] = (struct borrower){ .pool = &pools[0] };
        go(borrow, &b[i]);
    }
    for (int turn = 0; turn < 20; turn++)
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
    assert_false(b[2].done);
    budget_forget(budget, 2);
    budget_seat(budget, 2, 2); /* and has a successor */
    run_until(&b[7].done);
    assert_true(b[7].done);
    put_all(b, 8);
    end_pools();
}

static void turn_loop(void)
{
    for (int turn = 0; turn < 20; turn++)
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
}

/* The old one has given up what it does not use before the new one asks. */
static void test_pools__a_successor_gets_what_its_draining_predecessor_has(void **state)
{
    struct borrower old[3], late, new[3];
    (void)state;

    make_pools(3, 0);
    pool_done(&pools[1]); /* it begins anew at the position of the first */
    budget_forget(budget, 1);
    budget_share(budget, 1);
    borrow_many(old, 3, &pools[0]);
    assert_true(old[2].done);
    pool_put(old[0].conn);
    budget_seat(budget, 1, 0);
    assert_int_equal(pool_init(&pools[1], &fake_driver, &confs[1]), OK);
    pools[1].now = fake_now;
    pool_drain(&pools[0]);
    turn_loop();
    assert_int_equal(pools[0].counts[POOL_IDLE], 0);
    borrow_many(new, 1, &pools[1]);
    assert_true(new[0].done);
    pool_put(old[1].conn);
    pool_put(old[2].conn);
    new[2].done = false;
    borrow_many(new + 1, 2, &pools[1]);
    assert_true(new[2].done);
    late = (struct borrower){ .pool = &pools[0] }; /* the old one has a request left */
    go(borrow, &late);
    turn_loop();
    assert_false(late.done);
    put_all(new, 3);
    run_until(&late.done);
    assert_true(late.done);
    pool_put(late.conn);
    assert_true(fake.most_open <= 3);
    end_pools();
}

/* Both always have waiters: in the end each holds as many as the other, and none
 * beyond the total was ever opened. */
struct worker_like {
    struct pool *pool;
    bool *stop;
};

static void work(void *arg)
{
    const struct worker_like *w = arg;

    while (!*w->stop) {
        struct db_pooled *c;
        if (pool_get(w->pool, &nobody, &c) != OK || task_sleep(1) != OK)
            return;
        pool_put(c);
    }
}

static void test_pools__under_siege_come_to_hold_as_many_each(void **state)
{
    static struct worker_like w[60];
    bool stop = false;
    uint32_t held[2] = { 0 };
    (void)state;

    make_pools(3, 20);
    for (int i = 0; i < 60; i++) {
        w[i] = (struct worker_like){ &pools[i / 30], &stop };
        go(work, &w[i]);
        for (int turn = 0; i == 29 && turn < 200; turn++) {
            uv_run(uv_default_loop(), UV_RUN_NOWAIT);
            usleep(500);
        }
    }
    assert_int_equal(atomic_load(&budget->rows[0].held), 21);
    for (int turn = 0; turn < 20000; turn++) {
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
        usleep(100);
        held[0] = atomic_load(&budget->rows[0].held);
        held[1] = atomic_load(&budget->rows[1].held);
        if (held[0] == held[1] && held[0] == 11)
            break;
    }
    assert_in_range(held[0], 10, 12);
    assert_in_range(held[1], 10, 12);
    stop = true;
    for (int turn = 0; turn < 500; turn++) {
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
        usleep(100);
    }
    assert_true(fake.most_open <= 23);
    end_pools();
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sure__splits_the_base_evenly_and_the_rest_is_common),
        T(test_sure__is_one_at_least_at_the_cost_of_the_rest),
        T(test_take__ends_at_the_total_whoever_takes),
        T(test_give__keeps_the_positions_own_to_the_last),
        T(test_seat__two_at_a_position_share_what_is_its),
        T(test_seat__a_single_permit_goes_to_and_fro_between_two),
        T(test_settle__changes_common_ones_for_its_positions_own),
        T(test_share__of_fewer_positions_is_larger_and_none_is_lost),
        T(test_forget__frees_what_the_dead_held_and_wanted),
        T(test_wanted__is_of_others),
        T(test_wanted_by_poorer__needs_two_permits_less),
        T(test_use__sums_over_the_workers),
        T(test_permits__survive_kills_at_any_instruction),
        T(test_pools__one_may_burst_into_all_that_is_common),
        T(test_pools__each_is_sure_of_its_share),
        T(test_pools__idle_overflow_goes_to_a_neighbour_who_waits),
        T(test_pools__returned_overflow_goes_to_a_neighbour_who_waits),
        T(test_pools__the_dead_ones_permits_serve_the_living),
        T(test_pools__a_successor_gets_what_its_draining_predecessor_has),
        T(test_pools__under_siege_come_to_hold_as_many_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
