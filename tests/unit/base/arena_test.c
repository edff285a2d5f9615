/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

#include <string.h>

enum { PLENTY = 1 << 20 };

static void test_arena_alloc__aligns_for_any_type(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, PLENTY);
    for (size_t size = 0; size < 100; size++)
        assert_int_equal((uintptr_t)arena_alloc(&a, size) % 16, 0);
    arena_done(&a);
}

static void test_arena_alloc__pieces_do_not_overlap(void **state)
{
    enum { PIECES = 300 };
    unsigned char *pieces[PIECES];
    struct arena a;

    (void)state;
    arena_init(&a, PLENTY);
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(&a, i * 3 + 1);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)(i % 251), i * 3 + 1);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < i * 3 + 1; k++)
            assert_int_equal(pieces[i][k], i % 251);
    arena_done(&a);
}

static void test_arena_alloc__refuses_beyond_the_maximum(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 8192);
    assert_null(arena_alloc(&a, 8192));
    assert_true(a.full);
    assert_non_null(arena_alloc(&a, 100));
    assert_true(a.full);
    assert_true(a.held <= 8192);
    arena_done(&a);
}

static void test_arena_alloc__never_holds_more_than_its_maximum(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 50000);
    while (arena_alloc(&a, 700))
        assert_true(a.held <= 50000);
    assert_true(a.held > 40000);
    arena_done(&a);
    assert_int_equal(a.held, 0);
}

static void test_arena_alloc__a_small_maximum_still_serves(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 256);
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 256));
    arena_done(&a);
}

static void test_arena_alloc__refuses_absurd_sizes(void **state)
{
    volatile size_t huge = SIZE_MAX;
    struct arena a;

    (void)state;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, huge));
    assert_null(arena_alloc(&a, huge - 16));
    assert_null(arena_alloc(&a, huge / 2 + 1));
    assert_true(a.full);
    assert_int_equal(a.held, 0);
    arena_done(&a);
}

static void test_arena_alloc__a_large_piece_does_not_waste_the_chunk_before_it(void **state)
{
    struct arena a;
    char *before, *after;

    (void)state;
    arena_init(&a, PLENTY);
    before = arena_alloc(&a, 16);
    assert_non_null(arena_alloc(&a, 200000));
    after = arena_alloc(&a, 16);
    assert_true(after > before && after < before + 100);
    arena_done(&a);
}

static void test_arena_calloc__refuses_a_product_that_overflows(void **state)
{
    volatile size_t half = SIZE_MAX / 2;
    struct arena a;

    (void)state;
    arena_init(&a, PLENTY);
    assert_null(arena_calloc(&a, half, 4));
    assert_true(a.full);
    arena_done(&a);
}

static void test_arena_zalloc__zeroes_memory_that_was_used_before(void **state)
{
    static const char zeroes[1000];
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a, PLENTY);
    p = arena_alloc(&a, sizeof(zeroes));
    memset(p, 'x', sizeof(zeroes));
    arena_reset(&a);
    p = arena_zalloc(&a, sizeof(zeroes));
    assert_memory_equal(p, zeroes, sizeof(zeroes));
    arena_done(&a);
}

static void test_arena_reset__keeps_one_default_chunk_and_clears_full(void **state)
{
    struct arena a;
    void *first;

    (void)state;
    arena_init(&a, PLENTY);
    first = arena_alloc(&a, 1);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 1000));
    assert_null(arena_alloc(&a, PLENTY));
    arena_reset(&a);
    assert_false(a.full);
    assert_int_equal(a.held, 4096);
    assert_ptr_equal(arena_alloc(&a, 1), first);
    arena_done(&a);
}

static void test_arena_reset__frees_a_lone_large_chunk(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, PLENTY);
    assert_non_null(arena_alloc(&a, 100000));
    arena_reset(&a);
    assert_int_equal(a.held, 0);
    assert_non_null(arena_alloc(&a, 10));
    arena_done(&a);
}

static void test_arena_reset__of_an_unused_arena_is_fine(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, PLENTY);
    arena_reset(&a);
    assert_int_equal(a.held, 0);
    arena_done(&a);
    arena_done(&a);
}

static void test_arena_grow__newest_grows_in_place(void **state)
{
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a, PLENTY);
    assert_non_null(arena_alloc(&a, 10));
    p = arena_alloc(&a, 10);
    memcpy(p, "0123456789", 10);
    assert_ptr_equal(arena_grow(&a, p, 10, 1000), p);
    assert_memory_equal(p, "0123456789", 10);
    memset(p, 'y', 1000);
    arena_done(&a);
}

