/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "settings/dotenv.h"

static struct arena arena;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, 8 * 1024 * 1024);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* What the reader makes of the bytes, one line each: "3 KEY=[value]", "4 bad". */
static struct str read_all(struct str bytes)
{
    struct dotenv d = dotenv_of(bytes, &arena);
    struct dotenv_line line;
    struct str out = STR_EMPTY;

    for (;;) {
        switch (dotenv_next(&d, &line)) {
        case DOTENV_END:
            return out;
        case DOTENV_BAD:
            assert_non_null(line.wrong);
            out = arena_printf(&arena, STR_FMT "%u bad\n", STR_ARG(out), line.number);
            break;
        case DOTENV_PAIR:
            out = arena_printf(&arena, STR_FMT "%u " STR_FMT "=[" STR_FMT "]\n", STR_ARG(out), line.number,
                               STR_ARG(line.key), STR_ARG(line.value));
            break;
        }
    }
}

static void assert_reads_bytes(struct str bytes, const char *expected)
{
    assert_string_equal(read_all(bytes).ptr, expected);
}
static void assert_reads(const char *text, const char *expected) { assert_reads_bytes(str_of(text), expected); }

static void test_dotenv__says_nothing_for_nothing(void **state)
{
    (void)state;
    assert_reads("", "");
    assert_reads_bytes((struct str){ NULL, 0 }, "");
    assert_reads("\n\r\n  \t\n# only\n   # comments", "");
}

static void test_dotenv__reads_a_pair_with_and_without_spaces_and_export(void **state)
{
    (void)state;
    assert_reads("PORT=8000", "1 PORT=[8000]\n");
    assert_reads("\n  PORT \t=  8000  \n", "2 PORT=[8000]\n");
    assert_reads("export PORT=8000\nexport\tA = b", "1 PORT=[8000]\n2 A=[b]\n");
    assert_reads("export=1\nexport = 2\nexported=3", "1 export=[1]\n2 export=[2]\n3 exported=[3]\n");
    assert_reads("_a1=x=y", "1 _a1=[x=y]\n");
}

static void test_dotenv__takes_crlf_a_byte_order_mark_and_no_final_newline(void **state)
{
    (void)state;
    assert_reads("\xef\xbb\xbf"
                 "A=1\r\n\r\nB='2'\r\nC=\"3\"\r",
                 "1 A=[1]\n3 B=[2]\n4 C=[3]\n");
}

static void test_dotenv__cuts_a_comment_that_stands_after_a_space(void **state)
{
    (void)state;
    assert_reads("A=1 # one\nB=1#2\nC= # none\nD=#3\nE=x\t#y", "1 A=[1]\n2 B=[1#2]\n3 C=[]\n4 D=[#3]\n5 E=[x]\n");
    assert_reads("A='1 # 2' # three\nB=\"1 # 2\"# three", "1 A=[1 # 2]\n2 B=[1 # 2]\n");
}

static void test_dotenv__takes_single_quotes_literally(void **state)
{
    (void)state;
    assert_reads("A='a\\n$HOME \" '", "1 A=[a\\n$HOME \" ]\n");
    assert_reads("A=''", "1 A=[]\n");
    assert_reads("A='it\nB=2", "1 bad\n2 B=[2]\n");
    assert_reads("A='", "1 bad\n");
}

static void test_dotenv__knows_the_escapes_of_double_quotes_and_no_others(void **state)
{
    (void)state;
    assert_reads("A=\"a\\n\\t\\\"\\\\\\$x ' # \"", "1 A=[a\n\t\"\\$x ' # ]\n");
    assert_reads("A=\"\"", "1 A=[]\n");
    assert_reads("A=\"\\x41\"\nB=2", "1 bad\n2 B=[2]\n");
    assert_reads("A=\"", "1 bad\n");
    assert_reads("A=\"x\\", "1 bad\n");
    assert_reads("A=\"x\\\"", "1 bad\n");
}

static void test_dotenv__expands_nothing_and_keeps_inner_quotes_when_unquoted(void **state)
{
    (void)state;
    assert_reads("A=${B}$C\\n\nB=it's \"so\"", "1 A=[${B}$C\\n]\n2 B=[it's \"so\"]\n");
}

