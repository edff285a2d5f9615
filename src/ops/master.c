/* SPDX-License-Identifier: MIT */
#include "ops/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const mono_ns YOUNG = (mono_ns)1 * NS_PER_S; /* died before: dies at once        */
static const mono_ns FIRST_DELAY = (mono_ns)100 * NS_PER_MS;
static const mono_ns LONGEST_DELAY = (mono_ns)5 * NS_PER_S;
static const mono_ns READY_POLL = (mono_ns)10 * NS_PER_MS; /* only until all are ready         */
static const mono_ns DOOR_TIME = (mono_ns)100 * NS_PER_MS; /* for handshakes under way */
static const mono_ns NEVER = INT64_MAX;

/* What the master alone knows of a worker. */
struct charge {
    pid_t pid; /* 0: none lives                                  */
    mono_ns forked;
    mono_ns fork_at;       /* when to fork it (again), while none lives       */
    unsigned early_deaths; /* in a row                                       */
    bool refused;          /* said it cannot start, and was not ready since  */
};

struct master {
    const struct master_conf *conf;
    struct worker_slots *slots;
    worker_main_fn *worker_main;
    void *arg;
    sigset_t signals, signals_before;
    int lifeline[2];
    bool announced; /* ready() was called                  */
    bool any_ready; /* some worker once was                */
    bool stopping;
    mono_ns term_at; /* while stopping: when the workers are told  */
    mono_ns kill_at; /* ... and when patience ends          */
    int status;
    struct charge charges[WORKERS_MAX];
};

static int living(const struct master *m)
{
    int count = 0;

    for (int i = 0; i < m->conf->workers; i++)
        count += m->charges[i].pid != 0;
    return count;
}

static void signal_all(const struct master *m, int number)
{
    for (int i = 0; i < m->conf->workers; i++) {
        if (m->charges[i].pid != 0)
            (void)kill(m->charges[i].pid, number);
    }
}

/* --- starting a worker ------------------------------------------------- */

static void take_signals(const struct master *m)
{
    static const int not_mine[] = { SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };

    for (size_t i = 0; i < sizeof(not_mine) / sizeof(not_mine[0]); i++)
        (void)signal(not_mine[i], SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &m->signals_before, NULL);
}

/* A process name holds 15 bytes. */
static void take_name(const struct master *m, int index)
{
    char process[32], name[16];

    (void)snprintf(process, sizeof(process), "worker %d", index);
    (void)snprintf(name, sizeof(name), index < 10 ? "sanad: worker %d" : "sanad:worker%d", index);
    (void)prctl(PR_SET_NAME, name);
    log_setup(m->conf->log_level, m->conf->log_format, process);
}

/* The child's side of the fork; never returns. */
static _Noreturn void become_worker(const struct master *m, int index)
{
    const struct master_conf *conf = m->conf;
    int sockets[LISTENERS_A_WORKER];
    const struct worker_seat seat = {
        .index = index,
        .sockets = sockets,
        .socket_count = conf->listeners ? listeners_of(conf->listeners, index, conf->workers, sockets) : 0,
        .lifeline = m->lifeline[0],
        .slot = &m->slots->rows[index],
        .page = conf->pages ? &conf->pages[index] : NULL,
    };

    take_signals(m);
    (void)close(m->lifeline[1]);
    if (conf->listeners)
        listeners_keep_only(conf->listeners, seat.sockets, seat.socket_count);
    if (seat.page)
        metrics_use_page(seat.page);
    take_name(m, index);
    _exit(m->worker_main(m->arg, &seat));
}

static void record_birth(struct worker_slot *slot, pid_t pid)
{
    const uint32_t generation = atomic_load(&slot->generation);

    atomic_store(&slot->pid, pid);
    atomic_store(&slot->started_ms, clock_wall());
    atomic_store(&slot->restarts, generation);
    atomic_store(&slot->generation, generation + 1);
}

static mono_ns delay_after(unsigned early_deaths)
{
    mono_ns delay = early_deaths > 0 ? FIRST_DELAY : 0;

    for (unsigned i = 1; i < early_deaths && delay < LONGEST_DELAY; i++)
        delay *= 2;
    return delay < LONGEST_DELAY ? delay : LONGEST_DELAY;
}

