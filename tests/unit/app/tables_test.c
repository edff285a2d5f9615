/* SPDX-License-Identifier: MIT */
/* Laws of the tables: categories against the schema, statements against their
 * indexes, routes against each other. */
#include "harness.h"

/* The named column of a table: its type, and whether it must be given. */
struct column {
    char type[16];
    bool not_null, has_default;
};

static bool find_column(const char *table, const char *name, struct column *ret)
{
    static const char sql[] =
        "SELECT type, \"notnull\", dflt_value IS NOT NULL FROM pragma_table_info(?) WHERE name = ?";
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_prepare_v2(harness.raw, sql, -1, &st, NULL), SQLITE_OK);
    sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
    const bool found = sqlite3_step(st) == SQLITE_ROW;
    if (found) {
        snprintf(ret->type, sizeof(ret->type), "%s", (const char *)sqlite3_column_text(st, 0));
        ret->not_null = sqlite3_column_int(st, 1) != 0;
        ret->has_default = sqlite3_column_int(st, 2) != 0;
    }
    sqlite3_finalize(st);
    return found;
}

static int64_t count_of(const char *sql, const char *arg)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(harness.raw, sql, -1, &st, NULL), SQLITE_OK);
    sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const int64_t count = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return count;
}

static const char *column_type(enum field_kind kind)
{
    const unsigned integers = 1U << FIELD_TIME | 1U << FIELD_MONEY | 1U << FIELD_INT | 1U << FIELD_BOOL |
                              1U << FIELD_REF;
    return integers >> kind & 1 ? "INTEGER" : "TEXT";
}

static void assert_columns(const char *table, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct column column;
        if (!find_column(table, fields[i].name, &column))
            fail_msg("%s has no column %s", table, fields[i].name);
        assert_string_equal(column.type, column_type(fields[i].kind));
    }
}

static void test_categories__are_the_tables_of_the_schema(void **state)
{
    (void)state;
    assert_int_equal(count_of("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE ? ESCAPE '\\'",
                              "%\\_certificates"),
                     (int64_t)category_count);
    for (size_t c = 0; c < category_count; c++) {
        const struct category *cat = &categories[c];
        const size_t all = certificate_head_count + cat->field_count + certificate_tail_count;
        assert_columns(cat->table, certificate_head, certificate_head_count);
        assert_columns(cat->table, cat->fields, cat->field_count);
        assert_columns(cat->table, certificate_tail, certificate_tail_count);
        /* revoke_reason is for whoever asks about one certificate */
        assert_int_equal(count_of("SELECT count(*) FROM pragma_table_info(?)", cat->table), (int64_t)all + 1);
    }
}

static void test_categories__require_what_the_schema_requires(void **state)
{
    (void)state;
    for (size_t c = 0; c < category_count; c++) {
        for (size_t i = 0; i < categories[c].field_count; i++) {
            const struct field *f = &categories[c].fields[i];
            struct column column = { "", false, false };
            assert_true(find_column(categories[c].table, f->name, &column));
            if (column.not_null != ((f->flags & FIELD_REQUIRED) != 0) && !column.has_default)
                fail_msg("%s.%s is required here or there only", categories[c].id, f->name);
        }
    }
}

static void test_categories__are_told_apart(void **state)
{
    (void)state;
    assert_null(category_ids[category_count]);
    for (size_t c = 0; c < category_count; c++) {
        assert_string_equal(category_ids[c], categories[c].id);
        assert_ptr_equal(category_find(str_of(categories[c].id)), &categories[c]);
        for (size_t i = 0; i < categories[c].field_count; i++)
            assert_ptr_equal(category_field(&categories[c], categories[c].fields[i].name), &categories[c].fields[i]);
    }
    assert_null(category_find(STR("spa")));
    assert_null(category_find(STR("")));
    assert_null(category_field(&categories[0], "id"));
}

