/* SPDX-License-Identifier: MIT */
/* The step with requests that no server has: what a handler answers is given to
 * on_response, and request_resume() notes who was answered with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/cache.h"

enum { REQUESTS = 8, TAG = 1 << 4, OTHER_TAG = 1 << 5 };

struct client {
    struct request req;
    struct http_head head;
    struct response res; /* the answer, if answered */
    bool answered;
};

static struct client clients[REQUESTS];
static size_t client_count;

/* request_resume() is the server's; the cache calls this one. */
void fake_resume(struct request *req, const struct response *res);
void fake_resume(struct request *req, const struct response *res)
{
    struct client *c = req->local;

    assert_non_null(res);
    assert_false(c->answered);
    c->res = *res;
    c->answered = true;
}
#define request_resume fake_resume
#include "cache/cache.c"

static const struct param list_params[] = {
    { .name = "skip", .kind = PARAM_INT, .min = 0, .max = 100, .fallback = 7 },
    { .name = "city", .kind = PARAM_TEXT, .min = 0, .max = 100 },
    { .name = "name", .kind = PARAM_TEXT, .min = 0, .max = 2000 },
    { .name = NULL },
};
static const struct route list = {
    .method = HTTP_GET, .path = "/list/{a}/{b}", .flags = ROUTE_CACHED, .cache_tags = TAG, .params = list_params
};
static const struct route other = {
    .method = HTTP_GET, .path = "/other/{a}/{b}", .flags = ROUTE_CACHED, .cache_tags = TAG, .params = list_params
};
static const struct route plain = { .method = HTTP_GET, .path = "/plain" };

static struct cache_generations generations;
static struct cache *cache;

static int start(void **state)
{
    const struct cache_conf conf = { .enabled = true, .ttl_s = 3600, .max_bytes = 1 << 20 };

    (void)state;
    client_count = 0;
    cache = cache_new(&conf, &generations);
    return cache ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    for (size_t i = 0; i < client_count; i++) {
        if (clients[i].answered && clients[i].res.kind == BODY_BLOB)
            blob_unref(clients[i].res.blob);
        arena_done(&clients[i].req.arena);
    }
    cache_free(cache);
    return 0;
}

static struct client *client(const struct route *route)
{
    struct client *c = &clients[client_count++];

    assert_true(client_count <= REQUESTS);
    *c = (struct client){ .head = { .method = HTTP_GET } };
    c->req.route = route;
    c->req.head = &c->head;
    c->req.local = c;
    c->req.args[0].i = list_params[0].fallback;
    arena_init(&c->req.arena, 1 << 16);
    return c;
}

static enum step_result ask(struct client *c)
{
    enum step_result r = cache_step(cache, &c->req, &c->res);

    c->answered = r == STEP_ANSWERED;
    return r;
}

static void answer_with(struct client *c, struct response res)
{
    assert_non_null(c->req.on_response);
    c->res = res;
    c->req.on_response(&c->req, &c->res, c->req.on_response_ctx);
    c->answered = true;
}

static void handler_says(struct client *c, const char *body) { answer_with(c, response_json(200, str_of(body))); }

static void assert_body(const struct client *c, const char *body)
{
    const struct str got = c->res.kind == BODY_BLOB ? c->res.blob->body : c->res.body;

    assert_true(c->answered);
    assert_int_equal(c->res.status, 200);
    assert_true(str_eq(got, str_of(body)));
}

static bool has_field(const struct response *res, const char *name)
{
    for (unsigned i = 0; i < res->field_count; i++)
        if (str_eq(res->fields[i].name, str_of(name)))
            return true;
    return false;
}

static void test_cache_step__leaves_other_routes_alone(void **state)
{
    struct client *c = client(&plain);

    (void)state;
    assert_int_equal(ask(c), STEP_NEXT);
    assert_null(c->req.on_response);
    assert_int_equal(c->req.cache, CACHE_NONE);
}

static void test_cache_step__miss_then_hit(void **state)
{
    struct client *first = client(&list), *second = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    assert_int_equal(first->req.cache, CACHE_MISS);
    handler_says(first, "rows");
    assert_body(first, "rows");
    assert_int_equal(ask(second), STEP_ANSWERED);
    assert_int_equal(second->req.cache, CACHE_HIT);
    assert_body(second, "rows");
}

