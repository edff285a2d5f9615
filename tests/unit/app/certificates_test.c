/* SPDX-License-Identifier: MIT */
#include "harness.h"

enum { ROWS = 60 };

/* Three categories with ROWS rows each. Moments repeat within and between them,
 * every third row is private. */
static const char fill_therapists[] =
    "INSERT INTO spa_therapist_certificates (id, code, created_by, candidate_name, course_name, start_date, end_date,"
    " is_public, generated_at, certificate_data, passport_size_photo) SELECT n, printf('S%026d', n), 1, 'Name ' || n,"
    " 'Diploma', '2026-01-01', '2026-06-30', n % 3 > 0, 1700000000000 + n / 4 * 1000, '{\"grade\":\"A\"}', 'p.jpg'";
static const char fill_managers[] =
    "INSERT INTO manager_salary_certificates (id, code, created_by, manager_name, position, joining_date,"
    " monthly_salary, is_public, generated_at, certificate_data) SELECT n, printf('M%026d', n), 1, 'Manager ' || n,"
    " 'Manager', '2026-01-01', 123456, n % 3 > 0, 1700000000000 + n / 5 * 1000, '{\"salary\":123456}'";
static const char fill_sheets[] =
    "INSERT INTO daily_sheet_certificates (id, code, spa_name, sheet_date, is_public, generated_at)"
    " SELECT n, printf('D%026d', n), 'Spa', '2026-01-01', n % 3 > 0, 1700000000000 + n / 6 * 1000";

static void fill_tables(int64_t rows)
{
    const char *const fill[] = { fill_therapists, fill_managers, fill_sheets };
    char sql[2048];
    for (size_t i = 0; i < sizeof(fill) / sizeof(fill[0]); i++) {
        snprintf(sql, sizeof(sql),
                 "%s FROM (WITH RECURSIVE up(n) AS"
                 " (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < %lld) SELECT n FROM up)",
                 fill[i], (long long)rows);
        harness_sql(sql);
    }
}

static int set_up(void **state)
{
    harness_open(state);
    fill_tables(ROWS);
    return 0;
}

