/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "db/slow_log.h"

enum { TEXT_MAX = 64 * 1024 };

static const struct db_statement st = { "spas_active", "SELECT a FROM spa WHERE b = ? LIMIT ?", DB_READ };
static char folder[] = "/tmp/slow-file-test-XXXXXX";
static char path[64], moved[64], text[TEXT_MAX];
static struct slow_file file;
static struct slow_query query;

static int start(void **state)
{
    (void)state;
    log_setup(LOG_NONE, LOG_TEXT, "test");
    (void)unlink(path);
    (void)unlink(moved);
    slow_file_init(&file, path);
    query = (struct slow_query){
        .st = &st,
        .rows = 20,
        .changes = 3,
        .took = (mono_ns)1312345 * 1000,
        .route = "/api/spas/{id}",
        .request_id = STR("req-7"),
    };
    return 0;
}

static int finish(void **state)
{
    (void)state;
    slow_file_close(&file);
    return 0;
}

static const char *content(const char *name)
{
    FILE *f = fopen(name, "r");
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, TEXT_MAX - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static size_t times(const char *in, const char *part)
{
    size_t n = 0;

    for (const char *at = in; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

static void assert_holds(const char *in, const char *part)
{
    if (!strstr(in, part))
        fail_msg("no <%s> in <%s>", part, in);
}

static uint64_t dropped(void) { return metric_sum_counter(metrics_page(), 1, M_SLOW_LOG_DROPPED); }

static void test_write__is_a_record_as_mysql_writes_it(void **state)
{
    const char *written;
    char id[32];
    (void)state;

    slow_file_write(&file, &query);
    written = content(path);
    snprintf(id, sizeof(id), "Id: %ld\n", (long)getpid());
    assert_int_equal(strncmp(written, "# Time: 20", 10), 0);
    assert_int_equal(strspn(written + 8, "0123456789-:.TZ"), strlen("2026-01-31T12:00:00.123000Z"));
    assert_holds(written, "\n# User@Host: sanad[sanad] @ localhost []  ");
    assert_holds(written, id);
    assert_holds(written, "\n# Query_time: 1.312345  Lock_time: 0.000000  Rows_sent: 20  Rows_examined: 0\n");
    assert_holds(written, "\n# Rows_affected: 3\nSET timestamp=");
    assert_holds(written, ";\nSELECT a FROM spa WHERE b = ? LIMIT ? "
                          "/* name=spas_active route=/api/spas/{id} request_id=req-7 */;\n");
    assert_int_equal(times(written, "\n"), 6);
}

static void test_write__hostile_words_stay_in_their_comment(void **state)
{
    static const char hostile[] = "*/ DROP TABLE spa;\n# Time: 2026-01-31T12:00:00Z\r\n/*! \xff`'\"\\";
    const char *written;
    (void)state;

    query.route = hostile;
    query.request_id = (struct str){ "a\0b\n*/", 6 };
    slow_file_write(&file, &query);
    written = content(path);
    assert_int_equal(times(written, "\n"), 6);
    assert_int_equal(times(written, "# Time:"), 1);
    assert_int_equal(times(written, "*/"), 1);
    assert_int_equal(times(written, "/*"), 1);
    assert_int_equal(times(written, ";\n"), 2);
    assert_holds(written, " route=_/_DROP_TABLE_spa____Time__2026-01-31T12_00_00Z__/________ ");
    assert_holds(written, " request_id=a_b__/ */;\n");
}

static void test_write__long_words_are_cut_and_missing_ones_marked(void **state)
{
    char name[4096];
    const char *written;
    (void)state;

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    query.request_id = str_of(name);
    query.route = NULL;
    slow_file_write(&file, &query);
    written = content(path);
    assert_holds(written, " route=- request_id=nnn");
    assert_holds(written, "nnn */;\n");
    assert_in_range(strlen(written), 300, 800);
}

static void test_write__appends(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        slow_file_write(&file, &query);
    slow_file_close(&file);
    slow_file_write(&file, &query);
    assert_int_equal(times(content(path), "# Query_time:"), 101);
}

static void test_write__without_a_path_does_nothing(void **state)
{
    const uint64_t before = dropped();
    (void)state;

    slow_file_init(&file, "");
    slow_file_write(&file, &query);
    slow_file_init(&file, NULL);
    slow_file_write(&file, &query);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(dropped(), before);
}

static void test_write__makes_a_file_that_was_moved_away_anew(void **state)
{
    (void)state;
    slow_file_write(&file, &query);
    assert_int_equal(rename(path, moved), 0);
    file.look_due = 0;
    slow_file_write(&file, &query);
    slow_file_write(&file, &query);
    assert_int_equal(times(content(moved), "# Time:"), 1);
    assert_int_equal(times(content(path), "# Time:"), 2);
}

static void test_write__looks_after_the_file_at_most_once_a_second(void **state)
{
    (void)state;
    slow_file_write(&file, &query);
    assert_int_equal(rename(path, moved), 0);
    file.look_due = INT64_MAX;
    slow_file_write(&file, &query);
    assert_int_equal(times(content(moved), "# Time:"), 2);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_reopen__leaves_the_old_file_at_once(void **state)
{
    (void)state;
    slow_file_reopen(&file);
    assert_int_equal(access(path, F_OK), -1);
    slow_file_write(&file, &query);
    assert_int_equal(rename(path, moved), 0);
    file.look_due = INT64_MAX;
    slow_file_reopen(&file);
    slow_file_write(&file, &query);
    assert_int_equal(times(content(moved), "# Time:"), 1);
    assert_int_equal(times(content(path), "# Time:"), 1);
}

static void test_reopen__that_cannot_keeps_the_old_file(void **state)
{
    (void)state;
    slow_file_write(&file, &query);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    slow_file_reopen(&file);
    slow_file_write(&file, &query);
    file.look_due = 0;
    slow_file_write(&file, &query);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(times(content(moved), "# Time:"), 3);
}

static void test_write__counts_what_it_cannot_write(void **state)
{
    const uint64_t before = dropped();
    (void)state;

    slow_file_init(&file, "/dev/full");
    slow_file_write(&file, &query);
    slow_file_close(&file);
    slow_file_init(&file, "/nonexistent/slow.log");
    slow_file_write(&file, &query);
    assert_int_equal(dropped(), before + 2);
}

/* A disk with room for two records and a half. */
static void test_write__leaves_no_torn_record(void **state)
{
    const uint64_t before = dropped();
    struct rlimit limit, usual;
    struct stat one;
    (void)state;

    slow_file_write(&file, &query);
    assert_int_equal(stat(path, &one), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    limit = usual;
    limit.rlim_cur = (rlim_t)(one.st_size * 5 / 2);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 5; i++)
        slow_file_write(&file, &query);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    assert_int_equal(dropped(), before + 4);
    slow_file_write(&file, &query);
    assert_int_equal(times(content(path), "# Time:"), 3);
    assert_int_equal(times(text, " */;\n"), 3);
}

static void test_write__does_not_wait_for_a_pipe(void **state)
{
    const uint64_t before = dropped();
    (void)state;

    assert_int_equal(mkfifo(path, 0600), 0);
    slow_file_write(&file, &query);
    assert_int_equal(dropped(), before + 1);
}

static void test_check__says_why_not(void **state)
{
    char error[200] = "";
    (void)state;

    assert_true(slow_file_check(path, error, sizeof(error)));
    assert_false(slow_file_check("/nonexistent/slow.log", error, sizeof(error)));
    assert_string_equal(error, "cannot open SLOW_LOG /nonexistent/slow.log (No such file or directory)");
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_write__is_a_record_as_mysql_writes_it),
        T(test_write__hostile_words_stay_in_their_comment),
        T(test_write__long_words_are_cut_and_missing_ones_marked),
        T(test_write__appends),
        T(test_write__without_a_path_does_nothing),
        T(test_write__makes_a_file_that_was_moved_away_anew),
        T(test_write__looks_after_the_file_at_most_once_a_second),
        T(test_reopen__leaves_the_old_file_at_once),
        T(test_reopen__that_cannot_keeps_the_old_file),
        T(test_write__counts_what_it_cannot_write),
        T(test_write__leaves_no_torn_record),
        T(test_write__does_not_wait_for_a_pipe),
        T(test_check__says_why_not),
    };
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/slow.log", folder);
    snprintf(moved, sizeof(moved), "%s/slow.log.1", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)unlink(moved);
    (void)rmdir(folder);
    return failed;
}
