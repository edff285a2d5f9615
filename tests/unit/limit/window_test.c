/* SPDX-License-Identifier: MIT */
/* One window and a clock that is moved by hand, held against a list of all that
 * was ever let through. What several do to it at once is in table_test.c and
 * interrupted_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/random.h"
#include "limit/window.h"

static struct window w;

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    return 0;
}

static bool take(uint64_t stamp, uint32_t limit)
{
    struct window_use use;

    return window_take(&w, stamp, limit, &use);
}

static uint32_t used(uint64_t stamp) { return window_look(&w, stamp).used; }

static uint32_t wait_for(uint64_t stamp, uint32_t limit)
{
    const struct window_use use = window_look(&w, stamp);

    return window_wait(&w, &use, limit);
}

static void test_take__lets_exactly_the_limit_through(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++)
        assert_true(take(1000, 60));
    assert_false(take(1000, 60));
    assert_false(take(1060, 60));
    assert_int_equal(used(1060), 60);
    for (int i = 0; i < 60; i++)
        assert_true(take(1061, 60));
    assert_false(take(1061, 60));
}

static void test_take__says_how_it_is_then(void **state)
{
    struct window_use use;
    (void)state;

    assert_true(window_take(&w, 500, 2, &use));
    assert_int_equal(use.used, 1);
    assert_int_equal(use.age, 0);
    assert_true(window_take(&w, 507, 2, &use));
    assert_int_equal(use.used, 2);
    assert_int_equal(use.age, 7);
    assert_false(window_take(&w, 508, 2, &use));
    assert_int_equal(use.used, 2);
    assert_int_equal(use.stamp, 508);
}

static void test_take__counts_an_earlier_time_at_the_latest_known(void **state)
{
    struct window_use use;
    (void)state;

    assert_true(take(100, 3));
    assert_true(window_take(&w, 98, 3, &use));
    assert_int_equal(use.stamp, 100);
    assert_int_equal(use.ahead, 2);
    assert_int_equal(window_wait(&w, &use, 1), 63);
    assert_int_equal(used(160), 2);
    assert_int_equal(used(161), 0);
}

static void test_take__a_refusal_costs_nothing(void **state)
{
    (void)state;
    assert_true(take(100, 1));
    for (uint64_t at = 100; at < 161; at++)
        assert_false(take(at, 1));
    assert_true(take(161, 1));
}

static void test_take__stops_at_what_a_unit_can_count(void **state)
{
    (void)state;
    assert_true(take(100, UINT32_MAX));
    atomic_fetch_add(&w.head, WINDOW_COUNT_MAX - 2);
    assert_true(take(100, UINT32_MAX));
    assert_false(take(100, UINT32_MAX));
    assert_int_equal(used(100), WINDOW_COUNT_MAX);
    assert_true(take(101, UINT32_MAX));
    assert_int_equal(used(101), WINDOW_COUNT_MAX + 1);
    assert_int_equal(used(102), WINDOW_COUNT_MAX);
    assert_int_equal(used(161), 1);
}

static void test_give__returns_what_was_taken(void **state)
{
    struct window_use use;
    (void)state;

    assert_true(window_take(&w, 100, 5, &use));
    assert_true(take(100, 5));
    window_give(&w, &use);
    assert_int_equal(used(100), 1);
    assert_true(window_take(&w, 100, 5, &use));
    assert_true(take(101, 5));
    window_give(&w, &use);
    assert_int_equal(used(101), 3);
}

/* Somebody began to close the unit and wrote six; then one was given back. Who goes
 * on to close it may have seen five, but someone else six again. */
static void test_look__a_closed_unit_is_never_lowered(void **state)
{
    struct window_use use;
    struct window six;
    (void)state;

    for (int i = 0; i < 6; i++)
        assert_true(window_take(&w, 100, 9, &use));
    six = w;
    window_look(&six, 101);
    window_give(&w, &use);
    memcpy(&w.slots, &six.slots, sizeof(w.slots));
    assert_int_equal(used(101), 6);
}

/* Later units too: those that a look would close. */
static void test_peek__sees_what_a_look_does_and_changes_nothing(void **state)
{
    static const uint64_t stamps[] = { 100, 101, 130, 160, 161, 190, 191, 5000 };
    (void)state;

    for (int i = 0; i < 6; i++)
        assert_true(take(i < 4 ? 100 : 130, 9));
    for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
        const struct window before = w;
        const struct window_use peeked = window_peek(&w, stamps[i]);

        assert_memory_equal(&w, &before, sizeof(w));
        const struct window_use looked = window_look(&w, stamps[i]);
        assert_int_equal(peeked.used, looked.used);
        assert_int_equal(peeked.age, looked.age);
        w = before;
    }
}

