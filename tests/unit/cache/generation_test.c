/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/generation.h"

static void test_cache_stamp__changes_with_each_tag_of_the_mask(void **state)
{
    struct cache_generations g = { 0 };
    const uint32_t all = UINT32_MAX;
    uint64_t before = cache_stamp(&g, all);

    (void)state;
    for (unsigned i = 0; i < CACHE_TAGS; i++) {
        cache_invalidate(&g, UINT32_C(1) << i);
        assert_true(cache_stamp(&g, all) > before);
        before = cache_stamp(&g, all);
    }
}

static void test_cache_stamp__heeds_no_other_tag(void **state)
{
    struct cache_generations g = { 0 };
    const uint64_t before = cache_stamp(&g, 1u << 3 | 1u << 31);

    (void)state;
    cache_invalidate(&g, ~(1u << 3 | 1u << 31));
    assert_int_equal(cache_stamp(&g, 1u << 3 | 1u << 31), before);
    assert_int_equal(cache_stamp(&g, 0), 0);
}

static void test_cache_invalidate__bumps_all_tags_of_its_mask(void **state)
{
    struct cache_generations g = { 0 };

    (void)state;
    cache_invalidate(&g, 1u << 0 | 1u << 5);
    assert_int_not_equal(cache_stamp(&g, 1u << 0), 0);
    assert_int_not_equal(cache_stamp(&g, 1u << 5), 0);
    assert_int_equal(cache_stamp(&g, 1u << 1), 0);
}

static void test_cache_stamp__no_sequence_of_bumps_comes_back_to_it(void **state)
{
    struct cache_generations g = { 0 };
    const uint64_t first = cache_stamp(&g, 3);

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        cache_invalidate(&g, i % 3 + 1);
        assert_true(cache_stamp(&g, 3) > first);
    }
}

static void test_cache_hear__bumps_once_a_message(void **state)
{
    struct cache_generations g = { 0 };

    (void)state;
    cache_hear(&g, 1u << 3, 7);
    cache_hear(&g, 1u << 3, 7);
    assert_int_equal(cache_stamp(&g, 1u << 3), 1);
    cache_hear(&g, 1u << 3 | 1u << 4, 8);
    assert_int_equal(cache_stamp(&g, 1u << 3), 2);
    assert_int_equal(cache_stamp(&g, 1u << 4), 1);
    assert_int_equal(cache_untold(&g, CACHE_ALL_TAGS), 0);
}

static void test_cache_hear__its_own_message_is_no_news(void **state)
{
    struct cache_generations g = { 0 };
    struct cache_writes writes;

    (void)state;
    cache_invalidate(&g, 1u << 31);
    cache_telling(&g, 1u << 31, 9, &writes);
    cache_hear(&g, 1u << 31, 9);
    assert_int_equal(cache_stamp(&g, 1u << 31), 1);
}

static void test_cache_untold__until_the_message_about_the_last_write_arrived(void **state)
{
    struct cache_generations g = { 0 };
    struct cache_writes first, second;

    (void)state;
    cache_invalidate(&g, 1u << 0 | 1u << 31);
    assert_int_equal(cache_untold(&g, CACHE_ALL_TAGS), 1u << 0 | 1u << 31);
    assert_int_equal(cache_untold(&g, 1u << 1), 0);
    cache_telling(&g, 1u << 0, 1, &first);
    cache_invalidate(&g, 1u << 0);
    cache_telling(&g, 1u << 0, 2, &second);
    cache_told(&g, 1u << 0, &first);
    assert_int_equal(cache_untold(&g, 1u << 0), 1u << 0);
    cache_told(&g, 1u << 0, &second);
    cache_told(&g, 1u << 0, &first);
    assert_int_equal(cache_untold(&g, CACHE_ALL_TAGS), 1u << 31);
}

static void test_cache_doubt__bumps_all(void **state)
{
    struct cache_generations g = { 0 };

    (void)state;
    cache_doubt(&g);
    for (int i = 0; i < CACHE_TAGS; i++)
        assert_int_equal(cache_stamp(&g, UINT32_C(1) << i), 1);
    assert_int_equal(cache_untold(&g, CACHE_ALL_TAGS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_stamp__changes_with_each_tag_of_the_mask),
        cmocka_unit_test(test_cache_stamp__heeds_no_other_tag),
        cmocka_unit_test(test_cache_invalidate__bumps_all_tags_of_its_mask),
        cmocka_unit_test(test_cache_hear__bumps_once_a_message),
        cmocka_unit_test(test_cache_hear__its_own_message_is_no_news),
        cmocka_unit_test(test_cache_untold__until_the_message_about_the_last_write_arrived),
        cmocka_unit_test(test_cache_doubt__bumps_all),
        cmocka_unit_test(test_cache_stamp__no_sequence_of_bumps_comes_back_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
