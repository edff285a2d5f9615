/* SPDX-License-Identifier: MIT */
#include "http/static_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/sanad-static-XXXXXX";
static struct static_root *root;
static struct http_head head;
static struct request req;

static void write_file(const char *name, const char *content)
{
    const int fd = openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    /* 2020-01-01T00:00:00.5Z: the half second must not confuse If-Modified-Since */
    const struct timespec times[2] = { { 1577836800, 500000000 }, { 1577836800, 500000000 } };
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0 || mkdir("www", 0755) != 0 || mkdir("www/sub", 0755) != 0)
        return -1;
    write_file("secret.txt", "secret");
    write_file("www/index.html", "<p>home");
    write_file("www/a.txt", "0123456789");
    write_file("www/empty.css", "");
    write_file("www/noext", "x");
    write_file("www/.hidden", "x");
    write_file("www/sub/index.html", "<p>sub");
    write_file("www/sub/b.js", "b()");
    if (symlink("../secret.txt", "www/link.txt") != 0 || symlink("..", "www/up") != 0 || mkfifo("www/pipe", 0644) != 0)
        return -1;
    root = static_root_new("www");
    return root ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    static_root_free(root);
    return chdir("/") == 0 ? nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS) : -1;
}

/* GET of the path ("sub/b.js"; "" for the folder), with up to three fields. */
static int begin_request(void **state)
{
    (void)state;
    req = (struct request){ .head = &head };
    arena_init(&req.arena, 64 * 1024);
    head.method = HTTP_GET;
    head.field_count = 0;
    return 0;
}

static int end_request(void **state)
{
    (void)state;
    arena_done(&req.arena);
    return 0;
}

static void field(const char *name, struct str value)
{
    head.fields[head.field_count++] = (struct http_field){ str_of(name), value };
}

static struct response get(const char *path)
{
    struct str segments[TARGET_SEGMENTS_MAX];
    size_t count = 0;
    struct str rest = str_of(path);
    if (rest.len > 0)
        while (rest.ptr)
            segments[count++] = str_split(&rest, '/');
    return static_answer(root, &req, segments, count);
}

static struct str header(const struct response *r, const char *name)
{
    for (unsigned i = 0; i < r->field_count; i++)
        if (str_eq_nocase(r->fields[i].name, str_of(name)))
            return r->fields[i].value;
    return STR_EMPTY;
}

