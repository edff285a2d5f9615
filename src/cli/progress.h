/* SPDX-License-Identifier: MIT */
/* How far a long command has come.
 *
 * On a terminal a bar that is drawn anew some times a second, elsewhere (a log,
 * a pipe) a plain line at most once a second; work that is done sooner says
 * nothing there. Written to a stream of its own (standard error), never to the
 * command's result.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"

struct progress {
    /* private */
    FILE       *out;
    const char *what;       /* "certificates"                      */
    bool        terminal;
    bool        drawn;      /* a bar stands on the terminal's line */
    mono_ns     started, shown;
};

/* `what` names the things counted, and lives as long as the progress. */
void progress_start(struct progress *p, FILE *out, const char *what);

/* Tells that `done` of `total` are; cheap to call often. */
void progress_tell(struct progress *p, int64_t done, int64_t total);

/* Clears the bar. */
void progress_end(struct progress *p);

double progress_seconds(const struct progress *p);

enum { PROGRESS_LINE_SIZE = 160 };

/* "certificates  42 %  42000 of 100000, 98000/s, 1 s left"; returns its length.
 * Pure. Nothing is said of speed before a tenth of a second. */
size_t progress_line(char out[static PROGRESS_LINE_SIZE], const char *what, int64_t done, int64_t total, mono_ns took);
