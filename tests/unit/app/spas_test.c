/* SPDX-License-Identifier: MIT */
#include "harness.h"

static int set_up(void **state)
{
    harness_open(state);
    harness_sql("INSERT INTO spa (id, code, name, city, is_active, gst_number, internal_note, created_at) VALUES"
                " (1, 'P1', 'Bliss', 'New Delhi', 1, 'GST-77', 'owes rent', 0),"
                " (2, 'P2', 'Aroma', 'Mumbai', 1, NULL, NULL, 0),"
                " (3, 'P3', 'Closed', 'Mumbai', 0, NULL, NULL, 0),"
                " (4, 'P4', 'Calm', 'New Delhi', 1, NULL, NULL, 0)");
    return 0;
}

static void test_spa_list__shows_active_ones_by_name(void **state)
{
    (void)state;
    struct response res = harness_get(spa_list, NULL, "");
    assert_int_equal(res.status, 200);
    assert_string_equal(harness_json(&res, "$[0].name"), "Aroma");
    assert_string_equal(harness_json(&res, "$[1].code"), "P1");
    assert_string_equal(harness_json(&res, "$[2].name"), "Calm");
    assert_string_equal(harness_json(&res, "$[3].id"), "");
    assert_int_equal(harness_field(&res, "Link").len, 0);
}

static void test_spa_list__keeps_internal_fields(void **state)
{
    (void)state;
    struct response res = harness_get(spa_list, NULL, "");
    assert_null(memmem(res.body.ptr, res.body.len, "GST-77", 6));
    assert_null(memmem(res.body.ptr, res.body.len, "owes rent", 9));
}

static void test_spa_list__links_to_the_next_page_of_the_same_city(void **state)
{
    (void)state;
    struct response res = harness_get(spa_list, NULL, "city=New%20Delhi&limit=1");
    const struct str expected = STR("</api/spas?city=New%20Delhi&skip=1&limit=1>; rel=\"next\"");
    assert_string_equal(harness_json(&res, "$[0].name"), "Bliss");
    assert_true(str_eq(harness_field(&res, "Link"), expected));
    res = harness_get(spa_list, NULL, "city=New%20Delhi&limit=1&skip=1");
    assert_string_equal(harness_json(&res, "$[0].name"), "Calm");
    assert_int_equal(harness_field(&res, "Link").len, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, harness_close)
    const struct CMUnitTest tests[] = {
        TEST(test_spa_list__shows_active_ones_by_name),
        TEST(test_spa_list__keeps_internal_fields),
        TEST(test_spa_list__links_to_the_next_page_of_the_same_city),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
