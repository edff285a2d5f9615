/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/slots.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct worker_slots slots;

static int start(void **state)
{
    (void)state;
    slots_init(&slots, 3);
    return 0;
}

static void make_ready(int index)
{
    slot_move(&slots.rows[index], WORKER_STARTING);
    slot_move(&slots.rows[index], WORKER_READY);
}

static void test_slots_init__cuts_the_count(void **state)
{
    (void)state;
    slots_init(&slots, WORKER_ROWS_MAX + 5);
    assert_int_equal(slots.count, WORKER_ROWS_MAX);
    assert_int_equal(slot_state(&slots.rows[WORKER_ROWS_MAX - 1]), WORKER_NONE);
}

static void test_slots_all_ready__wants_each_that_is_somebodys(void **state)
{
    (void)state;
    assert_false(slots_all_ready(&slots)); /* nobody's are none's */
    make_ready(0);
    make_ready(1);
    slot_move(&slots.rows[2], WORKER_STARTING);
    assert_false(slots_all_ready(&slots));
    slot_move(&slots.rows[2], WORKER_READY);
    assert_true(slots_all_ready(&slots));
    slot_move(&slots.rows[1], WORKER_DRAINING);
    assert_false(slots_all_ready(&slots));
}

static void test_slot_move__dead_worker_starts_again(void **state)
{
    struct worker_slot *slot = &slots.rows[0];

    (void)state;
    make_ready(0);
    slot_move(slot, WORKER_DEAD);
    slot_move(slot, WORKER_STARTING);
    slot_move(slot, WORKER_STARTING);
    assert_int_equal(slot_state(slot), WORKER_STARTING);
    assert_string_equal(worker_state_name(slot_state(slot)), "starting");
}

static void test_slot_move__aborts_at_an_impossible_move(void **state)
{
    int status = 0;

    (void)state;
#ifdef NDEBUG
    skip();
#endif
    const pid_t pid = fork();
    if (pid == 0) {
        (void)close(STDERR_FILENO);
        slot_move(&slots.rows[0], WORKER_READY);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_slot_silence_ms__is_unknown_before_the_first_beat(void **state)
{
    struct worker_slot *slot = &slots.rows[0];

    (void)state;
    assert_int_equal(slot_silence_ms(slot, clock_mono()), -1);
    slot_beat(slot);
    assert_int_equal(slot_silence_ms(slot, slot->heartbeat_ns + (mono_ns)1500 * NS_PER_MS), 1500);
    assert_int_equal(slot_silence_ms(slot, slot->heartbeat_ns - 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_slots_init__cuts_the_count, start),
        cmocka_unit_test_setup(test_slots_all_ready__wants_each_that_is_somebodys, start),
        cmocka_unit_test_setup(test_slot_move__dead_worker_starts_again, start),
        cmocka_unit_test_setup(test_slot_move__aborts_at_an_impossible_move, start),
        cmocka_unit_test_setup(test_slot_silence_ms__is_unknown_before_the_first_beat, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
