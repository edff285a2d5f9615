/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/coro.h"
#include "base/task.h"

static uv_loop_t loop;
static struct coro_pool *pool;

static int start(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    task_use_loop(&loop);
    pool = coro_pool_new(64 * 1024, 8);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    coro_pool_free(pool);
    return uv_loop_close(&loop);
}

static enum err doubles(void *arg)
{
    *(int *)arg *= 2;
    return E_CONFLICT;
}

struct offloading {
    int value;
    enum err result;
    bool cancel_me;
};

static void offloads(void *arg)
{
    struct offloading *o = arg;

    o->result = task_offload(doubles, &o->value);
}

static void test_task_offload__returns_what_the_work_returned(void **state)
{
    struct offloading o = { .value = 21 };
    (void)state;

    assert_int_equal(coro_start(pool, offloads, &o, NULL), OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(o.value, 42);
    assert_int_equal(o.result, E_CONFLICT);
}

static void test_task_offload__runs_at_once_outside_a_coroutine(void **state)
{
    int value = 4;
    (void)state;

    assert_int_equal(task_offload(doubles, &value), E_CONFLICT);
    assert_int_equal(value, 8);
}

static void test_task_offload__a_cancelled_coroutine_still_waits_for_its_work(void **state)
{
    struct offloading o = { .value = 3 };
    struct coro *c;
    (void)state;

    assert_int_equal(coro_start(pool, offloads, &o, &c), OK);
    coro_cancel(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(o.value, 6);
}

struct sleeping {
    uint64_t ms;
    enum err result;
    uint64_t woke_at;
};

static void sleeps(void *arg)
{
    struct sleeping *s = arg;

    s->result = task_sleep(s->ms);
    s->woke_at = uv_hrtime();
}

static void test_task_sleep__wakes_not_before_its_time_and_in_order(void **state)
{
    struct sleeping late = { .ms = 30 }, early = { .ms = 5 };
    uint64_t begun = uv_hrtime();
    (void)state;

    assert_int_equal(coro_start(pool, sleeps, &late, NULL), OK);
    assert_int_equal(coro_start(pool, sleeps, &early, NULL), OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(early.woke_at < late.woke_at);
    assert_true(late.woke_at - begun >= 29 * 1000000u);
    assert_int_equal(late.result, OK);
}

static void test_task_sleep__ends_at_once_when_cancelled(void **state)
{
    struct sleeping s = { .ms = 3600 * 1000 };
    struct coro *c;
    (void)state;

    assert_int_equal(coro_start(pool, sleeps, &s, &c), OK);
    coro_cancel(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.result, E_CANCELLED);
}

static struct waitline line;
static int order[8];
static int ordered;

struct queueing {
    int number;
    uint64_t timeout_ms;
    enum err result;
};

static void queues(void *arg)
{
    struct queueing *q = arg;

    q->result = waitline_wait(&line, q->timeout_ms);
    order[ordered++] = q->number;
}

static void test_waitline__is_first_come_first_served(void **state)
{
    struct queueing q[4];
    (void)state;

    ordered = 0;
    waitline_init(&line);
    for (int i = 0; i < 4; i++) {
        q[i] = (struct queueing){ .number = i };
        assert_int_equal(coro_start(pool, queues, &q[i], NULL), OK);
    }
    assert_true(waitline_wake_one(&line, E_BUSY));
    assert_int_equal(ordered, 1);
    waitline_wake_all(&line, OK);
    assert_int_equal(ordered, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(order[i], i);
    assert_int_equal(q[0].result, E_BUSY);
    assert_int_equal(q[3].result, OK);
    assert_false(waitline_wake_one(&line, OK));
}

static void test_waitline__times_out_and_leaves_the_line(void **state)
{
    struct queueing q = { .number = 7, .timeout_ms = 5 };
    (void)state;

    ordered = 0;
    waitline_init(&line);
    assert_int_equal(coro_start(pool, queues, &q, NULL), OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(q.result, E_TIMEOUT);
    assert_false(waitline_wake_one(&line, OK));
}

struct cancelling {
    struct coro *victim;
    bool woke_another;
};

static void cancels_then_wakes(void *arg)
{
    struct cancelling *c = arg;

    coro_cancel(c->victim);
    c->woke_another = waitline_wake_one(&line, OK);
}

static void test_waitline__skips_a_waiter_that_was_cancelled_but_has_not_left(void **state)
{
    struct queueing first = { .number = 1 }, second = { .number = 2 };
    struct cancelling c = { 0 };
    (void)state;

    ordered = 0;
    waitline_init(&line);
    assert_int_equal(coro_start(pool, queues, &first, &c.victim), OK);
    assert_int_equal(coro_start(pool, queues, &second, NULL), OK);
    assert_int_equal(coro_start(pool, cancels_then_wakes, &c, NULL), OK);
    assert_true(c.woke_another);
    assert_int_equal(first.result, E_CANCELLED);
    assert_int_equal(second.result, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_task_offload__returns_what_the_work_returned, start, stop),
        cmocka_unit_test_setup_teardown(test_task_offload__runs_at_once_outside_a_coroutine, start, stop),
        cmocka_unit_test_setup_teardown(test_task_offload__a_cancelled_coroutine_still_waits_for_its_work, start, stop),
        cmocka_unit_test_setup_teardown(test_task_sleep__wakes_not_before_its_time_and_in_order, start, stop),
        cmocka_unit_test_setup_teardown(test_task_sleep__ends_at_once_when_cancelled, start, stop),
        cmocka_unit_test_setup_teardown(test_waitline__is_first_come_first_served, start, stop),
        cmocka_unit_test_setup_teardown(test_waitline__times_out_and_leaves_the_line, start, stop),
        cmocka_unit_test_setup_teardown(test_waitline__skips_a_waiter_that_was_cancelled_but_has_not_left, start, stop),
    };
    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
