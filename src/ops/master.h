/* SPDX-License-Identifier: MIT */
/* The master process: forks the workers, replaces the dead, ends them in order.
 *
 *   fork each ---> wait for a signal or the next thing due ---> all ended
 *                    SIGCHLD        reap; say why; fork again
 *                    SIGTERM, SIGINT, SIGQUIT: the door is shut; SIGTERM to all;
 *                                   SIGKILL after the grace, or at a second one
 *                    SIGHUP, SIGUSR1, SIGUSR2: said and ignored, as yet
 *
 * Signals of a terminal (Ctrl-C) reach the whole process group; workers ignore
 * them, so that it is the master alone who ends things, in order.
 *
 * It serves nothing and allocates nothing, so it has little to die of. If it
 * dies all the same, the workers notice (their lifeline, a pipe whose other end
 * only the master holds, is closed) and finish what they have under way. It may
 * be process 1 of a container: then strangers' orphans are reaped too, and
 * never taken for workers.
 *
 * A worker that dies is replaced at once. One that keeps dying young is
 * replaced after 100 ms, 200 ms, ... 5 s; one that says it cannot start (its
 * exit status) while no worker ever could, ends the master.
 */
#pragma once

#include "base/log.h"
#include "base/metrics.h"
#include "ops/listeners.h"
#include "ops/notify.h"
#include "ops/slots.h"

/* Exit statuses of a worker that make no sense to try again. */
enum { WORKER_CANNOT_START = 70, WORKER_BAD_SETTINGS = 78 };

struct master_conf {
    int                  workers;             /* 1..WORKERS_MAX                               */
    double               graceful_timeout_s;  /* from the stop signal to SIGKILL              */
    struct listeners    *listeners;           /* NULL: none                                   */
    const struct notify *notify;              /* the service manager; NULL: none              */
    struct metrics_page *pages;               /* one a worker; NULL: none                     */
    enum log_level       log_level;
    enum log_format      log_format;
    void               (*ready)(void *arg);   /* once, when all workers are ready; may be NULL */
    void               (*buried)(void *arg, int index);   /* a worker has died; may be NULL   */
};

/* What a worker finds when it starts: its own things, and nobody else's. */
struct worker_seat {
    int                  index;
    const int           *sockets;    /* listening descriptors                           */
    int                  socket_count;
    int                  lifeline;   /* reads end of file when the master has died      */
    struct worker_slot  *slot;       /* WORKER_STARTING; the worker moves it on         */
    struct metrics_page *page;       /* in use already (metrics_use_page)               */
};

/* The life of a worker: returns its exit status. Called in the child, with no
 * signal blocked, its name set and the log told. SIGTERM has its default
 * meaning; the other signals that the master acts on are ignored. */
typedef int worker_main_fn(void *arg, const struct worker_seat *seat);

/* Runs until all workers have ended after a stop signal: 0. 1 when no worker
 * could start. Must be called before this process has any thread or loop. */
int master_run(const struct master_conf *conf, struct worker_slots *slots, worker_main_fn *worker_main, void *arg);
