/* SPDX-License-Identifier: MIT */
/* What comes back from Redis; the function itself is tested in a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit/cluster.h"

static const struct limit_rate rate = { 60, 1000 };

static struct redis_value number(int64_t i) { return (struct redis_value){ .kind = REDIS_INT, .i = i }; }

static bool read_back(const int64_t *numbers, size_t count, struct limit_verdict *v)
{
    struct redis_value items[8];

    for (size_t i = 0; i < count; i++)
        items[i] = number(numbers[i]);
    return limit_cluster_read(&(struct redis_value){ .kind = REDIS_ARRAY, .count = count, .items = items }, &rate, v);
}

static void test_read__of_one_that_was_let_through(void **state)
{
    struct limit_verdict v;
    (void)state;

    assert_true(read_back((const int64_t[]){ 1, 20, 45, 300, 1900, 0 }, 6, &v));
    assert_true(v.allowed);
    assert_int_equal(v.minute.limit, 60);
    assert_int_equal(v.minute.remaining, 40);
    assert_int_equal(v.minute.reset_s, 45);
    assert_int_equal(v.hour.remaining, 700);
    assert_int_equal(v.retry_after_s, 0);
}

static void test_read__of_one_that_was_refused(void **state)
{
    struct limit_verdict v;
    (void)state;

    assert_true(read_back((const int64_t[]){ 0, 60, 9, 300, 1900, 9 }, 6, &v));
    assert_false(v.allowed);
    assert_int_equal(v.minute.remaining, 0);
    assert_int_equal(v.retry_after_s, 9);
    assert_true(read_back((const int64_t[]){ 0, 90, 9, 300, 1900, 0 }, 6, &v)); /* the limit was lowered */
    assert_int_equal(v.minute.remaining, 0);
    assert_int_equal(v.retry_after_s, 1);
}

static void test_read__refuses_what_makes_no_sense(void **state)
{
    struct redis_value text = { .kind = REDIS_TEXT, .count = 0, .s = STR("1") }, nil = { .kind = REDIS_NIL };
    struct limit_verdict v;
    (void)state;

    assert_false(limit_cluster_read(&text, &rate, &v));
    assert_false(limit_cluster_read(&nil, &rate, &v));
    assert_false(read_back((const int64_t[]){ 1, 2, 3, 4, 5 }, 5, &v));
    assert_false(read_back((const int64_t[]){ 1, 2, 3, 4, 5, 6, 7 }, 7, &v));
    assert_false(read_back((const int64_t[]){ 1, -1, 3, 4, 5, 6 }, 6, &v));
    assert_false(read_back((const int64_t[]){ 1, 2, 3, (int64_t)UINT32_MAX + 1, 5, 6 }, 6, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__of_one_that_was_let_through),
        cmocka_unit_test(test_read__of_one_that_was_refused),
        cmocka_unit_test(test_read__refuses_what_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
