/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct link link;
};

static void push_all(struct link *head, struct item *items, int count)
{
    for (int i = 0; i < count; i++) {
        items[i].number = i;
        list_push_back(head, &items[i].link);
    }
}

static void assert_pops(struct link *head, int expected)
{
    struct link *l = list_pop_front(head);

    assert_non_null(l);
    assert_int_equal(container_of(l, struct item, link)->number, expected);
}

static void test_list_push_back__is_first_in_first_out(void **state)
{
    struct item items[3];
    struct link head;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    push_all(&head, items, 3);
    assert_false(list_empty(&head));
    for (int i = 0; i < 3; i++)
        assert_pops(&head, i);
    assert_null(list_pop_front(&head));
}

static void test_list_push_front__is_last_in_first_out(void **state)
{
    struct item items[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
    struct link head;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_push_front(&head, &items[i].link);
    for (int i = 2; i >= 0; i--)
        assert_pops(&head, i);
    assert_true(list_empty(&head));
}

static void test_list_insert_before__keeps_the_order(void **state)
{
    struct item items[3], between = { .number = 9 };
    struct link head;

    (void)state;
    list_init(&head);
    push_all(&head, items, 3);
    list_insert_before(&items[1].link, &between.link);
    assert_pops(&head, 0);
    assert_pops(&head, 9);
    assert_pops(&head, 1);
    assert_pops(&head, 2);
}

static void test_list_remove__takes_one_out_and_may_be_repeated(void **state)
{
    struct item items[3];
    struct link head;

    (void)state;
    list_init(&head);
    push_all(&head, items, 3);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_true(list_empty(&items[1].link));
    assert_pops(&head, 0);
    assert_pops(&head, 2);
    assert_null(list_pop_front(&head));
}

static void test_list_splice__moves_all_to_the_end(void **state)
{
    struct item first[2], second[2];
    struct link to, from;

    (void)state;
    list_init(&to);
    list_init(&from);
    push_all(&to, first, 2);
    push_all(&from, second, 2);
    second[0].number = 10;
    second[1].number = 11;
    list_splice(&to, &from);
    assert_true(list_empty(&from));
    assert_pops(&to, 0);
    assert_pops(&to, 1);
    assert_pops(&to, 10);
    assert_pops(&to, 11);
    list_splice(&to, &from);
    assert_true(list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_push_back__is_first_in_first_out),
        cmocka_unit_test(test_list_push_front__is_last_in_first_out),
        cmocka_unit_test(test_list_insert_before__keeps_the_order),
        cmocka_unit_test(test_list_remove__takes_one_out_and_may_be_repeated),
        cmocka_unit_test(test_list_splice__moves_all_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