/* What the list must be: all public rows, in order, as "category id" lines. */
static size_t expected_list(const char *category, char lines[][64], size_t most)
{
    static const char sql[] =
        "SELECT 'spa_therapist' AS c, 0 AS k, generated_at AS g, id FROM spa_therapist_certificates WHERE is_public"
        " UNION ALL SELECT 'manager_salary', 1, generated_at, id FROM manager_salary_certificates WHERE is_public"
        " UNION ALL SELECT 'daily_sheet', 7, generated_at, id FROM daily_sheet_certificates WHERE is_public"
        " ORDER BY g DESC, id, k";
    sqlite3_stmt *st;
    size_t count = 0;

    assert_int_equal(sqlite3_prepare_v2(harness.raw, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW && count < most) {
        const char *c = (const char *)sqlite3_column_text(st, 0);
        if (category[0] == '\0' || strcmp(c, category) == 0)
            snprintf(lines[count++], 64, "%s %lld", c, (long long)sqlite3_column_int64(st, 3));
    }
    sqlite3_finalize(st);
    return count;
}

struct expectation {
    char (*lines)[64];
    size_t count;
};

static void assert_row(void *arg, size_t index, const char *category, long long id)
{
    const struct expectation *expected = arg;
    char got[64];
    snprintf(got, sizeof(got), "%s %lld", category, id);
    assert_true(index < expected->count);
    assert_string_equal(got, expected->lines[index]);
}

static void assert_rows(const struct response *res, char lines[][64], size_t count)
{
    struct expectation expected = { lines, count };
    assert_int_equal(res->status, 200);
    assert_int_equal(harness_rows(res, assert_row, &expected), count);
}

/* The query of a Link field's target; empty when there is none. */
static void next_query(const struct response *res, char *out, size_t size)
{
    const struct str link = harness_field(res, "Link");
    const struct str start = STR("</api/certificates/public?");
    out[0] = '\0';
    if (link.len == 0)
        return;
    assert_true(str_starts_with(link, start));
    assert_true(str_ends_with(link, STR(">; rel=\"next\"")));
    const struct str query = str_slice(link, start.len, str_find(link, '>', 0));
    snprintf(out, size, STR_FMT, STR_ARG(query));
}

/* Follows the links from one query to the end: together the whole list. */
static void assert_walk(const char *query, const char *category, size_t skip, size_t limit)
{
    static char expected[8 * ROWS][64];
    const size_t count = expected_list(category, expected, 8 * ROWS);
    char next[512];
    size_t at = skip;

    snprintf(next, sizeof(next), "%s", query);
    while (next[0]) {
        struct response res = harness_get(certificate_public_list, NULL, next);
        const size_t here = at >= count ? 0 : count - at < limit ? count - at : limit;
        assert_rows(&res, &expected[at >= count ? 0 : at], here);
        at += here;
        next_query(&res, next, sizeof(next));
        assert_int_equal(next[0] != '\0', at < count);
    }
}

static void test_certificate_public_list__pages_over_all_categories_by_cursor(void **state)
{
    (void)state;
    assert_walk("", "", 0, 20);
    assert_walk("limit=1", "", 0, 1);
    assert_walk("limit=7", "", 0, 7);
    assert_walk("limit=100", "", 0, 100);
}

static void test_certificate_public_list__pages_over_one_category_by_cursor(void **state)
{
    (void)state;
    assert_walk("category=manager_salary&limit=1", "manager_salary", 0, 1);
    assert_walk("category=manager_salary&limit=9", "manager_salary", 0, 9);
    assert_walk("category=daily_sheet&limit=40", "daily_sheet", 0, 40);
}

static void test_certificate_public_list__skips_by_number(void **state)
{
    (void)state;
    assert_walk("skip=3&limit=10", "", 3, 10);
    assert_walk("skip=119&limit=10", "", 119, 10);
    assert_walk("skip=39&limit=10&category=daily_sheet", "daily_sheet", 39, 10);
    assert_walk("skip=120&limit=10", "", 120, 10);
    assert_walk("skip=1000000&limit=10", "", 1000000, 10);
}

static void test_certificate_public_list__is_empty_without_rows(void **state)
{
    (void)state;
    struct response res = harness_get(certificate_public_list, NULL, "category=id_card");
    assert_int_equal(res.status, 200);
    assert_int_equal(res.body.len, 2);
    assert_memory_equal(res.body.ptr, "[]", 2);
    assert_int_equal(harness_field(&res, "Link").len, 0);
}

static void test_certificate_public_list__shows_public_fields_only(void **state)
{
    (void)state;
    struct response res = harness_get(certificate_public_list, NULL, "category=spa_therapist&limit=1");
    assert_string_equal(harness_json(&res, "$[0].course_name"), "Diploma");
    assert_string_equal(harness_json(&res, "$[0].generated_at"), "2023-11-14T22:13:34Z");
    assert_string_equal(harness_json(&res, "$[0].certificate_data.grade"), "A");
    assert_string_equal(harness_json(&res, "$[0].is_public"), "1");
    assert_null(memmem(res.body.ptr, res.body.len, "passport_size_photo", 19));
}

static void test_certificate_public_list__never_shows_a_salary(void **state)
{
    (void)state;
    struct response res = harness_get(certificate_public_list, NULL, "category=manager_salary&limit=100");
    assert_int_equal(res.status, 200);
    assert_null(memmem(res.body.ptr, res.body.len, "123456", 6));
    assert_null(memmem(res.body.ptr, res.body.len, "certificate_data", 16));
}

static void assert_refused(const char *query, const char *param)
{
    struct response res = harness_get(certificate_public_list, NULL, query);
    assert_int_equal(res.status, 422);
    assert_string_equal(harness_json(&res, "$.errors[0].field"), param);
}

static void test_certificate_public_list__refuses_a_cursor_from_elsewhere(void **state)
{
    (void)state;
    char next[512], other[600];
    struct response res = harness_get(certificate_public_list, NULL, "limit=5");
    next_query(&res, next, sizeof(next));
    snprintf(other, sizeof(other), "%s&category=daily_sheet", next);
    assert_refused(other, "cursor");
    snprintf(other, sizeof(other), "%s&skip=1", next);
    assert_refused(other, "cursor");
    assert_refused("cursor=x", "cursor");
    next[strlen(next) - 1] = next[strlen(next) - 1] == 'A' ? 'E' : 'A';
    assert_refused(next, "cursor");
}

/* The last row of a page is withdrawn: the next page begins where it was. */
static void test_certificate_public_list__goes_on_behind_a_row_that_was_withdrawn(void **state)
{
    (void)state;
    static char expected[8 * ROWS][64];
    char next[512], sql[128];
    unsigned id;

    assert_true(expected_list("", expected, 8 * ROWS) > 20);
    struct response res = harness_get(certificate_public_list, NULL, "limit=10");
    assert_rows(&res, expected, 10);
    next_query(&res, next, sizeof(next));
    assert_int_equal(sscanf(strchr(expected[9], ' '), "%u", &id), 1);
    snprintf(sql, sizeof(sql), "UPDATE %.*s_certificates SET is_public = 0 WHERE id = %u",
             (int)(strchr(expected[9], ' ') - expected[9]), expected[9], id);
    harness_sql(sql);
    res = harness_get(certificate_public_list, NULL, next);
    assert_rows(&res, &expected[10], 10);
}

/* One category runs out early. */
static void test_certificate_public_list__skips_far(void **state)
{
    (void)state;
    harness_sql("DELETE FROM spa_therapist_certificates; DELETE FROM manager_salary_certificates;"
                "DELETE FROM daily_sheet_certificates");
    fill_tables(9000);
    harness_sql("UPDATE daily_sheet_certificates SET is_public = 0 WHERE id > 300");
    static char expected[13000][64];
    const size_t count = expected_list("", expected, 13000);
    const size_t skips[] = { 999, 1000, 1001, 7777, count - 5 };

    assert_int_equal(count, 6000 + 6000 + 200);
    for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
        char query[64];
        snprintf(query, sizeof(query), "skip=%zu&limit=100", skips[i]);
        struct response res = harness_get(certificate_public_list, NULL, query);
        assert_rows(&res, &expected[skips[i]], count - skips[i] < 100 ? count - skips[i] : 100);
    }
}

