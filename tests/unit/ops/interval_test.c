/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/interval.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES = 2, GET = 0, POST = 1 };

static struct metrics_page *pages;
static struct worker_slots slots;
static struct node_source node;
static struct arena arena;

static int start(void **state)
{
    (void)state;
    pages = calloc(PAGES, sizeof(*pages));
    slots_init(&slots, PAGES);
    for (int i = 0; i < PAGES; i++)
        slot_move(&slots.rows[i], WORKER_STARTING);
    node = (struct node_source){ pages, PAGES, &slots };
    arena_init(&arena, 64 << 20);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    arena_done(&arena);
    free(pages);
    return 0;
}

static void ask(int page, unsigned route, unsigned method, unsigned status, int ms)
{
    metrics_use_page(&pages[page]);
    metric_series_observe(SERIES_HTTP, route, method, status, (mono_ns)ms * NS_PER_MS);
}

static void query(int page, unsigned statement, unsigned err, int ms)
{
    metrics_use_page(&pages[page]);
    metric_series_observe(SERIES_STATEMENT, statement, 0, err, (mono_ns)ms * NS_PER_MS);
}

/* A look, at that second. */
static struct snapshot *look(int second)
{
    struct snapshot *s = snapshot_take(&node, &arena);

    assert_non_null(s);
    s->at = (mono_ns)second * NS_PER_S;
    s->taken = (wall_ms)second * MS_PER_S;
    s->started = 0;
    return s;
}

static struct interval *between(const struct snapshot *from, const struct snapshot *to)
{
    struct interval *i = interval_between(from, to, &arena);

    assert_non_null(i);
    return i;
}

static const struct traffic *find(const struct traffic *rows, size_t count, unsigned a, unsigned b)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].a == a && rows[i].b == b)
            return &rows[i];
    }
    fail_msg("no line of %u, %u", a, b);
    return NULL;
}

static void assert_close(double is, double expected)
{
    if (is < expected * 0.999 - 1e-9 || is > expected * 1.001 + 1e-9)
        fail_msg("%g is not %g", is, expected);
}

static void test_interval_between__counts_what_came_between(void **state)
{
    (void)state;
    metrics_use_page(&pages[0]);
    metric_add(M_ACCEPTED, 7);
    const struct snapshot *from = look(10);
    metric_add(M_ACCEPTED, 3);
    metrics_use_page(&pages[1]);
    metric_add(M_ACCEPTED, 2);
    const struct interval *i = between(from, look(14));
    assert_int_equal(i->counters[M_ACCEPTED], 5);
    assert_close(i->seconds, 4);
    assert_close(interval_rate(i, i->counters[M_ACCEPTED]), 1.25);
}

static void test_interval_between__quantiles_are_those_of_the_interval(void **state)
{
    (void)state;
    for (int n = 0; n < 1000; n++)
        ask(0, 1, GET, 200, 1);
    const struct snapshot *from = look(10);
    for (int n = 0; n < 10; n++)
        ask(0, 1, GET, 200, 400);
    const struct snapshot *to = look(11);
    const struct interval *last = between(from, to), *all = between(NULL, to);
    assert_int_equal(last->http.count, 10);
    assert_true(histogram_quantile(&last->http, 0.5) > 0.25);
    assert_close(histogram_mean(&last->http), 0.4);
    assert_int_equal(all->http.count, 1010);
    assert_true(histogram_quantile(&all->http, 0.5) <= 0.001);
}

static void test_interval_between__lines_by_route_and_method_over_workers_and_statuses(void **state)
{
    (void)state;
    ask(0, 1, GET, 200, 1);
    ask(0, 2, GET, 200, 1);
    const struct snapshot *from = look(10);
    ask(0, 1, GET, 200, 1);
    ask(1, 1, GET, 500, 1);
    ask(1, 1, POST, 404, 1);
    ask(1, 9, GET, 503, 1);
    const struct interval *i = between(from, look(11));
    assert_int_equal(i->route_count, 4);
    assert_int_equal(find(i->routes, 4, 1, GET)->time.count, 2);
    assert_int_equal(find(i->routes, 4, 1, GET)->errors, 1);
    assert_int_equal(find(i->routes, 4, 1, POST)->time.count, 1);
    assert_int_equal(find(i->routes, 4, 1, POST)->errors, 0);
    assert_int_equal(find(i->routes, 4, 2, GET)->time.count, 0);
    assert_int_equal(find(i->routes, 4, 9, GET)->errors, 1);
    assert_int_equal(i->statuses[2], 1);
    assert_int_equal(i->statuses[4], 1);
    assert_int_equal(i->statuses[5], 2);
}

