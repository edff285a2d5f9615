/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "db/url.h"

static const struct str hosts[] = { { "one.example", 11 }, { "two.example", 11 } };
static struct arena arena;
static struct db_conf conf;
static const char *why;

/* What the settings say. */
static const struct db_conf settings = {
    .driver = "sqlite",
    .path = "data/sanad.db",
    .hosts = hosts,
    .host_count = 2,
    .port = 3306,
    .socket = "",
    .name = "sanad",
    .user = "keeper",
    .password = "a secret",
};

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

static enum err read_with(struct db_conf given, const char *url)
{
    conf = given;
    why = NULL;
    return db_url_read(str_of(url), &arena, &conf, &why);
}

static enum err read_url(const char *url) { return read_with(settings, url); }

static void assert_written(const char *url, const char *expected)
{
    char text[256];

    if (read_url(url) != OK)
        fail_msg("%s: %s", url, why);
    assert_int_equal(db_url_write(&conf, text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
    assert_string_equal(conf.password, "a secret");
}

static void test_read__takes_what_a_url_says_and_the_settings_for_the_rest(void **state)
{
    (void)state;
    assert_written("sqlite:", "sqlite:data/sanad.db");
    assert_written("sqlite:old.db", "sqlite:old.db");
    assert_written("sqlite:/var/lib/a b%20?c.db", "sqlite:/var/lib/a b%20?c.db");
    assert_written("sqlite:///var/lib/sanad.db", "sqlite:/var/lib/sanad.db");
    assert_written("mysql:", "mysql://keeper@one.example:3306/sanad");
    assert_written("MySQL://", "mysql://keeper@one.example:3306/sanad");
    assert_written("mariadb:", "mysql://keeper@one.example:3306/sanad");
    assert_written("mysql:///other", "mysql://keeper@one.example:3306/other");
    assert_written("mysql://db.example", "mysql://keeper@db.example:3306/sanad");
    assert_written("mysql://db.example/", "mysql://keeper@db.example:3306/sanad");
    assert_written("mysql://db.example:1/x", "mysql://keeper@db.example:1/x");
    assert_written("mysql://me@", "mysql://me@one.example:3306/sanad");
    assert_written("mysql://me@db.example:65535/x", "mysql://me@db.example:65535/x");
    assert_written("mysql://a@b@db.example/x", "mysql://a@b@db.example:3306/x");
    assert_written("mysql://me@[::1]:3307/x", "mysql://me@[::1]:3307/x");
    assert_written("mysql://[fe80::1]/x", "mysql://keeper@[fe80::1]:3306/x");
    assert_written("mysql:///x?socket=/run/db.sock", "mysql://keeper@/x?socket=/run/db.sock");
    assert_written("mysql://me@/?socket=/run/db.sock", "mysql://me@/sanad?socket=/run/db.sock");
    assert_written("mysql://%6De%40work@db.example/%C3%A9t%c3%a9", "mysql://me@work@db.example:3306/été");
}

static void test_read__a_host_takes_the_place_of_the_settings_socket(void **state)
{
    struct db_conf by_socket = settings;
    (void)state;

    by_socket.socket = "/run/db.sock";
    assert_int_equal(read_with(by_socket, "mysql:///x"), OK);
    assert_string_equal(conf.socket, "/run/db.sock");
    assert_int_equal(read_with(by_socket, "mysql://db.example/x"), OK);
    assert_null(conf.socket);
    assert_int_equal(conf.host_count, 1);
}

static void test_read__refuses_and_leaves_what_was_there(void **state)
{
    static const char *const bad[] = {
        "",
        "sanad.db",
        "/var/lib/sanad.db",
        "postgres://h/x",
        "mysqlx:",
        ":",
        "sqlite://host/x",
        "sqlite://",
        "mysql:sanad",
        "mysql:/sanad",
        "mysql://h/a/b",
        "mysql://h:/x",
        "mysql://h:0/x",
        "mysql://h:65536/x",
        "mysql://h:-1/x",
        "mysql://h:33o6/x",
        "mysql://h:1:2/x",
        "mysql://:3306/x",
        "mysql://[::1/x",
        "mysql://[::1]3306/x",
        "mysql://[]/x",
        "mysql://h/x?",
        "mysql://h/x?socket=/s",
        "mysql:///x?socket=",
        "mysql:///x?port=1",
        "mysql:///x?socket=/s&y=1",
        "mysql://h/%",
        "mysql://h/%4",
        "mysql://h/%g0",
        "mysql://h/%00",
        "mysql://h/%0a",
        "mysql://h/a\nb",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (read_url(bad[i]) != E_INVALID)
            fail_msg("was taken: %s", bad[i]);
        assert_non_null(why);
        assert_memory_equal(&conf, &settings, sizeof(conf));
    }
}

static void test_read__a_password_is_refused_and_not_repeated(void **state)
{
    static const char *const bad[] = { "mysql://me:hush@h/x", "mysql://me:@h/x", "mysql://:hush@h/x",
                                       "mysql://me:hush@and@h/x" };
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_url(bad[i]), E_INVALID);
        assert_non_null(strstr(why, "DB_PASSWORD"));
        assert_null(strstr(why, "hush"));
    }
}

