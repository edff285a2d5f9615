/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/shared.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_shared_open__memory_is_zero(void **state)
{
    static const char zeroes[4096];
    struct shared s;

    (void)state;
    assert_int_equal(shared_open(&s, 1 << 20), 0);
    assert_memory_equal(shared_take(&s, sizeof(zeroes)), zeroes, sizeof(zeroes));
    shared_close(&s);
}

static void test_shared_open__reports_what_the_system_refuses(void **state)
{
    struct shared s = { 0 };

    (void)state;
    assert_int_not_equal(shared_open(&s, 0), 0);
    assert_null(s.base);
    shared_close(&s);
}

static void test_shared_take__parts_are_aligned_and_apart(void **state)
{
    struct shared s;
    char *a, *b, *c;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    a = shared_take(&s, 1);
    b = shared_take(&s, 64);
    c = shared_take(&s, 65);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal(b - a, 64);
    assert_int_equal(c - b, 64);
    assert_int_equal((char *)shared_take(&s, 1) - c, 128);
    shared_close(&s);
}

static void test_shared_take__refuses_what_does_not_fit(void **state)
{
    struct shared s;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    assert_null(shared_take(&s, 4097));
    assert_null(shared_take(&s, SIZE_MAX));
    assert_non_null(shared_take(&s, 4033));
    assert_null(shared_take(&s, 1));
    shared_close(&s);
}

static void test_shared_take__a_child_writes_what_the_parent_reads(void **state)
{
    struct shared s;
    char *part;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    part = shared_take(&s, 16);
    child = fork();
    if (child == 0) {
        memcpy(part, "from the child", 15);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_string_equal(part, "from the child");
    shared_close(&s);
}

/* Another process: it has nothing but our process id. */
static int look_from_outside(pid_t owner)
{
    struct shared theirs;
    char *part;

    if (shared_attach(owner, &theirs) != 0)
        return 1;
    part = shared_find(&theirs, "greeting", 16);
    if (!part || strcmp(part, "hello") != 0)
        return 2;
    if (shared_find(&theirs, "greeting", 17) || shared_find(&theirs, "nothing", 1))
        return 3;
    memcpy(part, "and to you", 11);
    shared_close(&theirs);
    return 0;
}

static void test_shared_attach__finds_what_is_published(void **state)
{
    struct shared s;
    char *part;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    (void)shared_take(&s, 100);
    part = shared_take(&s, 16);
    memcpy(part, "hello", 6);
    shared_publish(&s, "greeting", part, 16);
    child = fork();
    if (child == 0)
        _exit(look_from_outside(getppid()));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(part, "and to you");
    shared_close(&s);
}

static void test_shared_attach__tells_who_shares_nothing(void **state)
{
    struct shared s;

    (void)state;
    assert_int_equal(shared_attach(getpid(), &s), ENOENT);
    assert_int_equal(shared_attach(INT32_MAX, &s), ENOENT);
}

static void test_shared_attach__refuses_another_version(void **state)
{
    struct shared s, theirs;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    s.base[8]++;
    assert_int_equal(shared_attach(getpid(), &theirs), EPROTO);
    shared_close(&s);
}

/* Reads, then writes, which is to end it. */
static int look_and_write(pid_t owner)
{
    struct shared theirs;
    char *part;
    size_t size = 0;

    if (shared_look(owner, &theirs) != 0)
        return 1;
    part = shared_part(&theirs, "greeting", &size);
    if (!part || size != 16 || strcmp(part, "hello") != 0)
        return 2;
    signal(SIGSEGV, SIG_DFL);
    part[0] = 'j';
    return 0;
}

static void test_shared_look__only_reads(void **state)
{
    struct shared s;
    char *part;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    part = shared_take(&s, 16);
    memcpy(part, "hello", 6);
    shared_publish(&s, "greeting", part, 16);
    child = fork();
    if (child == 0)
        _exit(look_and_write(getppid()));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_string_equal(part, "hello");
    shared_close(&s);
}

static void test_shared_part__refuses_what_lies_elsewhere(void **state)
{
    struct shared s;
    char *part;
    size_t size;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    part = shared_take(&s, 64);
    shared_publish(&s, "odd", part + 1, 16);
    shared_publish(&s, "long", part, 4097);
    shared_publish(&s, "far", s.base + s.size + 64, 1);
    shared_publish(&s, "whole", part, 4096);
    assert_null(shared_part(&s, "odd", &size));
    assert_null(shared_part(&s, "long", &size));
    assert_null(shared_part(&s, "far", &size));
    assert_non_null(shared_part(&s, "whole", &size));
    assert_int_equal(size, 4096);
    shared_close(&s);
}

static void test_shared_open__nobody_cuts_it_short(void **state)
{
    struct shared s;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    assert_int_equal(ftruncate(s.fd, 0), -1);
    shared_close(&s);
}

static void test_shared_version__of_a_process(void **state)
{
    char version[SHARED_VERSION_SIZE];
    struct shared s;

    (void)state;
    shared_version(getpid(), version);
    assert_string_equal(version, "");
    assert_int_equal(shared_open(&s, 4096), 0);
    shared_version(getpid(), version);
    assert_string_equal(version, SANAD_VERSION);
    memcpy(s.base, "sanad 99.9\0\0\0\0\0", 16);
    shared_version(getpid(), version);
    assert_string_equal(version, "99.9");
    shared_close(&s);
}

static void test_shared_close__may_be_repeated(void **state)
{
    struct shared s;

    (void)state;
    assert_int_equal(shared_open(&s, 4096), 0);
    shared_close(&s);
    assert_null(s.base);
    shared_close(&s);
    assert_null(shared_take(&s, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_open__memory_is_zero),
        cmocka_unit_test(test_shared_open__reports_what_the_system_refuses),
        cmocka_unit_test(test_shared_take__parts_are_aligned_and_apart),
        cmocka_unit_test(test_shared_take__refuses_what_does_not_fit),
        cmocka_unit_test(test_shared_take__a_child_writes_what_the_parent_reads),
        cmocka_unit_test(test_shared_attach__finds_what_is_published),
        cmocka_unit_test(test_shared_attach__tells_who_shares_nothing),
        cmocka_unit_test(test_shared_attach__refuses_another_version),
        cmocka_unit_test(test_shared_look__only_reads),
        cmocka_unit_test(test_shared_part__refuses_what_lies_elsewhere),
        cmocka_unit_test(test_shared_open__nobody_cuts_it_short),
        cmocka_unit_test(test_shared_version__of_a_process),
        cmocka_unit_test(test_shared_close__may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
