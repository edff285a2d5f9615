/* SPDX-License-Identifier: MIT */
/* The workers' births and deaths. */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/master_parts.h"

static const mono_ns YOUNG = (mono_ns)1 * NS_PER_S; /* died before: dies at once        */
static const mono_ns FIRST_DELAY = (mono_ns)100 * NS_PER_MS;
static const mono_ns LONGEST_DELAY = (mono_ns)5 * NS_PER_S;

int charges_living(const struct master *m)
{
    int count = 0;

    for (int i = 0; i < m->slots->count; i++)
        count += m->charges[i].pid != 0;
    return count;
}

void charges_signal(const struct master *m, int number)
{
    for (int i = 0; i < m->slots->count; i++) {
        if (m->charges[i].pid != 0)
            (void)kill(m->charges[i].pid, number);
    }
}

/* --- starting ---------------------------------------------------------------- */

static void take_signals(const struct master *m)
{
    static const int not_mine[] = { SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU };

    for (size_t i = 0; i < sizeof(not_mine) / sizeof(not_mine[0]); i++)
        (void)signal(not_mine[i], SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &m->signals_before, NULL);
}

/* A process name holds 15 bytes. */
static void take_name(const struct master *m, int position)
{
    char process[32], name[16];

    (void)snprintf(process, sizeof(process), "worker %d", position);
    (void)snprintf(name, sizeof(name), position < 10 ? "sanad: worker %d" : "sanad:worker%d", position);
    (void)prctl(PR_SET_NAME, name);
    log_setup(m->conf.log_level, m->conf.log_format, process);
}

/* The child's side of the fork; never returns. Sockets whose door is shut are none of
 * its business, though the master still has them for a moment. */
static _Noreturn void become_worker(struct master *m, int row, int position)
{
    const struct master_conf *conf = &m->conf;
    int sockets[LISTENERS_A_WORKER];
    struct worker_seat seat = {
        .index = position,
        .row = row,
        .sockets = sockets,
        .lifeline = m->lifeline[0],
        .slot = &m->slots->rows[row],
        .page = conf->pages ? &conf->pages[row] : NULL,
    };

    take_signals(m);
    (void)close(m->lifeline[1]);
    if (conf->listeners) {
        turnover_close_shut(m);
        seat.socket_count = listeners_of(conf->listeners, position, m->positions, sockets);
        listeners_keep_only(conf->listeners, sockets, seat.socket_count);
    }
    if (seat.page)
        metrics_use_page(seat.page);
    take_name(m, position);
    _exit(m->worker_main(m->arg, &seat));
}

static mono_ns delay_after(unsigned early_deaths)
{
    mono_ns delay = early_deaths > 0 ? FIRST_DELAY : 0;

    for (unsigned i = 1; i < early_deaths && delay < LONGEST_DELAY; i++)
        delay *= 2;
    return delay < LONGEST_DELAY ? delay : LONGEST_DELAY;
}

/* The row of the one that died here; else the first that is nobody's; -1: none. */
static int row_for(struct master *m, const struct place *place)
{
    if (place->row >= 0 && m->charges[place->row].pid == 0)
        return place->row;
    return slots_claim(m->slots, getpid());
}

static void prepare_slot(struct master *m, int row, int position)
{
    struct worker_slot *slot = &m->slots->rows[row];

    atomic_store(&slot->heartbeat_ns, 0);
    atomic_store(&slot->position, position);
    atomic_store(&slot->epoch, m->epoch);
    atomic_store(&slot->spent, false);
    slot->last_request[0] = '\0';
    slot_move(slot, WORKER_STARTING);
    if (m->conf.seated)
        m->conf.seated(m->arg, row, position);
}

static void record_birth(struct worker_slot *slot, struct place *place, pid_t pid)
{
    atomic_store(&slot->pid, pid);
    atomic_store(&slot->started_ms, clock_wall());
    atomic_store(&slot->restarts, place->forks++);
    atomic_fetch_add(&slot->generation, 1);
}