static void test_cache_step__those_who_come_meanwhile_share(void **state)
{
    struct client *first = client(&list), *second = client(&list), *third = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    assert_int_equal(ask(second), STEP_PARKED);
    assert_int_equal(ask(third), STEP_PARKED);
    assert_false(second->answered);
    handler_says(first, "rows");
    assert_body(second, "rows");
    assert_body(third, "rows");
    assert_int_equal(second->req.cache, CACHE_SHARED);
}

static void test_cache_step__after_a_write_nobody_shares_the_fetch_from_before(void **state)
{
    struct client *before = client(&list), *waits = client(&list), *after = client(&list), *joins = client(&list);
    struct client *later = client(&list);

    (void)state;
    assert_int_equal(ask(before), STEP_NEXT);
    assert_int_equal(ask(waits), STEP_PARKED);
    cache_invalidate(&generations, TAG);
    assert_int_equal(ask(after), STEP_NEXT);
    assert_int_equal(ask(joins), STEP_PARKED);
    handler_says(before, "old rows");
    assert_body(waits, "old rows");
    assert_false(joins->answered);
    handler_says(after, "new rows");
    assert_body(joins, "new rows");
    assert_int_equal(ask(later), STEP_ANSWERED);
    assert_body(later, "new rows");
}

static void test_cache_step__a_fetch_that_is_overtaken_does_not_replace_the_newer(void **state)
{
    struct client *before = client(&list), *after = client(&list), *later = client(&list);

    (void)state;
    assert_int_equal(ask(before), STEP_NEXT);
    cache_invalidate(&generations, TAG);
    assert_int_equal(ask(after), STEP_NEXT);
    handler_says(after, "new rows");
    handler_says(before, "old rows");
    assert_int_equal(ask(later), STEP_ANSWERED);
    assert_body(later, "new rows");
}

static void test_cache_step__only_writes_of_its_tags_end_a_copy(void **state)
{
    struct client *first = client(&list), *second = client(&list), *third = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    handler_says(first, "rows");
    cache_invalidate(&generations, OTHER_TAG);
    assert_int_equal(ask(second), STEP_ANSWERED);
    cache_invalidate(&generations, TAG | OTHER_TAG);
    assert_int_equal(ask(third), STEP_NEXT);
    handler_says(third, "rows");
}

static void test_cache_step__a_failure_gives_the_last_good_copy(void **state)
{
    struct client *first = client(&list), *second = client(&list), *third = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    handler_says(first, "rows");
    cache_invalidate(&generations, TAG);
    assert_int_equal(ask(second), STEP_NEXT);
    assert_int_equal(ask(third), STEP_PARKED);
    answer_with(second, response_empty(503));
    assert_body(second, "rows");
    assert_body(third, "rows");
    assert_true(has_field(&second->res, "Age") && has_field(&third->res, "Age"));
    assert_int_equal(third->req.cache, CACHE_STALE);
}

static void test_cache_step__a_failure_without_a_copy_is_shared_and_not_kept(void **state)
{
    struct client *first = client(&list), *second = client(&list), *third = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    assert_int_equal(ask(second), STEP_PARKED);
    answer_with(first, response_bytes(503, "text/plain", STR("away")));
    assert_int_equal(first->res.status, 503);
    assert_true(second->answered);
    assert_int_equal(second->res.status, 503);
    assert_true(str_eq(second->res.body, STR("away")));
    assert_int_equal(ask(third), STEP_NEXT);
    handler_says(third, "rows");
}

static void test_cache_step__not_found_does_not_bring_the_old_copy(void **state)
{
    struct client *first = client(&list), *second = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    handler_says(first, "rows");
    cache_invalidate(&generations, TAG);
    assert_int_equal(ask(second), STEP_NEXT);
    answer_with(second, response_empty(404));
    assert_int_equal(second->res.status, 404);
}

static void test_cache_step__known_tag_is_304(void **state)
{
    struct client *first = client(&list), *second = client(&list);

    (void)state;
    assert_int_equal(ask(first), STEP_NEXT);
    handler_says(first, "rows");
    second->head.fields[0] = (struct http_field){ STR("if-none-match"), STR("*") };
    second->head.field_count = 1;
    assert_int_equal(ask(second), STEP_ANSWERED);
    assert_int_equal(second->res.status, 304);
    assert_true(has_field(&second->res, "ETag"));
}

