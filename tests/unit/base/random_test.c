/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_random_secret__fills_all_bytes_anew(void **state)
{
    unsigned char seen[32] = { 0 }, now[32], before[32] = { 0 };

    (void)state;
    for (int i = 0; i < 64; i++) {
        random_secret(now, sizeof(now));
        assert_memory_not_equal(now, before, sizeof(now));
        memcpy(before, now, sizeof(now));
        for (size_t k = 0; k < sizeof(now); k++)
            seen[k] |= now[k];
    }
    for (size_t k = 0; k < sizeof(seen); k++)
        assert_int_equal(seen[k], 0xFF);
    random_secret(NULL, 0);
}

/* The state { 1, 2, 3, 4 } gives these in the authors' reference code. */
static void test_random_next__is_xoshiro256starstar(void **state)
{
    static const uint64_t expected[] = { UINT64_C(11520), UINT64_C(0), UINT64_C(1509978240),
                                         UINT64_C(1215971899390074240) };
    struct random r = { { 1, 2, 3, 4 } };

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(random_next(&r) == expected[i]);
}

/* splitmix64's first outputs for the seed 0. */
static void test_random_seed__is_splitmix64(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, 0);
    assert_true(r.s[0] == UINT64_C(0xE220A8397B1DCDAF));
    assert_true(r.s[1] == UINT64_C(0x6E789E6AA1B965F4));
    assert_true(r.s[2] == UINT64_C(0x06C45D188009454F));
}

static void test_random_seed__same_seed_same_numbers(void **state)
{
    struct random a, b, c;

    (void)state;
    random_seed(&a, 42);
    random_seed(&b, 42);
    random_seed(&c, 43);
    assert_true(random_next(&a) != random_next(&c));
    random_next(&b);
    for (int i = 0; i < 100; i++)
        assert_true(random_next(&a) == random_next(&b));
}

static void test_random_below__is_even_and_in_range(void **state)
{
    enum { SIDES = 6, ROLLS = 60000 };
    unsigned counts[SIDES] = { 0 };
    struct random r;

    (void)state;
    random_seed(&r, 1);
    for (int i = 0; i < ROLLS; i++) {
        const uint64_t side = random_below(&r, SIDES);
        assert_true(side < SIDES);
        counts[side]++;
    }
    for (int i = 0; i < SIDES; i++)
        assert_in_range(counts[i], ROLLS / SIDES * 95 / 100, ROLLS / SIDES * 105 / 100);
}

static void test_random_below__one_and_huge(void **state)
{
    const uint64_t huge = UINT64_C(3) << 62;
    unsigned low = 0;
    struct random r;

    (void)state;
    random_seed(&r, 7);
    for (int i = 0; i < 3000; i++) {
        const uint64_t n = random_below(&r, huge);
        assert_true(n < huge);
        low += n < huge / 3;
        assert_int_equal(random_below(&r, 1), 0);
    }
    assert_in_range(low, 850, 1150);
}

static void test_random_fast__does_not_repeat(void **state)
{
    uint64_t last = random_fast();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        const uint64_t now = random_fast();
        assert_true(now != last);
        last = now;
    }
}

/* The next number of a new child process. */
static uint64_t number_of_a_child(void)
{
    uint64_t number = 0;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        number = random_fast();
        _exit(write(ends[1], &number, sizeof(number)) == sizeof(number) ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(read(ends[0], &number, sizeof(number)), sizeof(number));
    assert_int_equal(waitpid(child, &status, 0), child);
    close(ends[0]);
    close(ends[1]);
    return number;
}

static void test_random_fast__differs_between_parent_and_children(void **state)
{
    uint64_t first, second;

    (void)state;
    random_fast();
    first = number_of_a_child();
    second = number_of_a_child();
    assert_true(first != second);
    assert_true(random_fast() != first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_secret__fills_all_bytes_anew),
        cmocka_unit_test(test_random_next__is_xoshiro256starstar),
        cmocka_unit_test(test_random_seed__is_splitmix64),
        cmocka_unit_test(test_random_seed__same_seed_same_numbers),
        cmocka_unit_test(test_random_below__is_even_and_in_range),
        cmocka_unit_test(test_random_below__one_and_huge),
        cmocka_unit_test(test_random_fast__does_not_repeat),
        cmocka_unit_test(test_random_fast__differs_between_parent_and_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
