/* SPDX-License-Identifier: MIT */
#include "base/coro.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/list.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifndef HAVE_ASAN
#define HAVE_ASAN 0
#endif

#if HAVE_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

/* The comment says when a state is left. */
enum coro_state {
    CORO_IDLE,    /* in pool->idle: its stack is taken for a new function */
    CORO_READY,   /* in scheduler.ready: the running one suspends or ends */
    CORO_RUNNING, /* it waits, or its function returns                    */
    CORO_WAITING, /* coro_wake(), or coro_cancel() if it listens          */
};

struct coro {
    struct link link; /* pool->idle or scheduler.ready               */
    struct coro_pool *pool;
    ucontext_t context; /* where it stands while it does not run       */
    char *stack;        /* lowest usable byte; a guard page lies below */
    coro_fn *fn;
    void *arg;
    enum coro_state state;
    enum err result; /* of the wait that ends next                  */
    bool cancelled;
    bool firm;        /* the present wait is deaf to cancelling      */
    bool ended;       /* fn returned, the stack is not kept          */
    void *fake_stack; /* AddressSanitizer's                          */
};

struct coro_pool {
    struct link idle;
    size_t stack_bytes, keep_idle, idle_count, active;
};

/* The thread's own side of all switches. */
static _Thread_local struct {
    ucontext_t loop;      /* the loop's stack, while a coroutine runs   */
    struct coro *running; /* NULL: we are on the loop's stack           */
    struct link ready;    /* woken by a coroutine, to run after it      */
    void *fake_stack;     /* AddressSanitizer: of the loop's stack      */
    const void *stack_bottom;
    size_t stack_size;
} scheduler;

struct coro *coro_self(void) { return scheduler.running; }
bool coro_cancelled(const struct coro *c) { return c->cancelled; }
bool coro_waiting(const struct coro *c) { return c->state == CORO_WAITING; }
size_t coro_pool_active(const struct coro_pool *pool) { return pool->active; }

/* ---- switching stacks ------------------------------------------------- */

static void enter(struct coro *c)
{
#if HAVE_ASAN
    __sanitizer_start_switch_fiber(&scheduler.fake_stack, c->stack, c->pool->stack_bytes);
#endif
    swapcontext(&scheduler.loop, &c->context);
#if HAVE_ASAN
    __sanitizer_finish_switch_fiber(scheduler.fake_stack, NULL, NULL);
#endif
}

/* Called on c's stack right after it was switched to. */
static void entered(struct coro *c)
{
#if HAVE_ASAN
    __sanitizer_finish_switch_fiber(c->fake_stack, &scheduler.stack_bottom, &scheduler.stack_size);
#endif
    c->state = CORO_RUNNING;
}

static void leave(struct coro *c)
{
#if HAVE_ASAN
    __sanitizer_start_switch_fiber(c->ended ? NULL : &c->fake_stack, scheduler.stack_bottom, scheduler.stack_size);
#endif
    swapcontext(&c->context, &scheduler.loop);
    entered(c);
}

/* The bottom frame of every stack: runs one function after another. */
static void trampoline(void)
{
    struct coro *c = scheduler.running;

    entered(c);
    for (;;) {
        c->fn(c->arg);
        c->state = CORO_IDLE;
        c->ended = c->pool->idle_count >= c->pool->keep_idle;
        leave(c);
    }
}

/* ---- stacks ------------------------------------------------------------ */

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void coro_free(struct coro *c)
{
    munmap(c->stack - page_size(), c->pool->stack_bytes + page_size());
    free(c);
}

/* getcontext() may return twice as far as the compiler knows: it stays in a
 * function whose variables do not matter. */
static __attribute__((noinline)) bool prepare(struct coro *c)
{
    if (getcontext(&c->context) != 0)
        return false;
    c->context.uc_stack.ss_sp = c->stack;
    c->context.uc_stack.ss_size = c->pool->stack_bytes;
    makecontext(&c->context, trampoline, 0);
    return true;
}

static struct coro *coro_new(struct coro_pool *pool)
{
    struct coro *c = calloc(1, sizeof(*c));
    char *map;

    if (!c)
        return NULL;
    map = mmap(NULL, pool->stack_bytes + page_size(), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        free(c);
        return NULL;
    }
    c->pool = pool;
    c->stack = map + page_size();
    list_init(&c->link);
    if (mprotect(map, page_size(), PROT_NONE) == 0 && prepare(c))
        return c;
    coro_free(c);
    return NULL;
}

static struct coro *coro_take(struct coro_pool *pool)
{
    struct link *l = list_pop_front(&pool->idle);

    if (!l)
        return coro_new(pool);
    pool->idle_count--;
    return container_of(l, struct coro, link);
}

static void coro_give_back(struct coro *c)
{
    struct coro_pool *pool = c->pool;

    pool->active--;
    if (c->ended) {
        coro_free(c);
        return;
    }
    pool->idle_count++;
    list_push_front(&pool->idle, &c->link);
}

struct coro_pool *coro_pool_new(size_t stack_bytes, size_t keep_idle)
{
    struct coro_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    *pool = (struct coro_pool){ .stack_bytes = (stack_bytes + page_size() - 1) / page_size() * page_size(),
                                .keep_idle = keep_idle };
    list_init(&pool->idle);
    return pool;
}

void coro_pool_free(struct coro_pool *pool)
{
    struct link *l;

    if (!pool)
        return;
    assert(pool->active == 0);
    while ((l = list_pop_front(&pool->idle)) != NULL)
        coro_free(container_of(l, struct coro, link));
    free(pool);
}

/* ---- running ------------------------------------------------------------ */

static struct link *ready_queue(void)
{
    if (!scheduler.ready.next)
        list_init(&scheduler.ready);
    return &scheduler.ready;
}

static void run(struct coro *c)
{
    scheduler.running = c;
    enter(c);
    scheduler.running = NULL;
    if (c->state == CORO_IDLE)
        coro_give_back(c);
}

/* Makes c run: now when we are on the loop's stack (and then whatever it
 * woke), else after the running coroutine. */
static void schedule(struct coro *c)
{
    struct link *l;

    c->state = CORO_READY;
    list_push_back(ready_queue(), &c->link);
    if (scheduler.running)
        return;
    while ((l = list_pop_front(ready_queue())) != NULL)
        run(container_of(l, struct coro, link));
}

enum err coro_start(struct coro_pool *pool, coro_fn *fn, void *arg, struct coro **ret_coro)
{
    struct coro *c = coro_take(pool);

    if (!c)
        return E_NO_MEMORY;
    c->fn = fn;
    c->arg = arg;
    c->cancelled = false;
    pool->active++;
    if (ret_coro)
        *ret_coro = c;
    schedule(c);
    return OK;
}

static enum err wait(bool firm)
{
    struct coro *c = scheduler.running;

    assert(c && "waiting outside a coroutine");
    if (c->cancelled && !firm)
        return E_CANCELLED;
    c->firm = firm;
    c->state = CORO_WAITING;
    leave(c);
    return c->result;
}

enum err coro_wait(void) { return wait(false); }
enum err coro_wait_firmly(void) { return wait(true); }

void coro_wake(struct coro *c, enum err result)
{
    assert(c->state == CORO_WAITING && "woken twice");
    c->result = result;
    schedule(c);
}

void coro_cancel(struct coro *c)
{
    if (c->cancelled)
        return;
    c->cancelled = true;
    if (c->state == CORO_WAITING && !c->firm)
        coro_wake(c, E_CANCELLED);
}
