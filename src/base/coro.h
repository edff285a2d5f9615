/* SPDX-License-Identifier: MIT */
/* Coroutines: straight-line code on an event loop.
 *
 * A handler calls db_query() or task_sleep() as if it blocked; in truth it is
 * suspended and the loop goes on. Each coroutine has a stack of its own (C
 * library's ucontext, a guard page below, stacks kept for reuse), and runs only
 * on the thread of its pool.
 *
 *    loop callback --coro_start/coro_wake--> coroutine --coro_wait--> back to the loop
 *
 * Waking: coro_wake() from a loop callback runs the coroutine before it
 * returns; from within another coroutine it is queued and runs when that one
 * suspends or ends, so that wake-ups never nest.
 *
 * Cancelling: coro_cancel() makes the present or next coro_wait() return
 * E_CANCELLED, and each one after it. A wait that must not be left early (a
 * thread is writing into its memory) uses coro_wait_firmly().
 *
 * The primitive that waits unlinks itself from whatever would wake it, after
 * the wait, whatever the result: nobody else may hold its name any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct coro;
struct coro_pool;

typedef void coro_fn(void *arg);

/* Coroutines with stacks of stack_bytes (rounded up to pages), of which at most
 * keep_idle unused ones are kept. NULL without memory. */
struct coro_pool *coro_pool_new(size_t stack_bytes, size_t keep_idle);

/* All its coroutines must have ended. NULL is fine. */
void coro_pool_free(struct coro_pool *pool);

/* How many run or wait now. */
size_t coro_pool_active(const struct coro_pool *pool);

/* Runs fn(arg) in a new coroutine until it first waits or ends. E_NO_MEMORY
 * when there is no stack to be had; then fn is not called. From within a
 * coroutine the new one is queued. *ret_coro (may be NULL) is valid until fn
 * returns, and is set before fn runs. */
MUSTCHECK enum err coro_start(struct coro_pool *pool, coro_fn *fn, void *arg, struct coro **ret_coro);

/* The running coroutine; NULL on the loop's own stack. */
struct coro *coro_self(void);

/* Suspends the running coroutine until coro_wake(); returns the wake's result,
 * or E_CANCELLED (at once if it was cancelled before). */
MUSTCHECK enum err coro_wait(void);

/* The same, deaf to cancelling. */
MUSTCHECK enum err coro_wait_firmly(void);

/* Ends the wait of a suspended coroutine with this result. Waking one that does
 * not wait is a programmer's error (asserted): a line of waiters asks
 * coro_waiting() first, since another coroutine may have cancelled one of them
 * that has had no turn to leave the line. */
void coro_wake(struct coro *c, enum err result);
bool coro_waiting(const struct coro *c);

void coro_cancel(struct coro *c);
bool coro_cancelled(const struct coro *c);
