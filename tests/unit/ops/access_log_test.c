/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/access_log.h"

#include "base/metrics.h"
#include "http/request.h"
#include "ops/access_line.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uv_loop_t loop;
static char folder[] = "/tmp/access-log-test-XXXXXX";
static char path[64];
static struct http_head head;
static struct request req;
static struct exchange_record record;
static struct access_line line;
static char out[ACCESS_LINE_MAX + 1];

static int start(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    (void)unlink(path);
    head = (struct http_head){
        .method = HTTP_GET,
        .minor = 1,
        .field_count = 2,
        .fields = { { STR("User-Agent"), STR("curl/7.88") }, { STR("referer"), STR("https://a.example/") } },
    };
    req = (struct request){ .head = &head, .id = STR("req-1") };
    record = (struct exchange_record){
        .req = &req,
        .peer = STR("192.0.2.7"),
        .method = STR("GET"),
        .target = STR("/api/spas?skip=1"),
        .status = 200,
        .bytes = 1234,
        .duration = 182999,
        .cache = CACHE_HIT,
    };
    line = (struct access_line){ .format = LOG_TEXT, .worker = 2, .second = -1 };
    return 0;
}

static int finish(void **state)
{
    (void)state;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

static const char *format(void)
{
    const size_t len = access_line_format(&line, &record, out);

    assert_in_range(len, 2, ACCESS_LINE_MAX);
    out[len] = '\0';
    assert_ptr_equal(strchr(out, '\n'), out + len - 1);
    return out;
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no <%s> in <%s>", part, text);
}

static uint64_t dropped(void) { return metric_sum_counter(metrics_page(), 1, M_LOG_DROPPED); }

static size_t read_file(char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return n;
}

static struct access_log *open_log(const char *where)
{
    const struct access_log_conf conf = { .path = where, .format = LOG_TEXT, .worker = 2 };
    char error[256];
    struct access_log *log = access_log_open(&loop, &conf, error, sizeof(error));

    if (!log)
        fail_msg("%s", error);
    return log;
}

/* --- a line ------------------------------------------------------------------------ */

static void test_access_line__text(void **state)
{
    (void)state;
    const char *text = format();
    assert_int_equal(strncmp(text, "192.0.2.7 - - [", 15), 0);
    assert_string_equal(strchr(text, ']'), "] \"GET /api/spas?skip=1 HTTP/1.1\" 200 1234 \"https://a.example/\" "
                                           "\"curl/7.88\" 182 HIT req-1 2\n");
}

static void test_access_line__text_of_an_unparsed_request(void **state)
{
    (void)state;
    record = (struct exchange_record){ .peer = STR("::1"), .method = STR_EMPTY, .target = STR_EMPTY, .status = 400 };
    assert_string_equal(strchr(format(), ']'), "] \"-\" 400 0 \"-\" \"-\" 0 - - 2\n");
}

static void test_access_line__json(void **state)
{
    (void)state;
    line.format = LOG_JSON;
    const char *text = format();
    assert_int_equal(strncmp(text, "{\"time\":\"20", 11), 0);
    assert_string_equal(strstr(text, ",\"remote\""),
                        ",\"remote\":\"192.0.2.7\",\"method\":\"GET\",\"target\":\"/api/spas?skip=1\","
                        "\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":1234,\"duration_us\":182,"
                        "\"cache\":\"HIT\",\"referer\":\"https://a.example/\","
                        "\"user_agent\":\"curl/7.88\",\"request_id\":\"req-1\",\"worker\":2}\n");
    assert_int_equal(text[32], 'Z');
    assert_int_equal(text[28], '.');
}

static void test_access_line__client_behind_a_proxy(void **state)
{
    (void)state;
    req.client.via_proxy = true;
    assert_int_equal(address_parse(STR("2001:db8::9"), &req.client.address), OK);
    assert_int_equal(strncmp(format(), "2001:db8::9 192.0.2.7 - [", 25), 0);
    line.format = LOG_JSON;
    line.second = -1;
    assert_holds(format(), "Z\",\"remote\":\"2001:db8::9\",\"proxy\":\"192.0.2.7\",\"method\":");
}

static void test_access_line__client_cannot_forge(void **state)
{
    (void)state;
    head.fields[0].value = STR("x\" 200 1\n10.0.0.1 - - \\ \x1b[2J \xff");
    assert_holds(format(), "\"x\\\" 200 1\\x0a10.0.0.1 - - \\\\ \\x1b[2J \\xff\"");
    line.format = LOG_JSON;
    line.second = -1;
    assert_holds(format(), "\"x\\\" 200 1\\u000a10.0.0.1 - - \\\\ \\u001b[2J \\ufffd\"");
}

/* Wherever it stands in a text, a byte is either harmless or escaped. */
static void test_access_line__each_byte_at_each_place(void **state)
{
    char target[19], expected[32];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const bool quoted = byte == '"' || byte == '\\', hidden = byte < 0x20 || byte >= 0x7f;
        for (int place = 0; place < 18; place++) {
            memset(target, 'a', sizeof(target));
            target[place] = (char)byte;
            record.target = (struct str){ target, sizeof(target) };
            (void)snprintf(expected, sizeof(expected),
                           hidden   ? "%.*s\\x%02x"
                           : quoted ? "%.*s\\%c"
                                    : "%.*s%c",
                           place, "aaaaaaaaaaaaaaaaaa", byte);
            assert_holds(format(), expected);
        }
    }
}

