/* SPDX-License-Identifier: MIT */
/* The laws of the settings table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "settings/table.h"
#include "settings/value.h"

/* What the documentation promises; a key may be added, none may go. */
static const struct {
    const char *key, *initial;
} promised[] = {
    { "DEBUG", "False" },
    { "HOST", "0.0.0.0" },
    { "PORT", "8000" },
    { "LOG_LEVEL", "info" },
    { "LOG_FORMAT", "text" },
    { "ACCESS_LOG", "-" },
    { "PUBLIC_URL", "" },
    { "SECRET_KEY", "" },
    { "CORS_ORIGINS", "" },
    { "WEB_DIR", "web" },
    { "DB_DRIVER", "sqlite" },
    { "DB_PATH", "data/sanad.db" },
    { "DB_HOST", "" },
    { "DB_PORT", "3306" },
    { "DB_SOCKET", "" },
    { "DB_NAME", "" },
    { "DB_USER", "" },
    { "DB_PASSWORD", "" },
    { "DB_SSL", "False" },
    { "DB_POOL_SIZE", "50" },
    { "DB_MAX_OVERFLOW", "100" },
    { "DB_POOL_TIMEOUT", "30" },
    { "DB_POOL_RECYCLE", "3600" },
    { "DB_POOL_PRE_PING", "True" },
    { "DB_POOL_WARM", "False" },
    { "DB_POOL_LEAK_SECONDS", "60" },
    { "SLOW_QUERY_MS", "200" },
    { "SLOW_LOG", "" },
    { "QUERY_COUNT_WARN", "10" },
    { "RATE_LIMIT_ENABLED", "True" },
    { "RATE_LIMIT_PER_MINUTE", "60" },
    { "RATE_LIMIT_PER_HOUR", "1000" },
    { "RATE_LIMIT_CLIENTS", "100000" },
    { "TRUSTED_PROXIES", "" },
    { "RATE_LIMIT_ALLOW", "" },
    { "RATE_LIMIT_USER_PER_MINUTE", "600" },
    { "RATE_LIMIT_USER_PER_HOUR", "10000" },
    { "REDIS_ENABLED", "False" },
    { "REDIS_URL", "redis://localhost:6379/0" },
    { "CACHE_ENABLED", "True" },
    { "CACHE_TTL", "30" },
    { "CACHE_MAX_BYTES", "64M" },
    { "MAX_WORKERS", "0" },
    { "WORKER_CONNECTIONS", "1000" },
    { "LIMIT_CONCURRENCY", "1000" },
    { "BACKLOG", "2048" },
    { "KEEP_ALIVE", "5" },
    { "TIMEOUT", "120" },
    { "GRACEFUL_TIMEOUT", "30" },
    { "MAX_REQUESTS", "0" },
    { "MAX_REQUESTS_JITTER", "0" },
    { "MAX_BODY_BYTES", "10M" },
};

static void test_table__has_every_promised_key_with_its_default(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(promised) / sizeof(promised[0]); i++) {
        const struct setting *row = settings_find(str_of(promised[i].key));
        if (!row)
            fail_msg("no row for %s", promised[i].key);
        assert_string_equal(row->initial, promised[i].initial);
    }
    assert_non_null(settings_find(STR("METRICS_ALLOW")));
}

static void test_table__has_each_key_and_each_member_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        for (size_t j = i + 1; j < settings_count; j++) {
            assert_string_not_equal(settings_table[i].key, settings_table[j].key);
            if (settings_table[i].offset == settings_table[j].offset)
                fail_msg("%s and %s fill the same member", settings_table[i].key, settings_table[j].key);
        }
    }
}

static void test_table__allows_each_default(void **state)
{
    struct settings s = { 0 };
    (void)state;

    arena_init(&s.arena, 64 * 1024);
    for (size_t i = 0; i < settings_count; i++) {
        if (value_read(&settings_table[i], str_of(settings_table[i].initial), &s) != OK)
            fail_msg("the default of %s is not allowed", settings_table[i].key);
    }
    arena_done(&s.arena);
}

static void test_table__has_choices_where_the_kind_wants_them_and_bounds_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        assert_int_equal(row->choices != NULL, row->kind == SET_CHOICE || row->kind == SET_URL);
        if (row->min > row->max)
            fail_msg("%s: least is over most", row->key);
        if (row->kind == SET_INT)
            assert_true(row->min >= INT32_MIN && row->max <= INT32_MAX && row->min < row->max);
    }
}

static void test_table__keeps_secrets_only_in_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (row->flags & SECRET)
            assert_int_equal(row->kind, SET_TEXT);
        if (row->flags & SECRET_INSIDE)
            assert_int_equal(row->kind, SET_URL);
    }
    assert_true(settings_find(STR("DB_PASSWORD"))->flags & SECRET);
    assert_true(settings_find(STR("SECRET_KEY"))->flags & SECRET);
    assert_true(settings_find(STR("REDIS_URL"))->flags & SECRET_INSIDE);
}

static void test_table__explains_each_row_in_one_line_and_in_its_group(void **state)
{
    enum setting_group group = GROUP_APP;
    (void)state;

    for (size_t i = 0; i < settings_count; i++) {
        const struct str help = str_of(settings_table[i].help);
        assert_in_range(help.len, 8, 100);
        assert_false(str_ends_with(help, STR(".")));
        assert_int_equal(str_find(help, '\n', 0), help.len);
        assert_int_equal(str_find(help, '|', 0), help.len); /* a cell of a table in the reference page */
        assert_true(settings_table[i].group >= group);
        group = settings_table[i].group;
    }
}

static void test_table__has_a_title_for_each_group(void **state)
{
    (void)state;
    for (size_t g = 0; g < GROUP_COUNT; g++)
        assert_true(setting_groups[g] && setting_groups[g][0] >= 'a' && setting_groups[g][0] <= 'z');
}

static void test_settings_find__wants_the_exact_name(void **state)
{
    (void)state;
    assert_null(settings_find(STR("port")));
    assert_null(settings_find(STR("PORT ")));
    assert_null(settings_find(STR_EMPTY));
    assert_string_equal(settings_find(STR("PORT"))->key, "PORT");
}

static void test_settings_nearest__proposes_a_known_name(void **state)
{
    (void)state;
    assert_string_equal(settings_nearest(STR("DB_POOLSIZE")), "DB_POOL_SIZE");
    assert_string_equal(settings_nearest(STR("port")), "PORT");
    assert_null(settings_nearest(STR("COMPLETELY_DIFFERENT")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__has_every_promised_key_with_its_default),
        cmocka_unit_test(test_table__has_each_key_and_each_member_once),
        cmocka_unit_test(test_table__allows_each_default),
        cmocka_unit_test(test_table__has_choices_where_the_kind_wants_them_and_bounds_in_order),
        cmocka_unit_test(test_table__keeps_secrets_only_in_texts),
        cmocka_unit_test(test_table__explains_each_row_in_one_line_and_in_its_group),
        cmocka_unit_test(test_table__has_a_title_for_each_group),
        cmocka_unit_test(test_settings_find__wants_the_exact_name),
        cmocka_unit_test(test_settings_nearest__proposes_a_known_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
