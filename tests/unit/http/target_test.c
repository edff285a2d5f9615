/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static void assert_str(struct str got, struct str wanted)
{
    if (!str_eq(got, wanted))
        fail_msg("\"%.*s\" instead of \"%.*s\"", STR_ARG(got), STR_ARG(wanted));
}

static struct target parsed(struct str raw)
{
    struct target t;
    const char *reason = NULL, *bad_query = NULL;
    const enum err e = target_parse(raw, &arena, &t, &reason, &bad_query);
    if (e != OK || bad_query)
        fail_msg("refused %.*s: %s", STR_ARG(raw), reason ? reason : bad_query);
    return t;
}

static void test_target_parse__splits_the_path_before_decoding(void **state)
{
    (void)state;
    const struct target t = parsed(STR("/a%2Fb/c%20d/%e2%82%ac+"));
    assert_int_equal(t.segment_count, 3);
    assert_str(t.segments[0], STR("a/b"));
    assert_str(t.segments[1], STR("c d"));
    assert_str(t.segments[2], STR("\xe2\x82\xac+"));
    assert_str(t.path, STR("/a%2Fb/c%20d/%e2%82%ac+"));
}

static void test_target_parse__counts_segments(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR("/")).segment_count, 0);
    assert_int_equal(parsed(STR("*")).segment_count, 0);
    assert_int_equal(parsed(STR("?a=b")).segment_count, 0);
    assert_str(parsed(STR("?a=b")).path, STR("/"));
    assert_int_equal(parsed(STR("/a")).segment_count, 1);
    assert_int_equal(parsed(STR("/a/")).segment_count, 2);
    assert_str(parsed(STR("/a/")).segments[1], STR_EMPTY);
    assert_int_equal(parsed(STR("//a")).segment_count, 2);
}

static void test_target_parse__copies_only_what_needs_decoding(void **state)
{
    (void)state;
    const struct str raw = STR("/plain/pl%61in?x=y&z=+");
    const struct target t = parsed(raw);
    assert_ptr_equal(t.segments[0].ptr, raw.ptr + 1);
    assert_true(t.segments[1].ptr < raw.ptr || t.segments[1].ptr >= raw.ptr + raw.len);
    assert_ptr_equal(t.pairs[0].value.ptr, raw.ptr + 17);
}

static void test_target_parse__refuses_hostile_paths(void **state)
{
    (void)state;
    const struct str cases[] = {
        STR("/.."),         STR("/a/../b"),
        STR("/%2e%2E/etc"), STR("/.%2e"),
        STR("/."),          STR("/a/./b"),
        STR("/%2e"),        STR("/%"),
        STR("/%2"),         STR("/%2g"),
        STR("/%g2"),        STR("/%+1"),
        STR("/%%32"),       STR("/a%00b"),
        STR("/a%0ab"),      STR("/a%7f"),
        STR("/%ff"),        STR("/%c0%af"),
        STR("/%ed%a0%80"),  STR("/%c3"),
        STR("/a\x01"),      STR("/a\nb"),
        STR("a"),           STR("*a"),
        STR("http://h/"),   STR("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target t;
        const char *reason = NULL, *bad_query = NULL;
        if (target_parse(cases[i], &arena, &t, &reason, &bad_query) != E_SYNTAX || !reason)
            fail_msg("accepted, or no reason given: %.*s", STR_ARG(cases[i]));
    }
    assert_int_equal(parsed(STR("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16")).segment_count, TARGET_SEGMENTS_MAX);
    assert_str(parsed(STR("/%252e%252e")).segments[0], STR("%2e%2e"));
    assert_str(parsed(STR("/...")).segments[0], STR("..."));
}

static void test_target_parse__reads_pairs(void **state)
{
    (void)state;
    const struct target t = parsed(STR("/a?skip=20&&name=J%C3%B6rg+%2B%26&flag&=x&eq=a=b&name=2&q=?/"));
    static const struct target_pair wanted[] = {
        { STR("skip"), STR("20") }, { STR("name"), STR("J\xc3\xb6rg +&") },
        { STR("flag"), STR("") },   { STR(""), STR("x") },
        { STR("eq"), STR("a=b") },  { STR("name"), STR("2") },
        { STR("q"), STR("?/") },
    };
    assert_int_equal(t.pair_count, sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < t.pair_count; i++) {
        assert_str(t.pairs[i].name, wanted[i].name);
        assert_str(t.pairs[i].value, wanted[i].value);
    }
    assert_int_equal(parsed(STR("/a?")).pair_count, 0);
}

static void test_target_parse__leaves_a_bad_query_to_the_route(void **state)
{
    (void)state;
    const struct str cases[] = {
        STR("/a?x=1&b=%"),
        STR("/a?%zz=1"),
        STR("/a?b=%00"),
        STR("/a?b=%ff"),
        STR("/a?b=%0d%0aSet-Cookie:x"),
        STR("/a?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17&18&19&20&21&22&23&24&25&26&27&28&29&30&31&32&33"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target t;
        const char *reason = NULL, *bad_query = NULL;
        assert_int_equal(target_parse(cases[i], &arena, &t, &reason, &bad_query), OK);
        assert_non_null(bad_query);
        assert_int_equal(t.pair_count, 0);
        assert_int_equal(t.segment_count, 1);
    }
}

static void test_target_parse__says_when_memory_is_short(void **state)
{
    (void)state;
    struct arena small;
    arena_init(&small, 0);
    struct target t;
    const char *reason = NULL, *bad_query = NULL;
    assert_int_equal(target_parse(STR("/%61"), &small, &t, &reason, &bad_query), E_NO_MEMORY);
    assert_int_equal(target_parse(STR("/a?b=+"), &small, &t, &reason, &bad_query), E_NO_MEMORY);
    assert_int_equal(target_parse(STR("/a?b=c"), &small, &t, &reason, &bad_query), OK);
    arena_done(&small);
}

static void test_percent_decode__decodes_once(void **state)
{
    (void)state;
    struct str text;
    assert_int_equal(percent_decode(STR("%2541%20+"), false, &arena, &text), OK);
    assert_str(text, STR("%41 +"));
    assert_int_equal(percent_decode(STR("a+b"), true, &arena, &text), OK);
    assert_str(text, STR("a b"));
    assert_int_equal(percent_decode(STR("a%4"), true, &arena, &text), E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target_parse__splits_the_path_before_decoding),
        cmocka_unit_test(test_target_parse__counts_segments),
        cmocka_unit_test(test_target_parse__copies_only_what_needs_decoding),
        cmocka_unit_test(test_target_parse__refuses_hostile_paths),
        cmocka_unit_test(test_target_parse__reads_pairs),
        cmocka_unit_test(test_target_parse__leaves_a_bad_query_to_the_route),
        cmocka_unit_test(test_target_parse__says_when_memory_is_short),
        cmocka_unit_test(test_percent_decode__decodes_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
