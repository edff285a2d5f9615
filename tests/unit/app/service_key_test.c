/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/service.h"

static char folder[32], db_path[64], key_path[80], error[256];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sanad-key-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(db_path, sizeof(db_path), "%s/sanad.db", folder);
    snprintf(key_path, sizeof(key_path), "%s.key", db_path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(key_path);
    return rmdir(folder);
}

struct key {
    uint8_t bytes[SERVICE_KEY_BYTES];
};

static enum err derive(enum db_driver_choice driver, const char *secret, const char *purpose, struct key *ret)
{
    struct settings s = { .db_driver = driver, .db_path = str_of(db_path), .secret_key = str_of(secret) };

    error[0] = '\0';
    return service_key(&s, purpose, ret->bytes, error, sizeof(error));
}

static void test_key__of_a_file_is_made_once_and_kept(void **state)
{
    struct key first, second, other;
    struct stat file;
    (void)state;

    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &first), OK);
    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &second), OK);
    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "two", &other), OK);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_memory_not_equal(&first, &other, sizeof(first));
    assert_int_equal(stat(key_path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void test_key__written_moves_to_a_server(void **state)
{
    struct key embedded, moved, other;
    char text[SERVICE_KEY_TEXT];
    (void)state;

    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &embedded), OK);
    assert_int_equal(service_key_write(db_path, text, error, sizeof(error)), OK);
    assert_int_equal(strlen(text), SERVICE_KEY_TEXT - 1);
    assert_in_range(strlen(text), 32, 1024); /* what SECRET_KEY takes */
    assert_int_equal(derive(DB_DRIVER_MYSQL, text, "one", &moved), OK);
    assert_memory_equal(&embedded, &moved, sizeof(moved));
    assert_int_equal(derive(DB_DRIVER_MYSQL, text + 1, "one", &other), OK);
    assert_memory_not_equal(&embedded, &other, sizeof(other));
}

static void test_key__written_and_then_spoilt_is_refused(void **state)
{
    struct key key = { { 0 } };
    char text[SERVICE_KEY_TEXT + 2];
    (void)state;

    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &key), OK);
    assert_int_equal(service_key_write(db_path, text, error, sizeof(error)), OK);
    snprintf(text + SERVICE_KEY_TEXT - 1, 2, "A"); /* a letter too many */
    assert_int_equal(derive(DB_DRIVER_MYSQL, text, "one", &key), E_INVALID);
    assert_non_null(strstr(error, "SECRET_KEY"));
    assert_null(strstr(error, text + 4));
    text[SERVICE_KEY_TEXT - 2] = '\0'; /* one too few */
    assert_int_equal(derive(DB_DRIVER_MYSQL, text, "one", &key), E_INVALID);
    assert_int_equal(derive(DB_DRIVER_MYSQL, "key: 32 letters and more, but not so", "one", &key), E_INVALID);
}

static void test_write__of_no_file(void **state)
{
    char text[SERVICE_KEY_TEXT];
    (void)state;

    assert_int_equal(service_key_write(db_path, text, error, sizeof(error)), E_NOT_FOUND);
    assert_non_null(strstr(error, key_path));
    assert_int_not_equal(access(key_path, F_OK), 0);
}

static void test_copy__is_the_same_secret_and_replaces_no_other_unasked(void **state)
{
    struct key embedded, copied;
    char other[sizeof(db_path) + 16], other_key[sizeof(other) + 8];
    struct stat file;
    (void)state;

    snprintf(other, sizeof(other), "%s.kept", db_path);
    snprintf(other_key, sizeof(other_key), "%s.key", other);
    assert_int_equal(service_key_copy(db_path, other, false, error, sizeof(error)), E_NOT_FOUND);
    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &embedded), OK);
    assert_int_equal(service_key_copy(db_path, other, false, error, sizeof(error)), OK);
    assert_int_equal(service_key_copy(db_path, other, false, error, sizeof(error)), OK);
    assert_int_equal(stat(other_key, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);

    assert_int_equal(unlink(key_path), 0);
    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &copied), OK); /* a new one */
    assert_memory_not_equal(&embedded, &copied, sizeof(copied));
    assert_int_equal(service_key_copy(db_path, other, false, error, sizeof(error)), E_CONFLICT);
    assert_non_null(strstr(error, other_key));
    assert_int_equal(service_key_copy(other, db_path, true, error, sizeof(error)), OK);
    assert_int_equal(derive(DB_DRIVER_SQLITE, NULL, "one", &copied), OK);
    assert_memory_equal(&embedded, &copied, sizeof(copied));
    assert_int_equal(unlink(other_key), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_key__of_a_file_is_made_once_and_kept),
        TEST(test_key__written_moves_to_a_server),
        TEST(test_key__written_and_then_spoilt_is_refused),
        TEST(test_write__of_no_file),
        TEST(test_copy__is_the_same_secret_and_replaces_no_other_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
