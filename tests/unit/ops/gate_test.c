/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/server.h"

/* The server of these tests: only how busy it is. */
static size_t busy;
size_t fake_active(const struct server *s);
size_t fake_active(const struct server *s)
{
    (void)s;
    return busy;
}
#define server_active fake_active
#include "ops/gate.c"

#include <string.h>

static struct request req;
static const struct route plain = { .path = "/" }, ungated = { .path = "/health", .flags = ROUTE_UNGATED };

static int start(void **state)
{
    (void)state;
    req = (struct request){ .route = &plain };
    arena_init(&req.arena, 1 << 16);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    arena_done(&req.arena);
    return 0;
}

static void test_gate_step__lets_exactly_the_limit_in(void **state)
{
    struct gate gate = { .limit = 2 };
    struct response res = { 0 };

    (void)state;
    busy = 1;
    assert_int_equal(gate_step(&gate, &req, &res), STEP_NEXT);
    busy = 2;
    assert_int_equal(gate_step(&gate, &req, &res), STEP_ANSWERED);
    assert_int_equal(res.status, 503);
}

static void test_gate_step__says_when_to_come_again_and_counts(void **state)
{
    struct gate gate = { .limit = 1 };
    struct response res = { 0 };
    const uint64_t before = metric_sum_counter(metrics_page(), 1, M_SHED);
    bool found = false;

    (void)state;
    busy = 9;
    assert_int_equal(gate_step(&gate, &req, &res), STEP_ANSWERED);
    for (unsigned i = 0; i < res.field_count; i++)
        found |= str_eq(res.fields[i].name, STR("Retry-After")) && str_eq(res.fields[i].value, STR("1"));
    assert_true(found);
    assert_int_equal(metric_sum_counter(metrics_page(), 1, M_SHED), before + 1);
}

static void test_gate_step__health_always_passes(void **state)
{
    struct gate gate = { .limit = 1 };
    struct response res = { 0 };

    (void)state;
    busy = 1000;
    req.route = &ungated;
    assert_int_equal(gate_step(&gate, &req, &res), STEP_NEXT);
}

static void test_gate_step__zero_is_no_limit(void **state)
{
    struct gate gate = { .limit = 0 };
    struct response res = { 0 };

    (void)state;
    busy = 1000;
    assert_int_equal(gate_step(&gate, &req, &res), STEP_NEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gate_step__lets_exactly_the_limit_in, start, finish),
        cmocka_unit_test_setup_teardown(test_gate_step__says_when_to_come_again_and_counts, start, finish),
        cmocka_unit_test_setup_teardown(test_gate_step__health_always_passes, start, finish),
        cmocka_unit_test_setup_teardown(test_gate_step__zero_is_no_limit, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
