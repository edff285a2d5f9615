/* SPDX-License-Identifier: MIT */
#include "base/bell.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/task.h"

struct bell_watch {
    uv_poll_t poll;
    int fd;
    void (*rung)(void *arg);
    void *arg;
};

int bell_make(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void bell_break(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* That the counter is full means that it rings already. */
void bell_ring(int fd)
{
    const uint64_t once = 1;

    if (fd >= 0 && write(fd, &once, sizeof(once)) < 0)
        return;
}

static void on_ring(uv_poll_t *poll, int status, int events)
{
    const struct bell_watch *w = poll->data;
    uint64_t rings;

    (void)events;
    if (status == 0 && read(w->fd, &rings, sizeof(rings)) == (ssize_t)sizeof(rings))
        w->rung(w->arg);
}

struct bell_watch *bell_listen(int fd, void (*rung)(void *arg), void *arg)
{
    struct bell_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    *w = (struct bell_watch){ .fd = fd, .rung = rung, .arg = arg };
    if (uv_poll_init(task_loop(), &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    uv_poll_start(&w->poll, UV_READABLE, on_ring);
    return w;
}

static void closed(uv_handle_t *h) { free(h->data); }

void bell_ignore(struct bell_watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, closed);
}