static void test_cache_step__other_fields_with_the_same_body_are_another_copy(void **state)
{
    struct client *first = client(&list), *second = client(&list);
    struct response linked = response_json(200, STR("rows"));

    (void)state;
    response_field(&linked, "Link", STR("</next>; rel=\"next\""));
    assert_int_equal(ask(first), STEP_NEXT);
    answer_with(first, linked);
    assert_true(str_find(first->res.blob->head, '<', 0) < first->res.blob->head.len);
    cache_invalidate(&generations, TAG);
    assert_int_equal(ask(second), STEP_NEXT);
    handler_says(second, "rows");
    assert_int_equal(str_find(second->res.blob->head, '<', 0), second->res.blob->head.len);
}

/* ---- keys: each pair differs ---- */

static void assert_other_key(struct client *a, struct client *b)
{
    assert_int_equal(ask(a), STEP_NEXT);
    handler_says(a, "a");
    assert_int_equal(ask(b), STEP_NEXT);
    assert_int_equal(b->req.cache, CACHE_MISS);
    handler_says(b, "b");
}

static struct client *given(const char *city, const char *name)
{
    struct client *c = client(&list);

    if (city)
        c->req.args[1] = (struct arg){ .given = true, .s = str_of(city) };
    if (name)
        c->req.args[2] = (struct arg){ .given = true, .s = str_of(name) };
    return c;
}

static struct client *path(const char *a, const char *b)
{
    struct client *c = client(&list);

    c->req.path_args[0] = str_of(a);
    c->req.path_args[1] = str_of(b);
    return c;
}

static void test_key__routes_differ(void **state)
{
    (void)state;
    assert_other_key(client(&list), client(&other));
}

static void test_key__texts_do_not_run_into_each_other(void **state)
{
    (void)state;
    assert_other_key(given("ab", "c"), given("a", "bc"));
    assert_other_key(path("ab", "c"), path("a", "bc"));
}

static void test_key__an_empty_text_is_not_a_missing_one(void **state)
{
    (void)state;
    assert_other_key(given("", "x"), given(NULL, "x"));
}

static void test_key__a_text_in_another_parameter_differs(void **state)
{
    (void)state;
    assert_other_key(given("x", NULL), given(NULL, "x"));
}

static void test_key__a_default_is_the_same_as_its_value(void **state)
{
    struct client *left_out = client(&list), *spelt = client(&list);

    (void)state;
    spelt->req.args[0] = (struct arg){ .given = true, .i = list_params[0].fallback, .s = STR("007") };
    assert_int_equal(ask(left_out), STEP_NEXT);
    handler_says(left_out, "rows");
    assert_int_equal(ask(spelt), STEP_ANSWERED);
}

static void test_key__one_too_long_is_not_cached(void **state)
{
    static char name[CACHE_KEY_MAX + 1];
    struct client *c;

    (void)state;
    memset(name, 'n', CACHE_KEY_MAX);
    c = given(NULL, name);
    assert_int_equal(ask(c), STEP_NEXT);
    assert_null(c->req.on_response);
    assert_int_equal(c->req.cache, CACHE_BYPASS);
}

#define CACHE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_cache_step__leaves_other_routes_alone),
        CACHE_TEST(test_cache_step__miss_then_hit),
        CACHE_TEST(test_cache_step__those_who_come_meanwhile_share),
        CACHE_TEST(test_cache_step__after_a_write_nobody_shares_the_fetch_from_before),
        CACHE_TEST(test_cache_step__a_fetch_that_is_overtaken_does_not_replace_the_newer),
        CACHE_TEST(test_cache_step__only_writes_of_its_tags_end_a_copy),
        CACHE_TEST(test_cache_step__a_failure_gives_the_last_good_copy),
        CACHE_TEST(test_cache_step__a_failure_without_a_copy_is_shared_and_not_kept),
        CACHE_TEST(test_cache_step__not_found_does_not_bring_the_old_copy),
        CACHE_TEST(test_cache_step__known_tag_is_304),
        CACHE_TEST(test_cache_step__other_fields_with_the_same_body_are_another_copy),
        CACHE_TEST(test_key__routes_differ),
        CACHE_TEST(test_key__texts_do_not_run_into_each_other),
        CACHE_TEST(test_key__an_empty_text_is_not_a_missing_one),
        CACHE_TEST(test_key__a_text_in_another_parameter_differs),
        CACHE_TEST(test_key__a_default_is_the_same_as_its_value),
        CACHE_TEST(test_key__one_too_long_is_not_cached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
