/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cidr.h"

static bool in(const char *list_text, const char *address)
{
    struct cidr_list list;
    struct str bad;

    assert_int_equal(cidr_list_parse(str_of(list_text), &list, &bad), OK);
    return cidr_list_holds_text(&list, str_of(address));
}

static void test_address_parse__refuses_what_is_no_address(void **state)
{
    static const char *const wrong[] = {
        "",    "1.2.3",     "1.2.3.256", "01.2.3.4",          "1.2.3.4:80",   "[::1]",
        "::g", "localhost", " 1.2.3.4",  "1:2:3:4:5:6:7:8:9", "1.2.3.4%eth0", "0x7f.1"
    };
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(address_parse(str_of(wrong[i]), &a), E_INVALID);
    assert_int_equal(address_parse((struct str){ "1.2.3.4\0", 8 }, &a), E_INVALID);
}

static void test_address_parse__ipv4_equals_its_mapped_form(void **state)
{
    struct address v4, mapped;

    (void)state;
    assert_int_equal(address_parse(STR("192.0.2.7"), &v4), OK);
    assert_int_equal(address_parse(STR("::ffff:192.0.2.7"), &mapped), OK);
    assert_memory_equal(&v4, &mapped, sizeof(v4));
}

static void test_address_parse__ignores_the_zone(void **state)
{
    struct address with, without;

    (void)state;
    assert_int_equal(address_parse(STR("fe80::1%eth0"), &with), OK);
    assert_int_equal(address_parse(STR("fe80::1"), &without), OK);
    assert_memory_equal(&with, &without, sizeof(with));
}

static void test_cidr_parse__refuses_bad_lengths(void **state)
{
    static const char *const wrong[] = { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",  "::/129",
                                         "10.0.0.0/08", "/8",        "10.0.0.0/8/8", "10.0.0.0/ 8" };
    struct cidr c;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(cidr_parse(str_of(wrong[i]), &c), E_INVALID);
}

static void test_cidr_list_holds__borders_of_ranges(void **state)
{
    (void)state;
    assert_true(in("10.0.0.0/8", "10.255.255.255"));
    assert_false(in("10.0.0.0/8", "11.0.0.0"));
    assert_true(in("172.16.0.0/12", "172.31.0.1"));
    assert_false(in("172.16.0.0/12", "172.32.0.1"));
    assert_true(in("10.9.8.7/8", "10.0.0.1"));
    assert_true(in("192.0.2.7", "192.0.2.7"));
    assert_false(in("192.0.2.7", "192.0.2.6"));
    assert_true(in("0.0.0.0/0", "203.0.113.9"));
    assert_false(in("0.0.0.0/0", "2001:db8::1"));
    assert_true(in("fd00::/8", "fdff::1"));
    assert_false(in("fd00::/8", "fe00::1"));
    assert_true(in("::1", "::1"));
    assert_true(in("::/0", "10.0.0.1"));
}

static void test_cidr_list_holds__mapped_address_matches_ipv4_range(void **state)
{
    (void)state;
    assert_true(in("127.0.0.0/8", "::ffff:127.0.0.1"));
    assert_true(in("::ffff:10.0.0.0/104", "10.1.1.1"));
    assert_false(in("127.0.0.0/8", "::127.0.0.1"));
}

static void test_cidr_list_holds__empty_list_and_bad_text_hold_nothing(void **state)
{
    (void)state;
    assert_false(in("", "127.0.0.1"));
    assert_false(in("::/0", "nonsense"));
    assert_false(in("::/0", ""));
}

static void test_cidr_list_parse__takes_spaces_and_names_the_wrong_piece(void **state)
{
    struct cidr_list list = { .count = 77 };
    struct str bad;

    (void)state;
    assert_true(in(" 127.0.0.0/8 , ::1,10.0.0.0/8 ", "10.2.3.4"));
    assert_int_equal(cidr_list_parse(STR("::1, 10.0.0.0/99"), &list, &bad), E_INVALID);
    assert_int_equal(list.count, 77);
    assert_int_equal(bad.len, 11);
    assert_memory_equal(bad.ptr, "10.0.0.0/99", bad.len);
    assert_int_equal(cidr_list_parse(STR("::1,,::2"), &list, &bad), E_INVALID);
}

