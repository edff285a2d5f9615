/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "settings/dotenv.h"
#include "settings/table.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_MAX = 8 };

/* What a test gives: the .env file's text and two lists that end in NULL. */
struct given {
    const char *file;
    const char *environment[LIST_MAX];
    const char *set[LIST_MAX];
};

static struct settings s;
static struct settings_report report;
static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sanad-settings-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/.env", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    settings_done(&s);
    (void)unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static enum err load(struct given given)
{
    struct str overrides[LIST_MAX];
    struct settings_sources from = { /* environ(7) is not const, though nobody writes to it */
                                     .environment = (char *const *)(uintptr_t)given.environment,
                                     .overrides = overrides
    };

    if (given.file) {
        write_file(given.file);
        from.file = path;
        from.file_required = true;
    }
    while (given.set[from.override_count]) {
        overrides[from.override_count] = str_of(given.set[from.override_count]);
        from.override_count++;
    }
    settings_done(&s);
    return settings_load_from(&s, &from, &report);
}
#define LOAD(...) load((struct given){ __VA_ARGS__ })

static const struct setting_origin *origin_of(const char *key)
{
    return settings_origin(&s, settings_find(str_of(key)));
}

static void assert_problem(const struct settings_problem *p, unsigned line, const char *key, const char *word_of_text)
{
    char text[512];

    (void)snprintf(text, sizeof(text), STR_FMT, STR_ARG(p->text));
    assert_int_equal(p->line, line);
    assert_true(str_eq(p->key, str_of(key)));
    if (!strstr(text, word_of_text))
        fail_msg("\"%s\" does not say \"%s\"", text, word_of_text);
}

static void assert_str(struct str actual, const char *expected)
{
    if (!str_eq(actual, str_of(expected)))
        fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(actual), expected);
}

static void test_settings_load__gives_the_defaults(void **state)
{
    (void)state;
    assert_int_equal(LOAD(NULL), OK);
    assert_false(s.debug);
    assert_str(s.host, "0.0.0.0");
    assert_int_equal(s.port, 8000);
    assert_int_equal(s.log_level, LOG_INFO);
    assert_int_equal(s.db_driver, DB_DRIVER_SQLITE);
    assert_int_equal(s.db_pool_size, 50);
    assert_int_equal(s.db_max_overflow, 100);
    assert_true(s.db_pool_timeout_s == 30);
    assert_int_equal(s.cache_max_bytes, 64 * 1024 * 1024);
    assert_int_equal(s.max_body_bytes, 10 * 1024 * 1024);
    assert_true(cidr_list_holds_text(&s.metrics_allow, STR("192.168.1.1")));
    assert_false(cidr_list_holds_text(&s.metrics_allow, STR("8.8.8.8")));
    assert_int_equal(s.trusted_proxies.count, 0);
    assert_int_equal(report.errors.total + report.warnings.total, 0);
    assert_int_equal(origin_of("PORT")->source, FROM_DEFAULT);
}

static void test_settings_load__prefers_command_then_environment_then_file(void **state)
{
    (void)state;
    assert_int_equal(LOAD("\nPORT=1\nBACKLOG=1\nMAX_REQUESTS=1", { "PORT=2", "BACKLOG=2", NULL }, { "PORT=3", NULL }),
                     OK);
    assert_int_equal(s.port, 3);
    assert_int_equal(s.backlog, 2);
    assert_int_equal(s.max_requests, 1);
    assert_int_equal(origin_of("PORT")->source, FROM_COMMAND);
    assert_int_equal(origin_of("BACKLOG")->source, FROM_ENVIRONMENT);
    assert_int_equal(origin_of("MAX_REQUESTS")->source, FROM_FILE);
    assert_int_equal(origin_of("MAX_REQUESTS")->line, 4);
    assert_str(origin_of("MAX_REQUESTS")->text, "1");
}

static void test_settings_load__takes_the_last_override_and_the_first_of_the_environment(void **state)
{
    (void)state;
    assert_int_equal(LOAD(NULL, { "BACKLOG=1", "BACKLOG=2", NULL }, { "PORT=1", "PORT=2", NULL }), OK);
    assert_int_equal(s.port, 2);
    assert_int_equal(s.backlog, 1);
}

