/* SPDX-License-Identifier: MIT */
/* One connection to a Redis server, from the attempt to its end.
 *
 *   wire_ask() ... wire_ask()  ->  hiredis' output buffer  --one write a turn-->  server
 *   answered(), in that order  <-  hiredis' parser         <---------- read ----
 *
 * hiredis connects, keeps the output, and parses; the rest is ours. Its own
 * asynchronous interface is not used: a server that says what nobody asked for
 * (or an odd answer to SUBSCRIBE) fails an assertion there and ends the process,
 * and it looks a host's name up in the middle of the loop. Here that is the end
 * of the connection.
 *
 * What is asked within a turn of the loop is written before the loop waits again
 * (uv_prepare), in one write(2). Bounded: bytes that wait to be written, commands
 * under way, bytes of an answer that is not whole.
 *
 * Callbacks come from the loop, or from wire_close(); never from wire_open() or
 * wire_ask(). Any of them may close the wire, which is freed when the loop has
 * run again.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "redis/value.h"

enum {
    WIRE_OUT_BYTES      = 8 * 1024 * 1024,  /* that the server has not taken yet          */
    WIRE_UNDER_WAY_MAX  = 16384,            /* commands without their answer              */
    WIRE_PARTIAL_BYTES  = 8 * 1024 * 1024,  /* of an answer that is not whole yet         */
    WIRE_REASON_SIZE    = 160,
};

struct wire;

/* A command under way. The asker's memory, until it is answered: exactly once. */
struct ask {
    struct link link;

    /* OK and a value (which may be a REDIS_ERROR, and is valid until this returns);
     * E_TOO_LARGE or E_CLOSED (the connection ended) and NULL. */
    void (*answered)(struct ask *a, enum err e, const struct redis_value *v);
};

struct wire_events {
    void (*opened)(void *owner);

    /* Said without having been asked; NULL: that is an error. */
    void (*pushed)(void *owner, const struct redis_value *v);

    /* Something ended the connection. The owner calls wire_close(). */
    void (*failed)(void *owner, const char *why);
};

/* Where to: the path of a socket, or an address in digits and a port. */
struct wire_place {
    const char *path;           /* NULL: an address */
    const char *address;
    int         port;
};

/* Begins to connect, on this thread's loop. NULL when that is impossible, with
 * the reason. */
struct wire *wire_open(const struct wire_place *place, const struct wire_events *events, void *owner,
                       char why[static WIRE_REASON_SIZE]);

/* Sends a command that is written already (redis/command.h). `a` NULL: nothing
 * will answer it as such. E_BUSY: too much is under way; E_CLOSED; E_NO_MEMORY:
 * the wire must be closed. */
MUSTCHECK enum err wire_ask(struct wire *w, struct str bytes, struct ask *a);

/* Takes the answers that have come already, before their turn. */
void wire_hear(struct wire *w);

/* Ends it: what is under way is answered with E_CLOSED. NULL is fine. */
void wire_close(struct wire *w);
