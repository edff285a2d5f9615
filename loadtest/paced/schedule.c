/* SPDX-License-Identifier: MIT */
#include "paced/schedule.h"

#include <assert.h>
#include <stdlib.h>

enum err schedule_init(struct schedule *s, size_t room)
{
    *s = (struct schedule){ .heap = calloc(room, sizeof(*s->heap)), .room = room };
    return s->heap ? OK : E_NO_MEMORY;
}

void schedule_done(struct schedule *s)
{
    free(s->heap);
    *s = (struct schedule){ 0 };
}

void schedule_add(struct schedule *s, struct due due)
{
    size_t at = s->count++;

    assert(s->count <= s->room);
    for (; at > 0 && due.at < s->heap[(at - 1) / 2].at; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = due;
}

struct due schedule_take(struct schedule *s)
{
    const struct due first = s->heap[0], last = s->heap[--s->count];
    size_t at = 0;

    for (size_t child = 1; child < s->count; child = 2 * at + 1) {
        if (child + 1 < s->count && s->heap[child + 1].at < s->heap[child].at)
            child++;
        if (last.at <= s->heap[child].at)
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
    return first;
}
