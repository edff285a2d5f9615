/* SPDX-License-Identifier: MIT */
/* The inside of a server, for the files of this folder that make it up. */
#pragma once

#include "base/clock.h"
#include "base/coro.h"
#include "http/connection.h"
#include "http/server.h"

enum {
    READ_BUFFER    = 64 * 1024,
    CARRY_MAX      = 64 * 1024,   /* bytes a client may send ahead while it waits */
    OUTBOX_SCRATCH = 32 * 1024,
    OUTBOX_PIECES  = 64,
    LINGER_MS      = 2000,
    LINGER_BYTES   = 4 * 1024 * 1024,
    TICK_MS        = 250,
    COMPLAIN_MS    = 60 * 1000,
    DATE_MS        = 50,          /* `Date` is at most so much late               */
};

/* What is to be written to the connection that is being served now. When
 * another one has something to say meanwhile, the first one's is written first. */
struct outbox {
    struct conn *owner;                  /* whose bytes these are                     */
    uv_buf_t     pieces[OUTBOX_PIECES];
    struct hold  holds[OUTBOX_PIECES];   /* what keeps the bytes of each              */
    size_t       count, used;            /* pieces, bytes of scratch                 */
    char         scratch[OUTBOX_SCRATCH];
};

/* A listening descriptor; closed when fd is -1, freed with the server. */
struct listener {
    uv_poll_t      poll;
    struct server *server;
    int            fd;
};

struct server {
    uv_loop_t                 *loop;
    struct server_conf         conf;
    const struct router       *router;
    const struct http_step    *steps;
    size_t                     step_count;
    const struct server_hooks *hooks;
    void                      *app;
    struct coro_pool          *coros;

    struct listener           *listeners[SERVER_LISTENERS_MAX];
    size_t                     listener_count;
    bool                       accepting;            /* the listeners are watched      */
    uint64_t                   complain_due;         /* loop time of the next complaint about accepting */
    uint64_t                   proxy_complain_due;   /* ... about a PROXY header               */
    uv_timer_t                 ticker;

    struct link                conns[CONN_STATES];
    size_t                     conn_count;
    struct link                idle_exchanges;       /* kept for reuse                 */
    size_t                     idle_exchange_count;
    struct link                under_way;            /* exchanges that outlast a turn  */
    size_t                     active;               /* how many                       */

    bool                       draining, drained_told;
    enum drain_kind            drain_kind;           /* while draining                 */
    void                     (*drained)(void *arg);
    void                      *drained_arg;
    int                        open_handles;

    uint64_t                   date_due;             /* loop time to look at the clock */
    wall_ms                    date_second;          /* second that `date` shows       */
    char                       date[HTTP_DATE_SIZE];
    struct outbox              out;
    char                       read_buffer[READ_BUFFER];
};

/* Accepts again if that was stopped because too many were open. */
void server_room(struct server *s);

/* Tells the drainer when the last connection has gone. */
void server_check_drained(struct server *s);
