/* SPDX-License-Identifier: MIT */
/* The master's loop, its signals, and its end. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ops/master_parts.h"

static const mono_ns LOOK_EVERY = (mono_ns)1 * NS_PER_S; /* heartbeats, and what the workers say */

/* --- stopping ------------------------------------------------------------ */

/* Where another program serves from the same sockets, it goes on. Else nobody who was
 * let in is lost: the door is shut first, and a moment later, when
 * handshakes under way are over, the workers are told; they accept who is in
 * their queues and close them. */
static void stop(struct master *m, int status, int number)
{
    const mono_ns now = clock_mono(), grace = (mono_ns)(m->conf.graceful_timeout_s * NS_PER_S);

    const bool for_good = !upgrade_is_under_way(m);

    m->stopping = true;
    atomic_store(&m->slots->stopping, for_good);
    m->stop_signal = number;
    m->status = status;
    m->kill_at = now + grace;
    m->term_at = now;
    if (m->conf.notify && m->heir != 0)
        notify_main_pid(m->conf.notify, m->heir);
    else if (m->conf.notify)
        notify_send(m->conf.notify, "STOPPING=1");
    if (!m->conf.listeners || !for_good)
        return;
    listeners_shut_door(m->conf.listeners, LISTENERS_ALL);
    m->term_at += DOOR_TIME < grace / 20 ? DOOR_TIME : grace / 20;
}

/* The master's own copies of the sockets go first, so that a queue is closed
 * when its worker closes it. */
static void end_due(struct master *m, mono_ns now)
{
    if (!m->stopping || now < m->term_at)
        return;
    m->term_at = NEVER;
    if (m->conf.listeners)
        listeners_close(m->conf.listeners);
    charges_signal(m, m->stop_signal);
}

static void on_stop_signal(struct master *m, int number)
{
    const int workers = charges_living(m);

    if (m->stopping) {
        log_event(LOG_WARNING, "second stop signal; ending the workers now", LOG_I("workers", workers));
        m->kill_at = 0;
        return;
    }
    log_event(LOG_INFO, "stopping", LOG_C("signal", sigabbrev_np(number)), LOG_I("workers", workers),
              LOG_D("graceful_timeout_s", m->conf.graceful_timeout_s));
    stop(m, 0, number == SIGQUIT ? SIGQUIT : SIGTERM);
}

static void kill_overdue(struct master *m, mono_ns now)
{
    if (!m->stopping || now < m->kill_at)
        return;
    for (int i = 0; i < m->slots->count; i++) {
        if (m->charges[i].pid != 0)
            log_event(LOG_WARNING, "worker did not finish in time; killing it", LOG_I("index", m->charges[i].position),
                      LOG_I("pid", m->charges[i].pid), LOG_D("graceful_timeout_s", m->conf.graceful_timeout_s));
    }
    charges_signal(m, SIGKILL);
    m->kill_at = NEVER;
}

/* --- a child has ended -------------------------------------------------------- */

/* No worker was ever ready, and each has said that it cannot. */
static void give_up_if_hopeless(struct master *m)
{
    if (m->stopping || m->any_ready)
        return;
    for (int i = 0; i < m->positions; i++) {
        if (!m->places[i].refused)
            return;
    }
    log_text(LOG_ERROR, "no worker could start; giving up");
    stop(m, 1, SIGTERM);
}

/* Several deaths may hide behind one signal. */
static void on_child(struct master *m, int number)
{
    (void)number;
    while (charge_reap(m))
        continue;
    give_up_if_hopeless(m);
}

/* --- what an operator asks for --------------------------------------------------- */

/* Each worker opens its log files anew. */
static void on_reopen(struct master *m, int number)
{
    log_event(LOG_INFO, "log files are opened anew", LOG_I("workers", charges_living(m)));
    charges_signal(m, number);
}

/* Settings that are wrong change nothing, but a master that sleeps awakes. */
static void on_reload(struct master *m, int number)
{
    struct master_conf conf = m->conf;

    (void)number;
    if (m->stopping)
        return;
    if (m->conf.notify)
        notify_reloading(m->conf.notify);
    if (conf.reload && !conf.reload(m->arg, &conf)) {
        log_text(LOG_ERROR, "the settings are as they were; nothing is reloaded");
        if (m->conf.notify)
            notify_send(m->conf.notify, "READY=1");
        return;
    }
    m->conf = conf;
    log_event(LOG_INFO, "reloading: new workers take over from the old", LOG_I("workers", conf.workers),
              LOG_I("epoch", m->epoch + 1));
    if (conf.workers != m->positions)
        turnover_resize(m, conf.workers);
    turnover_reload(m);
}

