/* SPDX-License-Identifier: MIT */
/* The one memory mapping that all processes of a node share.
 *
 * The master makes it before it forks; each layer takes its part once
 * (shared_take) and keeps the pointer, which is the same in every worker, since
 * nobody maps again. Inside the parts stand only values, offsets and indices,
 * atomics, and slots with one writer each: no lock that a killed worker could
 * hold for ever.
 *
 * It has no name in any file system, but the master's descriptor of it: a program
 * of the same user, or root (an operator's `sanad limits`), finds it by the master's
 * process id and maps it too (shared_attach), at another address. A part that is to
 * be found that way is published under a name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct shared { char *base; size_t size, used; int fd; };

/* Maps `size` bytes, zeroed, at once (untouched pages cost nothing). Returns 0, or
 * the errno. */
int shared_open(struct shared *s, size_t size);

/* A part of the mapping, aligned to a cache line. NULL when it does not fit:
 * the sizes are known before, so that is a programmer's error. */
void *shared_take(struct shared *s, size_t size);

/* The one that another program has let pass through exec to this one (shared_bequeath)
 * when it was made with the same `layout`; else ENOENT, and nothing is inherited. The
 * parts are found, not taken. */
int shared_inherit(struct shared *s, uint64_t layout);

/* In the child that is about to become a new program: lets it pass. */
void shared_bequeath(const struct shared *s);

/* What the parts look like inside, to be compared by an heir; and that it is of this
 * version. */
void shared_describe(struct shared *s, uint64_t layout);

/* Lets others find a part; `name` has at most 15 bytes, and at most 16 are told. */
void shared_publish(struct shared *s, const char *name, const void *part, size_t size);

/* Maps what the process `pid` shares with its workers. 0, or the errno: ENOENT when
 * it shares nothing (it is no master), EPROTO when it is of another version. */
int shared_attach(pid_t pid, struct shared *ret_s);

/* The same, only to read: a store there ends this process, and never harms theirs. */
int shared_look(pid_t pid, struct shared *ret_s);

/* The version of the program that runs as `pid`; "" when it shares nothing. */
enum { SHARED_VERSION_SIZE = 16 };
void shared_version(pid_t pid, char out[static SHARED_VERSION_SIZE]);

/* A published part, within the mapping and aligned to a cache line, and its size; NULL
 * when there is none of that name. */
void *shared_part(const struct shared *s, const char *name, size_t *ret_size);

/* The same; NULL also when it has less than `least` bytes. */
void *shared_find(const struct shared *s, const char *name, size_t least);

void shared_close(struct shared *s);
