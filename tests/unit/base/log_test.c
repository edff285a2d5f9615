/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t scripted_write(int fd, const void *bytes, size_t n);
static int scripted_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

/* A short write cannot be had from a file at will, so the module is compiled in
 * here with these two in the place of the system's. */
#define write scripted_write
#define poll  scripted_poll
#include "base/log.c"
#undef write
#undef poll

/* How the next calls end: with this result, or (-1) this errno. */
struct step {
    ssize_t result;
    int error;
};
static struct {
    const struct step *steps;
    size_t count, step;
    int poll_result;
} script;

static void play(const struct step *steps, size_t count, int poll_result)
{
    script.steps = steps;
    script.count = count;
    script.step = 0;
    script.poll_result = poll_result;
}

static ssize_t scripted_write(int fd, const void *bytes, size_t n)
{
    const struct step *s = script.step < script.count ? &script.steps[script.step++] : NULL;

    if (s && s->result < 0) {
        errno = s->error;
        return -1;
    }
    return write(fd, bytes, s && (size_t)s->result < n ? (size_t)s->result : n);
}

static int scripted_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    assert_int_equal(count, 1);
    assert_int_equal(fds->events, POLLOUT);
    assert_true(timeout_ms >= 0);
    return script.poll_result;
}

enum { WRITTEN_MAX = 1 << 16 };

/* Standard error goes to a file of its own while a test writes lines. */
struct fixture {
    int saved, file;
    char text[WRITTEN_MAX];
};

static int setup(void **state)
{
    static struct fixture f;
    char path[] = "/tmp/log_test_XXXXXX";

    f.file = mkstemp(path);
    f.saved = dup(STDERR_FILENO);
    unlink(path);
    play(NULL, 0, 0);
    log_setup(LOG_INFO, LOG_TEXT, "worker 2");
    *state = &f;
    return f.file >= 0 && f.saved >= 0 && dup2(f.file, STDERR_FILENO) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    dup2(f->saved, STDERR_FILENO);
    close(f->saved);
    close(f->file);
    return 0;
}

/* All that was written since the last call. */
static const char *written(struct fixture *f)
{
    const ssize_t n = pread(f->file, f->text, sizeof(f->text) - 1, 0);

    assert_true(n >= 0);
    f->text[n] = '\0';
    assert_int_equal(ftruncate(f->file, 0), 0);
    assert_int_equal(lseek(f->file, 0, SEEK_SET), 0);
    return f->text;
}

/* The text behind "[worker 2 <pid>] "; asserts the form of what stands before. */
static const char *message_of(const char *line, const char *level)
{
    char head[64];
    const char *at;

    snprintf(head, sizeof(head), "Z %s [worker 2 %ld] ", level, (long)getpid());
    at = strstr(line, head);
    assert_non_null(at);
    assert_true(at - line == 19 || at - line == 23);
    assert_int_equal(line[10], 'T');
    return at + strlen(head);
}

static void test_log_event__text_line(void **state)
{
    log_event(LOG_INFO, "worker started", LOG_I("index", 2), LOG_C("name", "lotus"), LOG_D("load", 0.5));
    assert_string_equal(message_of(written(*state), "info "), "worker started index=2 name=lotus load=0.5\n");
}

static void test_log_event__quotes_values_that_need_it(void **state)
{
    log_event(LOG_WARNING, "m", LOG_C("a", "two words"), LOG_C("b", ""), LOG_C("c", "say \"hi\""), LOG_C("d", "x=y"),
              LOG_C("e", NULL));
    assert_string_equal(message_of(written(*state), "warn "),
                        "m a=\"two words\" b=\"\" c=\"say \\\"hi\\\"\" d=\"x=y\" e=\"\"\n");
}

static void test_log_event__no_value_can_forge_a_line(void **state)
{
    log_event(LOG_ERROR, "bad\nmessage", LOG_C("agent", "x\r\n2026-01-01T00:00:00Z info  forged\x1b[2J"));
    assert_string_equal(message_of(written(*state), "error"),
                        "bad\\nmessage agent=\"x\\r\\n2026-01-01T00:00:00Z info  forged\\u001b[2J\"\n");
}

static void test_log_text__formats_and_keeps_quotes(void **state)
{
    log_text(LOG_INFO, "cannot open \"%s\": %d\\", "a b", 7);
    assert_string_equal(message_of(written(*state), "info "), "cannot open \"a b\": 7\\\n");
}

static void test_log_setup__levels_below_are_silent(void **state)
{
    log_text(LOG_DEBUG, "unseen");
    log_event(LOG_DEBUG, "unseen", LOG_I("n", 1));
    assert_string_equal(written(*state), "");
    log_setup(LOG_ERROR, LOG_TEXT, "worker 2");
    assert_int_equal(log_least(), LOG_ERROR);
    log_text(LOG_WARNING, "unseen");
    assert_string_equal(written(*state), "");
    log_setup(LOG_DEBUG, LOG_TEXT, "worker 2");
    log_text(LOG_DEBUG, "seen");
    assert_string_equal(message_of(written(*state), "debug"), "seen\n");
}

static void test_log_event__json_line(void **state)
{
    char expected[256];
    const char *line;

    log_setup(LOG_INFO, LOG_JSON, "worker 2");
    log_event(LOG_WARNING, "two \"words\"", LOG_I("index", -2), LOG_C("name", "a\nb"), LOG_D("load", 0.25));
    line = written(*state);
    assert_memory_equal(line, "{\"time\":\"2", 10);
    snprintf(expected, sizeof(expected),
             "\",\"level\":\"warning\",\"process\":\"worker 2\",\"pid\":%ld,\"message\":\"two \\\"words\\\"\","
             "\"index\":-2,\"name\":\"a\\nb\",\"load\":0.25}\n",
             (long)getpid());
    assert_non_null(strstr(line, "Z\""));
    assert_string_equal(strstr(line, "Z\"") + 1, expected);
}