static void change_number(struct master *m, int by)
{
    const int positions = m->positions + by;

    if (m->stopping)
        return;
    if (positions < 1 || positions > m->conf.workers_most) {
        log_event(LOG_WARNING, "there cannot be more or fewer workers", LOG_I("workers", m->positions),
                  LOG_I("most", m->conf.workers_most));
        return;
    }
    log_event(LOG_INFO, by > 0 ? "one worker more" : "one worker fewer", LOG_I("workers", positions));
    turnover_resize(m, positions);
}

static void on_more(struct master *m, int number)
{
    (void)number;
    change_number(m, 1);
}

static void on_fewer(struct master *m, int number)
{
    (void)number;
    change_number(m, -1);
}

static void on_sleep(struct master *m, int number)
{
    (void)number;
    if (m->stopping || m->asleep)
        return;
    log_event(LOG_INFO, "the workers drain and end; SIGHUP brings them back", LOG_I("workers", charges_living(m)));
    turnover_sleep(m);
}

static void on_upgrade(struct master *m, int number)
{
    (void)number;
    upgrade_start(m);
}

/* --- the loop -------------------------------------------------------------- */

/* clang-format off */
static const struct signal_row {
    int number;
    void (*handle)(struct master *m, int number);
} signal_rows[] = {
    { SIGCHLD,  on_child },
    { SIGTERM,  on_stop_signal },
    { SIGINT,   on_stop_signal },
    { SIGQUIT,  on_stop_signal },
    { SIGHUP,   on_reload },
    { SIGTTIN,  on_more },
    { SIGTTOU,  on_fewer },
    { SIGUSR1,  on_reopen },
    { SIGUSR2,  on_upgrade },
    { SIGWINCH, on_sleep },
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

/* About once a second. The service manager is told that we are well while the workers
 * are. */
static void look(struct master *m, mono_ns now)
{
    const mono_ns watchdog = m->conf.notify ? notify_watchdog(m->conf.notify) : 0;

    if (now < m->look_at)
        return;
    if (stuck_look(m, now) && watchdog > 0)
        notify_send(m->conf.notify, "WATCHDOG=1");
    if (!m->stopping && !m->asleep)
        turnover_recycle(m);
    charges_sweep(m);
    m->look_at = now + (watchdog > 0 ? earlier(watchdog, LOOK_EVERY) : LOOK_EVERY);
}

/* The next signal, or 0 when something else is due. */
static int wait_for_signal(const struct master *m)
{
    const mono_ns now = clock_mono(), ends = earlier(m->term_at, m->kill_at);
    const mono_ns next = turnover_next(m, now), due = m->stopping ? earlier(next, ends) : next;
    const mono_ns left = due > now ? due - now : 0;
    const struct timespec timeout = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
    const int number = sigtimedwait(&m->signals, NULL, &timeout);

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
        turnover_tend(m, now);
        if (m->close_at <= now)
            turnover_close_shut(m);
        charges_tell_due(m, now);
        end_due(m, now);
        kill_overdue(m, now);
        look(m, now);
        handle_signal(m, wait_for_signal(m));
        turnover_note_ready(m);
    } while (!m->stopping || charges_living(m) > 0);
}

static void prepare(struct master *m)
{
    m->positions = m->conf.workers;
    m->epoch = atomic_load(&m->slots->epoch) + 1;
    m->recycled = -1;
    m->close_at = NEVER;
    m->look_at = m->awake_since = clock_mono();
    for (int i = 0; i < WORKERS_MAX; i++)
        m->places[i] = (struct place){ .row = -1, .next = -1 };
    upgrade_prepare(m);
    atomic_store(&m->slots->stopping, false);
    atomic_store(&m->slots->positions, m->positions);
    atomic_store(&m->slots->epoch, m->epoch);
    atomic_store(&m->slots->master_pid, getpid());
    atomic_store(&m->slots->started_ms, clock_wall());
    if (m->conf.share)
        m->conf.share(m->arg, m->positions);
}

int master_run(const struct master_conf *conf, struct worker_slots *slots, worker_main_fn *worker_main, void *arg)
{
    static struct master m; /* one a process; too large for a stack */

    m = (struct master){ .conf = *conf, .slots = slots, .worker_main = worker_main, .arg = arg };
    if (conf->workers < 1 || conf->workers > conf->workers_most || conf->workers_most > WORKERS_MAX) {
        log_event(LOG_ERROR, "impossible number of workers", LOG_I("workers", conf->workers),
                  LOG_I("most", conf->workers_most));
        return 1;
    }
    if (pipe2(m.lifeline, O_CLOEXEC) != 0) {
        log_event(LOG_ERROR, "cannot make a pipe", LOG_C("why", strerrordesc_np(errno)));
        return 1;
    }
    prepare(&m);
    block_signals(&m);
    run(&m);
    (void)sigprocmask(SIG_SETMASK, &m.signals_before, NULL);
    (void)close(m.lifeline[0]);
    (void)close(m.lifeline[1]);
    return m.status;
}
