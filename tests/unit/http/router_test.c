/* SPDX-License-Identifier: MIT */
#include "http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BIT_GET = 1 << HTTP_GET,
    BIT_HEAD = 1 << HTTP_HEAD,
    BIT_POST = 1 << HTTP_POST,
    BIT_PUT = 1 << HTTP_PUT,
    BIT_DELETE = 1 << HTTP_DELETE,
    BIT_OPTIONS = 1 << HTTP_OPTIONS
};

/* clang-format off */
static const struct route rows[] = {
    { .method = HTTP_GET,    .path = "/" },
    { .method = HTTP_GET,    .path = "/api/spas" },
    { .method = HTTP_POST,   .path = "/api/spas" },
    { .method = HTTP_GET,    .path = "/api/spas/{id}" },
    { .method = HTTP_DELETE, .path = "/api/spas/{id}" },
    { .method = HTTP_GET,    .path = "/api/spas/new" },
    { .method = HTTP_GET,    .path = "/api/spas/{id}/staff/{who}" },
    { .method = HTTP_GET,    .path = "/api/spas/new/form" },
    { .method = HTTP_PUT,    .path = "/only-put" },
    { .method = HTTP_GET,    .path = "/static",          .flags = ROUTE_SUBTREE },
    { .method = HTTP_GET,    .path = "/static/{k}/deep", .flags = ROUTE_SUBTREE },
    { .method = HTTP_POST,   .path = "/static/upload" },
};
/* clang-format on */
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct router *router;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 64 * 1024);
    router = router_new(rows, ROWS);
    return router ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    router_free(router);
    arena_done(&arena);
    return 0;
}

static struct route_match find(enum http_method method, struct str raw)
{
    struct target t;
    const char *reason, *bad_query;
    assert_int_equal(target_parse(raw, &arena, &t, &reason, &bad_query), OK);
    return router_find(router, method, &t);
}

static void assert_finds(enum http_method method, struct str raw, const char *path)
{
    const struct route_match m = find(method, raw);
    if (!m.route)
        fail_msg("no route for %.*s", STR_ARG(raw));
    assert_string_equal(m.route->path, path);
}

static void assert_str(struct str got, struct str wanted)
{
    if (!str_eq(got, wanted))
        fail_msg("\"%.*s\" instead of \"%.*s\"", STR_ARG(got), STR_ARG(wanted));
}

static void test_find__matches_literal_paths(void **state)
{
    (void)state;
    assert_finds(HTTP_GET, STR("/"), "/");
    assert_finds(HTTP_GET, STR("/api/spas"), "/api/spas");
    assert_int_equal(find(HTTP_POST, STR("/api/spas")).route->method, HTTP_POST);
}

static void test_find__knows_no_other_path(void **state)
{
    (void)state;
    const struct str cases[] = { STR("/api"),        STR("/api/spas/"), STR("/api/spas/7/"),
                                 STR("/API/spas"),   STR("//api/spas"), STR("/api/spas/7/staff"),
                                 STR("/api%2Fspas"), STR("/x"),         STR("/apis") };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct route_match m = find(HTTP_GET, cases[i]);
        assert_null(m.route);
        assert_int_equal(m.allowed, 0);
    }
}

static void test_find__gives_the_path_arguments_in_order(void **state)
{
    (void)state;
    const struct route_match m = find(HTTP_GET, STR("/api/spas/a%20b/staff/9"));
    assert_string_equal(m.route->path, "/api/spas/{id}/staff/{who}");
    assert_str(m.path_args[0], STR("a b"));
    assert_str(m.path_args[1], STR("9"));
}

static void test_find__prefers_the_literal_segment(void **state)
{
    (void)state;
    assert_finds(HTTP_GET, STR("/api/spas/new"), "/api/spas/new");
    assert_finds(HTTP_GET, STR("/api/spas/news"), "/api/spas/{id}");
    assert_finds(HTTP_GET, STR("/api/spas/new/form"), "/api/spas/new/form");
}

static void test_find__goes_back_when_the_literal_leads_nowhere(void **state)
{
    (void)state;
    const struct route_match m = find(HTTP_GET, STR("/api/spas/new/staff/3"));
    assert_string_equal(m.route->path, "/api/spas/{id}/staff/{who}");
    assert_str(m.path_args[0], STR("new"));
    assert_finds(HTTP_DELETE, STR("/api/spas/new"), "/api/spas/{id}");
}

static void test_find__answers_head_with_get(void **state)
{
    (void)state;
    assert_finds(HTTP_HEAD, STR("/api/spas/3"), "/api/spas/{id}");
    assert_null(find(HTTP_HEAD, STR("/only-put")).route);
}

