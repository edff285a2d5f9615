/* SPDX-License-Identifier: MIT */
/* A server of Redis' protocol on the test's own loop, which says what it is told to:
 * the truth, nothing, or nonsense. It listens on a unix socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/str.h"

enum { FAKE_PATH_SIZE = 108 };

struct fake_client;

struct fake {
    uv_loop_t          *loop;
    char                path[FAKE_PATH_SIZE];
    uv_pipe_t           listener;
    bool                listening;
    struct fake_client *client;         /* the last one that connected; NULL: none       */

    /* What it says. NULL: as a well-behaved server does. */
    const char *to_auth, *to_ping, *to_select, *to_load, *to_eval, *to_subscribe;
    struct str  to_others;              /* empty: nothing                                */
    bool        byte_by_byte;
    bool        dumb;                   /* reads, and says nothing                       */

    /* What it has seen. */
    size_t accepted, reads, commands, loads, evals;
    char   log[4096];                   /* all commands with their arguments, "SET a b;" */
};

void fake_start(struct fake *f, uv_loop_t *loop);

/* Nobody can connect; who is connected stays. */
void fake_refuse(struct fake *f);
void fake_listen(struct fake *f);

/* To the client, as it is. */
void fake_say(struct fake *f, struct str bytes);

/* Drops the client. */
void fake_hang_up(struct fake *f);

/* Reads no more of what the client says. */
void fake_be_deaf(struct fake *f);

void fake_stop(struct fake *f);
