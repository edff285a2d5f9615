/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "settings/dotenv.h"
#include "settings/print.h"
#include "settings/table.h"

#include <stdio.h>
#include <stdlib.h>

static char *const no_environment[] = { NULL };

static char *text; /* what was printed last */
static size_t text_len;
static FILE *out;
static struct settings s;

static int open_out(void **state)
{
    (void)state;
    out = open_memstream(&text, &text_len);
    return out ? 0 : -1;
}

static int close_out(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    settings_done(&s);
    return 0;
}

static void load(const struct str *set, size_t count)
{
    struct settings_report report;
    const struct settings_sources from = { .environment = no_environment, .overrides = set, .override_count = count };

    assert_int_equal(settings_load_from(&s, &from, &report), OK);
}

static void assert_says(const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in:\n%s", words, text);
}

static void test_settings_print_help__names_each_setting(void **state)
{
    char line[64];
    (void)state;

    settings_print_help(out);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < settings_count; i++) {
        (void)snprintf(line, sizeof(line), "\n  %s ", settings_table[i].key);
        assert_says(line);
    }
    assert_says("(8000)");
}

/* Uncommented, the example is a .env file of all defaults. */
static void test_settings_print_example__is_a_file_of_the_defaults(void **state)
{
    struct arena arena;
    struct dotenv_line line;
    size_t pairs = 0;
    (void)state;

    settings_print_example(out);
    assert_int_equal(fclose(out), 0);
    for (char *p = text; (p = strstr(p, "\n#")) != NULL; p++) {
        if (p[2] >= 'A' && p[2] <= 'Z')
            p[1] = ' ';
    }
    arena_init(&arena, 1024 * 1024);
    struct dotenv d = dotenv_of((struct str){ text, text_len }, &arena);
    for (enum dotenv_result r; (r = dotenv_next(&d, &line)) != DOTENV_END; pairs++) {
        assert_int_equal(r, DOTENV_PAIR);
        const struct setting *row = settings_find(line.key);
        assert_non_null(row);
        assert_true(str_eq(line.value, str_of(row->initial)));
    }
    assert_int_equal(pairs, settings_count);
    arena_done(&arena);
}

static void test_settings_print_markdown__has_a_row_a_setting(void **state)
{
    size_t rows = 0;
    (void)state;

    settings_print_markdown(out);
    assert_int_equal(fclose(out), 0);
    for (const char *p = text; (p = strstr(p, "\n| `")) != NULL; p++)
        rows++;
    assert_int_equal(rows, settings_count);
    assert_says("\n## Application\n");
}

static void test_settings_print_values__shows_origins_and_no_secrets(void **state)
{
    const struct str set[] = { STR("DB_PASSWORD=hunter2"), STR("REDIS_URL=redis://u:hunter2@h"), STR("PORT=1"),
                               STR("DB_HOST=db") };
    (void)state;

    load(set, 4);
    settings_print_values(out, &s);
    assert_int_equal(fclose(out), 0);
    assert_null(strstr(text, "hunter2"));
    assert_says("********                     --set\n");
    assert_says("redis://********@h");
    assert_says("mysql                        default: DB_HOST is set\n");
}

static void test_settings_print_json__has_typed_values_and_no_secrets(void **state)
{
    const struct str set[] = { STR("DB_PASSWORD=hunter2"), STR("REDIS_URL=redis://u:hunter2@h"), STR("CACHE_TTL=1m"),
                               STR("CORS_ORIGINS=https://a, https://b"), STR("TRUSTED_PROXIES=::1") };
    (void)state;

    load(set, 5);
    assert_int_equal(settings_print_json(out, &s), OK);
    assert_int_equal(fclose(out), 0);
    assert_null(strstr(text, "hunter2"));
    assert_says("\"PORT\":{\"value\":8000,\"origin\":\"default\",\"group\":\"application\",\"planned\":false}");
    assert_says("\"DEBUG\":{\"value\":false,");
    assert_says("\"CACHE_TTL\":{\"value\":60,");
    assert_says("\"MAX_BODY_BYTES\":{\"value\":10485760,");
    assert_says("\"LOG_LEVEL\":{\"value\":\"info\",");
    assert_says("\"CORS_ORIGINS\":{\"value\":[\"https://a\",\"https://b\"],\"origin\":\"--set\"");
    assert_says("\"TRUSTED_PROXIES\":{\"value\":[\"::1\"],");
    assert_says("\"RATE_LIMIT_ALLOW\":{\"value\":[],");
    assert_says("\"DB_PASSWORD\":{\"value\":\"********\",");
    assert_says("\"SECRET_KEY\":{\"value\":\"\",");
}

static void test_settings_print_report__is_a_line_a_problem(void **state)
{
    struct settings_report report = {
        .errors = { 1, 3, { { STR(".env"), 3, STR("PORT"), STR("9\x1b"), STR("must be less") } } },
        .warnings = { 1, 1, { { STR(".env"), 4, STR_EMPTY, { NULL, 0 }, STR("is odd") } } },
    };
    (void)state;

    settings_print_report(out, &report);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "sanad: warning: .env:4: is odd\n"
                              "sanad: error: .env:3: PORT=9\\u001b: must be less\n"
                              "sanad: error: and 2 more\n");
}

static void assert_same_as_file(const char *name)
{
    const char *root = getenv("SANAD_SOURCE_ROOT");
    char path[1024], *kept = NULL;
    size_t size = 0;
    FILE *f;

    if (!root)
        skip();
    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    f = fopen(path, "r");
    if (!f)
        fail_msg("%s cannot be read", path);
    const ssize_t len = getdelim(&kept, &size, '\0', f);
    (void)fclose(f);
    if (len != (ssize_t)text_len || memcmp(kept, text, text_len) != 0) {
        free(kept);
        fail_msg("%s is out of date: make it anew with `sanad config`", name);
    }
    free(kept);
}

static void test_settings_print_example__is_what_the_repository_holds(void **state)
{
    (void)state;
    settings_print_example(out);
    assert_int_equal(fclose(out), 0);
    assert_same_as_file(".env.example");
}

static void test_settings_print_markdown__is_what_the_repository_holds(void **state)
{
    (void)state;
    settings_print_markdown(out);
    assert_int_equal(fclose(out), 0);
    assert_same_as_file("docs/settings.md");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_out, close_out)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settings_print_help__names_each_setting),
        TEST(test_settings_print_example__is_a_file_of_the_defaults),
        TEST(test_settings_print_markdown__has_a_row_a_setting),
        TEST(test_settings_print_values__shows_origins_and_no_secrets),
        TEST(test_settings_print_json__has_typed_values_and_no_secrets),
        TEST(test_settings_print_report__is_a_line_a_problem),
        TEST(test_settings_print_example__is_what_the_repository_holds),
        TEST(test_settings_print_markdown__is_what_the_repository_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
