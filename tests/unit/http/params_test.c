/* SPDX-License-Identifier: MIT */
#include "http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const orders[] = { "newest", "oldest", "name", NULL };
static const struct param params[] = {
    { .name = "limit", .kind = PARAM_INT, .min = 1, .max = 100, .fallback = 20 },
    { .name = "skip", .kind = PARAM_INT, .min = 0, .max = INT64_MAX },
    { .name = "q", .kind = PARAM_TEXT, .min = 2, .max = 4 },
    { .name = "order", .kind = PARAM_CHOICE, .choices = orders, .fallback = 1 },
    { .name = NULL },
};
static const struct route with_params = { .path = "/a", .params = params };
static const struct route without = { .path = "/a" };

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 64 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static enum err check(const struct route *route, const char *raw, struct arg *args, struct field_errors *errors)
{
    struct target t;
    const char *reason, *bad_query;
    assert_int_equal(target_parse(str_of(raw), &arena, &t, &reason, &bad_query), OK);
    errors->count = 0;
    return params_check(route, &t, &arena, args, errors);
}

static void test_params_check__reads_each_kind(void **state)
{
    (void)state;
    struct arg args[PARAMS_MAX];
    struct field_errors errors;
    assert_int_equal(check(&with_params, "/a?order=name&q=%C3%A4bc&skip=7&limit=100", args, &errors), OK);
    assert_true(args[0].given && args[1].given && args[2].given && args[3].given);
    assert_int_equal(args[0].i, 100);
    assert_int_equal(args[1].i, 7);
    assert_true(str_eq(args[2].s, STR("\xc3\xa4"
                                      "bc")));
    assert_int_equal(args[3].i, 2);
}

static void test_params_check__falls_back(void **state)
{
    (void)state;
    struct arg args[PARAMS_MAX];
    struct field_errors errors;
    assert_int_equal(check(&with_params, "/a?other=1&other=2&LIMIT=3", args, &errors), OK);
    assert_false(args[0].given);
    assert_int_equal(args[0].i, 20);
    assert_int_equal(args[1].i, 0);
    assert_false(args[2].given);
    assert_int_equal(args[2].s.len, 0);
    assert_int_equal(args[3].i, 1);
    assert_int_equal(errors.count, 0);
}

static void test_params_check__says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *field, *message;
    } cases[] = {
        { "/a?limit=0", "limit", "must be a whole number from 1 to 100" },
        { "/a?limit=101", "limit", "must be a whole number from 1 to 100" },
        { "/a?limit=", "limit", "must be a whole number from 1 to 100" },
        { "/a?limit=%2B1", "limit", "must be a whole number from 1 to 100" },
        { "/a?limit=1e1", "limit", "must be a whole number from 1 to 100" },
        { "/a?limit=99999999999999999999", "limit", "must be a whole number from 1 to 100" },
        { "/a?skip=-1", "skip", "must be a whole number from 0" },
        { "/a?q=a", "q", "must have 2 to 4 characters" },
        { "/a?q=abcde", "q", "must have 2 to 4 characters" },
        { "/a?order=Name", "order", "must be one of: newest, oldest, name" },
        { "/a?limit=1&limit=1", "limit", "is given twice" },
        { "/a?limit=1&limit=1&limit=2", "limit", "is given more than once" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arg args[PARAMS_MAX];
        struct field_errors errors;
        assert_int_equal(check(&with_params, cases[i].raw, args, &errors), E_INVALID);
        assert_int_equal(errors.count, 1);
        assert_true(str_eq(errors.rows[0].field, str_of(cases[i].field)));
        if (!str_eq(errors.rows[0].message, str_of(cases[i].message)))
            fail_msg("%s: \"%.*s\"", cases[i].raw, STR_ARG(errors.rows[0].message));
    }
}

static void test_params_check__tells_all_errors_at_once(void **state)
{
    (void)state;
    struct arg args[PARAMS_MAX];
    struct field_errors errors;
    assert_int_equal(check(&with_params, "/a?limit=x&q=&order=y", args, &errors), E_INVALID);
    assert_int_equal(errors.count, 3);
    assert_true(str_eq(errors.rows[2].field, STR("order")));
}

static void test_params_check__ignores_queries_of_routes_without_parameters(void **state)
{
    (void)state;
    struct arg args[PARAMS_MAX];
    struct field_errors errors;
    assert_int_equal(check(&without, "/a?limit=x", args, &errors), OK);
}

static void test_params_check__says_when_memory_is_short(void **state)
{
    (void)state;
    struct arg args[PARAMS_MAX];
    struct field_errors errors = { 0 };
    struct arena small;
    arena_init(&small, 0);
    struct target t;
    const char *reason, *bad_query;
    assert_int_equal(target_parse(STR("/a?limit=x"), &arena, &t, &reason, &bad_query), OK);
    assert_int_equal(params_check(&with_params, &t, &small, args, &errors), E_NO_MEMORY);
    arena_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_check__reads_each_kind),
        cmocka_unit_test(test_params_check__falls_back),
        cmocka_unit_test(test_params_check__says_what_is_wrong),
        cmocka_unit_test(test_params_check__tells_all_errors_at_once),
        cmocka_unit_test(test_params_check__ignores_queries_of_routes_without_parameters),
        cmocka_unit_test(test_params_check__says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
