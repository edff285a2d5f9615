/* SPDX-License-Identifier: MIT */
/* One client connection: bytes in, exchanges one after another, bytes out.
 *
 *   socket -> on_read -> [carried over] -> head -> exchange -> out -> socket
 *
 * A trusted peer may have to introduce its client first (proxy_protocol.h).
 * Bytes are read into the worker's one read buffer; what does not make a whole
 * request yet is carried over in `in`, so that an idle connection holds no
 * buffer at all. Responses of one turn are gathered in the server's outbox and
 * written with one writev(2); what the socket does not take at once is copied
 * into a pending write, and no further request of such a client is begun until
 * it has taken that.
 *
 * Owned by the server; freed in libuv's close callback, so that whoever closes
 * it may name it until the loop's turn ends. Any write may find that the client
 * has gone, and close: then exchange->conn is NULL, and what is appended to the
 * connection goes nowhere. The exchange outlives it.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/parser.h"
#include "http/peer.h"
#include "http/response.h"

struct server;
struct exchange;
struct coro;

/* The state is the list of the server on which the connection sits; each list
 * is in order of `since`, so that the oldest stands first. Only conn_move()
 * changes it. */
enum conn_state {    /* leaves when                                                        */
    CONN_NEW,        /* first byte (behind a PROXY header, if one is due) arrived,
                      * or header_timeout: closed without a word                           */
    CONN_IDLE,       /* first byte of the next request arrived, or keep_alive: closed      */
    CONN_HEAD,       /* head complete, or header_timeout: 408                              */
    CONN_BUSY,       /* the exchange has answered; no limit of the connection's            */
    CONN_BODY,       /* the awaited piece of body came, or body_timeout: 408               */
    CONN_WRITING,    /* the client took all bytes, or none for write_timeout: closed       */
    CONN_LINGER,     /* the client closed, or 2 s: what it still sends is read and dropped */
    CONN_CLOSED,     /* libuv gave the handle back                                         */
    CONN_STATES
};

/* What keeps the bytes of a piece that is to be written. */
struct hold {
    struct blob *blob;      /* a reference; NULL: they are borrowed                 */
    bool         entered;   /* and the piece begins in the blob's room (response.h) */
};

struct conn {
    uv_tcp_t              tcp;
    struct server        *server;
    struct link           link;         /* server->conns[state]                          */
    enum conn_state       state;
    uint64_t              since;        /* loop time in ms when it entered the state     */
    struct exchange      *exchange;     /* under way; NULL between requests              */
    struct buf            in;           /* carried over                                  */
    struct http_scan      scan;         /* of the head in `in`                           */
    unsigned              pending;      /* writes that the socket did not take at once   */
    size_t                queued;       /* bytes in libuv's queue when last looked at    */
    struct coro          *drain_waiter; /* waits until nothing is pending                */
    uint32_t              lingered;     /* bytes dropped in CONN_LINGER                  */
    bool                  reading;      /* uv_read_start() is in force                   */
    bool                  consuming;    /* consume() is on the stack                     */
    bool                  closing;      /* the answer given is the last one              */
    bool                  proxy_due;    /* the PROXY header must come first              */
    struct peer           peer;
};

/* Takes over a connected socket. False (and closed) without memory. */
bool conn_open(struct server *s, int fd, const struct sockaddr *address);

/* Closes now; cancels the exchange under way. Safe at any moment, repeatedly. */
void conn_close(struct conn *c);

void conn_move(struct conn *c, enum conn_state state);

/* Time is up for the state that the connection is in. */
void conn_timed_out(struct conn *c);

/* ---- for exchanges ---- */

/* Appends to what is written at the end of this turn. The bytes must stay until
 * conn_flush(); a blob's reference is given away. All of these may close. */
void conn_out(struct conn *c, struct str bytes);
void conn_out_blob(struct conn *c, struct hold hold, struct str part);

/* Room for n <= OUTBOX_SCRATCH bytes of head, to be appended with conn_out(). */
char *conn_scratch(struct conn *c, size_t n);

/* Writes what was appended. */
void conn_flush(struct conn *c);

/* Waits until the client took everything: OK, or E_CANCELLED. */
MUSTCHECK enum err conn_drained(struct conn *c);

/* The exchange is over: the next request, or the end. */
void conn_exchange_over(struct conn *c, bool keep);

/* The exchange wants more body: what was held back is fed, what comes is read. */
void conn_want_body(struct conn *c);

/* Moves to the state that fits what the connection waits for now. */
void conn_settle(struct conn *c);
