/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/pid_file.h"

static char folder[] = "/tmp/sanad-pid-XXXXXX";
static char path[128], error[256];

static int setup(void **state)
{
    (void)state;
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/run/sanad.pid", folder);
    return 0;
}

static int teardown(void **state)
{
    char run[128];
    (void)state;
    snprintf(run, sizeof(run), "%s/run", folder);
    (void)unlink(path);
    (void)rmdir(run);
    (void)rmdir(folder);
    return 0;
}

/* Another process takes the file, says so, and waits for its end. */
static pid_t start_owner(void)
{
    int ready[2];
    char byte;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct pid_file f;
        if (pid_file_take(&f, path, error, sizeof(error)) != OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void end(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_take__writes_the_process_id_and_makes_the_folder(void **state)
{
    struct pid_file f;
    char text[32] = "";
    FILE *in;
    (void)state;

    assert_int_equal(pid_file_take(&f, path, error, sizeof(error)), OK);
    in = fopen(path, "r");
    assert_non_null(fgets(text, sizeof(text), in));
    fclose(in);
    assert_int_equal(strtol(text, NULL, 10), getpid());
    pid_file_drop(&f);
    assert_int_not_equal(access(path, F_OK), 0);
    pid_file_drop(&f);
}

static void test_take__is_refused_while_another_has_it(void **state)
{
    const pid_t other = start_owner();
    struct pid_file f;
    char pid[32];
    (void)state;

    assert_int_equal(pid_file_take(&f, path, error, sizeof(error)), E_CONFLICT);
    snprintf(pid, sizeof(pid), "process %ld has it", (long)other);
    assert_non_null(strstr(error, pid));
    assert_int_equal(pid_file_owner(path), other);
    end(other);
}

static void test_owner__of_a_file_left_behind_is_nobody(void **state)
{
    struct pid_file f;
    (void)state;

    end(start_owner());
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(pid_file_owner(path), 0);
    assert_int_equal(pid_file_take(&f, path, error, sizeof(error)), OK);
    pid_file_drop(&f);
}

static void test_owner__of_no_file_is_nobody(void **state)
{
    (void)state;
    assert_int_equal(pid_file_owner("/nonexistent/sanad.pid"), 0);
}

static void test_take__tells_what_the_system_refuses(void **state)
{
    struct pid_file f;
    (void)state;
    assert_int_equal(pid_file_take(&f, "/proc/sanad.pid", error, sizeof(error)), E_IO);
    assert_non_null(strstr(error, "PID_FILE, /proc/sanad.pid"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_take__writes_the_process_id_and_makes_the_folder),
        T(test_take__is_refused_while_another_has_it),
        T(test_owner__of_a_file_left_behind_is_nobody),
        T(test_owner__of_no_file_is_nobody),
        T(test_take__tells_what_the_system_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