static void test_categories__have_a_party_to_search_by(void **state)
{
    (void)state;
    for (size_t c = 0; c < category_count; c++) {
        const struct field *party = category_field(&categories[c], categories[c].party);
        assert_non_null(party);
        assert_int_equal(party->kind, FIELD_TEXT);
        assert_int_equal(party->flags & (FIELD_REQUIRED | FIELD_SEARCH), FIELD_REQUIRED | FIELD_SEARCH);
    }
}

static void test_categories__keep_money_images_and_lists_private(void **state)
{
    (void)state;
    for (size_t c = 0; c < category_count; c++) {
        for (size_t i = 0; i < categories[c].field_count; i++) {
            const struct field *f = &categories[c].fields[i];
            const bool private = f->kind == FIELD_MONEY || f->kind == FIELD_IMAGE || f->kind == FIELD_LIST;
            if (private && (f->flags & FIELD_PUBLIC))
                fail_msg("%s.%s is public", categories[c].id, f->name);
            assert_int_equal(f->kind == FIELD_ENUM, f->choices != NULL);
        }
    }
}

static void assert_searches(const struct db_statement *st, const char *search)
{
    if (harness_plan_count(st->sql, search) == 0)
        fail_msg("%s does not: %s", st->name, search);
}

static void assert_indexed(const struct db_statement *st, const char *search)
{
    if (harness_plan_count(st->sql, "TEMP B-TREE") > 0)
        fail_msg("%s sorts", st->name);
    assert_searches(st, search);
}

static void test_catalog_build__makes_statements_that_an_index_serves(void **state)
{
    (void)state;
    for (size_t c = 0; c < harness.catalog->count; c++) {
        const struct catalog_entry *e = &harness.catalog->entries[c];
        char search[160];
        snprintf(search, sizeof(search), "SEARCH %s USING INDEX idx_%s_public (is_public=?", e->category->table,
                 e->category->id);
        assert_indexed(&e->list.first, search);
        assert_indexed(&e->list.first_long, search);
        snprintf(search, sizeof(search), "USING INDEX idx_%s_public (is_public=? AND generated_at<?)", e->category->id);
        assert_indexed(&e->list.after, search);
        snprintf(search, sizeof(search), "SEARCH %s USING INDEX sqlite_autoindex_%s_1 (code=?)", e->category->table,
                 e->category->table);
        assert_indexed(&harness.catalog->find_code, search);
    }
}

/* The keys of all are merged, not put together and sorted: what is sorted is the
 * page, which has its order already. */
static void test_catalog_build__merges_the_keys_of_all_from_their_indexes(void **state)
{
    (void)state;
    const struct catalog *catalog = harness.catalog;
    const struct db_statement *const of_all[] = { &catalog->all.first, &catalog->all.first_long, &catalog->all.after };

    for (size_t s = 0; s < sizeof(of_all) / sizeof(of_all[0]); s++) {
        assert_int_equal(harness_plan_count(of_all[s]->sql, "MERGE (UNION ALL)"), catalog->count - 1);
        assert_int_equal(harness_plan_count(of_all[s]->sql, "TEMP B-TREE"), 1);
        assert_int_equal(harness_plan_count(of_all[s]->sql, "USING INTEGER PRIMARY KEY"), catalog->count);
        assert_int_equal(harness_plan_count(of_all[s]->sql, "COVERING INDEX"), catalog->count);
    }
    for (size_t c = 0; c < catalog->count; c++) {
        char search[160];
        snprintf(search, sizeof(search), "COVERING INDEX idx_%s_public (is_public=?)", categories[c].id);
        assert_searches(&catalog->all.first, search);
        snprintf(search, sizeof(search), "COVERING INDEX idx_%s_public (is_public=? AND generated_at<?)",
                 categories[c].id);
        assert_searches(&catalog->all.after, search);
    }
}

