/* SPDX-License-Identifier: MIT */
/* The access log: a line a finished request.
 *
 *   finished request --> | filling: 64 KiB |  swap  | being written | --> thread --> file or pipe
 *
 * Lines are formatted into one of two buffers; when it is three quarters full,
 * or 200 ms after its first line, the two change places and a thread of
 * libuv's pool writes. The loop never waits for the disk or for the reader of
 * a pipe. When both buffers are full, or a write fails, lines are dropped,
 * counted (M_LOG_DROPPED), and complained of once a minute: serving is more
 * important than logging.
 *
 * A line is at most PIPE_BUF bytes, and into a pipe whole lines are written in
 * pieces of at most that: lines of several workers never mix; nor do they in a
 * file, which is appended to, a buffer with one write. What a client wrote is
 * escaped and cut, so that it cannot forge a line.
 *
 * Text, the first part as Gunicorn writes it, then microseconds, cache state,
 * request id, worker, and, for a request that is part of a trace, its id and
 * the caller's span (base/trace.h), joined by a dash:
 *   192.0.2.7 - - [31/Jan/2026:12:00:00 +0000] "GET /api/spas HTTP/1.1" 200 1234 "-" "curl/7.88" 182 HIT 01J... 2
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/log.h"
#include "http/server.h"

struct access_log;

struct access_log_conf {
    const char     *path;      /* "-": standard output; else opened for appending; outlives the log */
    enum log_format format;
    int             worker;    /* index, for the line                             */
};

/* NULL when the file cannot be opened; then `error` says why in one sentence. */
struct access_log *access_log_open(uv_loop_t *loop, const struct access_log_conf *conf, char *error, size_t size);

/* Whether a worker could open it, for the master to ask before it forks. False:
 * `error` says why not. */
bool access_log_check(const char *path, char *error, size_t size);

void access_log_write(struct access_log *log, const struct exchange_record *record);

/* Hands the lines so far to the writing thread, unless it is busy. */
void access_log_flush(struct access_log *log);

/* Opens the path anew: the file was renamed. Lines under way go to the old one,
 * whole. When it cannot be opened, the log says so and goes on with the old
 * one. Nothing for standard output. NULL is fine. */
void access_log_reopen(struct access_log *log);

/* Writes what is left (waits for it, about a second at most), then closes. The
 * memory goes when the loop has run once more. NULL is fine. */
void access_log_close(struct access_log *log);
