/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "redis/conf.h"

static struct arena arena;
static struct redis_conf conf;
static const char *why;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1024 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static enum err read_url(const char *url)
{
    conf = (struct redis_conf){ .database = -1 };
    why = NULL;
    return redis_conf_read(str_of(url), &arena, &conf, &why);
}

/* "" stands for NULL. */
static const struct {
    const char *url, *path, *host, *user, *password;
    int port, database;
} good[] = {
    { "redis://localhost:6379/0", "", "localhost", "", "", 6379, 0 },
    { "redis://localhost", "", "localhost", "", "", 6379, 0 },
    { "REDIS://localhost/", "", "localhost", "", "", 6379, 0 },
    { "redis://10.0.0.7:7000/15", "", "10.0.0.7", "", "", 7000, 15 },
    { "redis://h?db=4", "", "h", "", "", 6379, 4 },
    { "redis://[fd00::1]:7/2", "", "fd00::1", "", "", 7, 2 },
    { "redis://[::1]", "", "::1", "", "", 6379, 0 },
    { "redis://:secret@h", "", "h", "", "secret", 6379, 0 },
    { "redis://keeper:secret@h/1", "", "h", "keeper", "secret", 6379, 1 },
    { "redis://keeper:p%40ss%3Aw%2Frd@h", "", "h", "keeper", "p@ss:w/rd", 6379, 0 },
    { "redis://keeper:p@ss/w@h:1/3", "", "h", "keeper", "p@ss/w", 1, 3 },
    { "redis://a%20b:c@h", "", "h", "a b", "c", 6379, 0 },
    { "unix:///run/redis.sock", "/run/redis.sock", "", "", "", 6379, 0 },
    { "unix:///run/redis.sock?db=3", "/run/redis.sock", "", "", "", 6379, 3 },
    { "redis+unix:///run/a%20b", "/run/a b", "", "", "", 6379, 0 },
    { "redis+unix://keeper:secret@/run/r?db=0", "/run/r", "", "keeper", "secret", 6379, 0 },
};

static void test_read__what_a_url_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (read_url(good[i].url) != OK)
            fail_msg("%s: %s", good[i].url, why);
        assert_string_equal(conf.path ? conf.path : "", good[i].path);
        assert_string_equal(conf.host ? conf.host : "", good[i].host);
        assert_string_equal(conf.user ? conf.user : "", good[i].user);
        assert_string_equal(conf.password ? conf.password : "", good[i].password);
        assert_int_equal(conf.port, good[i].port);
        assert_int_equal(conf.database, good[i].database);
    }
}

static const char *const bad[] = {
    "",
    "redis",
    "redis:",
    "redis:/",
    "redis://",
    "redis:///0",
    "http://h",
    "redis:h",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:x",
    "redis://h:",
    "redis://h/x",
    "redis://h/-1",
    "redis://h/1/2",
    "redis://h/99999999999",
    "redis://[::1",
    "redis://[::1]x",
    "redis://[]:1",
    "redis://hunter2@h",
    "redis://hunter2:@h",
    "redis://:@h",
    "redis://h?db=x",
    "redis://h?hunter2=1",
    "redis://:hun%ter2@h",
    "redis://:hunter2%0a@h",
    "redis://:hunter2%@h",
    "redis://:hunter2%00@h",
    "unix://",
    "unix:///",
    "unix://run/redis.sock",
    "unix:///run/r?path=hunter2",
    "unix://:hunter2@run/r",
    "redis+tcp://:hunter2@h",
};

static void test_read__refuses_the_rest_and_repeats_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (read_url(bad[i]) != E_INVALID)
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(why);
        assert_null(strstr(why, "hunter2"));
        assert_int_equal(conf.database, -1);
    }
}

static void test_read__tls_names_the_way_out(void **state)
{
    (void)state;
    assert_int_equal(read_url("rediss://:hunter2@h:6380/0"), E_INVALID);
    assert_non_null(strstr(why, "stunnel"));
    assert_null(strstr(why, "hunter2"));
}

static void test_read__bounds_the_length(void **state)
{
    char url[REDIS_URL_BYTES_MAX + 64];
    (void)state;

    memset(url, 'a', sizeof(url) - 1);
    url[sizeof(url) - 1] = '\0';
    memcpy(url, "redis://", 8);
    assert_int_equal(read_url(url), E_INVALID);
    url[300] = '\0';
    assert_int_equal(read_url(url), E_INVALID);
    memcpy(url, "unix:///", 8);
    assert_int_equal(read_url(url), E_INVALID);
    url[100] = '\0';
    assert_int_equal(read_url(url), OK);
}

static void assert_place(const char *url, const char *expected)
{
    char text[64];

    assert_int_equal(read_url(url), OK);
    assert_int_equal(redis_conf_place(&conf, text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
}

static void test_place__is_without_secrets(void **state)
{
    char cut[5];
    (void)state;

    assert_place("redis://keeper:secret@h:7/1", "h:7");
    assert_place("redis://:secret@[::1]", "[::1]:6379");
    assert_place("unix://:secret@/run/r?db=1", "/run/r");
    assert_int_equal(redis_conf_place(&conf, cut, sizeof(cut)), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read__what_a_url_says),       TEST(test_read__refuses_the_rest_and_repeats_nothing),
        TEST(test_read__tls_names_the_way_out), TEST(test_read__bounds_the_length),
        TEST(test_place__is_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