/* In a row of all categories, columns of different kinds are never one. */
static void test_catalog_build__puts_columns_of_one_kind_into_a_slot(void **state)
{
    (void)state;
    enum { SLOTS = 64 };
    int kinds[SLOTS];

    memset(kinds, -1, sizeof(kinds));
    for (size_t c = 0; c < harness.catalog->count; c++) {
        const struct catalog_entry *e = &harness.catalog->entries[c];
        bool taken[SLOTS] = { true };
        for (size_t i = 0; i < e->column_count; i++) {
            const size_t slot = e->slots[i];
            assert_true(slot < SLOTS && !taken[slot]);
            assert_true(kinds[slot] == -1 || kinds[slot] == (int)e->columns[i].kind);
            kinds[slot] = (int)e->columns[i].kind;
            taken[slot] = true;
        }
    }
}

static void test_catalog_build__knows_each_dialect_and_no_other(void **state)
{
    (void)state;
    struct arena a;

    arena_init(&a, 1024 * 1024);
    const struct catalog *mysql = catalog_build(&a, "mysql", categories, category_count);
    assert_non_null(mysql);
    assert_non_null(strstr(mysql->all.after.sql, " LIMIT ?) UNION ALL (SELECT 1 AS category"));
    assert_null(strstr(harness.catalog->all.after.sql, "(SELECT 1 AS category"));
    assert_true(mysql->all.bounded);
    assert_false(harness.catalog->all.bounded);
    assert_string_equal(mysql->find_code.sql, harness.catalog->find_code.sql);
    assert_null(catalog_build(&a, "oracle", categories, category_count));
    arena_done(&a);
}

/* As many arguments as there are question marks. */
static size_t places_in(const struct db_statement *st)
{
    size_t n = 0;

    for (const char *at = st->sql; (at = strchr(at, '?')) != NULL; at++)
        n++;
    return n;
}

static void assert_arguments(const struct catalog_list *l)
{
    struct db_value args[CATALOG_ARGS_MAX];

    assert_int_equal(catalog_first_args(l, 20, 40, args), places_in(&l->first));
    assert_int_equal(catalog_first_args(l, 20, 40, args), places_in(&l->first_long));
    assert_int_equal(catalog_after_args(l, 20, &(struct cursor){ 1, 0, 1 }, args), places_in(&l->after));
}

static void test_catalog_args__are_as_many_as_the_statement_takes(void **state)
{
    (void)state;
    static const char *const dialects[] = { "sqlite", "mysql" };
    struct arena a;

    arena_init(&a, 2 * 1024 * 1024);
    for (size_t d = 0; d < 2; d++) {
        const struct catalog *catalog = catalog_build(&a, dialects[d], categories, category_count);
        assert_arguments(&catalog->all);
        assert_arguments(&catalog->entries[0].list);
        assert_arguments(&catalog->entries[7].list);
        assert_int_equal(places_in(&catalog->find_code), catalog->count);
    }
    arena_done(&a);
}

static void test_catalog_build__begins_rows_with_id_and_moment(void **state)
{
    (void)state;
    for (size_t c = 0; c < harness.catalog->count; c++) {
        const struct catalog_entry *e = &harness.catalog->entries[c];
        assert_string_equal(e->columns[ROW_ID].name, "id");
        assert_string_equal(e->columns[ROW_AT].name, "generated_at");
        assert_ptr_equal(e->category, &categories[c]);
    }
}

static void test_catalog_build__tells_when_the_arena_is_full(void **state)
{
    (void)state;
    for (size_t room = 1; room < 512 * 1024; room *= 2) {
        struct arena a;
        arena_init(&a, room);
        const struct catalog *made = catalog_build(&a, "sqlite", categories, category_count);
        assert_true(made != NULL || a.full);
        for (size_t c = 0; made && c < made->count; c++)
            assert_non_null(made->entries[c].list.after.sql);
        if (made)
            assert_non_null(made->find_code.sql);
        arena_done(&a);
    }
}