static void start_worker(struct master *m, int index)
{
    struct worker_slot *slot = &m->slots->rows[index];
    struct charge *charge = &m->charges[index];

    atomic_store(&slot->heartbeat_ns, 0);
    slot_move(slot, WORKER_STARTING);
    charge->forked = clock_mono();
    const pid_t pid = fork();
    if (pid == 0)
        become_worker(m, index);
    if (pid < 0) {
        slot_move(slot, WORKER_DEAD);
        charge->early_deaths++;
        charge->fork_at = charge->forked + delay_after(charge->early_deaths);
        log_event(LOG_ERROR, "cannot fork a worker; trying again", LOG_I("index", index),
                  LOG_C("why", strerrordesc_np(errno)));
        return;
    }
    charge->pid = pid;
    record_birth(slot, pid);
}

static void start_due(struct master *m, mono_ns now)
{
    for (int i = 0; i < m->conf->workers && !m->stopping; i++) {
        if (m->charges[i].pid == 0 && m->charges[i].fork_at <= now)
            start_worker(m, i);
    }
}

/* --- stopping ------------------------------------------------------------ */

/* Nobody who was let in is lost: the door is shut first, and a moment later, when
 * handshakes under way are over, the workers are told; they accept who is in
 * their queues and close them. */
static void stop(struct master *m, int status)
{
    const mono_ns now = clock_mono(), grace = (mono_ns)(m->conf->graceful_timeout_s * NS_PER_S);

    m->stopping = true;
    m->status = status;
    m->kill_at = now + grace;
    m->term_at = now;
    if (m->conf->notify)
        notify_send(m->conf->notify, "STOPPING=1");
    if (!m->conf->listeners)
        return;
    listeners_shut_door(m->conf->listeners, LISTENERS_ALL);
    m->term_at += DOOR_TIME < grace / 20 ? DOOR_TIME : grace / 20;
}

/* The master's own copies of the sockets go first, so that a queue is closed
 * when its worker closes it. */
static void end_due(struct master *m, mono_ns now)
{
    if (!m->stopping || now < m->term_at)
        return;
    m->term_at = NEVER;
    if (m->conf->listeners)
        listeners_close(m->conf->listeners);
    signal_all(m, SIGTERM);
}

static void on_stop_signal(struct master *m, int number)
{
    if (m->stopping) {
        log_event(LOG_WARNING, "second stop signal; ending the workers now", LOG_I("workers", living(m)));
        m->kill_at = 0;
        return;
    }
    log_event(LOG_INFO, "stopping", LOG_C("signal", sigabbrev_np(number)), LOG_I("workers", living(m)),
              LOG_D("graceful_timeout_s", m->conf->graceful_timeout_s));
    stop(m, 0);
}

static void kill_overdue(struct master *m, mono_ns now)
{
    if (!m->stopping || now < m->kill_at)
        return;
    for (int i = 0; i < m->conf->workers; i++) {
        if (m->charges[i].pid != 0)
            log_event(LOG_WARNING, "worker did not finish in time; killing it", LOG_I("index", i),
                      LOG_I("pid", m->charges[i].pid), LOG_D("graceful_timeout_s", m->conf->graceful_timeout_s));
    }
    signal_all(m, SIGKILL);
    m->kill_at = NEVER;
}

/* --- a worker has ended ---------------------------------------------------- */

static struct charge *find_charge(struct master *m, pid_t pid)
{
    for (int i = 0; i < m->conf->workers; i++) {
        if (m->charges[i].pid == pid)
            return &m->charges[i];
    }
    return NULL;
}

/* "exit status 1", "killed by SIGSEGV, core dumped" */
static void describe_end(int wait_status, char *out, size_t size)
{
    if (WIFEXITED(wait_status)) {
        (void)snprintf(out, size, "exit status %d", WEXITSTATUS(wait_status));
        return;
    }
    const char *name = sigabbrev_np(WTERMSIG(wait_status));
    (void)snprintf(out, size, "killed by SIG%s%s%s", name ? name : "?", WCOREDUMP(wait_status) ? ", core dumped" : "",
                   WTERMSIG(wait_status) == SIGKILL ? " (by hand, or the system ran out of memory)" : "");
}