static void test_access_line__json_keeps_utf8(void **state)
{
    (void)state;
    line.format = LOG_JSON;
    record.target = STR("/caf\xc3\xa9/\xc3");
    assert_holds(format(), "\"/caf\xc3\xa9/\\ufffd\"");
}

static void test_access_line__is_bounded_whatever_the_client_sends(void **state)
{
    static char evil[70000];
    const struct str all = { evil, sizeof(evil) };
    const struct route route = { .path = "/api/spas/{id}" };

    (void)state;
    memset(evil, '\x01', sizeof(evil));
    record.peer = record.method = record.target = req.id = all;
    head.fields[0].value = head.fields[1].value = all;
    req.route = &route;
    req.client.via_proxy = true;
    assert_holds(format(), "\\x01...");
    line.format = LOG_JSON;
    line.second = -1;
    assert_holds(format(), "\\u0001...");
}

/* --- the file ----------------------------------------------------------------------- */

static void test_access_log__close_writes_what_is_left(void **state)
{
    char text[4096];
    struct access_log *log = open_log(path);

    (void)state;
    access_log_write(log, &record);
    access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(read_file(text, sizeof(text)), 2 * strlen(format()));
}

static void test_access_log__appends(void **state)
{
    char text[4096];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct access_log *log = open_log(path);
        access_log_write(log, &record);
        access_log_close(log);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(read_file(text, sizeof(text)), 2 * strlen(format()));
}

static void test_access_log__writes_many_lines_in_the_background(void **state)
{
    enum { LINES = 5000 };
    static char text[LINES * 200];
    struct access_log *log = open_log(path);
    const uint64_t before = dropped();

    (void)state;
    for (int i = 0; i < LINES; i++) {
        access_log_write(log, &record);
        if (i % 100 == 0)
            (void)uv_run(&loop, UV_RUN_DEFAULT);
    }
    access_log_close(log);
    assert_int_equal(dropped(), before);
    assert_int_equal(read_file(text, sizeof(text)), LINES * strlen(format()));
}

static void test_access_log__full_disk_drops_and_goes_on(void **state)
{
    const uint64_t before = dropped();

    (void)state;
    struct access_log *log = open_log("/dev/full");
    access_log_write(log, &record);
    access_log_flush(log);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(dropped(), before + 1);
    access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(dropped(), before + 2);
}

static void test_access_log__open_explains_a_bad_path(void **state)
{
    const struct access_log_conf conf = { .path = "/nowhere/at/all.log" };
    char error[256] = "";

    (void)state;
    assert_null(access_log_open(&loop, &conf, error, sizeof(error)));
    assert_holds(error, "/nowhere/at/all.log");
    assert_holds(error, "No such file");
}

static void test_access_log_check__says_what_open_would_say(void **state)
{
    char error[256] = "";

    (void)state;
    assert_true(access_log_check("-", error, sizeof(error)));
    assert_true(access_log_check(path, error, sizeof(error)));
    assert_false(access_log_check("/nowhere/at/all.log", error, sizeof(error)));
    assert_holds(error, "/nowhere/at/all.log");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(access_log_check(path, error, sizeof(error)));
    assert_holds(error, "nobody reads");
}

/* --- rotation ------------------------------------------------------------------------ */

static size_t lines_of(const char *name)
{
    FILE *f = fopen(name, "r");
    size_t lines = 0;

    assert_non_null(f);
    for (int c = fgetc(f); c != EOF; c = fgetc(f))
        lines += c == '\n';
    (void)fclose(f);
    return lines;
}

static void rename_file(const char *from, const char *to) { assert_int_equal(rename(from, to), 0); }

static void test_access_log_reopen__what_follows_goes_to_the_new_file(void **state)
{
    char moved[sizeof(path) + 8];
    struct access_log *log = open_log(path);

    (void)state;
    (void)snprintf(moved, sizeof(moved), "%s.1", path);
    access_log_write(log, &record);
    access_log_flush(log);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    rename_file(path, moved);
    access_log_reopen(log);
    access_log_write(log, &record);
    access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(lines_of(moved), 1);
    assert_int_equal(lines_of(path), 2);
    assert_int_equal(unlink(moved), 0);
}