static void test_interval_between__statements_by_name(void **state)
{
    (void)state;
    query(0, 3, 0, 5);
    const struct snapshot *from = look(10);
    query(0, 3, 0, 20);
    query(1, 3, 1, 40);
    const struct interval *i = between(from, look(11));
    assert_int_equal(i->statement_count, 1);
    assert_int_equal(i->statements[0].time.count, 2);
    assert_int_equal(i->statements[0].errors, 1);
    assert_close(histogram_mean(&i->statements[0].time), 0.03);
    assert_int_equal(i->http.count, 0);
}

static void test_interval_between__what_fell_counts_as_nothing(void **state)
{
    (void)state;
    metrics_use_page(&pages[0]);
    metric_add(M_SHED, 50);
    ask(0, 1, GET, 200, 1);
    const struct snapshot *from = look(10);
    memset(pages, 0, PAGES * sizeof(*pages)); /* another server */
    ask(0, 2, GET, 200, 1);
    const struct interval *i = between(from, look(10));
    assert_int_equal(i->counters[M_SHED], 0);
    assert_int_equal(i->route_count, 1);
    assert_int_equal(find(i->routes, 1, 2, GET)->time.count, 1);
    assert_true(i->seconds > 0);
}

static void test_interval_between__workers_by_row(void **state)
{
    (void)state;
    slots.count = WORKERS_MAX; /* most of them never used */
    slots.rows[0].pid = getpid();
    ask(0, 1, GET, 200, 1);
    const struct snapshot *from = look(10);
    ask(0, 1, GET, 200, 1);
    ask(0, 2, GET, 500, 1);
    ask(1, 2, GET, 200, 1);
    const struct interval *i = between(from, look(12));
    assert_int_equal(i->worker_count, 2);
    assert_int_equal(i->workers[0].view->requests, 3);
    assert_int_equal(i->workers[0].requests, 2);
    assert_true(i->workers[0].view->known);
    assert_int_equal(i->workers[1].requests, 1);
    assert_false(i->workers[1].view->known);
}

static void test_interval_between__a_new_process_used_all_its_time_now(void **state)
{
    (void)state;
    slots.rows[0].pid = getpid();
    struct snapshot *from = look(10), *to = look(12);
    from->workers[0].info.cpu_seconds = 5;
    to->workers[0].info.cpu_seconds = 6;
    assert_close(between(from, to)->workers[0].cpu, 0.5);
    from->workers[0].pid++;
    assert_close(between(from, to)->workers[0].cpu, 3);
}

/* The memory may be another program's. */
static void test_snapshot_take__believes_no_number_of_rows(void **state)
{
    (void)state;
    slots.count = INT32_MAX;
    assert_true(look(1)->worker_count <= sizeof(slots.rows) / sizeof(slots.rows[0]));
    slots.count = -5;
    assert_int_equal(look(1)->worker_count, 0);
    slots.count = PAGES;
    slots.rows[0].state = 12345;
    pages[0].series[0].key = UINT32_MAX;
    pages[0].series[0].time.buckets[0] = UINT64_MAX;
    pages[0].series[0].time.sum_ns = UINT64_MAX;
    pages[0].gauges[M_CONNECTIONS] = INT64_MIN;
    assert_non_null(between(look(1), look(2)));
    assert_string_equal(worker_state_name(look(1)->workers[0].state), "unknown");
}

static void test_interval_share__of_nothing_is_nothing(void **state)
{
    (void)state;
    assert_close(interval_share(1, 4), 0.25);
    assert_close(interval_share(0, 0), 0);
    assert_close(histogram_mean(&(struct histogram_sum){ 0 }), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_interval_between__counts_what_came_between),
        T(test_interval_between__quantiles_are_those_of_the_interval),
        T(test_interval_between__lines_by_route_and_method_over_workers_and_statuses),
        T(test_interval_between__statements_by_name),
        T(test_interval_between__what_fell_counts_as_nothing),
        T(test_interval_between__workers_by_row),
        T(test_interval_between__a_new_process_used_all_its_time_now),
        T(test_snapshot_take__believes_no_number_of_rows),
        T(test_interval_share__of_nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
