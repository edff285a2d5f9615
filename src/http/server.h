/* SPDX-License-Identifier: MIT */
/* The HTTP server of one worker: listening sockets, their connections, and what
 * happens to a request: route -> parameters -> steps -> handler -> response. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/cidr.h"
#include "base/coro.h"
#include "http/request.h"
#include "http/route.h"

struct server_conf {
    int    max_connections;      /* open at once; beyond, they wait in the backlog   */
    double keep_alive_s;         /* idle between requests                            */
    double header_timeout_s;     /* first byte of a head to its last                 */
    double body_timeout_s;       /* between two pieces of body that a handler awaits */
    int    body_min_rate;        /* bytes a second, after 5 s                        */
    double write_timeout_s;      /* the client takes no byte for so long             */
    int64_t max_body_bytes;      /* 413 beyond                                       */
    size_t request_arena_bytes;  /* most memory of one request                       */
    const struct cidr_list *trusted_proxies; /* peers that are believed (peer.h); outlives the server; NULL: none */
    bool   proxy_protocol;       /* they begin each connection with a PROXY header   */
};

/* What the layers above want to know of each finished request. */
struct exchange_record {
    const struct request *req;       /* NULL for a request that was refused unparsed */
    struct str peer, method, target; /* as far as known                              */
    int      status;
    uint64_t bytes;                  /* of the body, handed to the socket            */
    mono_ns  duration;
    enum cache_outcome cache;
};
struct server_hooks {
    void *ctx;
    /* A head has come through a trusted peer: sets req->client. NULL: the peer
     * is the client. */
    void (*proxied)(void *ctx, struct request *req);
    /* A response is about to leave: the access log. */
    void (*finished)(void *ctx, const struct exchange_record *record);
    /* A handler is about to begin. NULL is fine. */
    void (*handling)(void *ctx, const struct request *req);
    /* A handler has returned, its coroutine is still there: what the request
     * borrowed goes back before a slow client takes its response. */
    void (*handled)(void *ctx, struct request *req);
    /* This very response is complete: fields may be added that belong to it
     * alone, and never to a copy that is kept of it. NULL is fine. */
    void (*answering)(void *ctx, struct request *req, struct response *res);
};

/* A server on a loop. `routes`, `steps` and `hooks` outlive it; `app` is given
 * to each request. NULL without memory. */
struct server *server_new(uv_loop_t *loop, const struct server_conf *conf, const struct router *router,
                          const struct http_step *steps, size_t step_count, const struct server_hooks *hooks, void *app);

/* Starts to accept on a listening descriptor, TCP or Unix, which stays the
 * caller's (it is duplicated); on SERVER_LISTENERS_MAX of them at most. 0 or a
 * negative uv error. */
enum { SERVER_LISTENERS_MAX = 320 };
MUSTCHECK int server_listen(struct server *s, int fd, int backlog);

/* How a server comes to its end. */
enum drain_kind {
    DRAIN_PATIENT,  /* an idle connection stays open until its next request, or its time is over */
    DRAIN_QUICK     /* it is closed after a short silence                                        */
};

/* Stops accepting, lets the requests under way finish, answers the next ones with
 * `Connection: close`; when the last connection has gone it calls drained(arg), once.
 * Called again it may hasten: from patient to quick. */
void server_drain(struct server *s, enum drain_kind kind, void (*drained)(void *arg), void *arg);

/* Closes every connection now; coroutines of requests are cancelled. */
void server_abort(struct server *s);

/* Connections must be gone (drained). NULL is fine. */
void server_free(struct server *s);

size_t server_connections(const struct server *s);
size_t server_active(const struct server *s);      /* requests under way (handler or waiting) */
const struct router *server_router(const struct server *s);

/* The value of `Date`, made once a second. */
struct str server_date(struct server *s);
