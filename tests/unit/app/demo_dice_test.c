/* SPDX-License-Identifier: MIT */
#include "app/demo_dice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena arena;

static void assert_text(struct str s, const char *expected)
{
    if (!str_eq(s, str_of(expected)))
        fail_msg("\"" STR_FMT "\", not \"%s\"", STR_ARG(s), expected);
}

static void test_day_text__writes_iso_days(void **state)
{
    (void)state;
    assert_text(day_text(&arena, 0), "1970-01-01");
    assert_text(day_text(&arena, 19782), "2024-02-29");
    assert_text(day_text(&arena, 20757), "2026-10-31");
}

static void test_day_add_months__keeps_within_the_month(void **state)
{
    static const struct {
        demo_day from;
        int months;
        const char *expected;
    } rows[] = {
        { 20757, 1, "2026-11-30" }, /* from 2026-10-31 */
        { 20757, -8, "2026-02-28" }, { 20757, -32, "2024-02-29" }, { 20757, -12, "2025-10-31" },
        { 20757, 3, "2027-01-31" },  { 20757, 0, "2026-10-31" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_text(day_text(&arena, day_add_months(rows[i].from, rows[i].months)), rows[i].expected);
}

static void test_day_month_name__counts_back_over_the_year(void **state)
{
    (void)state;
    assert_text(day_month_name(&arena, 20757, 0), "October 2026");
    assert_text(day_month_name(&arena, 20757, 10), "December 2025");
}

static void test_person_email__leaves_out_what_is_no_letter(void **state)
{
    const struct demo_person p = { .given = "Savita", .family = "D'Souza" };

    (void)state;
    assert_text(person_name(&arena, &p), "Savita D'Souza");
    assert_text(person_email(&arena, &p, 7, "example.com"), "savita.dsouza7@example.com");
}

static void test_dice_between__reaches_both_ends_and_no_further(void **state)
{
    struct demo_dice d = { .arena = &arena };
    int seen[4] = { 0 };

    (void)state;
    random_seed(&d.random, 1);
    for (int i = 0; i < 1000; i++) {
        int n = dice_between(&d, -1, 2);
        assert_in_range(n + 1, 0, 3);
        seen[n + 1]++;
    }
    for (int i = 0; i < 4; i++)
        assert_true(seen[i] > 150);
}

static void test_dice_pay__stays_within_the_job(void **state)
{
    const struct demo_job job = { .title = "x", .least = 18000, .most = 19000 };
    struct demo_dice d = { .arena = &arena };

    (void)state;
    random_seed(&d.random, 1);
    for (int i = 0; i < 100; i++) {
        int64_t pay = dice_pay(&d, &job);
        assert_in_range(pay, 1800000, 1900000);
        assert_int_equal(pay % 50000, 0);
    }
}

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_day_text__writes_iso_days),
        cmocka_unit_test(test_day_add_months__keeps_within_the_month),
        cmocka_unit_test(test_day_month_name__counts_back_over_the_year),
        cmocka_unit_test(test_person_email__leaves_out_what_is_no_letter),
        cmocka_unit_test(test_dice_between__reaches_both_ends_and_no_further),
        cmocka_unit_test(test_dice_pay__stays_within_the_job),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
