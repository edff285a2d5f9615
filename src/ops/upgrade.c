/* SPDX-License-Identifier: MIT */
/* An upgrade: this program's file, which may be another one by now, is started with the
 * arguments and the environment that this one was started with, and inherits the
 * listening sockets and the shared memory. Both serve, until SIGQUIT ends the old one,
 * or the new one ends: then all is as before. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "ops/master_parts.h"

#define FOREBEAR "SANAD_UPGRADE_FROM"

enum { ARGUMENT_BYTES = 128 * 1024, ARGUMENTS_MAX = 512, CANNOT_RUN = 127 };

void upgrade_prepare(struct master *m)
{
    const char *text = getenv(FOREBEAR);
    const ssize_t n = readlink("/proc/self/exe", m->program, sizeof(m->program) - 1);
    int64_t pid = 0;

    m->program[n > 0 ? n : 0] = '\0';
    if (text && str_to_int(str_of(text), 2, INT32_MAX, &pid) == OK && getppid() == (pid_t)pid)
        m->forebear = (pid_t)pid;
    (void)unsetenv(FOREBEAR);
}

bool upgrade_is_under_way(const struct master *m)
{
    return m->heir != 0 || (m->forebear != 0 && getppid() == m->forebear);
}

/* --- in the child --------------------------------------------------------------- */

/* As the system keeps them: what reads the options has put them in another order. */
static bool read_arguments(char *bytes, char *argv[static ARGUMENTS_MAX])
{
    const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, bytes, ARGUMENT_BYTES - 1);
    int count = 0;

    if (n <= 0 || n == ARGUMENT_BYTES - 1)
        return false;
    bytes[n] = '\0';
    for (char *at = bytes; at < bytes + n && count < ARGUMENTS_MAX - 1; at += strlen(at) + 1)
        argv[count++] = at;
    argv[count] = NULL;
    return true;
}

static void reset_signals(const struct master *m)
{
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &m->signals_before, NULL);
}

static bool bequeath(const struct master *m)
{
    static char text[INHERITANCE_TEXT];
    char forebear[16];

    (void)snprintf(forebear, sizeof(forebear), "%d", (int)getppid());
    if (m->conf.bequeath)
        m->conf.bequeath(m->arg);
    if (m->conf.listeners &&
        (listeners_export(m->conf.listeners, text, sizeof(text)) != OK || setenv(INHERITANCE_VARIABLE, text, 1) != 0))
        return false;
    return setenv(FOREBEAR, forebear, 1) == 0;
}

static _Noreturn void become_heir(const struct master *m)
{
    static char bytes[ARGUMENT_BYTES];
    static char *argv[ARGUMENTS_MAX];

    if (bequeath(m) && read_arguments(bytes, argv)) {
        reset_signals(m);
        (void)execv(m->program, argv);
    }
    log_event(LOG_ERROR, "the new program cannot be started", LOG_C("file", m->program),
              LOG_C("why", strerrordesc_np(errno)));
    _exit(CANNOT_RUN);
}

/* --- in the master ---------------------------------------------------------------- */

void upgrade_start(struct master *m)
{
    if (m->heir != 0 || m->stopping) {
        log_text(LOG_WARNING, "an upgrade is under way; nothing is started");
        return;
    }
    if (m->conf.pid_file && pid_file_set_aside(m->conf.pid_file) != OK)
        log_text(LOG_WARNING, "the pid file cannot make way for that of the new program");
    const pid_t pid = fork();
    if (pid == 0)
        become_heir(m);
    if (pid < 0) {
        log_event(LOG_ERROR, "cannot fork for the new program", LOG_C("why", strerrordesc_np(errno)));
        pid_file_put_back(m->conf.pid_file);
        return;
    }
    m->heir = pid;
    log_event(LOG_INFO, "upgrade: the program is started anew", LOG_C("file", m->program), LOG_I("pid", pid));
}

/* What it has written over of what masters tell is told again. */
void upgrade_failed(struct master *m, int wait_status)
{
    const bool exited = WIFEXITED(wait_status);

    log_event(LOG_ERROR, "the new program has ended; this one serves on", LOG_I("pid", m->heir),
              LOG_I(exited ? "status" : "signal", exited ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status)));
    m->heir = 0;
    if (m->conf.pid_file)
        pid_file_put_back(m->conf.pid_file);
    if (m->conf.disinherit)
        m->conf.disinherit(m->arg);
    if (m->conf.share)
        m->conf.share(m->arg, m->positions);
    atomic_store(&m->slots->master_pid, getpid());
    atomic_store(&m->slots->positions, m->positions);
    atomic_store(&m->slots->epoch, m->epoch);
    if (m->asleep && !m->stopping)
        turnover_reload(m);
}
