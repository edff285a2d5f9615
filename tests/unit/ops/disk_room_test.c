/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/disk_room.h"

static void test_disk_room__of_a_file(void **state)
{
    struct disk_room room;

    (void)state;
    assert_true(disk_room_read(&(struct kept_file){ "database", "/proc/self/exe" }, &room));
    assert_string_equal(room.file, "database");
    assert_true(room.size_bytes > 0);
    assert_true(room.avail_bytes <= room.size_bytes);
}

static void test_disk_room__of_no_file(void **state)
{
    static const char *const paths[] = { NULL, "", "-", "/nowhere/at/all" };
    struct disk_room room;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_false(disk_room_read(&(struct kept_file){ "log", paths[i] }, &room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_room__of_a_file),
        cmocka_unit_test(test_disk_room__of_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
