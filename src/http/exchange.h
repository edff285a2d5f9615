/* SPDX-License-Identifier: MIT */
/* One request and its response: what happens between a head and its answer.
 *
 *   exchange_begin: head -> target -> route -> parameters -> steps
 *        step answers -> response            (on the loop, no coroutine)
 *        step parks   -> request_resume()    (the cache: another request fetches)
 *        none         -> handler in a coroutine, or inline -> response
 *
 * An exchange is taken from the server's kept ones and goes back when its
 * response has been handed to the connection.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "http/connection.h"
#include "http/request.h"

struct exchange {
    struct request     req;
    struct link        link;            /* server->idle_exchanges, or server->under_way */
    struct conn       *conn;            /* NULL: the client has gone                  */
    struct coro       *coro;            /* of the handler; NULL: none                 */
    size_t             next_step;
    struct response   *refusal;         /* the answer instead of a handler's; NULL: none */
    bool               counted;         /* in server->active, in server->under_way    */
    bool               parked;
    /* body of the request */
    struct http_chunks chunks;
    int64_t            body_left;       /* of Content-Length                          */
    uint64_t           body_bytes;      /* received so far, decoded                   */
    uint64_t           body_waited;     /* ms in which the handler waited for it      */
    bool               body_done;       /* all of it was received                     */
    bool               continue_due;    /* the client waits for 100 Continue          */
    enum err           body_error;      /* why no more of it can come                 */
    struct buf         body_in, body_out; /* received, not fetched; last piece fetched */
    struct coro       *body_waiter;
    struct http_head   head;
};

/* Begins with a complete head of `len` bytes (copied). May have ended when it
 * returns (then conn->exchange is NULL). */
void exchange_begin(struct conn *c, const char *head, size_t len);

/* Feeds bytes that follow the head; returns how many were taken (fewer: the
 * handler does not fetch them; hold back). */
size_t exchange_feed(struct exchange *x, const char *bytes, size_t len);

/* The client is too slow with its body. */
void exchange_body_timeout(struct exchange *x);
/* Whether the body comes slower than the least rate. */
bool exchange_body_crawls(const struct exchange *x, uint64_t now_ms);

/* The client has gone: cancels. The exchange ends by itself. */
void exchange_abandon(struct exchange *x);

/* Refuses something that did not become an exchange; the connection ends. */
void exchange_refuse(struct conn *c, const struct http_refusal *why);

/* Cancels every one under way, whoever else waits for its response. */
void exchange_cancel_all(struct server *s);

/* Frees the kept ones. */
void exchange_free_idle(struct server *s);

/* ---- body.c ---- */
void exchange_body_init(struct exchange *x);
void exchange_body_done(struct exchange *x);

/* ---- response_head.c ---- */
/* Writes status line and header section of `res` to the connection's outbox.
 * `body_length` < 0: there is none to be announced (304, 204). */
void response_write_head(struct exchange *x, const struct response *res, int64_t body_length, bool keep);

/* Writes a whole response whose body is a blob; without the body for HEAD. */
void response_write_blob(struct exchange *x, const struct response *res, bool with_body, bool keep);
