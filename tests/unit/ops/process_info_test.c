/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/process_info.h"

#include <fcntl.h>
#include <unistd.h>

static void test_process_info_read__knows_this_process(void **state)
{
    struct process_info info;

    (void)state;
    assert_true(process_info_read(getpid(), &info));
    assert_true(info.rss_bytes > 0);
    assert_true(info.virtual_bytes >= info.rss_bytes);
    assert_int_equal(info.threads, 1);
    assert_true(info.max_fds >= info.open_fds);
}

static void test_process_info_read__counts_descriptors_but_not_its_own(void **state)
{
    struct process_info before, after;

    (void)state;
    assert_true(process_info_read(getpid(), &before));
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(process_info_read(getpid(), &after));
    (void)close(fd);
    assert_int_equal(after.open_fds, before.open_fds + 1);
    assert_true(before.open_fds >= 1);
}

static void test_process_info_read__no_such_process(void **state)
{
    struct process_info info = { .rss_bytes = 7 };

    (void)state;
    assert_false(process_info_read(0, &info));
    assert_false(process_info_read(INT32_MAX, &info));
    assert_int_equal(info.rss_bytes, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_info_read__knows_this_process),
        cmocka_unit_test(test_process_info_read__counts_descriptors_but_not_its_own),
        cmocka_unit_test(test_process_info_read__no_such_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
