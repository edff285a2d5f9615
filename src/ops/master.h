/* SPDX-License-Identifier: MIT */
/* The master process: forks the workers, replaces them, ends them in order.
 *
 *   fork each ---> wait for a signal or the next thing due ---> all ended
 *     SIGCHLD          reap; say why; fork again
 *     SIGHUP           read the settings anew; each worker is replaced
 *     SIGTTIN, SIGTTOU one worker more, one fewer
 *     SIGUSR1          passed on: the workers open their log files anew
 *     SIGUSR2          start the program anew on the same sockets (upgrade.c)
 *     SIGWINCH         the workers drain and end, the master stays (until SIGHUP)
 *     SIGTERM, SIGINT  quick stop: idle connections are closed
 *     SIGQUIT          patient stop: they are closed after their next request
 *                      at either the door is shut first; SIGKILL after the grace,
 *                      or at a second one
 *
 * There are so many positions as workers wanted. Each has a worker, in a row of the
 * slots; while it is replaced there are two, in two rows: the new one serves first,
 * then the old one stops accepting and drains, in patience. Replaced is who is of an
 * older epoch (the settings were read anew), all at once; and who has answered
 * MAX_REQUESTS, one after the other. A worker without a heartbeat for TIMEOUT is
 * killed, and its last request named.
 *
 * Signals of a terminal (Ctrl-C) reach the whole process group; workers ignore
 * them, so that it is the master alone who ends things, in order.
 *
 * It serves nothing, so it has little to die of. If it dies all the same, the workers
 * notice (their lifeline, a pipe whose other end only the master holds, is closed) and
 * finish what they have under way. It may be process 1 of a container: then strangers'
 * orphans are reaped too, and never taken for workers.
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
#include "ops/pid_file.h"
#include "ops/slots.h"

/* Exit statuses of a worker that make no sense to try again. */
enum { WORKER_CANNOT_START = 70, WORKER_BAD_SETTINGS = 78 };

struct master_conf {
    int                  workers;             /* 1..workers_most                              */
    int                  workers_most;        /* for which there is room, at most WORKERS_MAX */
    double               graceful_timeout_s;  /* from the stop signal to SIGKILL              */
    double               timeout_s;           /* without heartbeat: killed; 0: never          */
    struct listeners    *listeners;           /* NULL: none                                   */
    const struct notify *notify;              /* the service manager; NULL: none              */
    const struct pid_file *pid_file;          /* makes way at an upgrade; NULL: none          */
    struct metrics_page *pages;               /* one a row; NULL: none                        */
    enum log_level       log_level;
    enum log_format      log_format;
    /* Each may be NULL. */
    void               (*ready)(void *arg);   /* all workers are ready, the first time and after a reload */
    void               (*share)(void *arg, int positions);        /* so many there are to be  */
    void               (*seated)(void *arg, int row, int position); /* a worker is about to be forked, or moved */
    void               (*buried)(void *arg, int row);             /* a worker has died        */
    bool               (*reload)(void *arg, struct master_conf *conf); /* reads the settings anew; false: as before */
    void               (*bequeath)(void *arg); /* in the child that is to become the new program */
    void               (*disinherit)(void *arg); /* which has ended                           */
};

/* What a worker finds when it starts: its own things, and nobody else's. */
struct worker_seat {
    int                  index;      /* its position                                    */
    int                  row;        /* of slots, pages, budget                         */
    const int           *sockets;    /* listening descriptors                           */
    int                  socket_count;
    int                  lifeline;   /* reads end of file when the master has died      */
    struct worker_slot  *slot;       /* WORKER_STARTING; the worker moves it on         */
    struct metrics_page *page;       /* in use already (metrics_use_page)               */
};

/* The life of a worker: returns its exit status. Called in the child, with no
 * signal blocked, its name set and the log told. SIGTERM and SIGQUIT have their
 * default meaning; the other signals that the master acts on are ignored. */
typedef int worker_main_fn(void *arg, const struct worker_seat *seat);

/* The slots are empty, or those of the program whose heir this one is.
 * Runs until all workers have ended after a stop signal: 0. 1 when no worker
 * could start. Must be called before this process has any thread or loop. */
int master_run(const struct master_conf *conf, struct worker_slots *slots, worker_main_fn *worker_main, void *arg);
