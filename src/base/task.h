/* SPDX-License-Identifier: MIT */
/* The waits that every layer needs, for the running coroutine, on the libuv
 * loop of its thread (told once with task_use_loop()).
 *
 * All return OK, E_CANCELLED when the coroutine was cancelled, or the error
 * named. Outside a coroutine task_offload() runs the function at once, on the
 * caller's own thread: start-up code and tools may use the same layers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"

/* This thread's loop, used by all of the below. Call before the first. */
void task_use_loop(uv_loop_t *loop);
uv_loop_t *task_loop(void);

MUSTCHECK enum err task_sleep(uint64_t ms);

/* Runs work(arg) on a thread of libuv's pool and waits for its end, firmly: the
 * memory is the caller's. Returns what work returned; E_NO_MEMORY if it could
 * not be queued (then work did not run). */
typedef enum err task_work(void *arg);
MUSTCHECK enum err task_offload(task_work *work, void *arg);

/* A descriptor that coroutines wait for, one at a time. It is watched as long
 * as it is open, so that a wait costs no system call of its own, and a peer
 * that closes while nobody waits is noticed. */
struct task_fd;

/* NULL without memory or when the descriptor cannot be watched. */
struct task_fd *task_fd_open(int fd);

/* Stops watching; the descriptor stays open. Nobody may wait. NULL is fine. */
void task_fd_close(struct task_fd *w);

/* Waits, firmly, until the descriptor is UV_READABLE or UV_WRITABLE (`events`),
 * at most timeout_ms (0: no limit): OK with *ret_events, or E_TIMEOUT. */
MUSTCHECK enum err task_fd_wait(struct task_fd *w, int events, uint64_t timeout_ms, int *ret_events);

/* Whether something came (or the peer closed) while nobody waited. */
bool task_fd_stirred(const struct task_fd *w);

/* A place where coroutines wait in line; first come, first served. */
struct waitline { struct link waiters; };
void waitline_init(struct waitline *w);

/* Waits for a turn, at most timeout_ms (0: no limit): E_TIMEOUT. */
MUSTCHECK enum err waitline_wait(struct waitline *w, uint64_t timeout_ms);

/* Gives the first in line its turn, with this result. Whether there was one. */
bool waitline_wake_one(struct waitline *w, enum err result);
void waitline_wake_all(struct waitline *w, enum err result);
