/* SPDX-License-Identifier: MIT */
#include "app/demo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "app/categories.h"
#include "app/code.h"
#include "app/demo_words.h"
#include "db/migrate.h"

enum { CERTIFICATES = 3000 };

/* ---- a migrated database in a folder of its own ---- */

struct fixture {
    char folder[32], path[64];
    struct db_conf conf;
    struct db *db;
    sqlite3 *raw;
};

static void open_fixture(struct fixture *f)
{
    char error[256] = "";
    size_t count = 0;
    int applied = 0;

    snprintf(f->folder, sizeof(f->folder), "/tmp/sanad-demo-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    f->conf = (struct db_conf){ .driver = "sqlite", .path = f->path, .pool_size = 1, .pool_timeout_s = 1 };
    f->db = db_new(&f->conf);
    assert_non_null(f->db);
    const struct migration *list = migrations_of("sqlite", &count);
    if (migrate_up(f->db, list, count, NULL, NULL, &applied, error, sizeof(error)) != OK)
        fail_msg("%s", error);
    assert_int_equal(sqlite3_open(f->path, &f->raw), SQLITE_OK);
}

static void close_fixture(struct fixture *f)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char file[80];

    sqlite3_close(f->raw);
    db_free(f->db);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(file, sizeof(file), "%s%s", f->path, ends[i]);
        unlink(file);
    }
    assert_int_equal(rmdir(f->folder), 0);
}