static void test_read__names_what_neither_says(void **state)
{
    struct db_conf bare = settings;
    (void)state;

    bare.host_count = 0;
    assert_int_equal(read_with(bare, "mysql:"), E_INVALID);
    assert_non_null(strstr(why, "DB_HOST"));
    assert_int_equal(read_with(bare, "mysql://h/x"), OK);
    assert_int_equal(read_with(bare, "mysql:///x?socket=/s"), OK);
    bare = settings;
    bare.name = "";
    assert_int_equal(read_with(bare, "mysql://h"), E_INVALID);
    assert_non_null(strstr(why, "DB_NAME"));
    bare = settings;
    bare.user = "";
    assert_int_equal(read_with(bare, "mysql://h/x"), E_INVALID);
    assert_non_null(strstr(why, "DB_USER"));
}

/* A URL of `length` letters between two ends. */
static enum err read_letters(const char *before, size_t length, const char *after)
{
    static char url[4096];

    memset(url, 'x', sizeof(url));
    memcpy(url, before, strlen(before));
    snprintf(url + strlen(before) + length, 64, "%s", after);
    return read_url(url);
}

static void assert_most(const char *before, size_t most, const char *after)
{
    if (read_letters(before, most, after) != OK)
        fail_msg("%zu letters were refused: %s%s", most, before, after);
    if (read_letters(before, most + 1, after) != E_INVALID)
        fail_msg("%zu letters were taken: %s%s", most + 1, before, after);
}

static void test_read__bounds_every_part(void **state)
{
    (void)state;
    assert_most("sqlite:", 1024, "");
    assert_most("mysql://", 253, "/x");
    assert_most("mysql://", 128, "@h/x");
    assert_most("mysql://h/", 64, "");
    assert_most("mysql:///x?socket=", 107, "");
    assert_int_equal(read_letters("sqlite:", 3000, ""), E_INVALID);
}

static bool same(const char *a, const char *b)
{
    struct db_conf one;

    assert_int_equal(read_url(a), OK);
    one = conf;
    assert_int_equal(read_url(b), OK);
    return db_url_same(&one, &conf);
}

static void test_same__by_server_and_name(void **state)
{
    (void)state;
    assert_true(same("mysql://a@h/x", "mysql://b@H:3306/x"));
    assert_true(same("mysql:///x?socket=/s", "mysql://b@/x?socket=/s"));
    assert_false(same("mysql://h/x", "mysql://h/y"));
    assert_false(same("mysql://h/x", "mysql://h:3307/x"));
    assert_false(same("mysql://h/x", "mysql://g/x"));
    assert_false(same("mysql://h/x", "mysql:///x?socket=/s"));
    assert_false(same("sqlite:x", "mysql://h/x"));
    assert_true(same("sqlite:not-there.db", "sqlite:not-there.db"));
    assert_false(same("sqlite:not-there.db", "sqlite:nor-there.db"));
}

static void test_same__by_file_however_it_is_named(void **state)
{
    char folder[] = "/tmp/sanad-url-XXXXXX", file[64], link_name[64], one[96], other[96];
    FILE *f;
    (void)state;

    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/a.db", folder);
    snprintf(link_name, sizeof(link_name), "%s/b.db", folder);
    f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(symlink(file, link_name), 0);
    snprintf(one, sizeof(one), "sqlite:%s", file);
    snprintf(other, sizeof(other), "sqlite:%s", link_name);
    assert_true(same(one, other));
    snprintf(other, sizeof(other), "sqlite:%s/./a.db", folder);
    assert_true(same(one, other));
    unlink(link_name);
    unlink(file);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__takes_what_a_url_says_and_the_settings_for_the_rest),
        cmocka_unit_test(test_read__a_host_takes_the_place_of_the_settings_socket),
        cmocka_unit_test(test_read__refuses_and_leaves_what_was_there),
        cmocka_unit_test(test_read__a_password_is_refused_and_not_repeated),
        cmocka_unit_test(test_read__names_what_neither_says),
        cmocka_unit_test(test_read__bounds_every_part),
        cmocka_unit_test(test_same__by_server_and_name),
        cmocka_unit_test(test_same__by_file_however_it_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
