/* SPDX-License-Identifier: MIT */
/* The body of a request: decoded as it arrives, held back while the handler
 * does not fetch it, refused when it is too large, too slow or badly framed. */
#include <string.h>

#include "base/coro.h"
#include "http/exchange.h"
#include "http/server_state.h"

enum { BODY_WINDOW = 64 * 1024, RATE_GRACE_MS = 5000 };

void exchange_body_init(struct exchange *x)
{
    x->chunks = (struct http_chunks){ 0 };
    x->body_left = x->head.chunked ? 0 : x->head.content_length;
    x->body_bytes = x->body_waited = 0;
    x->body_done = !x->head.chunked && x->head.content_length == 0;
    x->continue_due = x->head.expect_continue && !x->body_done;
    x->body_error = OK;
    x->body_waiter = NULL;
    buf_init(&x->body_in, BODY_WINDOW + READ_BUFFER);
    buf_init(&x->body_out, BODY_WINDOW + READ_BUFFER);
}

void exchange_body_done(struct exchange *x)
{
    buf_done(&x->body_in);
    buf_done(&x->body_out);
}

/* Something has changed for the handler that waits for its body. */
static void wake_reader(struct exchange *x)
{
    struct coro *waiter = x->body_waiter;

    if (!waiter)
        return;
    x->body_waiter = NULL;
    if (x->conn && x->conn->state == CONN_BODY) {
        x->body_waited += uv_now(x->req.server->loop) - x->conn->since;
        conn_move(x->conn, CONN_BUSY);
    }
    coro_wake(waiter, OK);
}

static void fail(struct exchange *x, enum err e)
{
    x->body_error = e;
    x->head.keep_alive = false;
}

static void store(struct exchange *x, struct str data)
{
    x->body_bytes += data.len;
    if (x->body_bytes > (uint64_t)x->req.server->conf.max_body_bytes)
        fail(x, E_TOO_LARGE);
    else if (data.len > 0)
        buf_append(&x->body_in, data.ptr, data.len);
    if (!buf_ok(&x->body_in))
        fail(x, E_NO_MEMORY);
}

static size_t feed_length(struct exchange *x, const char *bytes, size_t len)
{
    size_t n = (uint64_t)x->body_left < len ? (size_t)x->body_left : len;

    store(x, (struct str){ bytes, n });
    x->body_left -= (int64_t)n;
    x->body_done = x->body_left == 0;
    return n;
}

static size_t feed_chunked(struct exchange *x, const char *bytes, size_t len)
{
    struct http_refusal why;
    struct str data = STR_EMPTY;
    size_t used = 0;

    switch (http_chunks_feed(&x->chunks, bytes, len, &used, &data, &why)) {
    case HTTP_PARSE_BAD:
        fail(x, E_SYNTAX);
        return len;
    case HTTP_PARSE_DONE:
        x->body_done = true;
        break;
    case HTTP_PARSE_MORE:
        break;
    }
    store(x, data);
    return used;
}

size_t exchange_feed(struct exchange *x, const char *bytes, size_t len)
{
    size_t taken = 0, n;

    while (taken < len && !x->body_done && x->body_error == OK && x->body_in.len < BODY_WINDOW) {
        n = x->head.chunked ? feed_chunked(x, bytes + taken, len - taken) : feed_length(x, bytes + taken, len - taken);
        if (n == 0)
            break;
        taken += n;
    }
    if (taken > 0)
        wake_reader(x);
    return taken;
}

void exchange_body_timeout(struct exchange *x)
{
    fail(x, E_TIMEOUT);
    wake_reader(x);
}

bool exchange_body_crawls(const struct exchange *x, uint64_t now_ms)
{
    const uint64_t waited = x->body_waited + now_ms - x->conn->since;

    return waited > RATE_GRACE_MS && x->body_bytes * 1000 < (uint64_t)x->req.server->conf.body_min_rate * waited;
}

/* A client that asked whether to send its body at all. */
static void send_continue(struct exchange *x)
{
    if (!x->continue_due)
        return;
    x->continue_due = false;
    conn_out(x->conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    conn_flush(x->conn);
}

/* Whether the handler has to wait for the body's next piece, end or failure. */
static bool starved(const struct exchange *x) { return x->body_in.len == 0 && !x->body_done && x->body_error == OK; }

/* Asks for more, and waits for it if it is not there already. */
static enum err await_more(struct exchange *x)
{
    enum err e;

    if (x->conn)
        send_continue(x);
    if (x->conn)
        conn_want_body(x->conn);
    if (!x->conn)
        return E_CANCELLED;
    if (!starved(x))
        return OK;
    x->body_waiter = coro_self();
    conn_settle(x->conn);
    e = coro_wait();
    x->body_waiter = NULL;
    return e;
}

enum err request_body_piece(struct request *req, struct str *ret_piece)
{
    struct exchange *x = req->exchange;
    struct buf taken;
    enum err e;

    while (starved(x)) {
        e = await_more(x);
        if (e != OK)
            return e;
    }
    if (x->body_error != OK)
        return x->body_error;
    taken = x->body_in;
    x->body_in = x->body_out;
    x->body_out = taken;
    buf_clear(&x->body_in);
    *ret_piece = buf_view(&x->body_out);
    return OK;
}

enum err request_body(struct request *req, size_t max, struct str *ret_body)
{
    struct str piece;
    struct buf whole;
    enum err e;

    buf_init_arena(&whole, &req->arena, max);
    do {
        e = request_body_piece(req, &piece);
        if (e != OK)
            return e;
        if (piece.len > 0)
            buf_append(&whole, piece.ptr, piece.len);
        if (!buf_ok(&whole))
            return whole.err;
    } while (piece.len > 0);
    *ret_body = buf_view(&whole);
    return OK;
}

struct str request_field(const struct request *req, const char *name)
{
    const struct http_field *f = http_find(req->head, str_of(name));

    return f ? f->value : STR_EMPTY;
}
