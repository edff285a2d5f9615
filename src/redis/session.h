/* SPDX-License-Identifier: MIT */
/* A connection to Redis that is kept: looked up, dialled, greeted, and dialled
 * again, at most one attempt at a time.
 *
 *   AWAY --pause over--> LOOKUP --> DIALLING --> GREETING --all well--> READY
 *    ^                     |           |            |                   |  ^ answers
 *    |                     |           | next       |           mute()  v  | in time
 *    |                     v           v address    v                  MUTE
 *    +---------------------+-----------+------------+-------------------+
 *         failed: pause with back-off and jitter (base/retry.h)
 *
 * The greeting is AUTH, SELECT, CLIENT SETNAME, whatever the owner adds, PING, in
 * one write; the first refusal that matters ends the attempt with the server's
 * reason. MUTE is a server that is connected and does not answer: it is asked with
 * PING, and is READY again when it answers within the time limit of commands; if
 * it says nothing for MUTE_LIMIT_MS, the connection ends. Coming back takes the
 * longer the more often it was lost.
 *
 * One log line a change: away (with the reason, and a new one when that changes),
 * back. Embedded in its owner, whose memory must last until `closed` was called.
 */
#pragma once

#include <uv.h>

#include "base/clock.h"
#include "base/retry.h"
#include "redis/command.h"
#include "redis/conf.h"
#include "redis/wire.h"

enum { SESSION_ADDRESSES_MAX = 8, SESSION_ADDRESS_SIZE = 64, SESSION_PLACE_SIZE = 300 };

enum session_state {
    SESSION_AWAY,       /* no connection, until the pause is over                   */
    SESSION_LOOKUP,     /* the host's name is looked up                             */
    SESSION_DIALLING,   /* an address is tried                                      */
    SESSION_GREETING,   /* connected, greeted, not all has been answered            */
    SESSION_READY,
    SESSION_MUTE,       /* connected, greeted, and then silent                      */
    SESSION_CLOSED,     /* by its owner, for good                                   */
};

/* Each may call session_close(). */
struct session_events {
    void (*greet)(void *owner);             /* may ask more; NULL: nothing          */
    void (*ready)(void *owner);
    void (*lost)(void *owner);              /* READY or MUTE no more, or MUTE now   */
    void (*pushed)(void *owner, const struct redis_value *v);   /* NULL: an error   */
    void (*closed)(void *owner);            /* its memory is the owner's again      */
};

struct session_conf {
    const struct redis_conf     *redis;
    const struct session_events *events;
    void                        *owner;
    bool                         aside;     /* not the one that the log is about: of
                                               its changes, only refusals are told   */
};

struct session {
    /* private */
    struct session_conf conf;
    enum session_state  state;
    struct wire        *wire;
    uv_timer_t          timer;              /* the state's own                       */
    uv_getaddrinfo_t    lookup;
    bool                looking;            /* libuv still holds `lookup`            */
    bool                timer_closed;
    char                addresses[SESSION_ADDRESSES_MAX][SESSION_ADDRESS_SIZE];
    size_t              address_count, next_address;
    struct ask          auth, select, name, pulse;
    mono_ns             pulse_sent;         /* 0: none is under way                  */
    struct retry        retry;
    mono_ns             ready_since, away_since;
    bool                told_away, told_low, was_ready;
    char                place[SESSION_PLACE_SIZE];
    char                reason[WIRE_REASON_SIZE];   /* why it is away; empty          */
};

/* Begins the first attempt, on this thread's loop. */
void session_open(struct session *s, const struct session_conf *conf);

/* Ends it; commands under way are answered with E_CLOSED at once, `closed` is
 * called when the loop has run. */
void session_close(struct session *s);

static inline bool session_is_ready(const struct session *s) { return s->state == SESSION_READY; }

/* Sends a command that is written already, while READY or from `greet`. As
 * wire_ask(); E_UNAVAILABLE at other times. */
MUSTCHECK enum err session_ask(struct session *s, struct str bytes, struct ask *a);

/* The same for a command without a script that is not written yet. */
MUSTCHECK enum err session_ask_for(struct session *s, const struct redis_command *c, struct ask *a);

/* Takes the answers that have come already. */
void session_hear(struct session *s);

/* READY -> MUTE: it answers nothing in time. */
void session_mute(struct session *s);

/* The connection is of no use: it ends, and another is dialled after a pause. */
void session_fail(struct session *s, const char *why);

/* The server said no, to what the session is there for. */
void session_refused(struct session *s, const char *why);
