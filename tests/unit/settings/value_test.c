/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "settings/value.h"

static struct settings s;

static int fresh(void **state)
{
    (void)state;
    s = (struct settings){ 0 };
    arena_init(&s.arena, 1024 * 1024);
    return 0;
}

static int done(void **state)
{
    (void)state;
    arena_done(&s.arena);
    return 0;
}

static enum err read_as(const char *key, const char *text)
{
    const struct setting *row = settings_find(str_of(key));

    assert_non_null(row);
    return value_read(row, str_of(text), &s);
}

/* Each text, up to the NULL, is refused. */
static void assert_refused(const char *key, const char *const texts[])
{
    for (; *texts; texts++) {
        if (read_as(key, *texts) != E_INVALID)
            fail_msg("%s=%s was taken", key, *texts);
    }
}
#define ASSERT_REFUSED(key, ...) assert_refused((key), (const char *const[]){ __VA_ARGS__, NULL })

static void test_value_read__takes_every_spelling_of_a_bool(void **state)
{
    const char *const yes[] = { "True", "true", "TRUE", "1", "yes", "on" };
    const char *const no[] = { "False", "false", "0", "No", "OFF" };
    (void)state;

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        s.debug = false;
        assert_int_equal(read_as("DEBUG", yes[i]), OK);
        assert_true(s.debug);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        s.debug = true;
        assert_int_equal(read_as("DEBUG", no[i]), OK);
        assert_false(s.debug);
    }
    ASSERT_REFUSED("DEBUG", "", "2", "maybe", "t", "true ", " true");
}

static void test_value_read__int_is_strict_and_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_as("PORT", "0"), OK);
    assert_int_equal(s.port, 0);
    assert_int_equal(read_as("PORT", "65535"), OK);
    assert_int_equal(s.port, 65535);
    ASSERT_REFUSED("PORT", "", "65536", "-1", "+1", "0x50", "080", "80 ", "8e2", "99999999999999999999", "80.0");
    assert_int_equal(s.port, 65535);
}

static void test_value_read__takes_bytes_with_units(void **state)
{
    (void)state;
    assert_int_equal(read_as("MAX_BODY_BYTES", "10M"), OK);
    assert_int_equal(s.max_body_bytes, 10 * 1024 * 1024);
    assert_int_equal(read_as("MAX_BODY_BYTES", "4096"), OK);
    assert_int_equal(s.max_body_bytes, 4096);
    assert_int_equal(read_as("MAX_BODY_BYTES", "64k"), OK);
    assert_int_equal(s.max_body_bytes, 65536);
    assert_int_equal(read_as("CACHE_MAX_BYTES", "64G"), OK);
    assert_int_equal(s.cache_max_bytes, INT64_C(64) << 30);
    ASSERT_REFUSED("MAX_BODY_BYTES", "", "M", "1023", "2G", "1.5M", "-1M", "10MB", "10 0", "9999999999999999999999M");
}

static void test_value_read__takes_seconds_with_units(void **state)
{
    (void)state;
    assert_int_equal(read_as("CACHE_TTL", "30"), OK);
    assert_true(s.cache_ttl_s == 30);
    assert_int_equal(read_as("CACHE_TTL", "0.1"), OK);
    assert_true(s.cache_ttl_s == 0.1);
    assert_int_equal(read_as("CACHE_TTL", "1.5m"), OK);
    assert_true(s.cache_ttl_s == 90);
    assert_int_equal(read_as("CACHE_TTL", "2 h"), OK);
    assert_true(s.cache_ttl_s == 7200);
    assert_int_equal(read_as("CACHE_TTL", "500ms"), OK);
    assert_true(s.cache_ttl_s == 0.5);
    ASSERT_REFUSED("CACHE_TTL", "", ".5", "5.", "1e3", "-1", "nan", "inf", "25h", "30x", "1..2", "0000000000000001");
}

static void test_value_read__choice_counts_as_its_enum(void **state)
{
    (void)state;
    assert_int_equal(read_as("LOG_LEVEL", "debug"), OK);
    assert_int_equal(s.log_level, LOG_DEBUG);
    assert_int_equal(read_as("LOG_LEVEL", "ERROR"), OK);
    assert_int_equal(s.log_level, LOG_ERROR);
    assert_int_equal(read_as("LOG_FORMAT", "json"), OK);
    assert_int_equal(s.log_format, LOG_JSON);
    assert_int_equal(read_as("DB_DRIVER", "mysql"), OK);
    assert_int_equal(s.db_driver, DB_DRIVER_MYSQL);
    ASSERT_REFUSED("LOG_LEVEL", "", "loud", "inf", "info,debug");
}