static void test_cidr_list_parse__is_bounded(void **state)
{
    char text[4 * (CIDR_LIST_MAX + 1)];
    struct cidr_list list;
    struct str bad;
    size_t len = 0;

    (void)state;
    for (int i = 0; i <= CIDR_LIST_MAX; i++, len += 4)
        memcpy(text + len, "::1,", 4);
    assert_int_equal(cidr_list_parse((struct str){ text, len - 5 }, &list, &bad), OK);
    assert_int_equal(list.count, CIDR_LIST_MAX);
    assert_int_equal(cidr_list_parse((struct str){ text, len - 1 }, &list, &bad), E_TOO_LARGE);
}

static void assert_printed(const char *text, const char *expected)
{
    char out[ADDRESS_TEXT_SIZE];
    struct address a, again;

    assert_int_equal(address_parse(str_of(text), &a), OK);
    assert_int_equal(address_print(&a, out), strlen(expected));
    assert_string_equal(out, expected);
    assert_int_equal(address_parse(str_of(out), &again), OK);
    assert_memory_equal(&a, &again, sizeof(a));
}

static void test_address_print__ipv4(void **state)
{
    (void)state;
    assert_printed("0.0.0.1", "0.0.0.1");
    assert_printed("9.10.99.100", "9.10.99.100");
    assert_printed("255.255.255.255", "255.255.255.255");
    assert_printed("::ffff:192.0.2.7", "192.0.2.7");
    assert_printed("::FFFF:c000:0207", "192.0.2.7");
}

static void test_address_of_unix__is_in_a_list_by_its_name_only(void **state)
{
    const struct address nobody = address_of_unix();
    struct cidr_list named, others;
    char out[ADDRESS_TEXT_SIZE];
    struct address a;
    struct str bad;

    (void)state;
    assert_int_equal(address_print(&nobody, out), 4);
    assert_string_equal(out, "unix");
    assert_int_equal(address_parse(STR("unix"), &a), E_INVALID);
    assert_int_equal(cidr_list_parse(STR("10.0.0.0/8,unix"), &named, &bad), OK);
    assert_int_equal(
        cidr_list_parse(STR("127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"), &others, &bad), OK);
    assert_true(cidr_list_holds(&named, &nobody));
    assert_false(cidr_list_holds(&others, &nobody));
    assert_int_equal(cidr_list_parse(STR("unix/8"), &named, &bad), E_INVALID);
}

/* RFC 5952 §4 */
static void test_address_print__ipv6_has_one_text(void **state)
{
    (void)state;
    assert_printed("::", "::");
    assert_printed("0:0:0:0:0:0:0:1", "::1");
    assert_printed("1::", "1::");
    assert_printed("2001:0DB8::0001", "2001:db8::1");
    assert_printed("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
    assert_printed("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
    assert_printed("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
    assert_printed("0:0:1:2:3:4:5:6", "::1:2:3:4:5:6");
    assert_printed("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::");
    assert_printed("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_printed("::1.2.3.4", "::102:304");
    assert_printed("f00:10:100:1000:a:b:c:d", "f00:10:100:1000:a:b:c:d");
}

static void test_address_of_v4__is_what_its_text_gives(void **state)
{
    const uint8_t bytes[4] = { 192, 0, 2, 7 };
    const struct address a = address_of_v4(bytes);
    struct address b;

    (void)state;
    assert_int_equal(address_parse(STR("192.0.2.7"), &b), OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(address_is_v4(&a));
    assert_int_equal(address_parse(STR("::192.0.2.7"), &b), OK);
    assert_false(address_is_v4(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_parse__refuses_what_is_no_address),
        cmocka_unit_test(test_address_parse__ipv4_equals_its_mapped_form),
        cmocka_unit_test(test_address_parse__ignores_the_zone),
        cmocka_unit_test(test_address_print__ipv4),
        cmocka_unit_test(test_address_of_unix__is_in_a_list_by_its_name_only),
        cmocka_unit_test(test_address_print__ipv6_has_one_text),
        cmocka_unit_test(test_address_of_v4__is_what_its_text_gives),
        cmocka_unit_test(test_cidr_parse__refuses_bad_lengths),
        cmocka_unit_test(test_cidr_list_holds__borders_of_ranges),
        cmocka_unit_test(test_cidr_list_holds__mapped_address_matches_ipv4_range),
        cmocka_unit_test(test_cidr_list_holds__empty_list_and_bad_text_hold_nothing),
        cmocka_unit_test(test_cidr_list_parse__takes_spaces_and_names_the_wrong_piece),
        cmocka_unit_test(test_cidr_list_parse__is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
