/* SPDX-License-Identifier: MIT */
#include "http/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "http/exchange.h"
#include "http/server_state.h"

static const double DRAIN_SILENCE_S = 0.5;

enum { STACK_BYTES = 256 * 1024, STACKS_KEPT = 64, ACCEPTS_A_TURN = 64 };

/* ---- accepting ------------------------------------------------------------
 * The listening sockets are watched only while there is room; beyond
 * max_connections clients wait in the kernel's backlog. */

/* What came of an attempt to accept. */
enum catch {
    CAUGHT, /* a connection, or one that was gone again: there may be more */
    EMPTY,  /* nobody waits                                                */
    LACKING /* descriptors or memory; the next tick tries again            */
};

static void on_acceptable(uv_poll_t *poll, int status, int events);
static void on_listener_closed(uv_handle_t *h);

static void watch_one(struct listener *l, bool on)
{
    if (l->fd < 0)
        return;
    if (on)
        uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    else
        uv_poll_stop(&l->poll);
}

static void watch_listeners(struct server *s, bool on)
{
    if (s->accepting == on)
        return;
    s->accepting = on;
    for (size_t i = 0; i < s->listener_count; i++)
        watch_one(s->listeners[i], on);
}

static bool has_room(const struct server *s) { return s->conn_count < (size_t)s->conf.max_connections; }

/* At most once a minute: it may stay so for long. */
static void complain(struct server *s, int error)
{
    if (uv_now(s->loop) < s->complain_due)
        return;
    s->complain_due = uv_now(s->loop) + COMPLAIN_MS;
    log_event(LOG_WARNING, "cannot accept: out of file descriptors or memory", LOG_C("why", strerrordesc_np(error)),
              LOG_I("connections", (int64_t)s->conn_count));
}

static enum catch accept_one(struct listener *l)
{
    struct server *s = l->server;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    const int fd = accept4(l->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        conn_open(s, fd, (const struct sockaddr *)&address);
        return CAUGHT;
    }
    switch (errno) {
    case ECONNABORTED:
    case EINTR:
        return CAUGHT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        complain(s, errno);
        watch_listeners(s, false);
        return LACKING;
    case EINVAL: /* a Unix socket whose door is shut is readable for ever */
        watch_one(l, false);
        return EMPTY;
    default:
        return EMPTY;
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    struct server *s = l->server;
    (void)status, (void)events;

    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        if (!has_room(s)) {
            watch_listeners(s, false);
            return;
        }
        if (accept_one(l) != CAUGHT)
            return;
    }
}

static void close_listener(struct listener *l)
{
    if (l->fd < 0)
        return;
    uv_poll_stop(&l->poll);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->fd);
    l->fd = -1;
}

static void close_listeners(struct server *s)
{
    for (size_t i = 0; i < s->listener_count; i++)
        close_listener(s->listeners[i]);
}

/* Nobody may be lost who was let in: who waits in the queue is accepted, as room
 * allows, before the socket closes. False: there is no room. */
static bool empty_queue(struct listener *l)
{
    struct server *s = l->server;
    enum catch c = CAUGHT;

    while (c == CAUGHT && l->fd >= 0) {
        if (!has_room(s))
            return false;
        c = accept_one(l);
    }
    if (c == LACKING && s->conn_count > 0)
        return false;
    close_listener(l);
    return true;
}

static void empty_queues(struct server *s)
{
    watch_listeners(s, true);
    for (size_t i = 0; i < s->listener_count; i++) {
        if (!empty_queue(s->listeners[i])) {
            watch_listeners(s, false);
            return;
        }
    }
}

void server_room(struct server *s)
{
    if (!has_room(s))
        return;
    if (s->draining)
        empty_queues(s);
    else
        watch_listeners(s, true);
}

static int open_listener(struct listener *l, int fd, int backlog)
{
    int r;

    l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (l->fd < 0 || listen(l->fd, backlog) != 0)
        return uv_translate_sys_error(errno);
    r = uv_poll_init(l->server->loop, &l->poll, l->fd);
    if (r != 0)
        return r;
    l->poll.data = l;
    return 0;
}

int server_listen(struct server *s, int fd, int backlog)
{
    struct listener *l = s->listener_count < SERVER_LISTENERS_MAX ? calloc(1, sizeof(*l)) : NULL;
    int r;

    if (!l)
        return UV_ENOMEM;
    l->server = s;
    r = open_listener(l, fd, backlog);
    if (r != 0) {
        if (l->fd >= 0)
            close(l->fd);
        free(l);
        return r;
    }
    s->listeners[s->listener_count++] = l;
    s->open_handles++;
    if (s->accepting)
        watch_one(l, true);
    else
        watch_listeners(s, true);
    return 0;
}

/* ---- time ------------------------------------------------------------------ */

struct str server_date(struct server *s)
{
    const uint64_t now = uv_now(s->loop);

    if (now >= s->date_due) {
        const wall_ms second = clock_wall() / MS_PER_S;

        s->date_due = now + DATE_MS;
        if (second != s->date_second)
            clock_http_date(second * MS_PER_S, s->date);
        s->date_second = second;
    }
    return (struct str){ s->date, HTTP_DATE_SIZE - 1 };
}