static void test_certificate_get__finds_by_code_however_typed(void **state)
{
    (void)state;
    harness_sql(
        "INSERT INTO id_card_certificates (id, code, employee_name, designation, joining_date, issue_date,"
        " is_public, generated_at) VALUES (77, '00000000000000000000000010*', 'Asha', 'Therapist', '2026-01-01',"
        " '2026-02-01', 1, 1700000000000)");
    struct response res = harness_get(certificate_get, "oooo-0000-0000-0000-0000-0000-l0*", "");
    assert_int_equal(res.status, 200);
    assert_string_equal(harness_json(&res, "$.category"), "id_card");
    assert_string_equal(harness_json(&res, "$.employee_name"), "Asha");
    assert_string_equal(harness_json(&res, "$.id"), "77");
}

static void test_certificate_get__is_one_404_for_wrong_unknown_and_private(void **state)
{
    (void)state;
    harness_sql("INSERT INTO id_card_certificates (code, employee_name, designation, joining_date, issue_date,"
                " is_public, generated_at) VALUES ('000000000000000000000000150', 'Hidden', 'x', '2026-01-01',"
                " '2026-02-01', 0, 0)");
    static const char *const none[] = { "000000000000000000000000150", "00000000000000000000000014U", "nonsense" };
    char first[512] = "";
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        char body[512];
        struct response res = harness_get(certificate_get, none[i], "");
        assert_int_equal(res.status, 404);
        snprintf(body, sizeof(body), STR_FMT, STR_ARG(res.body));
        if (i == 0)
            snprintf(first, sizeof(first), "%s", body);
        assert_string_equal(body, first);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, harness_close)
    const struct CMUnitTest tests[] = {
        TEST(test_certificate_public_list__pages_over_all_categories_by_cursor),
        TEST(test_certificate_public_list__pages_over_one_category_by_cursor),
        TEST(test_certificate_public_list__skips_by_number),
        TEST(test_certificate_public_list__is_empty_without_rows),
        TEST(test_certificate_public_list__shows_public_fields_only),
        TEST(test_certificate_public_list__never_shows_a_salary),
        TEST(test_certificate_public_list__refuses_a_cursor_from_elsewhere),
        TEST(test_certificate_public_list__goes_on_behind_a_row_that_was_withdrawn),
        TEST(test_certificate_public_list__skips_far),
        TEST(test_certificate_get__finds_by_code_however_typed),
        TEST(test_certificate_get__is_one_404_for_wrong_unknown_and_private),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