static void assert_str(struct str got, const char *wanted)
{
    if (!str_eq(got, str_of(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(got), wanted);
}

/* The response sends these bytes of a file; closes it. */
static void assert_sends(const struct response *r, int status, const char *body)
{
    char bytes[64] = "";
    assert_int_equal(r->status, status);
    assert_int_equal(r->kind, BODY_FILE);
    assert_int_equal(r->length, strlen(body));
    assert_true((size_t)r->length < sizeof(bytes));
    assert_int_equal(pread(r->fd, bytes, (size_t)r->length, r->offset), r->length);
    assert_string_equal(bytes, body);
    close(r->fd);
}

static void assert_no_file(const struct response *r, int status)
{
    assert_int_equal(r->status, status);
    assert_int_not_equal(r->kind, BODY_FILE);
}

static void test_answer__sends_a_file(void **state)
{
    (void)state;
    const struct response r = get("sub/b.js");
    assert_sends(&r, 200, "b()");
    assert_str(r.type, "text/javascript; charset=utf-8");
    assert_str(header(&r, "Last-Modified"), "Wed, 01 Jan 2020 00:00:00 GMT");
    assert_str(header(&r, "Cache-Control"), "max-age=3600");
    assert_str(header(&r, "Accept-Ranges"), "bytes");
    const struct str etag = header(&r, "ETag");
    assert_true(etag.len > 4 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"');
}

static void test_answer__sends_the_index_of_a_folder(void **state)
{
    (void)state;
    struct response r = get("");
    assert_sends(&r, 200, "<p>home");
    assert_str(r.type, "text/html; charset=utf-8");
    assert_str(header(&r, "Cache-Control"), "no-cache");
    r = get("sub/");
    assert_sends(&r, 200, "<p>sub");
}

static void test_answer__sends_empty_and_unknown_files(void **state)
{
    (void)state;
    struct response r = get("empty.css");
    assert_sends(&r, 200, "");
    assert_str(r.type, "text/css; charset=utf-8");
    r = get("noext");
    assert_sends(&r, 200, "x");
    assert_str(r.type, "application/octet-stream");
}

static void test_answer__shows_nothing_else(void **state)
{
    (void)state;
    static const char *const paths[] = { "none", "sub",     "a.txt/",        "a.txt/b", "link.txt", "up/secret.txt",
                                         "pipe", ".hidden", "../secret.txt", ".",       "..",       "sub//b.js",
                                         "//",   "A.TXT" };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct response r = get(paths[i]);
        if (r.status != 404 || r.kind == BODY_FILE)
            fail_msg("%s: %d", paths[i], r.status);
    }
}

static void test_answer__takes_no_separator_from_within_a_segment(void **state)
{
    (void)state;
    const struct str cases[] = { STR("sub/b.js"), STR("up/secret.txt"), STR("/etc/passwd"), STR("a.txt\0") };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct response r = static_answer(root, &req, &cases[i], 1);
        assert_no_file(&r, 404);
    }
    char name[400];
    memset(name, 'a', sizeof(name));
    const struct str too_long = { name, sizeof(name) };
    const struct response r = static_answer(root, &req, &too_long, 1);
    assert_no_file(&r, 404);
}

static void test_answer__leaves_no_file_open(void **state)
{
    (void)state;
    const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    (void)get("none"), (void)get("sub"), (void)get("sub/none"), (void)get("pipe"), (void)get("link.txt");
    field("If-None-Match", STR("*"));
    (void)get("sub/b.js");
    head.field_count = 0;
    field("Range", STR("bytes=50-"));
    (void)get("a.txt");
    const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(after, before);
}

static struct str etag_of(const char *path)
{
    const struct response r = get(path);
    close(r.fd);
    return header(&r, "ETag");
}

static void test_answer__compares_etags(void **state)
{
    (void)state;
    const struct str etag = etag_of("a.txt");
    field("If-None-Match", arena_printf(&req.arena, "\"x\", W/%.*s", (int)etag.len, etag.ptr));
    struct response r = get("a.txt");
    assert_no_file(&r, 304);
    assert_true(str_eq(header(&r, "ETag"), etag));
    assert_str(header(&r, "Cache-Control"), "max-age=3600");
    r = get("sub/b.js");
    assert_sends(&r, 200, "b()");
}

static void test_answer__gives_a_changed_file_another_etag(void **state)
{
    (void)state;
    write_file("www/c.txt", "one");
    const struct str etag = etag_of("c.txt");
    const struct timespec later[2] = { { 1577836800, 500000001 }, { 1577836800, 500000001 } };
    assert_int_equal(utimensat(AT_FDCWD, "www/c.txt", later, 0), 0);
    assert_false(str_eq(etag_of("c.txt"), etag));
}

static void test_answer__compares_dates_only_without_etags(void **state)
{
    (void)state;
    field("If-Modified-Since", STR("Wed, 01 Jan 2020 00:00:00 GMT"));
    struct response r = get("a.txt");
    assert_no_file(&r, 304);
    field("If-None-Match", STR("\"other\""));
    r = get("a.txt");
    assert_sends(&r, 200, "0123456789");
    head.field_count = 0;
    field("If-Modified-Since", STR("Tue, 31 Dec 2019 23:59:59 GMT"));
    r = get("a.txt");
    assert_sends(&r, 200, "0123456789");
    head.field_count = 0;
    field("If-Modified-Since", STR("yesterday"));
    r = get("a.txt");
    assert_sends(&r, 200, "0123456789");
}

static void test_answer__sends_a_single_range(void **state)
{
    (void)state;
    static const struct {
        struct str range;
        const char *body, *content_range;
    } cases[] = {
        { STR("bytes=0-0"), "0", "bytes 0-0/10" },
        { STR("bytes=2-5"), "2345", "bytes 2-5/10" },
        { STR("Bytes=7-"), "789", "bytes 7-9/10" },
        { STR("bytes=7-99999999999999999999"), "789", "bytes 7-9/10" },
        { STR("bytes=-3"), "789", "bytes 7-9/10" },
        { STR("bytes=-99"), "0123456789", "bytes 0-9/10" },
        { STR("bytes=0-"), "0123456789", "bytes 0-9/10" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        head.field_count = 0;
        field("Range", cases[i].range);
        const struct response r = get("a.txt");
        assert_sends(&r, 206, cases[i].body);
        assert_str(header(&r, "Content-Range"), cases[i].content_range);
    }
}

static void test_answer__ignores_ranges_that_are_none(void **state)
{
    (void)state;
    const struct str cases[] = { STR("bytes=1-2,4-5"), STR("lines=1-2"), STR("bytes=5-2"),
                                 STR("bytes=-"),       STR("bytes=a-b"), STR("bytes=1"),
                                 STR("bytes="),        STR("bytes=--1"), STR("1-2") };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        head.field_count = 0;
        field("Range", cases[i]);
        const struct response r = get("a.txt");
        assert_sends(&r, 200, "0123456789");
        assert_str(header(&r, "Content-Range"), "");
    }
    head.field_count = 0;
    head.method = HTTP_HEAD;
    field("Range", STR("bytes=1-2"));
    const struct response r = get("a.txt");
    assert_sends(&r, 200, "0123456789");
}

static void test_answer__refuses_ranges_outside(void **state)
{
    (void)state;
    const struct str cases[] = { STR("bytes=10-"), STR("bytes=10-20"), STR("bytes=-0"),
                                 STR("bytes=99999999999999999999-") };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        head.field_count = 0;
        field("Range", cases[i]);
        const struct response r = get("a.txt");
        assert_no_file(&r, 416);
        assert_str(header(&r, "Content-Range"), "bytes */10");
    }
}