static PRINTF(2, 3) void sql(struct fixture *f, const char *format, ...)
{
    char text[512], *error = NULL;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (sqlite3_exec(f->raw, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", error, text);
}

/* The first column of the first row. */
static int64_t number(struct fixture *f, const char *text)
{
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(f->raw, text, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        fail_msg("%s: %s", sqlite3_errmsg(f->raw), text);
    const int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static struct demo_error last_error;

static enum err fill(struct fixture *f, int64_t certificates, uint64_t seed)
{
    const struct demo_options options = { .certificates = certificates, .seed = seed };
    struct demo_counts counts;

    last_error = (struct demo_error){ "" };
    return demo_fill(f->db, &options, &counts, &last_error);
}

/* ---- all rows of a table as one number ---- */

static const char *const tables[] = {
    "spa",
    "users",
    "certificate_templates",
    "candidate_forms",
    "hiring_forms",
    "spa_therapist_certificates",
    "manager_salary_certificates",
    "offer_letter_certificates",
    "experience_letter_certificates",
    "appointment_letter_certificates",
    "invoice_spa_bill_certificates",
    "id_card_certificates",
    "daily_sheet_certificates",
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]), TEMPLATES = 2, FIRST_CERTIFICATES = 5 };

/* FNV-1a */
static uint64_t mix(uint64_t hash, const unsigned char *bytes, int n)
{
    for (int i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_query(struct fixture *f, const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_prepare_v2(f->raw, text, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const unsigned char *value = sqlite3_column_text(st, i);
            hash = mix(hash, value ? value : (const unsigned char *)"", sqlite3_column_bytes(st, i));
            hash = mix(hash, (const unsigned char *)"|", 1);
        }
    }
    sqlite3_finalize(st);
    return hash;
}

static uint64_t hash_of(struct fixture *f, const char *table)
{
    char text[128];

    snprintf(text, sizeof(text), "SELECT * FROM %s ORDER BY id", table);
    return hash_query(f, text);
}

static int64_t rows_of(struct fixture *f, const char *table)
{
    char text[128];

    snprintf(text, sizeof(text), "SELECT count(*) FROM %s", table);
    return number(f, text);
}

static void test_demo_fill__same_seed_makes_the_same_data(void **state)
{
    struct fixture a, b;

    (void)state;
    open_fixture(&a);
    open_fixture(&b);
    assert_int_equal(fill(&a, CERTIFICATES, 7), OK);
    assert_int_equal(fill(&b, CERTIFICATES, 7), OK);
    for (size_t t = 0; t < TABLES; t++)
        assert_int_equal(hash_of(&a, tables[t]), hash_of(&b, tables[t]));
    close_fixture(&a);
    close_fixture(&b);
}

static void test_demo_fill__another_seed_makes_other_data(void **state)
{
    struct fixture a, b;

    (void)state;
    open_fixture(&a);
    open_fixture(&b);
    assert_int_equal(fill(&a, CERTIFICATES, 7), OK);
    assert_int_equal(fill(&b, CERTIFICATES, 8), OK);
    for (size_t t = 0; t < TABLES; t++) {
        if (t != TEMPLATES)
            assert_int_not_equal(hash_of(&a, tables[t]), hash_of(&b, tables[t]));
    }
    close_fixture(&a);
    close_fixture(&b);
}

/* The numbers were worked out once: other ones mean that the data depends on the
 * machine or the compiler, or that the words or their drawing were changed. */
static void test_demo_fill__makes_the_same_data_on_every_machine(void **state)
{
    static const struct {
        const char *query;
        uint64_t hash;
    } known[] = {
        { "SELECT code, candidate_name, course_name, start_date, end_date, certificate_data, generated_at, created_by"
          " FROM spa_therapist_certificates ORDER BY id",
          UINT64_C(0x27281d8656197fab) },
        { "SELECT code, customer_name, bill_lines, total_amount, payment_mode FROM invoice_spa_bill_certificates"
          " ORDER BY id",
          UINT64_C(0x5888a6a7224ad397) },
        { "SELECT candidate_name, phone_number, current_address, pincode, expected_salary, status FROM candidate_forms"
          " ORDER BY id",
          UINT64_C(0x9ea333bcfc209ee0) },
    };
    struct fixture f;

    (void)state;
    open_fixture(&f);
    assert_int_equal(fill(&f, CERTIFICATES, 1), OK);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(hash_query(&f, known[i].query), known[i].hash);
    close_fixture(&f);
}

static void test_demo_fill__makes_as_many_certificates_as_asked(void **state)
{
    static const int64_t wanted[] = { 0, 1, 777 };

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct fixture f;
        int64_t made = 0;

        open_fixture(&f);
        assert_int_equal(fill(&f, wanted[i], 1), OK);
        for (size_t t = FIRST_CERTIFICATES; t < TABLES; t++)
            made += rows_of(&f, tables[t]);
        assert_int_equal(made, wanted[i]);
        close_fixture(&f);
    }
}

static void test_demo_fill__refuses_numbers_out_of_bounds(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f);
    assert_int_equal(fill(&f, -1, 1), E_INVALID);
    assert_int_equal(fill(&f, (int64_t)DEMO_CERTIFICATES_MAX + 1, 1), E_INVALID);
    assert_int_equal(rows_of(&f, "users"), 0);
    close_fixture(&f);
}

/* ---- all or nothing ---- */

static void test_demo_fill__refuses_a_database_with_data(void **state)
{
    uint64_t before[TABLES];
    struct fixture f;

    (void)state;
    open_fixture(&f);
    assert_int_equal(fill(&f, 10, 1), OK);
    for (size_t t = 0; t < TABLES; t++)
        before[t] = hash_of(&f, tables[t]);
    assert_int_equal(fill(&f, 10, 2), E_CONFLICT);
    assert_ptr_equal(strstr(last_error.text, "this database already has data: users 50, spa 40"), last_error.text);
    assert_non_null(strstr(last_error.text, ", hiring_forms 120"));
    for (size_t t = 0; t < TABLES; t++)
        assert_int_equal(hash_of(&f, tables[t]), before[t]);
    close_fixture(&f);
}

static void test_demo_fill__refuses_a_single_row_in_any_table(void **state)
{
    (void)state;
    for (size_t kept = 0; kept < TABLES; kept++) {
        struct fixture f;

        open_fixture(&f);
        assert_int_equal(fill(&f, 200, 1), OK);
        sql(&f, "PRAGMA foreign_keys = OFF");
        for (size_t t = 0; t < TABLES; t++)
            sql(&f, t == kept ? "DELETE FROM %s WHERE id > 1" : "DELETE FROM %s", tables[t]);
        assert_int_equal(rows_of(&f, tables[kept]), 1);
        assert_int_equal(fill(&f, 1, 1), E_CONFLICT);
        assert_non_null(strstr(last_error.text, tables[kept]));
        close_fixture(&f);
    }
}

static void test_demo_fill__knows_every_category(void **state)
{
    (void)state;
    assert_int_equal(category_count, TABLES - FIRST_CERTIFICATES);
    for (size_t i = 0; i < category_count; i++)
        assert_string_equal(categories[i].table, tables[FIRST_CERTIFICATES + i]);
}

static void test_demo_fill__leaves_nothing_behind_when_it_fails(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f);
    sql(&f, "CREATE TRIGGER obstacle BEFORE INSERT ON daily_sheet_certificates WHEN new.serial = 'DS-0000005'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_not_equal(fill(&f, CERTIFICATES, 1), OK);
    assert_string_not_equal(last_error.text, "");
    for (size_t t = 0; t < TABLES; t++)
        assert_int_equal(rows_of(&f, tables[t]), 0);
    close_fixture(&f);
}

static void test_demo_fill__says_when_a_table_is_missing(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f);
    sql(&f, "DROP TABLE hiring_forms");
    assert_int_equal(fill(&f, 1, 1), E_DATABASE);
    assert_non_null(strstr(last_error.text, "sanad migrate"));
    close_fixture(&f);
}