static void fork_failed(struct master *m, struct place *place, int row, int failure)
{
    place->early_deaths++;
    place->fork_at = clock_mono() + delay_after(place->early_deaths);
    slot_move(&m->slots->rows[row], WORKER_DEAD);
    slot_move(&m->slots->rows[row], WORKER_NONE);
    if (place->row == row)
        place->row = -1;
    if (m->conf.buried)
        m->conf.buried(m->arg, row);
    log_event(LOG_ERROR, "cannot fork a worker; trying again", LOG_I("index", place - m->places),
              LOG_C("why", strerrordesc_np(failure)));
}

int charge_start(struct master *m, int position)
{
    struct place *place = &m->places[position];
    const int row = row_for(m, place);

    if (row < 0)
        return -1; /* as soon as one has ended */
    prepare_slot(m, row, position);
    m->charges[row] = (struct charge){
        .position = position,
        .epoch = m->epoch,
        .forked = clock_mono(),
        .grace = (mono_ns)(m->conf.graceful_timeout_s * NS_PER_S),
        .tell_at = NEVER,
        .kill_at = NEVER,
    };
    const pid_t pid = fork();
    if (pid == 0)
        become_worker(m, row, position);
    if (pid < 0) {
        fork_failed(m, place, row, errno);
        return -1;
    }
    m->charges[row].pid = pid;
    record_birth(&m->slots->rows[row], place, pid);
    return row;
}

/* --- ending -------------------------------------------------------------------- */

void charge_dismiss(struct master *m, int row, enum worker_end why, mono_ns tell_at)
{
    struct charge *charge = &m->charges[row];

    if (charge->pid == 0 || charge->leaving)
        return;
    charge->leaving = true;
    charge->why = why;
    charge->tell_at = tell_at;
}

static void tell(struct charge *charge, mono_ns now)
{
    charge->tell_at = NEVER;
    charge->kill_at = earlier(charge->kill_at, now + charge->grace);
    (void)kill(charge->pid, SIGQUIT);
}

static void kill_overdue(struct charge *charge)
{
    charge->kill_at = NEVER;
    if (!charge->stuck)
        log_event(LOG_WARNING, "worker did not finish in time; killing it", LOG_I("index", charge->position),
                  LOG_I("pid", charge->pid), LOG_D("graceful_timeout_s", (double)charge->grace / NS_PER_S));
    (void)kill(charge->pid, SIGKILL);
}

