/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cache/entry.h"

enum { BODY = 1000 };

static struct cache_table table;

static int start(void **state)
{
    (void)state;
    return cache_table_init(&table, (size_t)10 * 2 * BODY) ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    cache_table_done(&table);
    return 0;
}

static struct cache_entry *add(const char *key)
{
    struct cache_entry *e = cache_table_add(&table, str_of(key));

    assert_non_null(e);
    return e;
}

/* An entry with a plain body of `len` bytes. */
static struct cache_entry *add_filled(const char *key, size_t len)
{
    struct cache_entry *e = add(key);

    e->variants[ENCODED_PLAIN].blob = blob_new(0, len);
    assert_non_null(e->variants[ENCODED_PLAIN].blob);
    cache_table_weigh(&table, e);
    return e;
}

static struct cache_entry *find(const char *key) { return cache_table_find(&table, str_of(key)); }

static void test_cache_table_find__only_the_very_key(void **state)
{
    struct cache_entry *e = add("one");

    (void)state;
    assert_ptr_equal(find("one"), e);
    assert_null(find("on"));
    assert_null(find("one "));
    assert_null(find(""));
}

static void test_cache_table_add__copies_the_key(void **state)
{
    char key[] = "volatile";
    struct cache_entry *e = add(key);

    (void)state;
    memset(key, 'x', sizeof(key) - 1);
    assert_ptr_equal(find("volatile"), e);
    assert_null(find(key));
}

static void test_cache_table_find__all_of_many(void **state)
{
    struct cache_entry *added[40];
    char key[16];

    (void)state;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "key %d", i);
        added[i] = add(key);
    }
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "key %d", i);
        assert_ptr_equal(find(key), added[i]);
    }
    assert_int_equal(table.entries, 40);
}

static void test_cache_table_weigh__drops_the_least_recently_used(void **state)
{
    (void)state;
    add_filled("old", 7 * BODY);
    add_filled("older, but asked for", 7 * BODY);
    assert_non_null(find("old"));
    add_filled("new", 7 * BODY);
    assert_non_null(find("old"));
    assert_null(find("older, but asked for"));
    assert_true(table.bytes <= table.max_bytes);
}

static void test_cache_table_weigh__never_drops_a_pinned_entry(void **state)
{
    struct cache_entry *pinned = add_filled("pinned", 7 * BODY);

    (void)state;
    pinned->pins++;
    add_filled("other", 7 * BODY);
    add_filled("third", 7 * BODY);
    assert_ptr_equal(find("pinned"), pinned);
    assert_null(find("other"));
    pinned->pins--;
    add_filled("fourth", 19 * BODY);
    assert_null(find("pinned"));
}

static void test_cache_table_weigh__keeps_the_entry_it_weighs(void **state)
{
    struct cache_entry *e = add_filled("larger than all", 30 * BODY);

    (void)state;
    assert_ptr_equal(find("larger than all"), e);
    add_filled("next", BODY);
    assert_null(find("larger than all"));
    assert_true(table.bytes <= table.max_bytes);
}

static void test_cache_table_weigh__counts_what_was_added_and_taken(void **state)
{
    struct cache_entry *e = add("entry");
    const size_t empty = table.bytes;

    (void)state;
    assert_true(empty > 0);
    e->variants[ENCODED_GZIP].blob = blob_new(10, BODY);
    assert_non_null(e->variants[ENCODED_GZIP].blob);
    cache_table_weigh(&table, e);
    assert_true(table.bytes >= empty + BODY + 10);
    blob_unref(e->variants[ENCODED_GZIP].blob);
    e->variants[ENCODED_GZIP].blob = NULL;
    cache_table_weigh(&table, e);
    assert_int_equal(table.bytes, empty);
}

static void test_cache_table_add__empty_entries_keep_the_budget_too(void **state)
{
    char key[32];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(key, sizeof(key), "nothing here %d", i);
        add(key);
    }
    assert_true(table.bytes <= table.max_bytes);
    assert_true(table.entries < 200);
    assert_non_null(find("nothing here 9999"));
}

#define TABLE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_cache_table_find__only_the_very_key),
        TABLE_TEST(test_cache_table_add__copies_the_key),
        TABLE_TEST(test_cache_table_find__all_of_many),
        TABLE_TEST(test_cache_table_weigh__drops_the_least_recently_used),
        TABLE_TEST(test_cache_table_weigh__never_drops_a_pinned_entry),
        TABLE_TEST(test_cache_table_weigh__keeps_the_entry_it_weighs),
        TABLE_TEST(test_cache_table_weigh__counts_what_was_added_and_taken),
        TABLE_TEST(test_cache_table_add__empty_entries_keep_the_budget_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