static void test_wait__is_until_enough_have_left(void **state)
{
    (void)state;
    assert_true(take(100, 9));
    assert_true(take(103, 9));
    assert_true(take(103, 9));
    assert_true(take(110, 9));
    assert_int_equal(wait_for(120, 5), 0);
    assert_int_equal(wait_for(120, 4), 41);
    assert_int_equal(wait_for(120, 3), 44);
    assert_int_equal(wait_for(120, 2), 44);
    assert_int_equal(wait_for(120, 1), 51);
    assert_true(take(120, 9));
    assert_int_equal(wait_for(120, 1), 61);
}

/* However long nobody came: the numbers of units repeat in the words (a slot's
 * after 64, its tag after 16384 units, a life's after 2^24, and so on). */
static void test_look__nothing_comes_back_after_a_long_time(void **state)
{
    static const uint64_t gaps[] = { 61,      64,      128,     1 << 12, 1 << 14,           1 << 16,          1 << 18,
                                     1 << 20, 1 << 24, 1 << 25, 3 << 24, UINT64_C(1) << 34, UINT64_C(1) << 38 };
    (void)state;

    for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
        for (int off = -70; off <= 70; off++) {
            const uint64_t start = 5000 + (uint64_t)(off + 70), later = start + 60 + gaps[g] + (uint64_t)(off + 70);

            memset(&w, 0, sizeof(w));
            for (uint64_t at = start; at <= start + 60; at++)
                assert_true(take(at, 1000));
            assert_int_equal(used(start + 60), 61);
            assert_int_equal(used(later + 1), 0);
            for (uint64_t at = later + 1; at < later + 70; at++)
                assert_int_equal(used(at), 0);
        }
    }
}

static void test_look__a_new_life_finds_it_empty(void **state)
{
    (void)state;
    for (uint32_t life = 0; life < 70000; life++) {
        const uint64_t unit = 3000 + life % 200;

        assert_int_equal(used(window_stamp((uint16_t)life, unit)), 0);
        assert_true(take(window_stamp((uint16_t)life, unit), 3));
        assert_true(take(window_stamp((uint16_t)life, unit + 1), 3));
        assert_true(take(window_stamp((uint16_t)life, unit + 30), 3));
        assert_false(take(window_stamp((uint16_t)life, unit + 31), 3));
    }
}

/* ---- against a list ------------------------------------------------------------------ */

enum { LISTED = 20000 };

static uint32_t listed_used(const uint64_t *list, size_t n, uint64_t stamp)
{
    uint32_t count = 0;

    while (n > 0 && list[n - 1] + WINDOW_UNITS >= stamp) {
        n--;
        count++;
    }
    return count;
}

static uint64_t step(struct random *r)
{
    switch (random_below(r, 8)) {
    case 0:
        return random_below(r, 100);
    case 1:
        return random_below(r, 5);
    case 2:
        return random_below(r, 400) == 0 ? random_below(r, 1 << 20) : 1;
    default:
        return 0;
    }
}

static void test_take__agrees_with_a_list_of_all_that_were_let_through(void **state)
{
    static uint64_t list[LISTED];
    struct random r;
    (void)state;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        const uint32_t limit = (uint32_t)(3 * seed * seed);
        uint64_t now = window_stamp((uint16_t)(seed * 6553), 123456789);
        size_t n = 0;

        random_seed(&r, seed);
        for (int i = 0; i < LISTED; i++) {
            const uint64_t early = random_below(&r, 10) == 0 ? random_below(&r, 3) : 0;
            uint32_t before;

            now += step(&r);
            before = listed_used(list, n, now);
            assert_int_equal(used(now), before);
            assert_int_equal(take(now - early, limit), before < limit);
            if (before < limit)
                list[n++] = now;
        }
        assert_true(n > 300);
    }
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_take__lets_exactly_the_limit_through),
        T(test_take__says_how_it_is_then),
        T(test_take__counts_an_earlier_time_at_the_latest_known),
        T(test_take__a_refusal_costs_nothing),
        T(test_take__stops_at_what_a_unit_can_count),
        T(test_give__returns_what_was_taken),
        T(test_look__a_closed_unit_is_never_lowered),
        T(test_peek__sees_what_a_look_does_and_changes_nothing),
        T(test_wait__is_until_enough_have_left),
        T(test_look__nothing_comes_back_after_a_long_time),
        T(test_look__a_new_life_finds_it_empty),
        T(test_take__agrees_with_a_list_of_all_that_were_let_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