static bool failed(int wait_status) { return !WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0; }

static void log_end(const struct master *m, int index, int wait_status)
{
    const struct charge *charge = &m->charges[index];
    const mono_ns now = clock_mono();
    char why[128];

    describe_end(wait_status, why, sizeof(why));
    if (m->stopping) {
        log_event(LOG_INFO, "worker ended", LOG_I("index", index), LOG_I("pid", charge->pid), LOG_C("why", why));
        return;
    }
    log_event(failed(wait_status) ? LOG_ERROR : LOG_INFO,
              charge->early_deaths > 1 ? "worker keeps dying young; replacing it later" : "worker ended; replacing it",
              LOG_I("index", index), LOG_I("pid", charge->pid), LOG_C("why", why),
              LOG_I("lived_ms", (now - charge->forked) / NS_PER_MS),
              LOG_I("replaced_in_ms", charge->fork_at > now ? (charge->fork_at - now) / NS_PER_MS : 0));
}

static bool cannot_start(int wait_status)
{
    return WIFEXITED(wait_status) &&
           (WEXITSTATUS(wait_status) == WORKER_CANNOT_START || WEXITSTATUS(wait_status) == WORKER_BAD_SETTINGS);
}

/* A first early death of a worker that had been ready may be an accident: it
 * is replaced at once. */
static void plan_replacement(struct charge *charge, bool was_ready, mono_ns now)
{
    const bool young = now - charge->forked < YOUNG;

    charge->early_deaths = young ? charge->early_deaths + 1 : 0;
    const bool accident = was_ready && charge->early_deaths == 1;
    charge->fork_at = now + (accident ? 0 : delay_after(charge->early_deaths));
}

static void bury(struct master *m, struct charge *charge, int wait_status)
{
    const int index = (int)(charge - m->charges);
    struct worker_slot *slot = &m->slots->rows[index];
    const bool was_ready = slot_state(slot) != WORKER_STARTING;

    m->any_ready |= was_ready && !m->stopping;
    charge->refused = !was_ready && cannot_start(wait_status);
    plan_replacement(charge, was_ready, clock_mono());
    log_end(m, index, wait_status);
    if (failed(wait_status) && !m->stopping)
        slots_count_end(m->slots, WORKER_END_CRASH);
    charge->pid = 0;
    slot_move(slot, WORKER_DEAD);
    atomic_store(&slot->pid, 0);
    if (m->conf->pages)
        metrics_clear_gauges(&m->conf->pages[index]);
    if (m->conf->buried)
        m->conf->buried(m->arg, index);
}

/* No worker was ever ready, and each has said that it cannot. */
static void give_up_if_hopeless(struct master *m)
{
    if (m->stopping || m->any_ready)
        return;
    for (int i = 0; i < m->conf->workers; i++) {
        if (!m->charges[i].refused)
            return;
    }
    log_text(LOG_ERROR, "no worker could start; giving up");
    stop(m, 1);
}

/* Waits for any child: as process 1 the master inherits orphans. False when
 * none has ended. */
static bool reap_one(struct master *m)
{
    int wait_status;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    struct charge *charge = pid > 0 ? find_charge(m, pid) : NULL;

    if (charge)
        bury(m, charge, wait_status);
    return pid > 0;
}

/* Several deaths may hide behind one signal. */
static void on_child(struct master *m, int number)
{
    (void)number;
    while (reap_one(m))
        continue;
    give_up_if_hopeless(m);
}

/* Each worker opens its log files anew. */
static void pass_on(struct master *m, int number)
{
    log_event(LOG_INFO, "log files are opened anew", LOG_I("workers", living(m)));
    signal_all(m, number);
}

/* --- the loop -------------------------------------------------------------- */

/* Unhandled it would end the master, and say nothing. */
static void ignore(struct master *m, int number)
{
    (void)m;
    log_event(LOG_WARNING, "this version does not act on a signal; ignored", LOG_C("signal", sigabbrev_np(number)));
}

