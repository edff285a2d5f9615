/* SPDX-License-Identifier: MIT */
#include "http/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/exchange.h"
#include "http/proxy_protocol.h"
#include "http/server_state.h"

enum { PIECES_OF_RESPONSE = 2 }; /* head and body, or the lines before a blob and the blob */

static void consume(struct conn *c, const char *bytes, size_t len);
static void start_reading(struct conn *c);

/* ---- state ------------------------------------------------------------------ */

void conn_move(struct conn *c, enum conn_state state)
{
    assert(c->state != CONN_CLOSED);
    list_remove(&c->link);
    c->state = state;
    c->since = uv_now(c->server->loop);
    list_push_back(&c->server->conns[state], &c->link);
}

static void on_closed(uv_handle_t *h)
{
    struct conn *c = h->data;
    struct server *s = c->server;

    list_remove(&c->link);
    buf_done(&c->in);
    free(c);
    s->conn_count--;
    metric_gauge_set(M_CONNECTIONS, (int64_t)s->conn_count);
    server_room(s);
    server_check_drained(s);
}

static void release(struct hold h)
{
    if (h.entered)
        blob_leave(h.blob);
    blob_unref(h.blob);
}

static void outbox_clear(struct outbox *o)
{
    for (size_t i = 0; i < o->count; i++)
        release(o->holds[i]);
    o->count = o->used = 0;
    o->owner = NULL;
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    conn_move(c, CONN_CLOSED);
    if (c->server->out.owner == c)
        outbox_clear(&c->server->out);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    if (c->exchange)
        exchange_abandon(c->exchange);
    c->exchange = NULL;
    if (c->drain_waiter)
        coro_cancel(c->drain_waiter);
}

void conn_timed_out(struct conn *c)
{
    static const struct http_refusal late = { 408, "The request's head took too long." };
    const size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);

    if (c->state == CONN_WRITING && queued < c->queued) { /* slow, but it reads */
        c->queued = queued;
        conn_move(c, CONN_WRITING);
        return;
    }
    if (c->state != CONN_IDLE && c->state != CONN_LINGER)
        metric_add(M_TIMEOUTS, 1);
    if (c->state == CONN_HEAD)
        exchange_refuse(c, &late);
    else if (c->state == CONN_BODY)
        exchange_body_timeout(c->exchange);
    else
        conn_close(c);
}

/* ---- writing ------------------------------------------------------------------ */

/* What the socket did not take: copies of bytes, references to blobs. A
 * connection has several when its exchange goes on meanwhile. */
struct pending_write {
    uv_write_t req;
    struct conn *conn;
    size_t count, bytes;
    char *copy;
    struct hold holds[OUTBOX_PIECES];
    uv_buf_t pieces[OUTBOX_PIECES];
};

static void pending_free(struct pending_write *p)
{
    for (size_t i = 0; i < p->count; i++)
        release(p->holds[i]);
    free(p->copy);
    free(p);
}

/* Drops the first n bytes of the outbox, which have been sent. */
static void outbox_sent(struct outbox *o, size_t n)
{
    size_t done = 0;

    while (done < o->count && n >= o->pieces[done].len) {
        n -= o->pieces[done].len;
        release(o->holds[done]);
        done++;
    }
    o->count -= done;
    memmove(o->pieces, o->pieces + done, o->count * sizeof(*o->pieces));
    memmove(o->holds, o->holds + done, o->count * sizeof(*o->holds));
    if (o->count > 0 && n > 0) {
        o->pieces[0].base += n;
        o->pieces[0].len -= n;
    }
}

/* Takes over the rest of the outbox: borrowed bytes are copied. */
static struct pending_write *pending_new(struct outbox *o)
{
    struct pending_write *p = calloc(1, sizeof(*p));
    size_t copied = 0;
    char *to;

