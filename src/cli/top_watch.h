/* SPDX-License-Identifier: MIT */
/* The looks of `sanad top` at the server: keeps the last two snapshots, and follows the
 * server when it ends, is restarted or hands over to another process. */
#pragma once

#include "cli/running.h"
#include "cli/top_view.h"

struct top_watch {
    const struct settings *settings;
    struct running         running;      /* pid 0: none               */
    struct arena           memory[2];    /* of the last two looks     */
    unsigned               current;
    mono_ns                noted;        /* when the note was written */
    struct top_model       model;
};

/* Finds the server; false, with the reason. `router` names its routes. Both outlive it. */
MUSTCHECK bool top_watch_open(struct top_watch *w, const struct settings *s, const struct router *router,
                              char why[static RUNNING_WHY_SIZE]);
void top_watch_close(struct top_watch *w);

/* Looks once more; what can be said is in the model then. */
void top_watch_look(struct top_watch *w);

/* And at the limiter's busiest clients, which takes a walk over its whole table: only for
 * who wants to see them. */
void top_watch_clients(struct top_watch *w);