/* The thread has a page of the old file in hand while the name changes. */
static void test_access_log_reopen__while_writing_keeps_pages_whole(void **state)
{
    enum { ROUNDS = 50, LINES = 300 };
    char moved[sizeof(path) + 8];
    struct access_log *log = open_log(path);
    const uint64_t before = dropped();
    size_t sum = 0;

    (void)state;
    (void)snprintf(moved, sizeof(moved), "%s.1", path);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < LINES; i++)
            access_log_write(log, &record);
        access_log_flush(log);
        rename_file(path, moved);
        access_log_reopen(log);
        access_log_reopen(log);
        access_log_write(log, &record);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        sum += lines_of(moved);
    }
    access_log_flush(log);
    rename_file(path, moved);
    access_log_reopen(log);
    access_log_write(log, &record);
    access_log_close(log);
    sum += lines_of(moved) + lines_of(path);
    assert_int_equal(dropped(), before);
    assert_int_equal(sum, ROUNDS * (LINES + 1) + 1);
    assert_int_equal(unlink(moved), 0);
}

static void test_access_log_reopen__that_cannot_keeps_the_old_file(void **state)
{
    char moved[sizeof(path) + 8];
    struct access_log *log = open_log(path);

    (void)state;
    (void)snprintf(moved, sizeof(moved), "%s.1", path);
    rename_file(path, moved);
    assert_int_equal(mkdir(path, 0700), 0);
    access_log_reopen(log);
    access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(lines_of(moved), 1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(unlink(moved), 0);
}

static void test_access_log_reopen__leaves_standard_output_alone(void **state)
{
    struct access_log *log = open_log("-");

    (void)state;
    access_log_reopen(NULL);
    access_log_reopen(log);
    assert_true(fcntl(STDOUT_FILENO, F_GETFD) >= 0);
    access_log_close(log);
}

/* --- a pipe -------------------------------------------------------------------------- */

/* A log that writes to a FIFO, of which the test holds the reading end. */
static struct access_log *open_fifo(int *ret_reader)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    *ret_reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(*ret_reader >= 0);
    return open_log(path);
}

static void test_access_log__nobody_reads_the_pipe(void **state)
{
    const uint64_t before = dropped();
    int reader;

    (void)state;
    struct access_log *log = open_fifo(&reader);
    for (int i = 0; i < 10000; i++)
        access_log_write(log, &record);
    assert_true(dropped() > before);
    access_log_close(log);
    (void)close(reader);
}

static void test_access_log__reader_that_left_costs_lines_only(void **state)
{
    const uint64_t before = dropped();
    int reader;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    struct access_log *log = open_fifo(&reader);
    (void)close(reader);
    access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(dropped(), before + 1);
}

/* Each read of a pipe in packet mode returns what one write wrote. */
static void test_access_log__pieces_of_a_pipe_are_whole_lines(void **state)
{
    static char piece[PIPE_BUF + 1];
    size_t total = 0, pieces = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_DIRECT | O_CLOEXEC), 0);
    const int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    struct access_log *log = open_log("-");
    for (int i = 0; i < 100; i++)
        access_log_write(log, &record);
    access_log_close(log);
    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(saved);
    (void)close(ends[1]);
    for (;;) {
        const ssize_t n = read(ends[0], piece, sizeof(piece));
        if (n <= 0)
            break;
        assert_true(n <= PIPE_BUF);
        assert_int_equal(piece[n - 1], '\n');
        total += (size_t)n;
        pieces++;
    }
    (void)close(ends[0]);
    assert_int_equal(total, 100 * strlen(format()));
    assert_true(pieces > 1);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_access_line__text),
        LOG_TEST(test_access_line__text_of_an_unparsed_request),
        LOG_TEST(test_access_line__json),
        LOG_TEST(test_access_line__client_behind_a_proxy),
        LOG_TEST(test_access_line__client_cannot_forge),
        LOG_TEST(test_access_line__each_byte_at_each_place),
        LOG_TEST(test_access_line__json_keeps_utf8),
        LOG_TEST(test_access_line__is_bounded_whatever_the_client_sends),
        LOG_TEST(test_access_log__close_writes_what_is_left),
        LOG_TEST(test_access_log__appends),
        LOG_TEST(test_access_log__writes_many_lines_in_the_background),
        LOG_TEST(test_access_log__full_disk_drops_and_goes_on),
        LOG_TEST(test_access_log__open_explains_a_bad_path),
        LOG_TEST(test_access_log_check__says_what_open_would_say),
        LOG_TEST(test_access_log_reopen__leaves_standard_output_alone),
        LOG_TEST(test_access_log_reopen__that_cannot_keeps_the_old_file),
        LOG_TEST(test_access_log_reopen__while_writing_keeps_pages_whole),
        LOG_TEST(test_access_log_reopen__what_follows_goes_to_the_new_file),
        LOG_TEST(test_access_log__nobody_reads_the_pipe),
        LOG_TEST(test_access_log__reader_that_left_costs_lines_only),
        LOG_TEST(test_access_log__pieces_of_a_pipe_are_whole_lines),
    };

    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/access.log", folder);
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(folder);
    return failures;
}