void charges_tell_due(struct master *m, mono_ns now)
{
    for (int i = 0; i < m->slots->count; i++) {
        struct charge *charge = &m->charges[i];

        if (charge->pid != 0 && charge->tell_at <= now)
            tell(charge, now);
        if (charge->pid != 0 && charge->kill_at <= now)
            kill_overdue(charge);
    }
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

static bool cannot_start(int wait_status)
{
    return WIFEXITED(wait_status) &&
           (WEXITSTATUS(wait_status) == WORKER_CANNOT_START || WEXITSTATUS(wait_status) == WORKER_BAD_SETTINGS);
}

static void log_end(const struct master *m, const struct charge *charge, int wait_status)
{
    const struct place *place = &m->places[charge->position];
    const mono_ns now = clock_mono();
    char why[128];

    describe_end(wait_status, why, sizeof(why));
    if (m->stopping || charge->leaving || m->asleep) {
        log_event(LOG_INFO, "worker ended", LOG_I("index", charge->position), LOG_I("pid", charge->pid),
                  LOG_C("why", why));
        return;
    }
    log_event(failed(wait_status) ? LOG_ERROR : LOG_INFO,
              place->early_deaths > 1 ? "worker keeps dying young; replacing it later" : "worker ended; replacing it",
              LOG_I("index", charge->position), LOG_I("pid", charge->pid), LOG_C("why", why),
              LOG_I("lived_ms", (now - charge->forked) / NS_PER_MS),
              LOG_I("replaced_in_ms", place->fork_at > now ? (place->fork_at - now) / NS_PER_MS : 0));
}

/* A first early death of a worker that had been ready may be an accident: it
 * is replaced at once. */
static void plan_replacement(struct place *place, const struct charge *charge, bool was_ready)
{
    const mono_ns now = clock_mono();
    const bool young = now - charge->forked < YOUNG;

    place->early_deaths = young ? place->early_deaths + 1 : 0;
    const bool accident = was_ready && place->early_deaths == 1;
    place->fork_at = now + (accident ? 0 : delay_after(place->early_deaths));
}

static void count_end(struct master *m, const struct charge *charge, int wait_status)
{
    if (charge->stuck)
        slots_count_end(m->slots, WORKER_END_STUCK);
    else if (m->stopping)
        return;
    else if (charge->leaving)
        slots_count_end(m->slots, charge->why);
    else if (failed(wait_status))
        slots_count_end(m->slots, WORKER_END_CRASH);
}

/* Its position is left to its successor, if there is one; its row, too, else. */
static void leave_position(struct master *m, int row)
{
    struct place *place = &m->places[m->charges[row].position];
    const bool ends = m->charges[row].leaving || (m->stopping && upgrade_is_under_way(m));
    const bool waits = place->row == row && place->next < 0 && !ends;

    if (place->next == row)
        place->next = -1;
    if (place->row == row && !waits) {
        place->row = place->next;
        place->next = -1;
    }
    if (!waits)
        slot_move(&m->slots->rows[row], WORKER_NONE);
}

static void bury(struct master *m, int row, int wait_status)
{
    struct charge *charge = &m->charges[row];
    struct place *place = &m->places[charge->position];
    struct worker_slot *slot = &m->slots->rows[row];
    const bool was_ready = slot_state(slot) != WORKER_STARTING;

    m->any_ready |= was_ready && !m->stopping;
    if (place->row == row || place->next == row) {
        place->refused = !was_ready && cannot_start(wait_status);
        plan_replacement(place, charge, was_ready);
    }
    log_end(m, charge, wait_status);
    count_end(m, charge, wait_status);
    charge->pid = 0;
    slot_move(slot, WORKER_DEAD);
    atomic_store(&slot->pid, 0);
    if (m->conf.pages)
        metrics_clear_gauges(&m->conf.pages[row]);
    if (m->conf.buried)
        m->conf.buried(m->arg, row);
    leave_position(m, row);
    if (m->recycled == row)
        m->recycled = -1;
}

/* Waits for any child: as process 1 the master inherits orphans. */
bool charge_reap(struct master *m)
{
    int wait_status;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);

    for (int i = 0; pid > 0 && i < m->slots->count; i++) {
        if (m->charges[i].pid == pid) {
            bury(m, i, wait_status);
            return true;
        }
    }
    if (pid > 0 && pid == m->heir)
        upgrade_failed(m, wait_status);
    return pid > 0;
}

/* --- what another master has left behind ----------------------------------------- */

static bool is_gone(pid_t pid) { return pid <= 0 || (kill(pid, 0) != 0 && errno == ESRCH); }

void charges_sweep(struct master *m)
{
    for (int i = 0; i < m->slots->count; i++) {
        struct worker_slot *slot = &m->slots->rows[i];

        if (slot_state(slot) == WORKER_NONE || slot->master == getpid() || !is_gone(slot->master) ||
            !is_gone(slot->pid))
            continue;
        slot_move(slot, WORKER_DEAD);
        atomic_store(&slot->pid, 0);
        if (m->conf.pages)
            metrics_clear_gauges(&m->conf.pages[i]);
        if (m->conf.buried)
            m->conf.buried(m->arg, i);
        slot_move(slot, WORKER_NONE);
    }
}