static void test_answer__heeds_if_range(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        int status;
    } cases[] = {
        { "Wed, 01 Jan 2020 00:00:00 GMT", 206 },
        { "Wed, 01 Jan 2020 00:00:01 GMT", 200 },
        { "\"other\"", 200 },
    };
    const struct str etag = etag_of("a.txt");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        head.field_count = 0;
        field("Range", STR("bytes=0-1"));
        field("If-Range", str_of(cases[i].condition));
        const struct response r = get("a.txt");
        assert_sends(&r, cases[i].status, cases[i].status == 206 ? "01" : "0123456789");
    }
    head.fields[1].value = etag;
    struct response r = get("a.txt");
    assert_sends(&r, 206, "01");
    head.fields[1].value = arena_printf(&req.arena, "W/%.*s", (int)etag.len, etag.ptr);
    r = get("a.txt");
    assert_sends(&r, 200, "0123456789");
}

static void test_root_new__wants_a_folder(void **state)
{
    (void)state;
    assert_null(static_root_new("www/none"));
    assert_null(static_root_new("www/a.txt"));
    static_root_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_request, end_request)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answer__sends_a_file),
        TEST(test_answer__sends_the_index_of_a_folder),
        TEST(test_answer__sends_empty_and_unknown_files),
        TEST(test_answer__shows_nothing_else),
        TEST(test_answer__takes_no_separator_from_within_a_segment),
        TEST(test_answer__leaves_no_file_open),
        TEST(test_answer__compares_etags),
        TEST(test_answer__gives_a_changed_file_another_etag),
        TEST(test_answer__compares_dates_only_without_etags),
        TEST(test_answer__sends_a_single_range),
        TEST(test_answer__ignores_ranges_that_are_none),
        TEST(test_answer__refuses_ranges_outside),
        TEST(test_answer__heeds_if_range),
        TEST(test_root_new__wants_a_folder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