    for (size_t i = 0; i < o->count; i++)
        copied += o->holds[i].blob ? 0 : o->pieces[i].len;
    if (!p || (copied > 0 && !(p->copy = malloc(copied)))) {
        free(p);
        return NULL;
    }
    to = p->copy;
    for (size_t i = 0; i < o->count; i++) {
        p->pieces[i] = o->pieces[i];
        p->holds[i] = o->holds[i];
        p->bytes += o->pieces[i].len;
        if (o->holds[i].blob)
            continue;
        memcpy(to, o->pieces[i].base, o->pieces[i].len);
        p->pieces[i].base = to;
        to += o->pieces[i].len;
    }
    p->conn = o->owner;
    p->count = o->count;
    o->count = o->used = 0; /* the references are p's now */
    o->owner = NULL;
    return p;
}

/* The last answer was written. The client may still be sending: closing at once
 * would make the kernel throw away what it has not read yet (RFC 9112 §9.6). */
static void on_shut(uv_shutdown_t *req, int status)
{
    (void)status;
    free(req);
}

static void linger(struct conn *c)
{
    uv_shutdown_t *req = calloc(1, sizeof(*req));

    if (!req || uv_shutdown(req, (uv_stream_t *)&c->tcp, on_shut) != 0) {
        free(req);
        conn_close(c);
        return;
    }
    conn_move(c, CONN_LINGER);
    buf_done(&c->in);
    start_reading(c);
}

/* What an open connection waits for. */
static enum conn_state awaits(const struct conn *c)
{
    if (c->pending > 0)
        return CONN_WRITING;
    if (c->exchange)
        return c->exchange->body_waiter ? CONN_BODY : CONN_BUSY;
    if (c->state == CONN_NEW && (c->proxy_due || c->in.len == 0))
        return CONN_NEW;
    return c->in.len > 0 ? CONN_HEAD : CONN_IDLE;
}

/* A state that goes on keeps its time limit. */
void conn_settle(struct conn *c)
{
    const enum conn_state next = awaits(c);

    if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
        return;
    if (c->closing && !c->exchange && c->pending == 0) {
        linger(c);
        return;
    }
    if (c->state != next)
        conn_move(c, next);
    if (next == CONN_IDLE)
        buf_done(&c->in);
}

static void on_written(uv_write_t *req, int status)
{
    struct pending_write *p = container_of(req, struct pending_write, req);
    struct conn *c = p->conn;

    c->pending--;
    if (status == 0)
        metric_add(M_BYTES_OUT, p->bytes);
    else
        conn_close(c);
    pending_free(p);
    if (c->state == CONN_CLOSED || c->pending > 0)
        return;
    if (!c->exchange && !c->closing)
        consume(c, NULL, 0);
    else
        conn_settle(c);
    if (c->drain_waiter)
        coro_wake(c->drain_waiter, OK);
}

static void write_pending(struct conn *c)
{
    struct pending_write *p = pending_new(&c->server->out);

    if (!p) {
        outbox_clear(&c->server->out);
        conn_close(c);
        return;
    }
    if (uv_write(&p->req, (uv_stream_t *)&c->tcp, p->pieces, (unsigned)p->count, on_written) != 0) {
        pending_free(p);
        conn_close(c);
        return;
    }
    c->pending++;
    c->queued = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    conn_move(c, CONN_WRITING);
}

void conn_flush(struct conn *c)
{
    struct outbox *o = &c->server->out;
    int sent;

    if (o->count == 0 || o->owner != c)
        return;
    sent = c->pending > 0 ? UV_EAGAIN : uv_try_write((uv_stream_t *)&c->tcp, o->pieces, (unsigned)o->count);
    if (sent < 0 && sent != UV_EAGAIN) {
        outbox_clear(o);
        conn_close(c);
        return;
    }
    if (sent > 0) {
        metric_add(M_BYTES_OUT, (uint64_t)sent);
        outbox_sent(o, (size_t)sent);
    }
    if (o->count > 0)
        write_pending(c);
    else
        outbox_clear(o);
}

static bool has_room(const struct outbox *o, size_t pieces, size_t scratch)
{
    return o->count + pieces <= OUTBOX_PIECES && o->used + scratch <= OUTBOX_SCRATCH;
}

/* The outbox with that room, and nobody else's bytes in it. A flush that closes
 * its connection lets others run, who may use the outbox: hence the loop. */
