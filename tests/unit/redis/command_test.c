/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis/command.h"

static const struct redis_script script = { "f", "return 1" };
static const char sha[] = "0123456789012345678901234567890123456789";

static void assert_written(const struct redis_command *c, struct str prefix, struct str expected)
{
    struct buf out;

    buf_init(&out, REDIS_COMMAND_BYTES);
    command_write(&out, c, prefix, sha);
    assert_true(buf_ok(&out));
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.ptr, expected.ptr, expected.len);
    buf_done(&out);
}

static void test_write__any_bytes_and_numbers(void **state)
{
    (void)state;
    assert_written(REDIS_COMMAND(RA_TEXT("SET"), RA_KEY(STR("k")), RA_STR(STR("a\0\r\n"))), STR_EMPTY,
                   STR("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\0\r\n\r\n"));
    assert_written(REDIS_COMMAND(RA_TEXT("X"), RA_INT(INT64_MIN), RA_INT(0)), STR_EMPTY,
                   STR("*3\r\n$1\r\nX\r\n$20\r\n-9223372036854775808\r\n$1\r\n0\r\n"));
    assert_written(REDIS_COMMAND(RA_STR(STR_EMPTY)), STR_EMPTY, STR("*1\r\n$0\r\n\r\n"));
}

static void test_write__the_prefix_is_of_keys(void **state)
{
    (void)state;
    assert_written(REDIS_COMMAND(RA_TEXT("GET"), RA_KEY(STR("k"))), STR("sanad:"),
                   STR("*2\r\n$3\r\nGET\r\n$7\r\nsanad:k\r\n"));
    assert_written(REDIS_COMMAND(RA_TEXT("GET"), RA_KEY(STR_EMPTY)), STR("p"), STR("*2\r\n$3\r\nGET\r\n$1\r\np\r\n"));
}

static void test_write__a_function_has_its_leading_keys_counted(void **state)
{
    (void)state;
    assert_written(REDIS_EVAL(&script, RA_KEY(STR("a")), RA_KEY(STR("b")), RA_INT(7), RA_KEY(STR("c"))), STR("p:"),
                   STR("*7\r\n$7\r\nEVALSHA\r\n$40\r\n0123456789012345678901234567890123456789\r\n$1\r\n2\r\n"
                       "$3\r\np:a\r\n$3\r\np:b\r\n$1\r\n7\r\n$3\r\np:c\r\n"));
    assert_written(
        REDIS_EVAL(&script, RA_TEXT("x")), STR_EMPTY,
        STR("*4\r\n$7\r\nEVALSHA\r\n$40\r\n0123456789012345678901234567890123456789\r\n$1\r\n0\r\n$1\r\nx\r\n"));
}

static void test_write__what_does_not_fit_is_an_error(void **state)
{
    char memory[16];
    struct buf out;
    (void)state;

    buf_init_fixed(&out, memory, sizeof(memory));
    command_write(&out, REDIS_COMMAND(RA_TEXT("GET"), RA_TEXT("k")), STR_EMPTY, NULL);
    assert_false(buf_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write__any_bytes_and_numbers),
        cmocka_unit_test(test_write__the_prefix_is_of_keys),
        cmocka_unit_test(test_write__a_function_has_its_leading_keys_counted),
        cmocka_unit_test(test_write__what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
