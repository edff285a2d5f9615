/* SPDX-License-Identifier: MIT */
/* One worker process: what its handlers and its keeper find through req->app.
 *
 * The composition root makes the parts and fills this in; it also owns them.
 * The handlers of ops/ only read. `domain` is the application's own context.
 */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "base/cidr.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "db/db.h"
#include "http/server.h"
#include "ops/disk_room.h"
#include "ops/slots.h"

struct access_log;
struct readiness;
struct redis;

struct worker_conf {
    struct cidr_list metrics_allow;      /* who may read /metrics                              */
    struct kept_file files[KEPT_FILES_MAX]; /* the room on whose disks it tells               */
    size_t           file_count;
};

struct worker {
    uv_loop_t                 *loop;
    int                        index;        /* its position                                   */
    int                        row;          /* of slots and pages                             */
    mono_ns                    started;
    struct worker_conf         conf;
    struct coro_pool          *coros;
    struct db                 *db;
    struct redis              *redis;        /* NULL: there is none, by the settings           */
    struct server             *server;
    struct access_log         *access_log;   /* NULL: none is kept                             */
    struct readiness          *readiness;    /* NULL: no dependency is watched                 */
    struct worker_slots       *slots;        /* of the node                                    */
    const struct metrics_page *pages;        /* of the node, one a row                         */
    size_t                     page_count;
    void                      *domain;
};

static inline struct worker_slot *worker_slot_of(const struct worker *w) { return &w->slots->rows[w->row]; }

/* The part of a worker that the master talks to: stop signals, the lifeline,
 * the heartbeat. Its handles are unreferenced: they do not keep the loop alive. */
struct worker_watch {
    uv_signal_t  term, quit, usr1;
    uv_poll_t    lifeline;
    uv_timer_t   heartbeat;
    struct worker_slot *slot;
    void       (*stop)(void *arg, enum drain_kind kind);
    void        *arg;
    void       (*reopen)(void *arg);
    void        *reopen_arg;
    bool         has_lifeline, stopping;
    enum drain_kind kind;                /* while stopping                                     */
};

/* Starts to watch; lifeline_fd -1: there is no master. 0 or a negative uv
 * error (then close the watch all the same). */
MUSTCHECK int worker_watch_start(struct worker_watch *watch, uv_loop_t *loop, struct worker_slot *slot,
                                 int lifeline_fd);

/* What to call on the loop: at SIGQUIT (patient), at SIGTERM, or when the master has
 * died (quick; the log says so). Once, and once more when a quick end follows upon a
 * patient one. SIGINT is the master's: a terminal sends it to the whole group. The
 * slot is WORKER_DRAINING by then. Set it before the loop runs. */
void worker_watch_on_stop(struct worker_watch *watch, void (*stop_fn)(void *arg, enum drain_kind kind),
                          void *arg);

/* What to call, on the loop, at each SIGUSR1: log files were renamed. Set it
 * before the loop runs. */
void worker_watch_on_reopen(struct worker_watch *watch, void (*reopen)(void *arg), void *arg);

/* Closes the handles; the memory must live until the loop has run again. */
void worker_watch_close(struct worker_watch *watch);
