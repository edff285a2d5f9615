/* SPDX-License-Identifier: MIT */
/* Where a process listens, by what the kernel knows of its descriptors: so it is true
 * whether it opened the sockets, inherited them or was given them. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum { LISTENING_SIZE = 160 };
struct listening { char text[LISTENING_SIZE]; };   /* "http://127.0.0.1:8000", "unix:/run/sanad.sock" */

/* Each place once, at most `room`; returns how many. 0 also when it is not ours to know. */
size_t listening_of(pid_t pid, struct listening *out, size_t room);
