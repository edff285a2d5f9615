/* SPDX-License-Identifier: MIT */
#include "ops/worker.h"

#include "base/log.h"

#include <signal.h>

enum { HEARTBEAT_MS = 500 };

static void stop(struct worker_watch *watch, enum drain_kind kind)
{
    if (watch->stopping && watch->kind >= kind)
        return;
    watch->stopping = true;
    watch->kind = kind;
    slot_move(watch->slot, WORKER_DRAINING);
    if (watch->stop)
        watch->stop(watch->arg, kind);
}

static void on_term(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data, DRAIN_QUICK);
}

static void on_quit(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data, DRAIN_PATIENT);
}

static void on_usr1(uv_signal_t *handle, int number)
{
    const struct worker_watch *watch = handle->data;

    (void)number;
    if (watch->reopen)
        watch->reopen(watch->reopen_arg);
}

/* Nobody ever writes to the lifeline: readable means its other end is closed. */
static void on_lifeline(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    (void)uv_poll_stop(handle);
    struct worker_watch *watch = handle->data;
    if (!watch->stopping)
        log_text(LOG_WARNING, "the master process is gone; finishing what is under way");
    stop(watch, DRAIN_QUICK);
}

static void on_heartbeat(uv_timer_t *handle)
{
    const struct worker_watch *watch = handle->data;
    slot_beat(watch->slot);
}

static void adopt(uv_handle_t *handle, struct worker_watch *watch)
{
    handle->data = watch;
    uv_unref(handle);
}

static int watch_signal(struct worker_watch *watch, uv_loop_t *loop, uv_signal_t *handle, uv_signal_cb on_signal,
                        int number)
{
    const int failure = uv_signal_init(loop, handle);

    if (failure != 0)
        return failure;
    adopt((uv_handle_t *)handle, watch);
    return uv_signal_start(handle, on_signal, number);
}

static int watch_signals(struct worker_watch *watch, uv_loop_t *loop)
{
    int failure = watch_signal(watch, loop, &watch->term, on_term, SIGTERM);

    if (failure == 0)
        failure = watch_signal(watch, loop, &watch->quit, on_quit, SIGQUIT);
    return failure ? failure : watch_signal(watch, loop, &watch->usr1, on_usr1, SIGUSR1);
}

static int watch_lifeline(struct worker_watch *watch, uv_loop_t *loop, int fd)
{
    if (fd < 0)
        return 0;
    int failure = uv_poll_init(loop, &watch->lifeline, fd);
    if (failure != 0)
        return failure;
    adopt((uv_handle_t *)&watch->lifeline, watch);
    watch->has_lifeline = true;
    return uv_poll_start(&watch->lifeline, UV_READABLE | UV_DISCONNECT, on_lifeline);
}

int worker_watch_start(struct worker_watch *watch, uv_loop_t *loop, struct worker_slot *slot, int lifeline_fd)
{
    *watch = (struct worker_watch){ .slot = slot };
    slot_beat(slot);
    (void)uv_timer_init(loop, &watch->heartbeat);
    adopt((uv_handle_t *)&watch->heartbeat, watch);
    (void)uv_timer_start(&watch->heartbeat, on_heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
    const int failure = watch_signals(watch, loop);
    return failure ? failure : watch_lifeline(watch, loop, lifeline_fd);
}

void worker_watch_on_stop(struct worker_watch *watch, void (*stop_fn)(void *arg, enum drain_kind kind), void *arg)
{
    watch->stop = stop_fn;
    watch->arg = arg;
}

void worker_watch_on_reopen(struct worker_watch *watch, void (*reopen)(void *arg), void *arg)
{
    watch->reopen = reopen;
    watch->reopen_arg = arg;
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->data && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

void worker_watch_close(struct worker_watch *watch)
{
    close_handle((uv_handle_t *)&watch->heartbeat);
    close_handle((uv_handle_t *)&watch->term);
    close_handle((uv_handle_t *)&watch->quit);
    close_handle((uv_handle_t *)&watch->usr1);
    if (watch->has_lifeline)
        close_handle((uv_handle_t *)&watch->lifeline);
}
