/* SPDX-License-Identifier: MIT */
/* Who is due when: a binary heap of moments, the earliest first. Each user is
 * in it at most once, so its room, given at the start, always suffices. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct due { mono_ns at; uint32_t user; };

struct schedule {
    struct due *heap;
    size_t      count, room;
};

MUSTCHECK enum err schedule_init(struct schedule *s, size_t room);
void schedule_done(struct schedule *s);

void schedule_add(struct schedule *s, struct due due);

/* The earliest; s->count > 0. */
static inline struct due schedule_first(const struct schedule *s) { return s->heap[0]; }
struct due schedule_take(struct schedule *s);