static void test_value_read__text_is_bounded_and_terminated(void **state)
{
    char text[1026] = { 0 };
    (void)state;

    assert_int_equal(read_as("WEB_DIR", "pages"), OK);
    assert_string_equal(s.web_dir.ptr, "pages");
    assert_int_equal(read_as("ACCESS_LOG", ""), OK);
    assert_int_equal(s.access_log.len, 0);
    memset(text, 'x', 1025);
    ASSERT_REFUSED("WEB_DIR", "", text, "a\nb", "a\x7f", "\x1b[31m");
    text[1024] = '\0';
    assert_int_equal(read_as("WEB_DIR", text), OK);
}

static void test_value_read__secret_key_is_long_or_absent(void **state)
{
    (void)state;
    assert_int_equal(read_as("SECRET_KEY", ""), OK);
    ASSERT_REFUSED("SECRET_KEY", "x", "0123456789012345678901234567890");
    assert_int_equal(read_as("SECRET_KEY", "01234567890123456789012345678901"), OK);
}

static void test_value_read__takes_an_address_but_no_name(void **state)
{
    (void)state;
    assert_int_equal(read_as("HOST", "::"), OK);
    assert_int_equal(read_as("HOST", "127.0.0.1"), OK);
    assert_string_equal(s.host.ptr, "127.0.0.1");
    assert_int_equal(read_as("HOST", "[::1]"), OK);
    assert_string_equal(s.host.ptr, "::1");
    assert_int_equal(read_as("HOST", ""), OK);
    assert_string_equal(s.host.ptr, "");
    ASSERT_REFUSED("HOST", "localhost", "127.0.0.256", "[::1", "[]", "127.0.0.1:80", "unix");
}

static void test_value_read__takes_a_mode_in_octal(void **state)
{
    (void)state;
    assert_int_equal(read_as("UNIX_SOCKET_MODE", "0640"), OK);
    assert_int_equal(s.unix_socket_mode, 0640);
    assert_int_equal(read_as("UNIX_SOCKET_MODE", "777"), OK);
    assert_int_equal(s.unix_socket_mode, 0777);
    ASSERT_REFUSED("UNIX_SOCKET_MODE", "", "66", "0668", "1777", "00660", "rw-rw----", "-660", "0x1ff");
}

static void test_value_read__takes_a_url_of_a_known_scheme(void **state)
{
    (void)state;
    assert_int_equal(read_as("PUBLIC_URL", ""), OK);
    assert_int_equal(read_as("PUBLIC_URL", "https://sanad.example/x"), OK);
    assert_string_equal(s.public_url.ptr, "https://sanad.example/x");
    ASSERT_REFUSED("PUBLIC_URL", "sanad.example", "ftp://x", "https:/x", "https://", "http:///x", "http://a b",
                   "javascript:1");
    ASSERT_REFUSED("REDIS_URL", "", "http://localhost", "redis:///0", "unix:/run/redis.sock", "unix://");
    assert_int_equal(read_as("REDIS_URL", "unix:///run/redis.sock?db=3"), OK);
    assert_int_equal(read_as("REDIS_URL", "redis+unix://u:p@/run/redis.sock"), OK);
}

