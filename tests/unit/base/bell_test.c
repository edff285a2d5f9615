/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/task.h"

static int heard;

static void on_ring(void *arg)
{
    assert_ptr_equal(arg, &heard);
    heard++;
}

static void turn(void) { uv_run(uv_default_loop(), UV_RUN_NOWAIT); }

static void test_bell__several_rings_before_a_turn_are_one(void **state)
{
    int fd = bell_make();
    struct bell_watch *w;
    (void)state;

    heard = 0;
    task_use_loop(uv_default_loop());
    w = bell_listen(fd, on_ring, &heard);
    assert_non_null(w);
    turn();
    assert_int_equal(heard, 0);
    bell_ring(fd);
    bell_ring(fd);
    turn();
    turn();
    assert_int_equal(heard, 1);
    bell_ring(fd);
    turn();
    assert_int_equal(heard, 2);
    bell_ignore(w);
    bell_ring(fd);
    turn();
    assert_int_equal(heard, 2);
    bell_break(&fd);
    assert_int_equal(fd, -1);
}

static void test_bell__rings_from_another_process(void **state)
{
    int fd = bell_make(), status;
    struct bell_watch *w;
    pid_t child;
    (void)state;

    heard = 0;
    task_use_loop(uv_default_loop());
    w = bell_listen(fd, on_ring, &heard);
    child = fork();
    if (child == 0) {
        bell_ring(fd);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    turn();
    assert_int_equal(heard, 1);
    bell_ignore(w);
    turn();
    bell_break(&fd);
}

static void test_bell__of_nobody_is_harmless(void **state)
{
    int none = -1;
    (void)state;

    bell_ring(-1);
    bell_ignore(NULL);
    bell_break(&none);
    assert_int_equal(none, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bell__several_rings_before_a_turn_are_one),
        cmocka_unit_test(test_bell__rings_from_another_process),
        cmocka_unit_test(test_bell__of_nobody_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
