/* SPDX-License-Identifier: MIT */
#include "redis/wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <uv.h>

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

#include "base/task.h"
#include "redis/reply.h"

enum { HEAR_MOST = 256 }; /* reads, each of 16 KiB */

struct wire {
    redisContext *hiredis;
    const struct wire_events *events;
    void *owner;
    uv_poll_t poll;
    uv_prepare_t flush; /* runs while there is something to write     */
    int watched;        /* what `poll` was asked for                  */
    int open_handles;
    struct link under_way; /* of struct ask, in the order of answers     */
    size_t count;          /* of those                                   */
    struct reply reply;
    bool connected, closed;
};

/* ---- the end ---------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *h)
{
    struct wire *w = h->data;

    if (--w->open_handles > 0)
        return;
    reply_done(&w->reply);
    free(w);
}

void wire_close(struct wire *w)
{
    struct link *l;

    if (!w || w->closed)
        return;
    w->closed = true;
    uv_close((uv_handle_t *)&w->poll, on_handle_closed);
    uv_close((uv_handle_t *)&w->flush, on_handle_closed);
    redisFree(w->hiredis);
    while ((l = list_pop_front(&w->under_way)) != NULL) {
        struct ask *a = container_of(l, struct ask, link);
        a->answered(a, E_CLOSED, NULL);
    }
}

static void fail(struct wire *w, const char *reason)
{
    char why[WIRE_REASON_SIZE];

    if (w->closed)
        return;
    snprintf(why, sizeof(why), "%s", reason); /* it may be in what is freed now */
    w->events->failed(w->owner, why);
}

static void on_event(uv_poll_t *poll, int status, int events);

static void watch(struct wire *w, int events)
{
    if (w->watched == events)
        return;
    w->watched = events;
    uv_poll_start(&w->poll, events, on_event);
}

/* ---- answers ------------------------------------------------------------------ */

static void push(struct wire *w)
{
    const struct redis_value *v = &w->reply.root;

    if (v->kind == REDIS_ERROR) /* "max number of clients reached", and the like */
        fail(w, v->s.ptr);
    else if (!w->events->pushed)
        fail(w, "it said what nobody had asked for");
    else if (!w->reply.too_large)
        w->events->pushed(w->owner, v);
}

static void deliver(struct wire *w)
{
    struct link *l = list_pop_front(&w->under_way);
    struct ask *a = l ? container_of(l, struct ask, link) : NULL;

    if (!a) {
        push(w);
        return;
    }
    w->count--;
    if (w->reply.too_large)
        a->answered(a, E_TOO_LARGE, NULL);
    else
        a->answered(a, OK, &w->reply.root);
}

/* All answers that are whole. */
static void take_answers(struct wire *w)
{
    void *whole = NULL;

    while (redisGetReplyFromReader(w->hiredis, &whole) == REDIS_OK) {
        if (!whole) {
            if (w->hiredis->reader->len - w->hiredis->reader->pos > WIRE_PARTIAL_BYTES)
                fail(w, "an answer is too large");
            return;
        }
        deliver(w);
        if (w->closed)
            return;
        reply_clear(&w->reply);
    }
    fail(w, w->hiredis->errstr);
}

static void take(struct wire *w)
{
    if (redisBufferRead(w->hiredis) == REDIS_OK)
        take_answers(w);
    else
        fail(w, w->hiredis->errstr);
}

static bool has_more(const struct wire *w)
{
    int bytes = 0;

    return !w->closed && w->connected && ioctl(w->hiredis->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

void wire_hear(struct wire *w)
{
    for (int i = 0; i < HEAR_MOST && has_more(w); i++)
        take(w);
}

/* ---- writing -------------------------------------------------------------------- */

static void write_out(struct wire *w)
{
    int done = 0;

    uv_prepare_stop(&w->flush);
    if (redisBufferWrite(w->hiredis, &done) != REDIS_OK)
        fail(w, w->hiredis->errstr);
    else
        watch(w, done ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

static void on_turn(uv_prepare_t *flush) { write_out(flush->data); }

enum err wire_ask(struct wire *w, struct str bytes, struct ask *a)
{
    if (w->closed)
        return E_CLOSED;
    if (sdslen(w->hiredis->obuf) + bytes.len > WIRE_OUT_BYTES || w->count >= WIRE_UNDER_WAY_MAX)
        return E_BUSY;
    if (redisAppendFormattedCommand(w->hiredis, bytes.ptr, bytes.len) != REDIS_OK)
        return E_NO_MEMORY;
    if (a) {
        list_push_back(&w->under_way, &a->link);
        w->count++;
    }
    if (w->connected && !(w->watched & UV_WRITABLE))
        uv_prepare_start(&w->flush, on_turn);
    return OK;
}

/* ---- events ---------------------------------------------------------------------- */

static void finish_connecting(struct wire *w)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(w->hiredis->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        fail(w, error != 0 ? uv_strerror(uv_translate_sys_error(error)) : "the socket is broken");
        return;
    }
    w->connected = true;
    watch(w, UV_READABLE);
    w->events->opened(w->owner);
}

/* A status below zero is told by the next read, too. */
static void on_event(uv_poll_t *poll, int status, int events)
{
    struct wire *w = poll->data;

    if (status < 0)
        events = UV_READABLE;
    if (!w->connected)
        finish_connecting(w);
    else if (events & UV_READABLE)
        take(w);
    if (!w->closed && w->connected && (events & UV_WRITABLE) && (w->watched & UV_WRITABLE))
        write_out(w);
}

/* ---- the beginning ----------------------------------------------------------------- */

static redisContext *connect_to(const struct wire_place *place)
{
    redisContext *c = place->path ? redisConnectUnixNonBlock(place->path)
                                  : redisConnectNonBlock(place->address, place->port);

    if (!c || c->err)
        return c;
    (void)fcntl(c->fd, F_SETFD, FD_CLOEXEC);
    if (!place->path)
        (void)redisEnableKeepAlive(c);
    return c;
}

static struct wire *wire_new(redisContext *c)
{
    struct wire *w = calloc(1, sizeof(*w));

    if (!w || uv_poll_init(task_loop(), &w->poll, c->fd) != 0) {
        free(w);
        return NULL;
    }
    uv_prepare_init(task_loop(), &w->flush);
    w->poll.data = w->flush.data = w;
    w->open_handles = 2;
    w->hiredis = c;
    list_init(&w->under_way);
    reply_init(&w->reply);
    reply_attach(&w->reply, c->reader);
    return w;
}

struct wire *wire_open(const struct wire_place *place, const struct wire_events *events, void *owner,
                       char why[static WIRE_REASON_SIZE])
{
    redisContext *c = connect_to(place);
    struct wire *w = c && !c->err ? wire_new(c) : NULL;

    if (!w) {
        snprintf(why, WIRE_REASON_SIZE, "%s", c && c->err ? c->errstr : "out of memory");
        if (c)
            redisFree(c);
        return NULL;
    }
    w->events = events;
    w->owner = owner;
    watch(w, UV_WRITABLE);
    return w;
}