static void keep_progress(void *arg, int64_t done, int64_t total)
{
    int64_t *last = arg;

    assert_true(done >= *last);
    assert_int_equal(total, CERTIFICATES);
    *last = done;
}

static void test_demo_fill__tells_its_progress_to_the_end(void **state)
{
    int64_t last = 0;
    const struct demo_options options = { .certificates = CERTIFICATES, .progress = keep_progress, .arg = &last };
    struct demo_counts counts;
    struct fixture f;

    (void)state;
    open_fixture(&f);
    assert_int_equal(demo_fill(f.db, &options, &counts, &last_error), OK);
    assert_int_equal(last, CERTIFICATES);
    assert_int_equal(counts.certificates, CERTIFICATES);
    assert_int_equal(counts.templates, rows_of(&f, "certificate_templates"));
    assert_int_equal(counts.candidate_forms, rows_of(&f, "candidate_forms"));
    assert_int_equal(counts.hiring_forms, rows_of(&f, "hiring_forms"));
    close_fixture(&f);
}

/* ---- what the data is like ---- */

/* A query, and the bounds of its answer. */
struct law {
    const char *query;
    int64_t least, most;
};
#define NEVER(rows)                                                                                                    \
    {                                                                                                                  \
        "SELECT count(*) FROM " rows, 0, 0                                                                             \
    }
#define GROWS(table) NEVER(table " a JOIN " table " b ON b.id = a.id + 1 WHERE b.generated_at <= a.generated_at")
#define FITS(category)                                                                                                 \
    NEVER(category "_certificates c JOIN certificate_templates t ON t.id = c.template_id"                              \
                   " WHERE t.category <> '" category "'")

