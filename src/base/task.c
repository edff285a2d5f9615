/* SPDX-License-Identifier: MIT */
#include "base/task.h"

#include <assert.h>
#include <stdlib.h>

#include "base/coro.h"

static _Thread_local uv_loop_t *loop;

void task_use_loop(uv_loop_t *l) { loop = l; }
uv_loop_t *task_loop(void) { return loop; }

/* ---- alarm: a timer that ends one wait ----------------------------------
 * libuv gives a handle's memory back only in its close callback, so an alarm
 * lives on the heap and outlasts the wait by a part of a loop turn. */

struct alarm {
    uv_timer_t timer;
    struct coro *sleeper;
    enum err result;
};

static void alarm_closed(uv_handle_t *h) { free(h->data); }

static void alarm_rang(uv_timer_t *t)
{
    struct alarm *a = t->data;

    coro_wake(a->sleeper, a->result);
}

/* NULL without memory. */
static struct alarm *alarm_set(uint64_t ms, enum err result)
{
    struct alarm *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    *a = (struct alarm){ .sleeper = coro_self(), .result = result };
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    uv_update_time(loop);
    uv_timer_start(&a->timer, alarm_rang, ms, 0);
    return a;
}

static void alarm_drop(struct alarm *a)
{
    if (a)
        uv_close((uv_handle_t *)&a->timer, alarm_closed);
}

enum err task_sleep(uint64_t ms)
{
    struct alarm *a = alarm_set(ms, OK);
    enum err e = a ? coro_wait() : E_NO_MEMORY;

    alarm_drop(a);
    return e;
}

/* ---- offload ------------------------------------------------------------- */

struct offload {
    uv_work_t work;
    task_work *fn;
    void *arg;
    struct coro *owner;
    enum err result;
};

static void offload_run(uv_work_t *w)
{
    struct offload *o = w->data;

    o->result = o->fn(o->arg);
}

static void offload_done(uv_work_t *w, int status)
{
    struct offload *o = w->data;

    coro_wake(o->owner, status == UV_ECANCELED ? E_CANCELLED : o->result);
}

enum err task_offload(task_work *work, void *arg)
{
    struct offload o = { .fn = work, .arg = arg, .owner = coro_self() };

    if (!o.owner)
        return work(arg);
    o.work.data = &o;
    if (uv_queue_work(loop, &o.work, offload_run, offload_done) != 0)
        return E_NO_MEMORY;
    return coro_wait_firmly();
}

/* ---- descriptors ------------------------------------------------------------ */

struct task_fd {
    uv_poll_t poll;
    uv_timer_t timer;
    struct coro *waiter;
    int watched; /* events asked of libuv; 0: none     */
    int wanted;  /* events that the waiter waits for   */
    int came;    /* what ended the wait                */
    int open_handles;
    bool stirred;
};

static void on_fd_event(uv_poll_t *poll, int status, int events);

/* libuv forgets and learns the descriptor anew at each start, so it is asked
 * only when something changes. */
static void watch(struct task_fd *w, int events)
{
    if (w->watched == events)
        return;
    w->watched = events;
    if (events)
        uv_poll_start(&w->poll, events, on_fd_event);
    else
        uv_poll_stop(&w->poll);
}

static void fd_wake(struct task_fd *w, int events, enum err result)
{
    struct coro *waiter = w->waiter;

    w->waiter = NULL;
    w->came = events;
    uv_timer_stop(&w->timer);
    coro_wake(waiter, result);
}

static void on_fd_event(uv_poll_t *poll, int status, int events)
{
    struct task_fd *w = poll->data;

    if (status < 0)
        events = UV_READABLE | UV_WRITABLE; /* the next read tells why */
    if (!w->waiter) {
        w->stirred = true;
        watch(w, 0);
    } else if (events & w->wanted) {
        fd_wake(w, events & w->wanted, OK);
    } else {
        watch(w, w->wanted);
    }
}

static void on_fd_timeout(uv_timer_t *timer) { fd_wake(timer->data, 0, E_TIMEOUT); }

struct task_fd *task_fd_open(int fd)
{
    struct task_fd *w = calloc(1, sizeof(*w));

    if (!w || uv_poll_init(loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    uv_timer_init(loop, &w->timer);
    w->poll.data = w->timer.data = w;
    w->open_handles = 2;
    watch(w, UV_READABLE);
    return w;
}

static void on_fd_closed(uv_handle_t *h)
{
    struct task_fd *w = h->data;

    if (--w->open_handles == 0)
        free(w);
}

void task_fd_close(struct task_fd *w)
{
    if (!w)
        return;
    assert(!w->waiter);
    uv_close((uv_handle_t *)&w->poll, on_fd_closed);
    uv_close((uv_handle_t *)&w->timer, on_fd_closed);
}

enum err task_fd_wait(struct task_fd *w, int events, uint64_t timeout_ms, int *ret_events)
{
    enum err e;

    w->waiter = coro_self();
    w->wanted = events;
    watch(w, events | UV_READABLE);
    if (timeout_ms > 0) {
        uv_update_time(loop);
        uv_timer_start(&w->timer, on_fd_timeout, timeout_ms, 0);
    }
    e = coro_wait_firmly();
    if (e == OK)
        *ret_events = w->came;
    return e;
}

bool task_fd_stirred(const struct task_fd *w) { return w->stirred; }

/* ---- waitline ------------------------------------------------------------- */

struct waiter {
    struct link link;
    struct coro *coro;
};

void waitline_init(struct waitline *w) { list_init(&w->waiters); }

enum err waitline_wait(struct waitline *w, uint64_t timeout_ms)
{
    struct waiter self = { .coro = coro_self() };
    struct alarm *a = NULL;
    enum err e;

    if (timeout_ms > 0) {
        a = alarm_set(timeout_ms, E_TIMEOUT);
        if (!a)
            return E_NO_MEMORY;
    }
    list_push_back(&w->waiters, &self.link);
    e = coro_wait();
    list_remove(&self.link);
    alarm_drop(a);
    return e;
}

/* Wakes the owner of a link that was taken out of the line; false when it was
 * cancelled meanwhile and only had no turn to leave. */
static bool wake(struct link *l, enum err result)
{
    struct coro *c = container_of(l, struct waiter, link)->coro;

    if (!coro_waiting(c))
        return false;
    coro_wake(c, result);
    return true;
}

bool waitline_wake_one(struct waitline *w, enum err result)
{
    struct link *l;

    while ((l = list_pop_front(&w->waiters)) != NULL)
        if (wake(l, result))
            return true;
    return false;
}

void waitline_wake_all(struct waitline *w, enum err result)
{
    struct link woken, *l;

    list_init(&woken);
    list_splice(&woken, &w->waiters);
    while ((l = list_pop_front(&woken)) != NULL)
        wake(l, result);
}