static void test_settings_load__reports_every_wrong_value(void **state)
{
    (void)state;
    assert_int_equal(LOAD("PORT=99999\n\nDEBUG=maybe\nno pair", { "BACKLOG=x", NULL }, { "CACHE_TTL=y", NULL }),
                     E_INVALID);
    assert_int_equal(report.errors.total, 5);
    assert_int_equal(report.errors.kept, 5);
    const struct settings_problem *p = report.errors.rows;
    assert_problem(&p[0], 4, "", "followed by '='");
    assert_str(p[0].source, path);
    assert_null(p[0].value.ptr);
    assert_problem(&p[1], 3, "DEBUG", "True or False");
    assert_problem(&p[2], 1, "PORT", "from 0 to 65535");
    assert_str(p[2].value, "99999");
    assert_problem(&p[3], 0, "CACHE_TTL", "seconds");
    assert_str(p[3].source, "--set");
    assert_problem(&p[4], 0, "BACKLOG", "from 1 to 65535");
    assert_str(p[4].source, "environment");
    assert_int_equal(s.port, 8000);
}

static void test_settings_load__never_tells_a_secret(void **state)
{
    (void)state;
    assert_int_equal(LOAD("SECRET_KEY=tooshort\nREDIS_URL=http://u:pw@h\nSECRET_KEI=hush\nDB_PASSWORD='half"),
                     E_INVALID);
    assert_int_equal(report.errors.total, 3);
    assert_null(report.errors.rows[0].value.ptr);
    assert_str(report.errors.rows[1].value, "********");
    assert_null(report.errors.rows[2].value.ptr);
    assert_null(report.warnings.rows[0].value.ptr);
}

static void test_settings_load__shortens_a_long_wrong_value(void **state)
{
    char text[1024] = "HOST=";
    (void)state;

    memset(text + 5, 'x', 1000);
    assert_int_equal(LOAD(text), E_INVALID);
    assert_int_equal(report.errors.rows[0].value.len, 103);
    assert_true(str_ends_with(report.errors.rows[0].value, STR("x...")));
}

static void test_settings_load__does_not_read_a_value_that_is_overridden(void **state)
{
    (void)state;
    assert_int_equal(LOAD("PORT=x", { "PORT=1", NULL }), OK);
    assert_int_equal(s.port, 1);
}

static void test_settings_load__warns_of_unknown_keys_in_the_file_only(void **state)
{
    (void)state;
    assert_int_equal(LOAD("DB_POOLSIZE=7\nSOMETHING_ELSE_ENTIRELY=1", { "DB_POLSIZE=7", NULL }), OK);
    assert_int_equal(report.warnings.total, 2);
    assert_problem(&report.warnings.rows[0], 1, "DB_POOLSIZE", "did you mean DB_POOL_SIZE?");
    assert_problem(&report.warnings.rows[1], 2, "SOMETHING_ELSE_ENTIRELY", "no such setting");
    assert_int_equal(s.db_pool_size, 50);
}

static void test_settings_load__refuses_an_unknown_override(void **state)
{
    (void)state;
    assert_int_equal(LOAD(NULL, { NULL }, { "PROT=1", NULL }), E_INVALID);
    assert_problem(&report.errors.rows[0], 0, "PROT", "did you mean PORT?");
}

static void test_settings_load__warns_of_a_key_that_is_there_twice(void **state)
{
    (void)state;
    assert_int_equal(LOAD("PORT=wrong\n\nPORT=2"), OK);
    assert_int_equal(s.port, 2);
    assert_int_equal(report.warnings.total, 1);
    assert_problem(&report.warnings.rows[0], 3, "PORT", "line 1");
}

static void test_settings_load__counts_the_problems_it_does_not_keep(void **state)
{
    char text[8 * 1024] = "";
    (void)state;

    for (size_t i = 0; i < 100; i++)
        memcpy(text + 4 * i, "bad\n", 4);
    assert_int_equal(LOAD(text), E_INVALID);
    assert_int_equal(report.errors.kept, SETTINGS_PROBLEMS_MAX);
    assert_int_equal(report.errors.total, 100);
}

