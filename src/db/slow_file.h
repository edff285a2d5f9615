/* SPDX-License-Identifier: MIT */
/* A file of slow statements in the form of MySQL's own slow log, so that
 * pt-query-digest and its like read it:
 *
 *   # Time: 2026-01-31T12:00:00.123000Z
 *   # User@Host: sanad[sanad] @ localhost []  Id: 4711
 *   # Query_time: 0.312345  Lock_time: 0.000000  Rows_sent: 20  Rows_examined: 0
 *   # Rows_affected: 0
 *   SET timestamp=1769860799;
 *   SELECT ... WHERE is_active = ? LIMIT ? OFFSET ?
 *   [comment: name=spas_active route=/api/spas request_id=01J...];
 *
 * The id is our process. Of a request that is part of a trace (base/trace.h) the
 * comment holds trace_id and parent_id, too. The statement is its constant text,
 * with a question mark for each value. What came from outside stands in the
 * comment and cannot leave it: all but letters, digits and a few marks is an
 * underscore there.
 *
 * A record is appended with one system call, so those of several processes do
 * not mix. One that cannot be written is dropped, counted (M_SLOW_LOG_DROPPED)
 * and complained of once a minute: a full disk harms nobody. It is written
 * where the loop runs: it is rare, and a regular file does not make one wait.
 * A file that was moved away or removed is made anew within a second, or at
 * once when it is told so (slow_file_reopen), so that it can be rotated; when
 * that cannot be done, the old one is written on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct slow_query;

struct slow_file {
    /* private */
    const char *path;          /* NULL: none is kept                        */
    int         fd;            /* -1: not open                              */
    mono_ns     look_due;      /* when to look whether it is still in place */
    uint64_t    dropped;       /* since the last complaint                  */
    mono_ns     complaint_due;
};

/* Opens nothing yet. `path` must outlive it; NULL or empty: none is kept. */
void slow_file_init(struct slow_file *f, const char *path);
void slow_file_close(struct slow_file *f);

/* Opens the path anew if a file is open; says so when that fails, and keeps the old one. */
void slow_file_reopen(struct slow_file *f);

/* Whether it could be opened, to ask before anybody writes. False: `error` says
 * why not, in a sentence. */
bool slow_file_check(const char *path, char *error, size_t size);

void slow_file_write(struct slow_file *f, const struct slow_query *q);
