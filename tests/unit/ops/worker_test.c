/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/worker.h"

#include <signal.h>
#include <unistd.h>

static uv_loop_t loop;
static struct worker_slot slot;
static struct worker_watch watch;
static int stops;
static enum drain_kind last_kind;

static void on_stop(void *arg, enum drain_kind kind)
{
    stops++;
    last_kind = kind;
    uv_stop(arg);
}

static int start_with(int lifeline)
{
    stops = 0;
    slot = (struct worker_slot){ 0 };
    slot_move(&slot, WORKER_STARTING);
    assert_int_equal(uv_loop_init(&loop), 0);
    const int failure = worker_watch_start(&watch, &loop, &slot, lifeline);
    worker_watch_on_stop(&watch, on_stop, &loop);
    return failure;
}

/* The watch does not keep the loop alive by itself. */
static void run_until_stop(void)
{
    uv_ref((uv_handle_t *)&watch.heartbeat);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void finish(void)
{
    worker_watch_close(&watch);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_worker_watch__stop_signal_drains_once(void **state)
{
    (void)state;
    assert_int_equal(start_with(-1), 0);
    assert_int_equal(raise(SIGTERM), 0);
    run_until_stop();
    assert_int_equal(slot_state(&slot), WORKER_DRAINING);
    assert_int_equal(raise(SIGTERM), 0);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(stops, 1);
    finish();
}

static void test_worker_watch__patience_may_turn_into_haste_but_not_back(void **state)
{
    (void)state;
    assert_int_equal(start_with(-1), 0);
    assert_int_equal(raise(SIGQUIT), 0);
    run_until_stop();
    assert_int_equal(stops, 1);
    assert_int_equal(last_kind, DRAIN_PATIENT);
    assert_int_equal(raise(SIGTERM), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(stops, 2);
    assert_int_equal(last_kind, DRAIN_QUICK);
    assert_int_equal(raise(SIGQUIT), 0);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(stops, 2);
    finish();
}

static void on_reopen(void *arg) { ++*(int *)arg; }

static void test_worker_watch__each_usr1_reopens(void **state)
{
    int reopened = 0;

    (void)state;
    assert_int_equal(start_with(-1), 0);
    uv_ref((uv_handle_t *)&watch.heartbeat);
    assert_int_equal(raise(SIGUSR1), 0); /* nobody wants to know yet */
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    worker_watch_on_reopen(&watch, on_reopen, &reopened);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(raise(SIGUSR1), 0);
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(reopened, i);
    }
    assert_int_equal(stops, 0);
    finish();
}

static void test_worker_watch__masters_death_drains(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(start_with(ends[0]), 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(stops, 0);
    assert_int_equal(close(ends[1]), 0);
    run_until_stop();
    assert_int_equal(stops, 1);
    assert_int_equal(slot_state(&slot), WORKER_DRAINING);
    finish();
    assert_int_equal(close(ends[0]), 0);
}

static void test_worker_watch__does_not_keep_the_loop_alive_and_beats(void **state)
{
    (void)state;
    assert_int_equal(start_with(-1), 0);
    assert_false(uv_loop_alive(&loop));
    assert_true(slot_silence_ms(&slot, clock_mono()) >= 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_watch__stop_signal_drains_once),
        cmocka_unit_test(test_worker_watch__patience_may_turn_into_haste_but_not_back),
        cmocka_unit_test(test_worker_watch__each_usr1_reopens),
        cmocka_unit_test(test_worker_watch__masters_death_drains),
        cmocka_unit_test(test_worker_watch__does_not_keep_the_loop_alive_and_beats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
