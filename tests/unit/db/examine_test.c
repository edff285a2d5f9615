/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/examine.h"

static void assert_version(const char *text, const char *comment, enum server_kind kind, int major, int minor,
                           int patch)
{
    const struct server_version v = server_version_of(str_of(text), str_of(comment));

    if (v.kind != kind || v.major != major || v.minor != minor || v.patch != patch)
        fail_msg("%s: kind %d, %d.%d.%d", text, v.kind, v.major, v.minor, v.patch);
}

static void test_version__of_mariadb(void **state)
{
    (void)state;
    assert_version("10.11.6-MariaDB-0+deb12u1", "Debian 12", SERVER_MARIADB, 10, 11, 6);
    assert_version("11.4.2-MariaDB-ubu2404-log", "", SERVER_MARIADB, 11, 4, 2);
    assert_version("5.5.5-10.6.12-MariaDB", "", SERVER_MARIADB, 10, 6, 12);
    assert_version("10.6.16-mariadb", NULL, SERVER_MARIADB, 10, 6, 16);
    assert_version("10.6.12", "MariaDB Server", SERVER_MARIADB, 10, 6, 12);
    assert_version("12.1-MariaDB", "", SERVER_MARIADB, 12, 1, 0);
}

static void test_version__of_mysql(void **state)
{
    (void)state;
    assert_version("8.0.36-0ubuntu0.22.04.1", "(Ubuntu)", SERVER_MYSQL, 8, 0, 36);
    assert_version("8.4.0", "MySQL Community Server - GPL", SERVER_MYSQL, 8, 4, 0);
    assert_version("8.0.35-27", "Percona Server (GPL)", SERVER_MYSQL, 8, 0, 35);
    assert_version("5.7.44-log", "", SERVER_MYSQL, 5, 7, 44);
    assert_version("5.5.5-log", "", SERVER_MYSQL, 5, 5, 5);
    assert_version("8.0.mysql_aurora.3.04.0", "", SERVER_MYSQL, 8, 0, 0);
    assert_version("9", "", SERVER_MYSQL, 9, 0, 0);
}

static void test_version__of_what_is_none(void **state)
{
    (void)state;
    assert_version("", "", SERVER_OTHER, 0, 0, 0);
    assert_version(NULL, NULL, SERVER_OTHER, 0, 0, 0);
    assert_version("MariaDB", "MariaDB", SERVER_OTHER, 0, 0, 0);
    assert_version("five.5", "", SERVER_OTHER, 0, 0, 0);
    assert_version("-10.6.12-MariaDB", "", SERVER_OTHER, 0, 0, 0);
    assert_version("99999999999999999999999.1.1", "", SERVER_OTHER, 0, 0, 0);
    assert_version("10.4294967297.1-MariaDB", "", SERVER_OTHER, 0, 0, 0);
    assert_version(".10.6", "", SERVER_OTHER, 0, 0, 0);
}

static void test_version_older__compares_each_part(void **state)
{
    const struct server_version v = { SERVER_MARIADB, 10, 6, 12 };
    (void)state;

    assert_true(server_version_older(&v, 10, 6, 13));
    assert_true(server_version_older(&v, 10, 8, 0));
    assert_true(server_version_older(&v, 11, 0, 0));
    assert_false(server_version_older(&v, 10, 6, 12));
    assert_false(server_version_older(&v, 10, 5, 99));
    assert_false(server_version_older(&v, 9, 99, 99));
}

static struct server_facts facts_with(int64_t max, int64_t of_user, int64_t connected, int64_t ours)
{
    return (struct server_facts){
        .max_connections = max, .max_user_connections = of_user, .connected = connected, .ours = ours
    };
}

static void test_room__is_what_others_leave(void **state)
{
    const struct server_facts idle = facts_with(200, 0, 1, 0), busy = facts_with(200, 0, 41, 0),
                              serving = facts_with(200, 0, 141, 100), full = facts_with(10, 0, 30, 0);
    (void)state;

    assert_int_equal(facts_room(&idle), 199);
    assert_int_equal(facts_room(&busy), 159);
    assert_int_equal(facts_others(&serving), 40);
    assert_int_equal(facts_room(&serving), 159);
    assert_int_equal(facts_room(&full), 0);
}

static void test_room__is_what_the_account_may(void **state)
{
    const struct server_facts tight = facts_with(200, 60, 1, 0), wide = facts_with(200, 1000, 1, 0);
    (void)state;

    assert_int_equal(facts_room(&tight), 60);
    assert_int_equal(facts_room(&wide), 199);
}

static void test_room__of_a_server_that_tells_nothing(void **state)
{
    const struct server_facts silent = facts_with(FACT_UNKNOWN, FACT_UNKNOWN, FACT_UNKNOWN, FACT_UNKNOWN),
                              half = facts_with(100, FACT_UNKNOWN, FACT_UNKNOWN, FACT_UNKNOWN);
    (void)state;

    assert_int_equal(facts_room(&silent), FACT_UNKNOWN);
    assert_int_equal(facts_room(&half), 99);
}

static void assert_line(struct server_facts facts, int64_t wanted, const char *expected)
{
    char line[FACTS_LINE_SIZE];

    facts_room_line(&facts, wanted, line);
    assert_string_equal(line, expected);
}

static void test_room_line__makes_room(void **state)
{
    (void)state;
    assert_line(facts_with(151, 0, 1, 0), 150, "");
    assert_line(facts_with(150, 0, 1, 0), 150, "max_connections = 200");
    assert_line(facts_with(151, 0, 61, 0), 150, "max_connections = 250");
    assert_line(facts_with(151, 0, 61, 60), 150, "");
    assert_line(facts_with(200, 100, 1, 0), 150, "max_user_connections = 160");
    assert_line(facts_with(100, 100, 1, 0), 150, "max_connections = 200, max_user_connections = 160");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version__of_mariadb),
        cmocka_unit_test(test_version__of_mysql),
        cmocka_unit_test(test_version__of_what_is_none),
        cmocka_unit_test(test_version_older__compares_each_part),
        cmocka_unit_test(test_room__is_what_others_leave),
        cmocka_unit_test(test_room__is_what_the_account_may),
        cmocka_unit_test(test_room__of_a_server_that_tells_nothing),
        cmocka_unit_test(test_room_line__makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
