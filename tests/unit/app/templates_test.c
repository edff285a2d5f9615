/* SPDX-License-Identifier: MIT */
#include "harness.h"

/* Six templates of two categories; one is private, one inactive. */
static int set_up(void **state)
{
    harness_open(state);
    harness_sql("INSERT INTO certificate_templates (id, name, category, template_variant, template_html,"
                " template_config, created_by, is_active, is_public, created_at) VALUES"
                " (1, 'A', 'spa_therapist', 'modern', '<p>', '{\"page\":\"A4\"}', 1, 1, 1, 1767225600000),"
                " (2, 'B', 'spa_therapist', 'classic', '<p>', '{}', 1, 1, 1, 0),"
                " (3, 'C', 'spa_therapist', 'modern', '<p>', '{}', 1, 1, 1, 0),"
                " (4, 'D', 'id_card', 'modern', '<p>', '{}', 1, 1, 1, 0),"
                " (5, 'Private', 'id_card', 'modern', '<p>', '{}', 1, 1, 0, 0),"
                " (6, 'Inactive', 'id_card', 'modern', '<p>', '{}', 1, 0, 1, 0)");
    return 0;
}

static void put_id(void *arg, size_t index, const char *category, long long id)
{
    (void)index;
    (void)category;
    char *ids = arg;
    snprintf(ids + strlen(ids), 16, "%lld ", id);
}

static void assert_list(const char *query, const char *expected)
{
    char ids[256] = "";
    struct response res = harness_get(template_list, NULL, query);
    assert_int_equal(res.status, 200);
    harness_rows(&res, put_id, ids);
    assert_string_equal(ids, expected);
}

static void test_template_list__shows_public_and_active_ones(void **state)
{
    (void)state;
    assert_list("", "4 1 2 3 ");
    assert_list("category=spa_therapist", "1 2 3 ");
    assert_list("variant=modern", "4 1 3 ");
    assert_list("category=spa_therapist&variant=modern", "1 3 ");
    assert_list("category=daily_sheet", "");
}

static void test_template_list__has_the_fields_of_old_clients(void **state)
{
    (void)state;
    struct response res = harness_get(template_list, NULL, "category=spa_therapist&variant=modern");
    assert_string_equal(harness_json(&res, "$[0].name"), "A");
    assert_string_equal(harness_json(&res, "$[0].template_type"), "html");
    assert_string_equal(harness_json(&res, "$[0].template_config.page"), "A4");
    assert_string_equal(harness_json(&res, "$[0].created_at"), "2026-01-01T00:00:00Z");
    assert_string_equal(harness_json(&res, "$[0].banner_image"), "");
    assert_non_null(memmem(res.body.ptr, res.body.len, "\"is_active\":true", 16));
}

static void test_template_get__finds_public_and_active_ones_only(void **state)
{
    (void)state;
    struct response res = harness_get(template_get, "2", "");
    assert_int_equal(res.status, 200);
    assert_string_equal(harness_json(&res, "$.name"), "B");
    static const char *const none[] = { "5", "6", "7", "0", "-1", "2x", "02", "99999999999999999999" };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(harness_get(template_get, none[i], "").status, 404);
}

static void test_template_by_category__groups_by_variant(void **state)
{
    (void)state;
    struct response res = harness_get(template_by_category, "spa_therapist", "");
    assert_string_equal(harness_json(&res, "$.category"), "spa_therapist");
    assert_string_equal(harness_json(&res, "$.title"), "Spa Therapist Certificate");
    assert_string_equal(harness_json(&res, "$.variants.classic[0].id"), "2");
    assert_string_equal(harness_json(&res, "$.variants.modern[0].id"), "1");
    assert_string_equal(harness_json(&res, "$.variants.modern[1].id"), "3");
    res = harness_get(template_by_category, "daily_sheet", "");
    assert_string_equal(harness_json(&res, "$.variants"), "{}");
}

static void test_template_by_category__names_the_categories_there_are(void **state)
{
    (void)state;
    struct response res = harness_get(template_by_category, "nonsense", "");
    assert_int_equal(res.status, 404);
    for (size_t c = 0; c < category_count; c++)
        assert_non_null(strstr(harness_json(&res, "$.detail"), categories[c].id));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, harness_close)
    const struct CMUnitTest tests[] = {
        TEST(test_template_list__shows_public_and_active_ones),
        TEST(test_template_list__has_the_fields_of_old_clients),
        TEST(test_template_get__finds_public_and_active_ones_only),
        TEST(test_template_by_category__groups_by_variant),
        TEST(test_template_by_category__names_the_categories_there_are),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
