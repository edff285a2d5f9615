/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Each test forks a process that becomes the master; the test itself looks on
 * through the shared slots, and sends signals. */
#include "ops/master.h"

#include "base/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, ROWS = 8 };

/* What the processes of a test share. */
struct stage {
    struct worker_slots slots;
    struct metrics_page pages[ROWS];
    _Atomic int announced;       /* calls of ready()                    */
    _Atomic int orphans;         /* workers that saw the master's end   */
    _Atomic int foreign_sockets; /* sockets of others that they had     */
    _Atomic int stubborn;        /* 1: workers ignore SIGTERM           */
    _Atomic int lives;           /* worker_main calls                   */
};

static struct shared mapping;
static struct stage *stage;
static struct listeners listeners;
static struct master_conf conf;

static void announce(void *arg)
{
    (void)arg;
    atomic_fetch_add(&stage->announced, 1);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(shared_open(&mapping, sizeof(struct stage) + 4096), 0);
    stage = shared_take(&mapping, sizeof(*stage));
    conf = (struct master_conf){
        .workers = WORKERS,
        .workers_most = WORKERS_MAX,
        .graceful_timeout_s = 30,
        .pages = stage->pages,
        .log_level = LOG_ERROR,
        .ready = announce,
    };
    return 0;
}

static int finish(void **state)
{
    (void)state;
    shared_close(&mapping);
    return 0;
}

/* --- lives of workers -------------------------------------------------------------- */

static volatile sig_atomic_t stopped;
static void on_term(int number)
{
    (void)number;
    stopped = 1;
}

/* Serves nothing until told to stop, or until the master is gone. */
static int live(void *arg, const struct worker_seat *seat)
{
    struct pollfd lifeline = { .fd = seat->lifeline, .events = POLLIN };

    (void)arg;
    atomic_fetch_add(&stage->lives, 1);
    (void)signal(SIGTERM, atomic_load(&stage->stubborn) ? SIG_IGN : on_term);
    (void)signal(SIGQUIT, atomic_load(&stage->stubborn) ? SIG_IGN : on_term);
    slot_beat(seat->slot);
    metric_add(M_ACCEPTED, 1);
    metric_gauge_set(M_CONNECTIONS, 5);
    slot_move(seat->slot, WORKER_READY);
    while (!stopped) {
        if (poll(&lifeline, 1, 10) > 0) {
            atomic_fetch_add(&stage->orphans, 1);
            return 0;
        }
    }
    return 0;
}

static int refuse(void *arg, const struct worker_seat *seat)
{
    (void)arg, (void)seat;
    atomic_fetch_add(&stage->lives, 1);
    return WORKER_BAD_SETTINGS;
}

/* Worker 0 cannot start; the others can. */
static int refuse_one(void *arg, const struct worker_seat *seat)
{
    return seat->index == 0 ? refuse(arg, seat) : live(arg, seat);
}

static int look_at_sockets(void *arg, const struct worker_seat *seat)
{
    const int *fds = arg;

    for (int i = 0; i < WORKERS; i++) {
        const bool open = fcntl(fds[i], F_GETFD) >= 0;
        if (open != (i == seat->index) || seat->socket_count != 1 || seat->sockets[0] != fds[seat->index])
            atomic_fetch_add(&stage->foreign_sockets, 1);
    }
    return live(arg, seat);
}

/* --- watching ------------------------------------------------------------------------ */

static pid_t start_master(worker_main_fn *worker_main, void *arg)
{
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        log_setup(LOG_ERROR, LOG_TEXT, "master");
        _exit(master_run(&conf, &stage->slots, worker_main, arg));
    }
    return pid;
}

/* Waits for a condition; the bound only keeps a broken test from hanging. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        for (int turns_ = 0; !(condition) && turns_ < 6000; turns_++)                                                  \
            (void)usleep(5000);                                                                                        \
        assert_true(condition);                                                                                        \
    } while (0)

static int pid_of(int index) { return atomic_load(&stage->slots.rows[index].pid); }
static bool all_ready(void) { return stage->slots.count >= WORKERS && slots_all_ready(&stage->slots); }
static bool gone(int pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

static int status_of(pid_t master)
{
    int status = 0;

    assert_int_equal(waitpid(master, &status, 0), master);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_all_gone(const int pids[static WORKERS])
{
    for (int i = 0; i < WORKERS; i++)
        assert_true(gone(pids[i]));
}

static void note_pids(int pids[static WORKERS])
{
    for (int i = 0; i < WORKERS; i++) {
        WAIT_FOR(pid_of(i) != 0);
        pids[i] = pid_of(i);
    }
}

/* --- tests ---------------------------------------------------------------------------- */

