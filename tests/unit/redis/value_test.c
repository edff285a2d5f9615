/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis/value.h"

static const struct redis_value inner[] = { { .kind = REDIS_TEXT, .s = { "-12", 3 } }, { .kind = REDIS_NIL } };
static const struct redis_value items[] = {
    { .kind = REDIS_INT, .i = 7 },
    { .kind = REDIS_ARRAY, .count = 2, .items = inner },
    { .kind = REDIS_ERROR, .s = { "ERR", 3 } },
};
static const struct redis_value tree = { .kind = REDIS_ARRAY, .count = 3, .items = items };

static void test_item__is_nil_where_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(redis_item(&tree, 0)->i, 7);
    assert_int_equal(redis_item(redis_item(&tree, 1), 1)->kind, REDIS_NIL);
    assert_int_equal(redis_item(&tree, 3)->kind, REDIS_NIL);
    assert_int_equal(redis_item(&tree, SIZE_MAX)->kind, REDIS_NIL);
    assert_int_equal(redis_item(redis_item(&tree, 0), 0)->kind, REDIS_NIL);
}

static void test_int__also_of_a_text(void **state)
{
    const struct redis_value word = { .kind = REDIS_TEXT, .s = { "12x", 3 } };
    (void)state;

    assert_int_equal(redis_int(&items[0], -1), 7);
    assert_int_equal(redis_int(&inner[0], -1), -12);
    assert_int_equal(redis_int(&inner[1], -1), -1);
    assert_int_equal(redis_int(&tree, -1), -1);
    assert_int_equal(redis_int(&word, -1), -1);
}

static void test_text__of_a_text_only(void **state)
{
    (void)state;
    assert_true(str_eq(redis_text(&inner[0]), STR("-12")));
    assert_int_equal(redis_text(&items[2]).len, 0);
    assert_int_equal(redis_text(&tree).len, 0);
}

static void test_copy__shares_nothing(void **state)
{
    struct redis_value copy;
    struct arena arena;
    (void)state;

    arena_init(&arena, 4096);
    assert_int_equal(redis_value_copy(&tree, &arena, &copy), OK);
    assert_ptr_not_equal(copy.items, items);
    assert_ptr_not_equal(redis_item(&copy, 1)->items, inner);
    assert_ptr_not_equal(redis_item(redis_item(&copy, 1), 0)->s.ptr, inner[0].s.ptr);
    assert_int_equal(redis_int(redis_item(redis_item(&copy, 1), 0), 0), -12);
    assert_string_equal(redis_item(&copy, 2)->s.ptr, "ERR");
    arena_done(&arena);
}

static void test_copy__a_full_arena_leaves_nothing_half(void **state)
{
    struct redis_value copy = { .kind = REDIS_INT, .i = 1 };
    struct arena arena;
    (void)state;

    arena_init(&arena, 64);
    assert_int_equal(redis_value_copy(&tree, &arena, &copy), E_NO_MEMORY);
    assert_int_equal(copy.i, 1);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_item__is_nil_where_there_is_none),
        cmocka_unit_test(test_int__also_of_a_text),
        cmocka_unit_test(test_text__of_a_text_only),
        cmocka_unit_test(test_copy__shares_nothing),
        cmocka_unit_test(test_copy__a_full_arena_leaves_nothing_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