/* A server that drains in haste gives a silent client a moment to send what is on its
 * way. */
static double silence_limit(const struct server *s, double usual)
{
    const bool haste = s->draining && s->drain_kind == DRAIN_QUICK;

    return haste && usual > DRAIN_SILENCE_S ? DRAIN_SILENCE_S : usual;
}

static double limit_of(const struct server *s, enum conn_state state)
{
    const double limits[CONN_STATES] = {
        [CONN_NEW] = silence_limit(s, s->conf.header_timeout_s),
        [CONN_IDLE] = silence_limit(s, s->conf.keep_alive_s),
        [CONN_HEAD] = s->conf.header_timeout_s,
        [CONN_BODY] = s->conf.body_timeout_s,
        [CONN_WRITING] = s->conf.write_timeout_s,
        [CONN_LINGER] = LINGER_MS / 1000.0,
    };
    return limits[state];
}

static void expire(struct server *s, enum conn_state state)
{
    const uint64_t now = uv_now(s->loop), limit = (uint64_t)(limit_of(s, state) * 1000);

    while (limit > 0 && !list_empty(&s->conns[state])) {
        struct conn *c = container_of(s->conns[state].next, struct conn, link);
        if (c->since + limit > now)
            return;
        conn_timed_out(c);
    }
}

static void expire_crawling_bodies(struct server *s)
{
    struct link *next;

    for (struct link *l = s->conns[CONN_BODY].next; l != &s->conns[CONN_BODY]; l = next) {
        struct conn *c = container_of(l, struct conn, link);
        next = l->next;
        if (exchange_body_crawls(c->exchange, uv_now(s->loop)))
            conn_timed_out(c);
    }
}

static void on_tick(uv_timer_t *timer)
{
    static const enum conn_state limited[] = { CONN_NEW, CONN_IDLE, CONN_HEAD, CONN_BODY, CONN_WRITING, CONN_LINGER };
    struct server *s = timer->data;

    for (size_t i = 0; i < sizeof(limited) / sizeof(*limited); i++)
        expire(s, limited[i]);
    expire_crawling_bodies(s);
    server_room(s);
    metric_gauge_set(M_COROUTINES, (int64_t)coro_pool_active(s->coros));
}

/* ---- life -------------------------------------------------------------------- */

struct server *server_new(uv_loop_t *loop, const struct server_conf *conf, const struct router *router,
                          const struct http_step *steps, size_t step_count, const struct server_hooks *hooks, void *app)
{
    struct server *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->loop = loop;
    s->conf = *conf;
    s->router = router;
    s->steps = steps;
    s->step_count = step_count;
    s->hooks = hooks;
    s->app = app;
    s->coros = coro_pool_new(STACK_BYTES, STACKS_KEPT);
    if (!s->coros) {
        free(s);
        return NULL;
    }
    for (int i = 0; i < CONN_STATES; i++)
        list_init(&s->conns[i]);
    list_init(&s->idle_exchanges);
    list_init(&s->under_way);
    uv_timer_init(loop, &s->ticker);
    s->ticker.data = s;
    s->open_handles = 1;
    uv_timer_start(&s->ticker, on_tick, TICK_MS, TICK_MS);
    return s;
}

static void on_handle_closed(struct server *s)
{
    s->open_handles--;
    server_check_drained(s);
}

static void on_ticker_closed(uv_handle_t *h) { on_handle_closed(h->data); }
static void on_listener_closed(uv_handle_t *h) { on_handle_closed(((struct listener *)h->data)->server); }

void server_check_drained(struct server *s)
{
    if (!s->draining || s->drained_told || s->conn_count > 0 || s->active > 0)
        return;
    if (!uv_is_closing((uv_handle_t *)&s->ticker))
        uv_close((uv_handle_t *)&s->ticker, on_ticker_closed);
    if (s->open_handles > 0)
        return;
    s->drained_told = true;
    s->drained(s->drained_arg);
}

void server_drain(struct server *s, enum drain_kind kind, void (*drained)(void *arg), void *arg)
{
    s->drain_kind = s->draining && s->drain_kind > kind ? s->drain_kind : kind;
    s->drained = drained;
    s->drained_arg = arg;
    s->draining = true;
    server_room(s);
    server_check_drained(s);
}

void server_abort(struct server *s)
{
    close_listeners(s);
    for (int state = 0; state < CONN_CLOSED; state++)
        while (!list_empty(&s->conns[state]))
            conn_close(container_of(s->conns[state].next, struct conn, link));
    exchange_cancel_all(s);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    assert(s->conn_count == 0 && s->open_handles == 0);
    for (size_t i = 0; i < s->listener_count; i++)
        free(s->listeners[i]);
    exchange_free_idle(s);
    coro_pool_free(s->coros);
    free(s);
}

size_t server_connections(const struct server *s) { return s->conn_count; }
size_t server_active(const struct server *s) { return s->active; }
const struct router *server_router(const struct server *s) { return s->router; }