static struct outbox *outbox_of(struct conn *c, size_t pieces, size_t scratch)
{
    struct outbox *o = &c->server->out;

    while (o->count > 0 && (o->owner != c || !has_room(o, pieces, scratch)))
        conn_flush(o->owner);
    o->owner = c;
    return o;
}

static void append(struct conn *c, struct str bytes, struct hold hold)
{
    struct outbox *o = outbox_of(c, 1, 0);

    if (c->state == CONN_CLOSED) {
        release(hold);
        return;
    }
    o->pieces[o->count] = uv_buf_init((char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len);
    o->holds[o->count++] = hold;
}

void conn_out(struct conn *c, struct str bytes)
{
    if (bytes.len > 0)
        append(c, bytes, (struct hold){ NULL, false });
}

void conn_out_blob(struct conn *c, struct hold hold, struct str part) { append(c, part, hold); }

char *conn_scratch(struct conn *c, size_t n)
{
    struct outbox *o;
    char *room;

    assert(n <= OUTBOX_SCRATCH);
    o = outbox_of(c, PIECES_OF_RESPONSE, n);
    if (o->count == 0)
        o->used = 0;
    room = o->scratch + o->used;
    o->used += n;
    return room;
}

enum err conn_drained(struct conn *c)
{
    enum err e;

    if (c->state == CONN_CLOSED)
        return E_CANCELLED;
    if (c->pending == 0)
        return OK;
    c->drain_waiter = coro_self();
    e = coro_wait();
    c->drain_waiter = NULL;
    return e;
}

/* ---- reading ------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = h->data;
    (void)suggested;

    *buf = uv_buf_init(c->server->read_buffer, READ_BUFFER);
}

static void stop_reading(struct conn *c)
{
    c->reading = false;
    uv_read_stop((uv_stream_t *)&c->tcp);
}

/* A client that closes its side while its request is under way has gone; one
 * whose whole answer is on its way may still read it. */
static void peer_gone(struct conn *c, bool orderly)
{
    if (orderly && c->pending > 0 && !c->exchange) {
        c->closing = true;
        stop_reading(c);
        return;
    }
    if (c->exchange)
        metric_add(M_CANCELLED, 1);
    conn_close(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (n == 0)
        return;
    if (n < 0) {
        peer_gone(c, n == UV_EOF);
        return;
    }
    metric_add(M_BYTES_IN, (uint64_t)n);
    if (c->state == CONN_LINGER) {
        c->lingered += (uint32_t)n;
        if (c->lingered > LINGER_BYTES)
            conn_close(c);
        return;
    }
    consume(c, buf->base, (size_t)n);
}

/* Whether the next request may be looked at now. */
static bool between_requests(const struct conn *c)
{
    return !c->exchange && c->pending == 0 && !c->closing && c->state != CONN_CLOSED;
}

/* Begins with the request at the start of the bytes; returns how many were
 * taken, 0 when it is not whole yet. */
static size_t begin_request(struct conn *c, const char *bytes, size_t len)
{
    struct http_refusal why;
    size_t head = 0;

    switch (http_scan_head(&c->scan, bytes, len, &head, &why)) {
    case HTTP_PARSE_MORE:
        return 0;
    case HTTP_PARSE_BAD:
        metric_add(M_BAD_REQUESTS, 1);
        exchange_refuse(c, &why);
        return len;
    case HTTP_PARSE_DONE:
        break;
    }
    c->scan = (struct http_scan){ 0 };
    conn_move(c, CONN_BUSY);
    exchange_begin(c, bytes, head);
    return head;
}

/* One line a minute: a proxy that is set up wrongly does it every time. */
static void complain_of_proxy(const struct conn *c)
{
    struct server *s = c->server;

    metric_add(M_BAD_REQUESTS, 1);
    if (uv_now(s->loop) < s->proxy_complain_due)
        return;
    s->proxy_complain_due = uv_now(s->loop) + COMPLAIN_MS;
    log_event(LOG_WARNING, "a trusted proxy did not begin with a PROXY header: closed",
              LOG_S("peer", peer_text(&c->peer)));
}

/* The PROXY header: the peer is the one whom it names from now on. */
static size_t take_proxy_header(struct conn *c, const char *bytes, size_t len)
{
    const struct cidr_list *trusted = c->server->conf.trusted_proxies;
    enum proxy_source source;
    struct address address;
    size_t taken = 0;

    switch (proxy_protocol_read(bytes, len, &taken, &source, &address)) {
    case HTTP_PARSE_MORE:
        return 0;
    case HTTP_PARSE_BAD:
        complain_of_proxy(c);
        conn_close(c);
        return len;
    case HTTP_PARSE_DONE:
        break;
    }
    c->proxy_due = false;
    if (source == PROXY_CLIENT)
        peer_becomes(&c->peer, &address, trusted);
    else if (source == PROXY_UNNAMED)
        peer_hides(&c->peer);
    return taken;
}

/* Takes what can be taken from the front; returns how much. */
static size_t take(struct conn *c, const char *bytes, size_t len)
{
    size_t taken = 0, n;

    while (taken < len && c->state != CONN_CLOSED) {
        if (c->exchange && !c->exchange->body_done)
            n = exchange_feed(c->exchange, bytes + taken, len - taken);
        else if (c->proxy_due)
            n = take_proxy_header(c, bytes + taken, len - taken);
        else if (between_requests(c))
            n = begin_request(c, bytes + taken, len - taken);
        else
            break;
        if (n == 0)
            break;
        taken += n;
    }
    return taken;
}

static void carry_over(struct conn *c, const char *bytes, size_t len)
{
    buf_append(&c->in, bytes, len);
    if (!buf_ok(&c->in)) {
        conn_close(c);
        return;
    }
    if (c->in.len >= CARRY_MAX)
        stop_reading(c);
}

static void start_reading(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->reading)
        return;
    c->reading = true;
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* Works off what was carried over and what has just been read, and writes what
 * came of it. */
static void consume(struct conn *c, const char *bytes, size_t len)
{
    size_t taken;

    if (c->consuming)
        return;
    c->consuming = true;
    if (c->in.len > 0 || len == 0) {
        if (len > 0)
            buf_append(&c->in, bytes, len);
        taken = take(c, c->in.ptr, c->in.len);
        buf_drop(&c->in, taken);
        if (c->in.len >= CARRY_MAX)
            stop_reading(c);
        else
            start_reading(c);
        if (!buf_ok(&c->in))
            conn_close(c);
    } else {
        taken = take(c, bytes, len);
        if (taken < len && !c->closing)
            carry_over(c, bytes + taken, len - taken);
    }
    conn_flush(c);
    c->consuming = false;
    conn_settle(c);
}

/* ---- exchanges' side ----------------------------------------------------------- */

void conn_exchange_over(struct conn *c, bool keep)
{
    c->exchange = NULL;
    if (!keep)
        c->closing = true;
    if (c->consuming || c->state == CONN_CLOSED)
        return;
    conn_flush(c);
    if (c->closing || c->pending > 0)
        conn_settle(c);
    else
        consume(c, NULL, 0);
}

void conn_want_body(struct conn *c)
{
    if (!c->consuming && c->state != CONN_CLOSED)
        consume(c, NULL, 0);
}

/* ---- opening ---------------------------------------------------------------------- */

bool conn_open(struct server *s, int fd, const struct sockaddr *address)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c || uv_tcp_init(s->loop, &c->tcp) != 0) {
        free(c);
        close(fd);
        return false;
    }
    c->server = s;
    c->tcp.data = c;
    list_init(&c->link);
    buf_init(&c->in, CARRY_MAX + READ_BUFFER);
    peer_init(&c->peer, address, s->conf.trusted_proxies);
    c->proxy_due = s->conf.proxy_protocol && c->peer.trusted;
    s->conn_count++;
    metric_add(M_ACCEPTED, 1);
    metric_gauge_set(M_CONNECTIONS, (int64_t)s->conn_count);
    conn_move(c, CONN_NEW);
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        close(fd);
        conn_close(c);
        return false;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    start_reading(c);
    return true;
}