static void test_find__says_what_a_path_allows(void **state)
{
    (void)state;
    const struct route_match m = find(HTTP_PATCH, STR("/api/spas"));
    assert_null(m.route);
    assert_int_equal(m.allowed, BIT_GET | BIT_HEAD | BIT_POST | BIT_OPTIONS);
    assert_int_equal(find(HTTP_GET, STR("/only-put")).allowed, BIT_PUT | BIT_OPTIONS);
    assert_int_equal(find(HTTP_OPTIONS, STR("/api/spas/new")).allowed, BIT_GET | BIT_HEAD | BIT_DELETE | BIT_OPTIONS);
    assert_null(find(HTTP_OPTIONS, STR("/api/spas/new")).route);
    assert_int_equal(find(HTTP_METHOD_COUNT, STR("/only-put")).allowed, BIT_PUT | BIT_OPTIONS);
}

static void test_find__matches_a_subtree(void **state)
{
    (void)state;
    assert_finds(HTTP_GET, STR("/static"), "/static");
    assert_finds(HTTP_GET, STR("/static/"), "/static");
    const struct route_match m = find(HTTP_GET, STR("/static/css/site.css"));
    assert_string_equal(m.route->path, "/static");
    assert_int_equal(m.rest, 1);
    const struct route_match deep = find(HTTP_HEAD, STR("/static/x/deep/a/b"));
    assert_string_equal(deep.route->path, "/static/{k}/deep");
    assert_int_equal(deep.rest, 3);
    assert_str(deep.path_args[0], STR("x"));
}

static void test_find__prefers_an_exact_path_to_a_subtree(void **state)
{
    (void)state;
    assert_finds(HTTP_POST, STR("/static/upload"), "/static/upload");
    const struct route_match m = find(HTTP_GET, STR("/static/upload"));
    assert_null(m.route);
    assert_int_equal(m.allowed, BIT_POST | BIT_OPTIONS);
    assert_int_equal(find(HTTP_POST, STR("/static/a")).allowed, BIT_GET | BIT_HEAD | BIT_OPTIONS);
    assert_null(find(HTTP_POST, STR("/static/a")).route);
}

static void test_find__copes_with_the_deepest_path(void **state)
{
    (void)state;
    assert_null(find(HTTP_GET, STR("/api/spas/new/staff/x/6/7/8/9/10/11/12/13/14/15/16")).route);
    assert_finds(HTTP_GET, STR("/static/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"), "/static");
}

static void test_index__names_the_row(void **state)
{
    (void)state;
    assert_int_equal(router_count(router), ROWS);
    const struct route *route = find(HTTP_GET, STR("/api/spas/1")).route;
    assert_int_equal(router_index(router, route), 3);
    assert_ptr_equal(router_row(router, 3), route);
    assert_null(router_row(router, ROWS));
}

/* Signal that building a router from these rows dies of. */
static int death_of(const struct route *table, size_t count)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        router_free(router_new(table, count));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_new__aborts_on_a_contradiction(void **state)
{
    (void)state;
    const struct route twice[] = { { .method = HTTP_GET, .path = "/a" }, { .method = HTTP_GET, .path = "/a" } };
    const struct route names[] = { { .method = HTTP_GET, .path = "/{a}" }, { .method = HTTP_PUT, .path = "/{b}" } };
    const struct route relative[] = { { .method = HTTP_GET, .path = "a" } };
    assert_int_equal(death_of(twice, 2), SIGABRT);
    assert_int_equal(death_of(names, 2), SIGABRT);
    assert_int_equal(death_of(relative, 1), SIGABRT);
    assert_int_equal(death_of(rows, ROWS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find__matches_literal_paths),
        cmocka_unit_test(test_find__knows_no_other_path),
        cmocka_unit_test(test_find__gives_the_path_arguments_in_order),
        cmocka_unit_test(test_find__prefers_the_literal_segment),
        cmocka_unit_test(test_find__goes_back_when_the_literal_leads_nowhere),
        cmocka_unit_test(test_find__answers_head_with_get),
        cmocka_unit_test(test_find__says_what_a_path_allows),
        cmocka_unit_test(test_find__matches_a_subtree),
        cmocka_unit_test(test_find__prefers_an_exact_path_to_a_subtree),
        cmocka_unit_test(test_find__copes_with_the_deepest_path),
        cmocka_unit_test(test_index__names_the_row),
        cmocka_unit_test(test_new__aborts_on_a_contradiction),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
