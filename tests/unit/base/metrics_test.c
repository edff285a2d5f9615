/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { PAGES = 3 };

static int setup(void **state)
{
    *state = calloc(PAGES, sizeof(struct metrics_page));
    metrics_use_page(*state);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_metric_add__pages_are_summed(void **state)
{
    struct metrics_page *pages = *state;

    for (size_t i = 0; i < PAGES; i++) {
        metrics_use_page(&pages[i]);
        metric_add(M_ACCEPTED, i + 1);
        metric_add(M_ACCEPTED, 10);
    }
    assert_ptr_equal(metrics_page(), &pages[PAGES - 1]);
    assert_int_equal(metric_sum_counter(pages, PAGES, M_ACCEPTED), 36);
    assert_int_equal(metric_sum_counter(pages, 1, M_ACCEPTED), 11);
    assert_int_equal(metric_sum_counter(pages, PAGES, M_BYTES_IN), 0);
}

static void test_metric_gauge__moves_both_ways_and_is_cleared(void **state)
{
    struct metrics_page *pages = *state;

    metric_gauge_set(M_CONNECTIONS, 5);
    metric_gauge_add(M_CONNECTIONS, -7);
    metric_add(M_ACCEPTED, 1);
    metrics_use_page(&pages[1]);
    metric_gauge_add(M_CONNECTIONS, 10);
    assert_int_equal(metric_sum_gauge(pages, PAGES, M_CONNECTIONS), 8);
    metrics_clear_gauges(&pages[1]);
    assert_int_equal(metric_sum_gauge(pages, PAGES, M_CONNECTIONS), -2);
    assert_int_equal(metric_sum_counter(pages, PAGES, M_ACCEPTED), 1);
}

static void test_metric_observe__bounds_belong_to_their_bucket(void **state)
{
    struct metrics_page *pages = *state;
    struct histogram_sum sum;

    for (size_t i = 0; i < METRIC_BUCKETS - 1; i++) {
        const mono_ns bound = (mono_ns)(metric_bounds[i] * 1e9 + 0.5);
        metric_observe(M_POOL_WAIT, bound);
        metric_observe(M_POOL_WAIT, bound + 1);
    }
    metric_sum_histogram(pages, PAGES, M_POOL_WAIT, &sum);
    assert_int_equal(sum.buckets[0], 1);
    for (size_t i = 1; i < METRIC_BUCKETS - 1; i++)
        assert_int_equal(sum.buckets[i], 2);
    assert_int_equal(sum.buckets[METRIC_BUCKETS - 1], 1);
    assert_int_equal(sum.count, 2 * (METRIC_BUCKETS - 1));
}

static void test_metric_observe__sums_nanoseconds_over_pages(void **state)
{
    struct metrics_page *pages = *state;
    struct histogram_sum sum;

    metric_observe(M_POOL_USE, 3 * NS_PER_MS);
    metric_observe(M_POOL_USE, -5);
    metrics_use_page(&pages[2]);
    metric_observe(M_POOL_USE, 100 * (mono_ns)NS_PER_S);
    metric_sum_histogram(pages, PAGES, M_POOL_USE, &sum);
    assert_int_equal(sum.count, 3);
    assert_true(sum.sum_ns == 3 * NS_PER_MS + 100 * (uint64_t)NS_PER_S);
    assert_int_equal(sum.buckets[0], 1);
    assert_int_equal(sum.buckets[METRIC_BUCKETS - 1], 1);
}

static void test_metric_bounds__rise(void **state)
{
    (void)state;
    assert_true(metric_bounds[0] > 0);
    for (size_t i = 1; i < METRIC_BUCKETS - 1; i++)
        assert_true(metric_bounds[i] > metric_bounds[i - 1]);
}

/* What the walk over the series found. */
struct seen {
    enum series_kind kind;
    unsigned a, b, c;
    uint64_t count, sum_ns;
};
struct walk {
    struct seen rows[2 * METRIC_SERIES_MAX];
    size_t count;
};

static void note(void *arg, enum series_kind kind, unsigned a, unsigned b, unsigned c, const struct histogram_sum *sum)
{
    struct walk *w = arg;

    assert_true(w->count < 2 * METRIC_SERIES_MAX);
    w->rows[w->count++] = (struct seen){ kind, a, b, c, sum->count, sum->sum_ns };
}

static const struct seen *seen_of(const struct walk *w, enum series_kind kind, unsigned a, unsigned b, unsigned c)
{
    const struct seen *found = NULL;

    for (size_t i = 0; i < w->count; i++) {
        const struct seen *s = &w->rows[i];
        if (s->kind != kind || s->a != a || s->b != b || s->c != c)
            continue;
        assert_null(found);
        found = s;
    }
    assert_non_null(found);
    return found;
}

static void test_metric_series_observe__same_labels_are_one_series(void **state)
{
    struct metrics_page *pages = *state;
    struct walk w = { .count = 0 };

    metric_series_observe(SERIES_HTTP, 3, 1, 200, 10);
    metric_series_observe(SERIES_HTTP, 3, 1, 200, 20);
    metric_series_observe(SERIES_HTTP, 3, 1, 404, 30);
    metric_series_observe(SERIES_STATEMENT, 3, 1, 200, 40);
    metric_series_observe(SERIES_HTTP, 4095, 15, 4095, 50);
    metric_series_observe(SERIES_HTTP, 0, 0, 0, 60);
    metric_sum_series(pages, PAGES, note, &w);
    assert_int_equal(w.count, 5);
    assert_int_equal(seen_of(&w, SERIES_HTTP, 3, 1, 200)->count, 2);
    assert_int_equal(seen_of(&w, SERIES_HTTP, 3, 1, 200)->sum_ns, 30);
    assert_int_equal(seen_of(&w, SERIES_HTTP, 3, 1, 404)->sum_ns, 30);
    assert_int_equal(seen_of(&w, SERIES_STATEMENT, 3, 1, 200)->sum_ns, 40);
    assert_int_equal(seen_of(&w, SERIES_HTTP, 4095, 15, 4095)->sum_ns, 50);
    assert_int_equal(seen_of(&w, SERIES_HTTP, 0, 0, 0)->sum_ns, 60);
}

static void test_metric_sum_series__merges_pages_that_met_them_in_another_order(void **state)
{
    struct metrics_page *pages = *state;
    struct walk w = { .count = 0 };

    for (unsigned i = 0; i < 300; i++)
        metric_series_observe(SERIES_HTTP, i, 0, 200, 1);
    metrics_use_page(&pages[1]);
    for (unsigned i = 400; i-- > 100;)
        metric_series_observe(SERIES_HTTP, i, 0, 200, 1);
    metric_sum_series(pages, PAGES, note, &w);
    assert_int_equal(w.count, 400);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(seen_of(&w, SERIES_HTTP, i, 0, 200)->count, i >= 100 && i < 300 ? 2 : 1);
}

static void test_metric_series_observe__what_finds_no_slot_is_counted_as_other(void **state)
{
    struct metrics_page *pages = *state;
    struct walk w = { .count = 0 };
    uint64_t all = 0;

    for (unsigned i = 0; i < 1000; i++)
        metric_series_observe(SERIES_HTTP, i, 2, 200, 1);
    for (unsigned i = 0; i < 1000; i++)
        metric_series_observe(SERIES_HTTP, i, 2, 200, 1);
    metric_sum_series(pages, PAGES, note, &w);
    assert_int_equal(w.count, METRIC_SERIES_MAX);
    for (size_t i = 0; i < w.count; i++)
        all += w.rows[i].count;
    assert_int_equal(all, 2000);
    assert_int_equal(seen_of(&w, SERIES_OTHER, 0, 0, 0)->count, 2000 - 2 * (METRIC_SERIES_MAX - 1));
}

static void test_metric_info__every_row_has_a_name_and_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_COUNTER_COUNT; i++) {
        const char *name = metric_counter_info[i].name;
        const size_t len = strcspn(name, "{"); /* labels may follow */
        assert_true(len > 6);
        assert_memory_equal(name + len - 6, "_total", 6);
        assert_non_null(metric_counter_info[i].help);
    }
    for (size_t i = 0; i < METRIC_GAUGE_COUNT; i++)
        assert_non_null(metric_gauge_info[i].name);
    for (size_t i = 0; i < METRIC_HISTOGRAM_COUNT; i++)
        assert_non_null(strstr(metric_histogram_info[i].name, "_seconds"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_metric_add__pages_are_summed),
        TEST(test_metric_gauge__moves_both_ways_and_is_cleared),
        TEST(test_metric_observe__bounds_belong_to_their_bucket),
        TEST(test_metric_observe__sums_nanoseconds_over_pages),
        TEST(test_metric_bounds__rise),
        TEST(test_metric_series_observe__same_labels_are_one_series),
        TEST(test_metric_sum_series__merges_pages_that_met_them_in_another_order),
        TEST(test_metric_series_observe__what_finds_no_slot_is_counted_as_other),
        TEST(test_metric_info__every_row_has_a_name_and_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
