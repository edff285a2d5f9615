/* SPDX-License-Identifier: MIT */
/* A request under way, from its head's last byte to its response's last.
 *
 * It owns an arena; whatever lives as long as the request comes from it. Views
 * in `head`, `target` and `args` are valid until the response is sent.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/trace.h"
#include "http/parser.h"
#include "http/peer.h"
#include "http/response.h"
#include "http/route.h"
#include "http/target.h"

struct server;
struct coro;

struct request {
    struct server         *server;
    void                  *app;           /* the server's `app` pointer: the worker's context */
    struct arena           arena;
    const struct http_head *head;
    struct target          target;
    const struct route    *route;         /* NULL before routing, or none fits        */
    struct str             path_args[PATH_ARGS_MAX];
    size_t                 rest;          /* SUBTREE: first segment below the route   */
    struct arg             args[PARAMS_MAX];
    struct str             id;            /* X-Request-Id: the client's if sane       */
    struct trace           trace;         /* of which it is a part; of its header     */
    struct peer            peer;          /* the other end of the connection          */
    struct client_address  client;        /* who asks: the peer, or whom it speaks for */
    mono_ns                started;
    enum cache_outcome     cache;

    struct str             lines;         /* header lines, each with its CRLF, that every response
                                             of this request carries: set by a step            */
    void                  *local;         /* the application's, for this request; NULL at first */

    /* Called once with the response before it is sent; may replace it. Set by a
     * step (the cache fills itself this way). */
    void                 (*on_response)(struct request *req, struct response *res, void *ctx);
    void                  *on_response_ctx;
    /* private: the connection's */
    struct exchange       *exchange;
};

/* What a step before the handler decides. */
enum step_result {
    STEP_NEXT,       /* go on to the next step                                     */
    STEP_ANSWERED,   /* *res is the response; no further step, no handler          */
    STEP_PARKED,     /* nothing now: whoever parked it calls request_resume() once */
};
typedef enum step_result http_step_fn(void *ctx, struct request *req, struct response *res);
struct http_step {
    http_step_fn *run;
    void         *ctx;
    bool          always;    /* also for a request that is answered without a handler: 404, 405, 413, 422 */
};

/* Goes on with a parked request: with *res as its answer, or, with NULL, with
 * the steps after the one that parked it. */
void request_resume(struct request *req, const struct response *res);

/* First request field of that name; empty when absent. */
struct str request_field(const struct request *req, const char *name);

/* The next piece of the request's body (waits). Empty at its end. E_TOO_LARGE
 * over the server's limit, E_SYNTAX for broken framing, E_CANCELLED. */
MUSTCHECK enum err request_body_piece(struct request *req, struct str *ret_piece);

/* The whole body, at most max bytes, in the request's arena (waits). */
MUSTCHECK enum err request_body(struct request *req, size_t max, struct str *ret_body);