static void test_schema__has_the_specified_indexes(void **state)
{
    (void)state;
    static const char *const specified[] = {
        "idx_cert_templates_public_active",
        "idx_cert_templates_variant",
        "idx_spa_therapist_public",
        "idx_spa_therapist_user",
        "idx_candidate_forms_spa",
        "idx_candidate_forms_user",
        "idx_users_email",
        "idx_users_username",
        "idx_spa_code",
    };
    for (size_t i = 0; i < sizeof(specified) / sizeof(specified[0]); i++)
        assert_int_equal(count_of("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ?", specified[i]),
                         1);
}

static void test_schema__serves_lists_by_user_and_spa_from_an_index(void **state)
{
    (void)state;
    static const struct db_statement forms[] = {
        { "forms_of_spa", "SELECT * FROM candidate_forms WHERE spa_id = ? ORDER BY created_at DESC, id LIMIT 20",
          DB_READ },
        { "forms_of_user", "SELECT * FROM candidate_forms WHERE created_by = ? ORDER BY created_at DESC, id LIMIT 20",
          DB_READ },
    };
    assert_indexed(&forms[0], "USING INDEX idx_candidate_forms_spa (spa_id=?)");
    assert_indexed(&forms[1], "USING INDEX idx_candidate_forms_user (created_by=?)");
    for (size_t c = 0; c < category_count; c++) {
        char sql[256], search[128];
        snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE created_by = ? ORDER BY generated_at DESC, id LIMIT 20",
                 categories[c].table);
        snprintf(search, sizeof(search), "USING INDEX idx_%s_user (created_by=?)", categories[c].id);
        assert_indexed(&(struct db_statement){ categories[c].id, sql, DB_READ }, search);
    }
}

static size_t param_count(const struct route *r)
{
    size_t n = 0;
    while (r->params && r->params[n].name)
        n++;
    return n;
}

static void test_app_routes__are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < app_route_count; i++) {
        const struct route *r = &app_routes[i];
        assert_non_null(r->handler);
        assert_non_null(r->summary);
        assert_int_not_equal(r->cache_tags, 0);
        assert_true(param_count(r) <= PARAMS_MAX);
        for (size_t p = 0; p < param_count(r); p++) {
            assert_non_null(r->params[p].help);
            assert_int_equal(r->params[p].kind == PARAM_CHOICE, r->params[p].choices != NULL);
        }
        for (size_t k = 0; k < i; k++)
            assert_true(app_routes[k].method != r->method || strcmp(app_routes[k].path, r->path) != 0);
    }
}

static void test_app_routes__make_a_router(void **state)
{
    (void)state;
    struct router *router = router_new(app_routes, app_route_count);
    assert_non_null(router);
    router_free(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_categories__are_the_tables_of_the_schema),
        cmocka_unit_test(test_categories__require_what_the_schema_requires),
        cmocka_unit_test(test_categories__are_told_apart),
        cmocka_unit_test(test_categories__have_a_party_to_search_by),
        cmocka_unit_test(test_categories__keep_money_images_and_lists_private),
        cmocka_unit_test(test_catalog_build__makes_statements_that_an_index_serves),
        cmocka_unit_test(test_catalog_build__merges_the_keys_of_all_from_their_indexes),
        cmocka_unit_test(test_catalog_build__puts_columns_of_one_kind_into_a_slot),
        cmocka_unit_test(test_catalog_build__knows_each_dialect_and_no_other),
        cmocka_unit_test(test_catalog_build__begins_rows_with_id_and_moment),
        cmocka_unit_test(test_catalog_args__are_as_many_as_the_statement_takes),
        cmocka_unit_test(test_catalog_build__tells_when_the_arena_is_full),
        cmocka_unit_test(test_schema__has_the_specified_indexes),
        cmocka_unit_test(test_schema__serves_lists_by_user_and_spa_from_an_index),
        cmocka_unit_test(test_app_routes__are_complete),
        cmocka_unit_test(test_app_routes__make_a_router),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