static const struct law laws[] = {
    /* people and places */
    { "SELECT count(*) FROM users WHERE role = 'super_admin'", 1, 1 },
    { "SELECT count(*) FROM users WHERE role = 'admin'", 4, 4 },
    { "SELECT count(*) FROM users WHERE role = 'spa_manager' AND spa_id IS NOT NULL", 40, 40 },
    { "SELECT count(*) FROM users", 50, 50 },
    { "SELECT count(DISTINCT name) FROM spa", 40, 40 },
    { "SELECT count(DISTINCT state) FROM spa", 15, 40 },
    { "SELECT count(DISTINCT candidate_name) FROM spa_therapist_certificates", 500, CERTIFICATES },
    { "SELECT count(*) FROM candidate_forms", 200, 1000 },
    { "SELECT count(*) FROM hiring_forms", 100, 1000 },
    NEVER("spa WHERE length(pincode) <> 6 OR pincode GLOB '*[^0-9]*'"),

    /* nobody is reached, nobody gets in */
    NEVER("users WHERE password_hash <> '!'"),
    NEVER("users WHERE email NOT LIKE '%@%.example'"),
    NEVER("candidate_forms WHERE email NOT LIKE '%@example.com'"),
    NEVER("candidate_forms WHERE phone_number NOT GLOB '+9155500[0-9][0-9][0-9][0-9][0-9]'"),
    NEVER("spa WHERE phone_number NOT GLOB '+9155500[0-9][0-9][0-9][0-9][0-9]'"),

    /* templates */
    { "SELECT count(*) FROM certificate_templates WHERE is_public = 1 AND is_active = 1", 24, 24 },
    { "SELECT count(DISTINCT category || template_variant) FROM certificate_templates", 24, 24 },
    { "SELECT count(DISTINCT template_variant) FROM certificate_templates", 3, 3 },
    NEVER("certificate_templates WHERE template_html NOT LIKE '%{{code}}%'"),
    NEVER("certificate_templates WHERE json_type(template_config, '$.page') <> 'text'"),
    FITS("spa_therapist"),
    FITS("manager_salary"),
    FITS("offer_letter"),
    FITS("experience_letter"),
    FITS("appointment_letter"),
    FITS("invoice_spa_bill"),
    FITS("id_card"),
    FITS("daily_sheet"),

    /* shares, and what is public */
    { "SELECT count(*) FROM spa_therapist_certificates", CERTIFICATES * 45 / 100, CERTIFICATES * 55 / 100 },
    { "SELECT count(*) FROM daily_sheet_certificates", 30, CERTIFICATES },
    { "SELECT 100 * sum(is_public) / count(*) FROM spa_therapist_certificates", 44, 56 },
    { "SELECT sum(is_public) FROM id_card_certificates", 20, CERTIFICATES },
    NEVER("manager_salary_certificates WHERE is_public = 1"),
    NEVER("invoice_spa_bill_certificates WHERE is_public = 1"),
    { "SELECT count(*) FROM spa_therapist_certificates WHERE revoked_at IS NOT NULL", 1, 50 },
    NEVER("spa_therapist_certificates WHERE (revoked_at IS NULL) <> (revoke_reason IS NULL)"),
    NEVER("spa_therapist_certificates WHERE revoked_at <= generated_at"),
    NEVER("spa_therapist_certificates c JOIN users u ON u.id = c.created_by"
          " WHERE u.role = 'spa_manager' AND u.spa_id <> c.spa_id"),

    /* time */
    GROWS("spa_therapist_certificates"),
    GROWS("invoice_spa_bill_certificates"),
    GROWS("daily_sheet_certificates"),
    NEVER("spa_therapist_certificates WHERE date(generated_at / 1000, 'unixepoch')"
          " NOT BETWEEN '2024-11-01' AND '2026-10-31'"),
    { "SELECT max(generated_at) / 86400000 - min(generated_at) / 86400000 FROM spa_therapist_certificates", 725, 730 },
    NEVER("spa_therapist_certificates WHERE start_date >= end_date"),
    NEVER("spa_therapist_certificates WHERE end_date > date(generated_at / 1000, 'unixepoch')"),
    NEVER("spa_therapist_certificates WHERE date(start_date) IS NOT start_date OR date(end_date) IS NOT end_date"),
    NEVER("experience_letter_certificates WHERE joining_date >= end_date"),
    NEVER("offer_letter_certificates WHERE start_date <= date(generated_at / 1000, 'unixepoch')"),
    NEVER("id_card_certificates WHERE joining_date >= issue_date OR expires_at <= generated_at"),
    NEVER("invoice_spa_bill_certificates WHERE bill_date <> date(generated_at / 1000, 'unixepoch')"),

    /* money */
    NEVER("offer_letter_certificates WHERE monthly_salary NOT BETWEEN 1000000 AND 10000000"),
    NEVER("invoice_spa_bill_certificates c WHERE total_amount <>"
          " (SELECT sum(value ->> 'amount') FROM json_each(bill_lines))"),
    NEVER("invoice_spa_bill_certificates c, json_each(bill_lines)"
          " WHERE value ->> 'quantity' * (value ->> 'rate') <> value ->> 'amount'"),
    NEVER("invoice_spa_bill_certificates, json_each(bill_lines) WHERE json_type(value, '$.amount') <> 'integer'"),
    NEVER("manager_salary_certificates WHERE json_array_length(salary_months) <> 3"),
    NEVER("daily_sheet_certificates WHERE json_array_length(entries) = 0"),
    NEVER("invoice_spa_bill_certificates WHERE amount_in_words NOT LIKE 'Rupees % Only'"),
    { "SELECT count(*) FROM pragma_foreign_key_check", 0, 0 },
};