static void test_arena_grow__an_older_one_is_copied(void **state)
{
    struct arena a;
    char *p, *grown, *neighbour;

    (void)state;
    arena_init(&a, PLENTY);
    p = arena_alloc(&a, 10);
    memcpy(p, "0123456789", 10);
    neighbour = arena_alloc(&a, 1);
    *neighbour = 'n';
    grown = arena_grow(&a, p, 10, 200);
    assert_ptr_not_equal(grown, p);
    memset(grown + 10, 'y', 190);
    assert_memory_equal(grown, "0123456789", 10);
    assert_int_equal(*neighbour, 'n');
    arena_done(&a);
}

static void test_arena_grow__keeps_the_old_block_when_full(void **state)
{
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a, 4096);
    p = arena_grow(&a, NULL, 0, 4);
    memcpy(p, "kept", 4);
    assert_null(arena_grow(&a, p, 4, 5000));
    assert_memory_equal(p, "kept", 4);
    assert_true(a.full);
    arena_done(&a);
}

static void test_arena_grow__moves_across_chunks_with_content(void **state)
{
    struct arena a;
    unsigned char *p = NULL;
    size_t size = 0;

    (void)state;
    arena_init(&a, 4 * PLENTY);
    for (size_t next = 1; next <= 300000; next = next * 3 / 2 + 1) {
        p = arena_grow(&a, p, size, next);
        assert_non_null(p);
        for (size_t i = size; i < next; i++)
            p[i] = (unsigned char)(i % 253);
        size = next;
    }
    for (size_t i = 0; i < size; i++)
        assert_int_equal(p[i], i % 253);
    arena_done(&a);
}

static void test_arena_str__copies_and_terminates(void **state)
{
    char text[] = "hello, world";
    struct arena a;
    struct str copy;

    (void)state;
    arena_init(&a, PLENTY);
    copy = arena_str(&a, (struct str){ text, 5 });
    text[0] = 'j';
    assert_int_equal(copy.len, 5);
    assert_string_equal(copy.ptr, "hello");
    copy = arena_str(&a, (struct str){ NULL, 0 });
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.ptr, "");
    arena_done(&a);
}

static void test_arena_printf__formats(void **state)
{
    struct arena a;
    struct str s;

    (void)state;
    arena_init(&a, PLENTY);
    s = arena_printf(&a, "%s-%05d", "no", 42);
    assert_int_equal(s.len, 8);
    assert_string_equal(s.ptr, "no-00042");
    arena_done(&a);
}

static void test_arena_str__is_null_when_full(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 0);
    assert_null(arena_str(&a, STR("x")).ptr);
    assert_null(arena_printf(&a, "x").ptr);
    assert_true(a.full);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alloc__aligns_for_any_type),
        cmocka_unit_test(test_arena_alloc__pieces_do_not_overlap),
        cmocka_unit_test(test_arena_alloc__refuses_beyond_the_maximum),
        cmocka_unit_test(test_arena_alloc__never_holds_more_than_its_maximum),
        cmocka_unit_test(test_arena_alloc__a_small_maximum_still_serves),
        cmocka_unit_test(test_arena_alloc__refuses_absurd_sizes),
        cmocka_unit_test(test_arena_alloc__a_large_piece_does_not_waste_the_chunk_before_it),
        cmocka_unit_test(test_arena_calloc__refuses_a_product_that_overflows),
        cmocka_unit_test(test_arena_zalloc__zeroes_memory_that_was_used_before),
        cmocka_unit_test(test_arena_reset__keeps_one_default_chunk_and_clears_full),
        cmocka_unit_test(test_arena_reset__frees_a_lone_large_chunk),
        cmocka_unit_test(test_arena_reset__of_an_unused_arena_is_fine),
        cmocka_unit_test(test_arena_grow__newest_grows_in_place),
        cmocka_unit_test(test_arena_grow__an_older_one_is_copied),
        cmocka_unit_test(test_arena_grow__keeps_the_old_block_when_full),
        cmocka_unit_test(test_arena_grow__moves_across_chunks_with_content),
        cmocka_unit_test(test_arena_str__copies_and_terminates),
        cmocka_unit_test(test_arena_printf__formats),
        cmocka_unit_test(test_arena_str__is_null_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
