/* SPDX-License-Identifier: MIT */
/* What the kernel knows of a process: memory, time, descriptors (from /proc). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct process_info {
    int64_t rss_bytes, virtual_bytes;
    double  cpu_seconds;            /* user and system, its own                         */
    double  children_cpu_seconds;   /* of its children that have died and were waited for */
    int64_t threads;
    int64_t open_fds, max_fds;      /* -1: not ours to know                             */
};

/* False when there is no such process (any more). */
bool process_info_read(int pid, struct process_info *ret_info);