static void test_dotenv__refuses_a_value_that_spans_lines(void **state)
{
    (void)state;
    assert_reads("A=\"one\ntwo\"\nB=3", "1 bad\n2 bad\n3 B=[3]\n");
}

static void test_dotenv__refuses_text_after_a_closing_quote(void **state)
{
    (void)state;
    assert_reads("A='1'2\nB=\"1\" 2", "1 bad\n2 bad\n");
}

static void test_dotenv__refuses_lines_that_are_no_pair_and_goes_on(void **state)
{
    (void)state;
    assert_reads("A\n1B=2\n=3\nC-D=4\nexport E\nF: 5\nG=6", "1 bad\n2 bad\n3 bad\n4 bad\n5 bad\n6 bad\n7 G=[6]\n");
}

static void test_dotenv__refuses_a_nul_byte(void **state)
{
    (void)state;
    assert_reads_bytes(STR("A=1\0\nB=2"), "1 bad\n2 B=[2]\n");
}

/* "A=" and x's: total bytes in all. */
static struct str long_line(size_t total)
{
    char *p = arena_alloc(&arena, total);

    assert_non_null(p);
    memset(p, 'x', total);
    memcpy(p, "A=", 2);
    return (struct str){ p, total };
}

static void test_dotenv__bounds_the_length_of_a_line(void **state)
{
    struct dotenv_line line;
    struct dotenv d = dotenv_of(long_line(DOTENV_LINE_MAX), &arena);
    (void)state;

    assert_int_equal(dotenv_next(&d, &line), DOTENV_PAIR);
    assert_int_equal(line.value.len, DOTENV_LINE_MAX - 2);
    d = dotenv_of(long_line(DOTENV_LINE_MAX + 1), &arena);
    assert_int_equal(dotenv_next(&d, &line), DOTENV_BAD);
    assert_int_equal(dotenv_next(&d, &line), DOTENV_END);
}

static void test_dotenv__bounds_the_size_of_a_file(void **state)
{
    char *p = arena_alloc(&arena, DOTENV_BYTES_MAX + 1);
    (void)state;

    assert_non_null(p);
    memset(p, '\n', DOTENV_BYTES_MAX + 1);
    memcpy(p, "A=1", 3);
    assert_reads_bytes((struct str){ p, DOTENV_BYTES_MAX }, "1 A=[1]\n");
    assert_reads_bytes((struct str){ p, DOTENV_BYTES_MAX + 1 }, "1 bad\n");
}

static void test_dotenv__reports_a_value_that_finds_no_memory(void **state)
{
    struct arena tiny;
    struct dotenv_line line;
    struct dotenv d = dotenv_of(STR("A=\"1\"\nB=2"), &tiny);
    (void)state;

    arena_init(&tiny, 0);
    assert_int_equal(dotenv_next(&d, &line), DOTENV_BAD);
    assert_int_equal(dotenv_next(&d, &line), DOTENV_PAIR);
    arena_done(&tiny);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dotenv__says_nothing_for_nothing),
        TEST(test_dotenv__reads_a_pair_with_and_without_spaces_and_export),
        TEST(test_dotenv__takes_crlf_a_byte_order_mark_and_no_final_newline),
        TEST(test_dotenv__cuts_a_comment_that_stands_after_a_space),
        TEST(test_dotenv__takes_single_quotes_literally),
        TEST(test_dotenv__knows_the_escapes_of_double_quotes_and_no_others),
        TEST(test_dotenv__expands_nothing_and_keeps_inner_quotes_when_unquoted),
        TEST(test_dotenv__refuses_a_value_that_spans_lines),
        TEST(test_dotenv__refuses_text_after_a_closing_quote),
        TEST(test_dotenv__refuses_lines_that_are_no_pair_and_goes_on),
        TEST(test_dotenv__refuses_a_nul_byte),
        TEST(test_dotenv__bounds_the_length_of_a_line),
        TEST(test_dotenv__bounds_the_size_of_a_file),
        TEST(test_dotenv__reports_a_value_that_finds_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
