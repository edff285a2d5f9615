/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/code.h"

static void assert_code(const uint8_t bits[static CODE_BYTES], const char *expected)
{
    char code[CODE_LEN];
    code_format(bits, code);
    assert_memory_equal(code, expected, CODE_LEN);
}

/* 2^128 - 1 is 32 modulo 37, whose character is '*'. */
static void test_code_format__is_crockfords_base_32(void **state)
{
    (void)state;
    assert_code((uint8_t[CODE_BYTES]){ 0 }, "000000000000000000000000000");
    assert_code((uint8_t[CODE_BYTES]){ [15] = 1 }, "000000000000000000000000011");
    assert_code((uint8_t[CODE_BYTES]){ [15] = 32 }, "00000000000000000000000010*");
    assert_code((uint8_t[CODE_BYTES]){ [15] = 36 }, "00000000000000000000000014U");
    assert_code((uint8_t[CODE_BYTES]){ [15] = 37 }, "000000000000000000000000150");
    uint8_t ones[CODE_BYTES];
    memset(ones, 0xFF, sizeof(ones));
    assert_code(ones, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ*");
}

static void assert_parses(const char *typed, const char *expected)
{
    char code[CODE_LEN] = { 0 };
    assert_int_equal(code_parse(str_of(typed), code), OK);
    assert_memory_equal(code, expected, CODE_LEN);
}

static void test_code_parse__reads_what_people_type(void **state)
{
    (void)state;
    static const char code[] = "00000000000000000000000010*";
    assert_parses("00000000000000000000000010*", code);
    assert_parses("0000-0000-0000-0000-0000-0000-10*", code);
    assert_parses(" 0000 0000 0000 0000 0000 0000 10 * ", code);
    assert_parses("OoOo00000000000000000000L0*", code);
    assert_parses("000000000000000000000000i0*", code);
    assert_parses("00000000000000000000000014u", "00000000000000000000000014U");
}

static void test_code_parse__keeps_every_new_code(void **state)
{
    (void)state;
    char code[CODE_LEN], back[CODE_LEN];
    for (int i = 0; i < 1000; i++) {
        code_new(code);
        assert_int_equal(code_parse((struct str){ code, CODE_LEN }, back), OK);
        assert_memory_equal(code, back, CODE_LEN);
    }
}

static void test_code_parse__notices_every_wrong_digit(void **state)
{
    (void)state;
    char code[CODE_LEN], back[CODE_LEN];
    code_new(code);
    for (size_t i = 0; i < CODE_LEN; i++) {
        const char right = code[i];
        for (const char *wrong = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"; *wrong; wrong++) {
            code[i] = *wrong;
            assert_int_equal(code_parse((struct str){ code, CODE_LEN }, back), *wrong == right ? OK : E_INVALID);
        }
        code[i] = right;
    }
}

static void test_code_parse__notices_swapped_neighbours(void **state)
{
    (void)state;
    char code[CODE_LEN], back[CODE_LEN];
    code_new(code);
    for (size_t i = 0; i + 1 < CODE_LEN; i++) {
        if (code[i] == code[i + 1])
            continue;
        const char held = code[i];
        code[i] = code[i + 1];
        code[i + 1] = held;
        assert_int_equal(code_parse((struct str){ code, CODE_LEN }, back), E_INVALID);
        code[i + 1] = code[i];
        code[i] = held;
    }
}

static void test_code_parse__refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "-",
        "0",
        "00000000000000000000000000",
        "0000000000000000000000000000",
        "00000000000000000000000010!",
        "*0000000000000000000000001*",
        "80000000000000000000000000~",
        "public",
        "../../etc/passwd",
        "0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-0-----------------------------",
    };
    char back[CODE_LEN];
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(code_parse(str_of(none[i]), back), E_INVALID);
    assert_int_equal(code_parse((struct str){ "0000000000000\0000000000000000", 27 }, back), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_format__is_crockfords_base_32),
        cmocka_unit_test(test_code_parse__reads_what_people_type),
        cmocka_unit_test(test_code_parse__keeps_every_new_code),
        cmocka_unit_test(test_code_parse__notices_every_wrong_digit),
        cmocka_unit_test(test_code_parse__notices_swapped_neighbours),
        cmocka_unit_test(test_code_parse__refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