/* A line of at most 4096 bytes that ends in `tail`. */
static void assert_cut(const char *line, const char *tail)
{
    const size_t len = strlen(line), tail_len = strlen(tail);

    assert_in_range(len, 2500, 4096);
    assert_string_equal(line + len - tail_len, tail);
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static void test_log_event__a_long_value_is_cut(void **state)
{
    static char big[10000];

    memset(big, 'x', sizeof(big) - 1);
    log_event(LOG_INFO, "m", LOG_C("big", big), LOG_I("after", 1));
    assert_cut(written(*state), "x [cut]\n");
    log_text(LOG_INFO, "%s", big);
    assert_cut(written(*state), "x [cut]\n");
    log_setup(LOG_INFO, LOG_JSON, "worker 2");
    log_event(LOG_INFO, "m", LOG_C("big", big), LOG_I("after", 1));
    assert_cut(written(*state), "x\",\"cut\":true}\n");
    log_text(LOG_INFO, "%s", big);
    assert_cut(written(*state), "x\",\"cut\":true}\n");
}

static void test_log_event__cuts_between_characters(void **state)
{
    static char big[9001];
    const char *line;

    for (size_t i = 0; i < 3000; i++)
        memcpy(big + 3 * i, "\xE2\x82\xAC", 3);
    for (size_t shift = 0; shift < 3; shift++) {
        log_event(LOG_INFO, &"abc"[shift], LOG_C("big", big));
        line = written(*state);
        assert_cut(line, "\xE2\x82\xAC [cut]\n");
        assert_null(strstr(line, "\xEF\xBF\xBD"));
    }
}

static void test_log_event__any_number_of_fields_stays_within_the_line(void **state)
{
    enum { FIELDS = 700 };
    static struct log_field fields[FIELDS];

    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = (struct log_field)LOG_I("number", 1234567);
    log_line(LOG_INFO, "m", fields, FIELDS);
    assert_cut(written(*state), " number=1234567 [cut]\n");
    log_setup(LOG_INFO, LOG_JSON, "worker 2");
    log_line(LOG_INFO, "m", fields, FIELDS);
    assert_cut(written(*state), "\"number\":1234567,\"cut\":true}\n");
}

static void test_log_event__every_length_near_the_limit_gives_one_whole_line(void **state)
{
    static char big[4200];

    log_setup(LOG_INFO, LOG_JSON, "worker 2");
    for (size_t len = 3900; len < 4150; len++) {
        size_t got;
        memset(big, '"', len % 3);
        memset(big + len % 3, 'x', len - len % 3);
        log_event(LOG_INFO, "m", { .name = "s", .kind = LOG_FIELD_STR, .s = { big, len } }, LOG_I("n", 5));
        got = strlen(written(*state));
        assert_true(got <= 4096);
        assert_string_equal(((struct fixture *)*state)->text + got - 2, "}\n");
    }
}

static void test_log_text__leaves_errno_alone(void **state)
{
    struct fixture *f = *state;

    close(STDERR_FILENO);
    errno = EPERM;
    log_text(LOG_INFO, "nowhere to go");
    assert_int_equal(errno, EPERM);
    assert_int_equal(dup2(f->file, STDERR_FILENO), STDERR_FILENO);
}

static void test_write_out__goes_on_after_short_and_interrupted_writes(void **state)
{
    static const struct step steps[] = { { 5, 0 }, { -1, EINTR }, { 7, 0 }, { -1, EAGAIN }, { 1, 0 }, { 1000, 0 } };

    play(steps, sizeof(steps) / sizeof(steps[0]), 1);
    log_text(LOG_INFO, "a line in several pieces");
    assert_int_equal(script.step, 6);
    assert_string_equal(message_of(written(*state), "info "), "a line in several pieces\n");
}

static void test_write_out__gives_up_when_nobody_reads(void **state)
{
    static const struct step steps[] = { { 5, 0 }, { -1, EAGAIN }, { 1000, 0 } };

    play(steps, sizeof(steps) / sizeof(steps[0]), 0);
    log_text(LOG_INFO, "lost");
    assert_int_equal(script.step, 2);
    assert_int_equal(strlen(written(*state)), 5);
}

static void test_write_out__gives_up_on_any_other_error(void **state)
{
    static const struct step steps[] = { { -1, EPIPE }, { 1000, 0 } };

    play(steps, sizeof(steps) / sizeof(steps[0]), 1);
    log_text(LOG_INFO, "lost");
    assert_int_equal(script.step, 1);
    assert_string_equal(written(*state), "");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_log_event__text_line),
        TEST(test_log_event__quotes_values_that_need_it),
        TEST(test_log_event__no_value_can_forge_a_line),
        TEST(test_log_text__formats_and_keeps_quotes),
        TEST(test_log_setup__levels_below_are_silent),
        TEST(test_log_event__json_line),
        TEST(test_log_event__a_long_value_is_cut),
        TEST(test_log_event__cuts_between_characters),
        TEST(test_log_event__any_number_of_fields_stays_within_the_line),
        TEST(test_log_event__every_length_near_the_limit_gives_one_whole_line),
        TEST(test_log_text__leaves_errno_alone),
        TEST(test_write_out__goes_on_after_short_and_interrupted_writes),
        TEST(test_write_out__gives_up_when_nobody_reads),
        TEST(test_write_out__gives_up_on_any_other_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