static void test_settings_load__chooses_mysql_when_there_is_a_host(void **state)
{
    (void)state;
    assert_int_equal(LOAD("DB_HOST=db1"), OK);
    assert_int_equal(s.db_driver, DB_DRIVER_MYSQL);
    assert_non_null(origin_of("DB_DRIVER")->why);
    assert_str(origin_of("DB_DRIVER")->text, "mysql");
    assert_int_equal(LOAD("DB_HOST=db1\nDB_DRIVER=sqlite"), OK);
    assert_int_equal(s.db_driver, DB_DRIVER_SQLITE);
    assert_int_equal(LOAD("DB_HOST="), OK);
    assert_int_equal(s.db_driver, DB_DRIVER_SQLITE);
}

static void test_settings_load__takes_one_worker_a_core_unless_told(void **state)
{
    cpu_set_t set;
    (void)state;

    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_int_equal(LOAD(NULL), OK);
    assert_int_equal(s.max_workers, CPU_COUNT(&set));
    assert_int_equal(LOAD("MAX_WORKERS=0"), OK);
    assert_int_equal(s.max_workers, CPU_COUNT(&set));
    assert_int_equal(origin_of("MAX_WORKERS")->source, FROM_FILE);
    assert_int_equal(LOAD("MAX_WORKERS=7"), OK);
    assert_int_equal(s.max_workers, 7);
    assert_null(origin_of("MAX_WORKERS")->why);
}

static void test_settings_load__wants_the_file_that_was_named(void **state)
{
    const struct settings_sources optional = { .file = path };
    (void)state;

    assert_int_equal(settings_load(&s, path, &report), E_INVALID);
    assert_problem(&report.errors.rows[0], 0, "", "cannot be read");
    assert_str(report.errors.rows[0].source, path);
    settings_done(&s);
    assert_int_equal(settings_load_from(&s, &optional, &report), OK);
    settings_done(&s);
    assert_int_equal(settings_load(&s, folder, &report), E_INVALID);
    settings_done(&s);
    assert_int_equal(settings_load(&s, NULL, &report), OK);
}

static void test_settings_load__refuses_a_file_over_the_maximum(void **state)
{
    (void)state;
    write_file("PORT=1\n");
    assert_int_equal(truncate(path, DOTENV_BYTES_MAX + 1), 0);
    assert_int_equal(settings_load(&s, path, &report), E_INVALID);
    assert_problem(&report.errors.rows[0], 1, "", "1 MiB");
    assert_int_equal(report.errors.total, 1);
}

static void test_settings_done__is_harmless_twice(void **state)
{
    (void)state;
    assert_int_equal(LOAD("DB_PASSWORD=x"), OK);
    settings_done(&s);
    settings_done(&s);
}

static void test_settings_planned__lists_what_somebody_set(void **state)
{
    size_t at = 0;
    (void)state;

    assert_int_equal(LOAD("RATE_LIMIT_USER_PER_HOUR=5\nPORT=1", { "PUBLIC_URL=https://x.example", NULL }), OK);
    assert_string_equal(settings_planned(&s, &at)->key, "PUBLIC_URL");
    assert_string_equal(settings_planned(&s, &at)->key, "RATE_LIMIT_USER_PER_HOUR");
    assert_null(settings_planned(&s, &at));
    assert_null(settings_planned(&s, &at));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settings_load__gives_the_defaults),
        TEST(test_settings_load__prefers_command_then_environment_then_file),
        TEST(test_settings_load__takes_the_last_override_and_the_first_of_the_environment),
        TEST(test_settings_load__reports_every_wrong_value),
        TEST(test_settings_load__never_tells_a_secret),
        TEST(test_settings_load__shortens_a_long_wrong_value),
        TEST(test_settings_load__does_not_read_a_value_that_is_overridden),
        TEST(test_settings_load__warns_of_unknown_keys_in_the_file_only),
        TEST(test_settings_load__refuses_an_unknown_override),
        TEST(test_settings_load__warns_of_a_key_that_is_there_twice),
        TEST(test_settings_load__counts_the_problems_it_does_not_keep),
        TEST(test_settings_load__chooses_mysql_when_there_is_a_host),
        TEST(test_settings_load__takes_one_worker_a_core_unless_told),
        TEST(test_settings_load__wants_the_file_that_was_named),
        TEST(test_settings_load__refuses_a_file_over_the_maximum),
        TEST(test_settings_done__is_harmless_twice),
        TEST(test_settings_planned__lists_what_somebody_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