static void test_master_run__stops_all_at_sigterm(void **state)
{
    const pid_t master = start_master(live, NULL);
    int pids[WORKERS];

    (void)state;
    WAIT_FOR(all_ready());
    WAIT_FOR(atomic_load(&stage->announced) == 1);
    assert_int_equal(atomic_load(&stage->slots.master_pid), master);
    note_pids(pids);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
    assert_all_gone(pids);
    assert_int_equal(slot_state(&stage->slots.rows[0]), WORKER_DEAD);
    assert_int_equal(atomic_load(&stage->announced), 1);
}

static void test_master_run__replaces_a_killed_worker(void **state)
{
    const pid_t master = start_master(live, NULL);
    int pids[WORKERS];

    (void)state;
    WAIT_FOR(all_ready());
    note_pids(pids);
    assert_int_equal(kill(pids[1], SIGKILL), 0);
    WAIT_FOR(pid_of(1) != 0 && pid_of(1) != pids[1] && all_ready());
    assert_int_equal(atomic_load(&stage->slots.rows[1].restarts), 1);
    assert_int_equal(atomic_load(&stage->slots.rows[1].generation), 2);
    assert_int_equal(atomic_load(&stage->slots.rows[0].restarts), 0);
    assert_int_equal(pid_of(0), pids[0]);
    assert_int_equal(metric_sum_counter(stage->pages, ROWS, M_ACCEPTED), WORKERS + 1);
    assert_int_equal(kill(master, SIGINT), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__clears_the_gauges_of_the_dead(void **state)
{
    const pid_t master = start_master(live, NULL);

    (void)state;
    WAIT_FOR(all_ready());
    assert_int_equal(metric_sum_gauge(stage->pages, ROWS, M_CONNECTIONS), 5 * WORKERS);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
    assert_int_equal(metric_sum_gauge(stage->pages, ROWS, M_CONNECTIONS), 0);
    assert_int_equal(metric_sum_counter(stage->pages, ROWS, M_ACCEPTED), WORKERS);
}

static void test_master_run__gives_up_when_no_worker_can_start(void **state)
{
    const pid_t master = start_master(refuse, NULL);

    (void)state;
    assert_int_equal(status_of(master), 1);
    assert_true(atomic_load(&stage->lives) >= WORKERS);
    assert_int_equal(atomic_load(&stage->announced), 0);
}

static void test_master_run__goes_on_when_only_one_cannot_start(void **state)
{
    const pid_t master = start_master(refuse_one, NULL);

    (void)state;
    WAIT_FOR(atomic_load(&stage->slots.rows[0].generation) >= 3);
    assert_int_equal(slot_state(&stage->slots.rows[1]), WORKER_READY);
    assert_int_equal(atomic_load(&stage->announced), 0);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__kills_those_that_do_not_stop_in_time(void **state)
{
    int pids[WORKERS];

    (void)state;
    atomic_store(&stage->stubborn, 1);
    conf.graceful_timeout_s = 0.2;
    const pid_t master = start_master(live, NULL);
    WAIT_FOR(all_ready());
    note_pids(pids);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
    assert_all_gone(pids);
}

static void test_master_run__second_signal_ends_the_patience(void **state)
{
    int pids[WORKERS];

    (void)state;
    atomic_store(&stage->stubborn, 1);
    conf.graceful_timeout_s = 3600;
    const pid_t master = start_master(live, NULL);
    WAIT_FOR(all_ready());
    note_pids(pids);
    assert_int_equal(kill(master, SIGTERM), 0);
    (void)usleep(100000);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
    assert_all_gone(pids);
}

static void test_master_run__outlives_signals_that_mean_nothing_to_it(void **state)
{
    static const int numbers[] = { SIGUSR1, SIGPIPE };
    const pid_t master = start_master(live, NULL);
    int pids[WORKERS];

    (void)state;
    WAIT_FOR(all_ready());
    note_pids(pids);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(kill(master, numbers[i]), 0);
        assert_int_equal(kill(pids[i], numbers[i]), 0);
    }
    assert_int_equal(kill(pids[0], SIGKILL), 0); /* it still does its work */
    WAIT_FOR(pid_of(0) != 0 && pid_of(0) != pids[0] && all_ready());
    assert_int_equal(pid_of(1), pids[1]);
    assert_int_equal(pid_of(2), pids[2]);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

/* A terminal's Ctrl-C reaches the workers too; only the master acts on it. */
static void test_master_run__workers_leave_the_terminals_signals_to_it(void **state)
{
    const pid_t master = start_master(live, NULL);
    int pids[WORKERS];

    (void)state;
    WAIT_FOR(all_ready());
    note_pids(pids);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(kill(pids[i], SIGINT), 0);
    }
    (void)usleep(100000);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pid_of(i), pids[i]);
    assert_int_equal(kill(master, SIGQUIT), 0);
    assert_int_equal(status_of(master), 0);
    assert_all_gone(pids);
}

static void test_master_run__workers_notice_its_death(void **state)
{
    const pid_t master = start_master(live, NULL);
    int status;

    (void)state;
    WAIT_FOR(all_ready());
    assert_int_equal(kill(master, SIGKILL), 0);
    assert_int_equal(waitpid(master, &status, 0), master);
    WAIT_FOR(atomic_load(&stage->orphans) == WORKERS);
}

static void test_master_run__worker_has_only_its_own_socket(void **state)
{
    const struct listeners_conf where = { "127.0.0.1", .port = 0, .count = WORKERS, .backlog = 8, .path = "" };
    char error[128];

    (void)state;
    assert_int_equal(listeners_open(&where, &listeners, error, sizeof(error)), OK);
    int fds[WORKERS];
    memcpy(fds, listeners.own, sizeof(fds));
    conf.listeners = &listeners;
    const pid_t master = start_master(look_at_sockets, fds);
    WAIT_FOR(all_ready());
    assert_int_equal(atomic_load(&stage->foreign_sockets), 0);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
    listeners_close(&listeners);
}

/* Ready ones only; who drains is on the way out. */
static int serving(int position)
{
    int pid = 0;

    for (int i = 0; i < stage->slots.count; i++) {
        if (slot_state(&stage->slots.rows[i]) == WORKER_READY && stage->slots.rows[i].position == position)
            pid = pid_of(i);
    }
    return pid;
}

static int living(void)
{
    int count = 0;

    for (int i = 0; i < stage->slots.count; i++)
        count += pid_of(i) != 0;
    return count;
}

static void test_master_run__reload_replaces_all_and_uses_their_rows_again(void **state)
{
    const pid_t master = start_master(live, NULL);
    int pids[WORKERS];

    (void)state;
    WAIT_FOR(all_ready());
    for (unsigned round = 1; round <= 5; round++) {
        WAIT_FOR(atomic_load(&stage->announced) == (int)round);
        for (int i = 0; i < WORKERS; i++)
            pids[i] = serving(i);
        assert_int_equal(kill(master, SIGHUP), 0);
        WAIT_FOR(atomic_load(&stage->announced) == (int)round + 1);
        WAIT_FOR(living() == WORKERS && all_ready());
        for (int i = 0; i < WORKERS; i++)
            assert_true(serving(i) != 0 && gone(pids[i]));
    }
    assert_int_equal(stage->slots.epoch, 6);
    assert_true(stage->slots.count <= 2 * WORKERS);
    assert_int_equal(metric_sum_counter(stage->pages, ROWS, M_ACCEPTED), 6 * WORKERS);
    assert_int_equal(atomic_load(&stage->slots.ends[WORKER_END_RELOADED]), 5 * WORKERS);
    assert_int_equal(atomic_load(&stage->slots.ends[WORKER_END_CRASH]), 0);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static bool refuse_reload(void *arg, struct master_conf *new_conf)
{
    (void)arg;
    new_conf->workers = 1;
    return false;
}

static void test_master_run__refused_reload_changes_nothing(void **state)
{
    int pids[WORKERS];

    (void)state;
    conf.reload = refuse_reload;
    const pid_t master = start_master(live, NULL);
    WAIT_FOR(all_ready());
    note_pids(pids);
    assert_int_equal(kill(master, SIGHUP), 0);
    (void)usleep(200000);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pid_of(i), pids[i]);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__one_more_and_one_fewer(void **state)
{
    const pid_t master = start_master(live, NULL);

    (void)state;
    WAIT_FOR(all_ready());
    assert_int_equal(kill(master, SIGTTIN), 0);
    WAIT_FOR(living() == WORKERS + 1 && serving(WORKERS) != 0);
    for (int left = WORKERS; left >= 1; left--) {
        assert_int_equal(kill(master, SIGTTOU), 0);
        WAIT_FOR(living() == left && all_ready());
        assert_int_equal(serving(left), 0);
        assert_int_equal(stage->slots.positions, left);
    }
    assert_int_equal(kill(master, SIGTTOU), 0); /* never none */
    (void)usleep(200000);
    assert_int_equal(living(), 1);
    assert_int_equal(atomic_load(&stage->slots.ends[WORKER_END_REMOVED]), WORKERS);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__winch_puts_it_to_sleep_and_reload_wakes_it(void **state)
{
    const pid_t master = start_master(live, NULL);

    (void)state;
    WAIT_FOR(all_ready());
    assert_int_equal(kill(master, SIGWINCH), 0);
    WAIT_FOR(living() == 0);
    (void)usleep(100000);
    assert_int_equal(kill(master, 0), 0);
    assert_int_equal(living(), 0);
    assert_int_equal(kill(master, SIGHUP), 0);
    WAIT_FOR(living() == WORKERS && all_ready());
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__recycles_one_after_the_other(void **state)
{
    const pid_t master = start_master(live, NULL);
    int most = 0;

    (void)state;
    WAIT_FOR(all_ready());
    for (int i = 0; i < WORKERS; i++)
        atomic_store(&stage->slots.rows[i].spent, true);
    for (int turns = 0; turns < 6000 && atomic_load(&stage->slots.ends[WORKER_END_RECYCLED]) < WORKERS; turns++) {
        most = living() > most ? living() : most;
        (void)usleep(2000);
    }
    assert_int_equal(atomic_load(&stage->slots.ends[WORKER_END_RECYCLED]), WORKERS);
    assert_int_equal(most, WORKERS + 1);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__kills_who_gives_no_sign_of_life(void **state)
{
    int pid;

    (void)state;
    conf.timeout_s = 0.5; /* these lives beat once */
    const pid_t master = start_master(live, NULL);
    WAIT_FOR(all_ready());
    pid = pid_of(0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    WAIT_FOR(gone(pid));
    WAIT_FOR(atomic_load(&stage->slots.ends[WORKER_END_STUCK]) >= 1);
    assert_int_equal(kill(master, SIGTERM), 0);
    assert_int_equal(status_of(master), 0);
}

static void test_master_run__refuses_impossible_numbers(void **state)
{
    (void)state;
    conf.workers = 0;
    assert_int_equal(status_of(start_master(live, NULL)), 1);
    conf.workers = WORKERS_MAX + 1;
    assert_int_equal(status_of(start_master(live, NULL)), 1);
    assert_int_equal(atomic_load(&stage->lives), 0);
}

#define MASTER_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MASTER_TEST(test_master_run__stops_all_at_sigterm),
        MASTER_TEST(test_master_run__replaces_a_killed_worker),
        MASTER_TEST(test_master_run__clears_the_gauges_of_the_dead),
        MASTER_TEST(test_master_run__gives_up_when_no_worker_can_start),
        MASTER_TEST(test_master_run__goes_on_when_only_one_cannot_start),
        MASTER_TEST(test_master_run__kills_those_that_do_not_stop_in_time),
        MASTER_TEST(test_master_run__second_signal_ends_the_patience),
        MASTER_TEST(test_master_run__outlives_signals_that_mean_nothing_to_it),
        MASTER_TEST(test_master_run__workers_leave_the_terminals_signals_to_it),
        MASTER_TEST(test_master_run__workers_notice_its_death),
        MASTER_TEST(test_master_run__worker_has_only_its_own_socket),
        MASTER_TEST(test_master_run__reload_replaces_all_and_uses_their_rows_again),
        MASTER_TEST(test_master_run__refused_reload_changes_nothing),
        MASTER_TEST(test_master_run__one_more_and_one_fewer),
        MASTER_TEST(test_master_run__winch_puts_it_to_sleep_and_reload_wakes_it),
        MASTER_TEST(test_master_run__recycles_one_after_the_other),
        MASTER_TEST(test_master_run__kills_who_gives_no_sign_of_life),
        MASTER_TEST(test_master_run__refuses_impossible_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