static void test_value_read__trims_the_pieces_of_a_list(void **state)
{
    (void)state;
    assert_int_equal(read_as("DB_HOST", "db1 , db2"), OK);
    assert_int_equal(s.db_host.count, 2);
    assert_string_equal(s.db_host.rows[0].ptr, "db1");
    assert_string_equal(s.db_host.rows[1].ptr, "db2");
    assert_int_equal(read_as("DB_HOST", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"), OK);
    assert_int_equal(s.db_host.count, 16);
    ASSERT_REFUSED("DB_HOST", ",", "a,", ",a", "a,,b", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17");
    assert_int_equal(read_as("DB_HOST", ""), OK);
    assert_int_equal(s.db_host.count, 0);
}

static void test_value_read__takes_address_ranges(void **state)
{
    (void)state;
    assert_int_equal(read_as("TRUSTED_PROXIES", "10.0.0.0/8, ::1"), OK);
    assert_int_equal(s.trusted_proxies.count, 2);
    assert_true(cidr_list_holds_text(&s.trusted_proxies, STR("10.1.2.3")));
    assert_false(cidr_list_holds_text(&s.trusted_proxies, STR("11.1.2.3")));
    ASSERT_REFUSED("TRUSTED_PROXIES", "10.0.0.0/33", "banana", "10.0.0.0/8,", "10.0.0.0/8;::1");
    assert_int_equal(s.trusted_proxies.count, 2);
    assert_int_equal(read_as("TRUSTED_PROXIES", ""), OK);
    assert_int_equal(s.trusted_proxies.count, 0);
}

static void test_value_read__says_when_memory_is_short(void **state)
{
    (void)state;
    arena_done(&s.arena);
    arena_init(&s.arena, 0);
    assert_int_equal(read_as("WEB_DIR", "pages"), E_NO_MEMORY);
    assert_int_equal(read_as("DB_HOST", "a,b"), E_NO_MEMORY);
    assert_int_equal(s.db_host.count, 0);
}

static void assert_words(void (*say)(const struct setting *row, struct buf *out), const char *key, const char *expected)
{
    struct buf out;

    buf_init(&out, 4096);
    say(settings_find(str_of(key)), &out);
    buf_byte(&out, '\0');
    assert_string_equal(buf_view(&out).ptr, expected);
    buf_done(&out);
}

static void test_value_allowed__says_the_bounds(void **state)
{
    (void)state;
    assert_words(value_allowed, "PORT", "a whole number from 0 to 65535");
    assert_words(value_allowed, "RATE_LIMIT_CLIENTS", "a whole number from 1000 to 10000000");
    assert_words(value_allowed, "LOG_LEVEL", "debug, info, warning or error");
    assert_words(value_allowed, "MAX_BODY_BYTES", "a size from 1K to 1G, such as 4096, 64K, 10M or 1G");
    assert_words(value_allowed, "PUBLIC_URL", "a URL that begins with http:// or https://, or nothing");
    assert_words(value_allowed, "KEEP_ALIVE", "seconds from 0.1 to 3600, or with a unit: 500ms, 30s, 5m, 1h");
}

static void test_value_allowed__says_how_a_mode_is_written(void **state)
{
    (void)state;
    assert_words(value_allowed, "UNIX_SOCKET_MODE", "the mode of a file in octal, at most 0777, such as 0660");
    assert_words(value_allowed, "HOST", "an IPv4 or IPv6 address, such as 0.0.0.0, 127.0.0.1 or ::1, or nothing");
}

static void assert_shown(const char *key, const char *text, const char *expected)
{
    struct buf out;

    buf_init(&out, 4096);
    value_shown(settings_find(str_of(key)), str_of(text), &out);
    buf_byte(&out, '\0');
    assert_string_equal(buf_view(&out).ptr, expected);
    buf_done(&out);
}

static void test_value_shown__masks_what_is_secret(void **state)
{
    (void)state;
    assert_shown("DB_USER", "root", "root");
    assert_shown("DB_PASSWORD", "hunter2", "********");
    assert_shown("DB_PASSWORD", "", "");
    assert_shown("REDIS_URL", "redis://h:1/0", "redis://h:1/0");
    assert_shown("REDIS_URL", "redis://user:p@ss@h:1/0", "redis://********@h:1/0");
    assert_shown("REDIS_URL", "user:p@h", "********@h");
    assert_shown("REDIS_URL", "@", "********@");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    /* clang-format off */
    const struct CMUnitTest tests[] = {
        TEST(test_value_read__takes_every_spelling_of_a_bool),
        TEST(test_value_read__int_is_strict_and_bounded),
        TEST(test_value_read__takes_bytes_with_units),
        TEST(test_value_read__takes_seconds_with_units),
        TEST(test_value_read__choice_counts_as_its_enum),
        TEST(test_value_read__text_is_bounded_and_terminated),
        TEST(test_value_read__secret_key_is_long_or_absent),
        TEST(test_value_read__takes_an_address_but_no_name),
        TEST(test_value_read__takes_a_mode_in_octal),
        TEST(test_value_read__takes_a_url_of_a_known_scheme),
        TEST(test_value_read__trims_the_pieces_of_a_list),
        TEST(test_value_read__takes_address_ranges),
        TEST(test_value_read__says_when_memory_is_short),
        TEST(test_value_allowed__says_the_bounds),
        TEST(test_value_allowed__says_how_a_mode_is_written),
        TEST(test_value_shown__masks_what_is_secret),
    };
    /* clang-format on */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