/* clang-format off */
static const struct signal_row {
    int number;
    void (*handle)(struct master *m, int number);
} signal_rows[] = {
    { SIGCHLD, on_child },
    { SIGTERM, on_stop_signal },
    { SIGINT,  on_stop_signal },
    { SIGQUIT, on_stop_signal },
    { SIGHUP,  ignore },
    { SIGUSR1, pass_on },
    { SIGUSR2, ignore },
};
/* clang-format on */
enum { SIGNAL_ROWS = sizeof(signal_rows) / sizeof(signal_rows[0]) };

static void handle_signal(struct master *m, int number)
{
    for (size_t i = 0; i < SIGNAL_ROWS; i++) {
        if (signal_rows[i].number == number)
            signal_rows[i].handle(m, number);
    }
}

static void note_ready(struct master *m)
{
    for (int i = 0; i < m->conf->workers; i++) {
        if (slot_state(&m->slots->rows[i]) == WORKER_READY) {
            m->any_ready = true;
            m->charges[i].refused = false;
        }
    }
    if (m->announced || m->stopping || !slots_all_ready(m->slots))
        return;
    m->announced = true;
    if (m->conf->ready)
        m->conf->ready(m->arg);
}

static mono_ns earlier(mono_ns a, mono_ns b) { return a < b ? a : b; }

/* When something is due even if no signal comes. */
static mono_ns next_due(const struct master *m, mono_ns now)
{
    if (m->stopping)
        return earlier(m->term_at, m->kill_at);
    mono_ns due = m->announced ? NEVER : now + READY_POLL;
    for (int i = 0; i < m->conf->workers; i++) {
        if (m->charges[i].pid == 0)
            due = earlier(due, m->charges[i].fork_at);
    }
    return due;
}

/* The next signal, or 0 when something else is due. */
static int wait_for_signal(const struct master *m)
{
    const mono_ns now = clock_mono();
    const mono_ns due = next_due(m, now);
    const mono_ns left = due > now ? due - now : 0;
    const struct timespec timeout = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
    const int number = due == NEVER ? sigwaitinfo(&m->signals, NULL) : sigtimedwait(&m->signals, NULL, &timeout);

    return number > 0 ? number : 0;
}

static void block_signals(struct master *m)
{
    (void)sigemptyset(&m->signals);
    for (size_t i = 0; i < SIGNAL_ROWS; i++)
        (void)sigaddset(&m->signals, signal_rows[i].number);
    (void)sigprocmask(SIG_BLOCK, &m->signals, &m->signals_before);
    (void)signal(SIGPIPE, SIG_IGN); /* the reader of the log may go away */
}

static void run(struct master *m)
{
    do {
        const mono_ns now = clock_mono();
        start_due(m, now);
        end_due(m, now);
        kill_overdue(m, now);
        handle_signal(m, wait_for_signal(m));
        note_ready(m);
    } while (!m->stopping || living(m) > 0);
}

int master_run(const struct master_conf *conf, struct worker_slots *slots, worker_main_fn *worker_main, void *arg)
{
    struct master m = { .conf = conf, .slots = slots, .worker_main = worker_main, .arg = arg };

    if (conf->workers < 1 || conf->workers > WORKERS_MAX) {
        log_event(LOG_ERROR, "impossible number of workers", LOG_I("workers", conf->workers),
                  LOG_I("most", WORKERS_MAX));
        return 1;
    }
    if (pipe2(m.lifeline, O_CLOEXEC) != 0) {
        log_event(LOG_ERROR, "cannot make a pipe", LOG_C("why", strerrordesc_np(errno)));
        return 1;
    }
    slots_init(slots, conf->workers);
    atomic_store(&slots->master_pid, getpid());
    atomic_store(&slots->started_ms, clock_wall());
    block_signals(&m);
    run(&m);
    (void)sigprocmask(SIG_SETMASK, &m.signals_before, NULL);
    (void)close(m.lifeline[0]);
    (void)close(m.lifeline[1]);
    return m.status;
}
