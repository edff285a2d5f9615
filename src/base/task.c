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
