/* SPDX-License-Identifier: MIT */
/* A bell between processes: whoever inherited it may ring, its owner's loop hears.
 *
 * An eventfd(2), made before the fork. Several rings before the owner listens are
 * one; what is said with it stands elsewhere, in shared memory. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct bell_watch;

/* A descriptor, closed on exec; -1 when there is none to be had. */
int bell_make(void);

/* Closes it; *fd is -1 after that. -1 is fine. */
void bell_break(int *fd);

/* Never blocks; -1: nobody hears. */
void bell_ring(int fd);

/* Calls rung(arg) on this thread's loop (base/task.h) after each ring. NULL
 * without memory. The descriptor stays the caller's. */
struct bell_watch *bell_listen(int fd, void (*rung)(void *arg), void *arg);

/* NULL is fine. */
void bell_ignore(struct bell_watch *w);