static void test_demo_fill__makes_data_that_holds_together(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f);
    assert_int_equal(fill(&f, CERTIFICATES, 3), OK);
    for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); i++) {
        const int64_t n = number(&f, laws[i].query);
        if (n < laws[i].least || n > laws[i].most)
            fail_msg("%lld, not %lld to %lld: %s", (long long)n, (long long)laws[i].least, (long long)laws[i].most,
                     laws[i].query);
    }
    close_fixture(&f);
}

static void test_demo_fill__gives_certificates_valid_codes(void **state)
{
    static const char query[] = "SELECT code FROM spa_therapist_certificates"
                                " UNION SELECT code FROM id_card_certificates";
    char code[CODE_LEN];
    struct fixture f;
    sqlite3_stmt *st;
    int count = 0;

    (void)state;
    open_fixture(&f);
    assert_int_equal(fill(&f, CERTIFICATES, 3), OK);
    assert_int_equal(sqlite3_prepare_v2(f.raw, query, -1, &st, NULL), SQLITE_OK);
    for (; sqlite3_step(st) == SQLITE_ROW; count++)
        assert_int_equal(code_parse(str_of((const char *)sqlite3_column_text(st, 0)), code), OK);
    sqlite3_finalize(st);
    assert_true(count > CERTIFICATES / 3);
    close_fixture(&f);
}

/* ---- the words ---- */

static void test_demo_words__lists_are_full(void **state)
{
    (void)state;
    for (size_t r = 0; r < REGION_COUNT; r++) {
        for (size_t i = 0; i < DEMO_GIVEN; i++) {
            assert_non_null(demo_regions[r].female[i]);
            assert_non_null(demo_regions[r].male[i]);
        }
        for (size_t i = 0; i < DEMO_FAMILY; i++)
            assert_non_null(demo_regions[r].family[i]);
    }
    for (size_t p = 0; p < demo_place_count; p++) {
        assert_int_equal(strlen(demo_places[p].pin), 3);
        for (size_t i = 0; i < DEMO_LOCALITIES; i++)
            assert_non_null(demo_places[p].localities[i]);
    }
    for (size_t i = 0; i < DEMO_MANAGER_JOBS; i++)
        assert_non_null(strstr(demo_jobs[i].title, "Manager"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demo_fill__same_seed_makes_the_same_data),
        cmocka_unit_test(test_demo_fill__another_seed_makes_other_data),
        cmocka_unit_test(test_demo_fill__makes_the_same_data_on_every_machine),
        cmocka_unit_test(test_demo_fill__makes_as_many_certificates_as_asked),
        cmocka_unit_test(test_demo_fill__refuses_numbers_out_of_bounds),
        cmocka_unit_test(test_demo_fill__refuses_a_database_with_data),
        cmocka_unit_test(test_demo_fill__refuses_a_single_row_in_any_table),
        cmocka_unit_test(test_demo_fill__knows_every_category),
        cmocka_unit_test(test_demo_fill__leaves_nothing_behind_when_it_fails),
        cmocka_unit_test(test_demo_fill__says_when_a_table_is_missing),
        cmocka_unit_test(test_demo_fill__tells_its_progress_to_the_end),
        cmocka_unit_test(test_demo_fill__makes_data_that_holds_together),
        cmocka_unit_test(test_demo_fill__gives_certificates_valid_codes),
        cmocka_unit_test(test_demo_words__lists_are_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
