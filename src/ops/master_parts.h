/* SPDX-License-Identifier: MIT */
/* The inside of the master, for the files that make it up: its loop and its signals
 * (master.c), the workers' births and deaths (charges.c), who is replaced and when
 * (turnover.c), those that are stuck (stuck.c), and the new program (upgrade.c). */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "base/clock.h"
#include "ops/master.h"

static const mono_ns NEVER = INT64_MAX;
static const mono_ns DOOR_TIME = (mono_ns)100 * NS_PER_MS; /* for handshakes under way */

/* What the master alone knows of a worker, a row. */
struct charge {
    pid_t           pid;         /* 0: none lives                                  */
    int             position;
    unsigned        epoch;       /* of its settings                                */
    mono_ns         forked;
    mono_ns         grace;       /* to finish, by its settings                     */
    bool            leaving;     /* was told to end, or is about to be             */
    enum worker_end why;         /* then: for what                                 */
    mono_ns         tell_at;     /* NEVER, unless it is about to be told           */
    mono_ns         kill_at;     /* NEVER, unless it is leaving, or stuck          */
    bool            stuck;
};

/* A position. */
struct place {
    int      row;                /* of its worker, or of one that died and will be replaced there; -1 */
    int      next;               /* of the worker that will take over; -1          */
    mono_ns  fork_at;            /* when to fork (again), while one is lacking     */
    unsigned early_deaths;       /* in a row                                       */
    bool     refused;            /* said it cannot start, and was not ready since  */
    uint64_t forks;
};

struct master {
    struct master_conf   conf;
    struct worker_slots *slots;
    worker_main_fn      *worker_main;
    void                *arg;
    sigset_t             signals, signals_before;
    int                  lifeline[2];
    int                  positions;
    unsigned             epoch;        /* 1, and one more at each reload              */
    bool                 announced;    /* ready() was called for this epoch           */
    bool                 any_ready;    /* some worker once was                        */
    bool                 asleep;       /* SIGWINCH: no worker is started              */
    bool                 stopping;
    int                  stop_signal;  /* which the workers get                       */
    mono_ns              term_at;      /* while stopping: when the workers are told   */
    mono_ns              kill_at;      /* ... and when patience ends                  */
    mono_ns              look_at;      /* at the workers, next time                   */
    mono_ns              awake_since;  /* older heartbeats prove nothing              */
    int                  shut_of;      /* positions there were when doors were shut; 0: none are */
    mono_ns              close_at;     /* when their sockets are closed; NEVER        */
    pid_t                heir;         /* the new program's master, at an upgrade; 0  */
    pid_t                forebear;     /* whose heir this is; 0                       */
    char                 program[4096]; /* this one's file, as it was found at the start */
    int                  recycled;     /* row of the one that has answered enough; -1 */
    int                  status;
    struct charge        charges[WORKER_ROWS_MAX];
    struct place         places[WORKERS_MAX];
};

static inline mono_ns earlier(mono_ns a, mono_ns b) { return a < b ? a : b; }

/* ---- charges.c ---- */

int  charges_living(const struct master *m);
void charges_signal(const struct master *m, int number);

/* Forks a worker for a position: its row, or -1. */
int charge_start(struct master *m, int position);

/* Has a worker stop accepting, drain, and end: at once or a moment later. */
void charge_dismiss(struct master *m, int row, enum worker_end why, mono_ns tell_at);

/* Tells those whose time has come, and kills those whose time is over. */
void charges_tell_due(struct master *m, mono_ns now);

/* Buries a child that has ended, if there is one. */
bool charge_reap(struct master *m);

/* Frees the rows of workers whose master is gone, as they are. */
void charges_sweep(struct master *m);

/* ---- upgrade.c ---- */

/* Learns who it is, and whose heir. */
void upgrade_prepare(struct master *m);

/* Starts the program anew. */
void upgrade_start(struct master *m);

/* The heir has ended: all is as before. */
void upgrade_failed(struct master *m, int wait_status);

/* Whether another master serves from the same sockets. */
bool upgrade_is_under_way(const struct master *m);

/* ---- turnover.c ---- */

/* Brings each position to what it should be. */
void turnover_tend(struct master *m, mono_ns now);

/* Looks who is ready. */
void turnover_note_ready(struct master *m);

/* When something is due even if no signal comes. */
mono_ns turnover_next(const struct master *m, mono_ns now);

void turnover_resize(struct master *m, int positions);
void turnover_close_shut(struct master *m);
void turnover_reload(struct master *m);
void turnover_sleep(struct master *m);

/* Of those that have answered enough, one is to be replaced. */
void turnover_recycle(struct master *m);

/* ---- stuck.c ---- */

/* Looks at the heartbeats; false when somebody is stuck. */
bool stuck_look(struct master *m, mono_ns now);
