/* SPDX-License-Identifier: MIT */
#include "harness.h"

/* A request as a handler finds it. */
static int set_up(void **state)
{
    harness_open(state);
    (void)harness_get(spa_list, NULL, "");
    return 0;
}

static void test_app_db_problem__says_how_the_pool_stands_when_it_is_busy(void **state)
{
    (void)state;
    struct response res = app_db_problem(&harness.req, E_BUSY);
    assert_int_equal(res.status, 503);
    assert_true(harness_field(&res, "Retry-After").len > 0);
    assert_non_null(strstr(harness_json(&res, "$.detail"), "waiting="));
}

static void test_app_db_problem__says_when_to_come_back(void **state)
{
    (void)state;
    struct response res = app_db_problem(&harness.req, E_UNAVAILABLE);
    assert_int_equal(res.status, 503);
    assert_true(str_eq(harness_field(&res, "Retry-After"), STR("1")));
    res = app_db_problem(&harness.req, E_DATABASE);
    assert_int_equal(res.status, 500);
    assert_int_equal(harness_field(&res, "Retry-After").len, 0);
}

static void test_link_next__escapes_and_leaves_out(void **state)
{
    (void)state;
    struct response res = response_empty(200);
    const struct link_param params[] = {
        { "a", STR_EMPTY },
        { "b", STR("x y&\xC3\xA9\"<>\r\n%") },
        { "c", STR("A-z_0.~") },
    };
    link_next(&harness.req, &res, params, 3);
    assert_true(str_eq(harness_field(&res, "Link"),
                       STR("</api/spas?b=x%20y%26%C3%A9%22%3C%3E%0D%0A%25&c=A-z_0.~>; rel=\"next\"")));
}

static void test_body_response__does_not_blame_the_client_for_a_large_body(void **state)
{
    (void)state;
    struct buf body;
    struct json j;
    body_init(&harness.req, &body, &j);
    body.err = E_TOO_LARGE;
    assert_int_equal(body_response(&harness.req, &body).status, 500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, harness_close)
    const struct CMUnitTest tests[] = {
        TEST(test_app_db_problem__says_how_the_pool_stands_when_it_is_busy),
        TEST(test_app_db_problem__says_when_to_come_back),
        TEST(test_link_next__escapes_and_leaves_out),
        TEST(test_body_response__does_not_blame_the_client_for_a_large_body),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
