/* SPDX-License-Identifier: MIT */
/* One line of the access log, formatted into memory of a known size.
 *
 * It begins with the client's address. Behind a trusted proxy the proxy's stands
 * second, where the common log format has a field that nobody uses; else "-".
 * In JSON it is `proxy`, or not there.
 *
 * On the path of every request, so it is written by hand: bytes are copied in
 * runs, the text of the present second is kept. Each text of the client's has
 * a bound of its own, counted after escaping, so the sum of all is known at
 * compile time to fit ACCESS_LINE_MAX.
 */
#pragma once

#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/server.h"

enum { ACCESS_LINE_MAX = 4096 };

struct access_line {
    enum log_format format;
    int             worker;
    int64_t         second;                 /* whose text `time` is; -1: none yet */
    size_t          time_len;
    char            time[ISO_TIME_SIZE];    /* CLF for text; ISO without its Z for JSON */
};

/* Writes the line with its newline; returns its length, at most ACCESS_LINE_MAX. */
size_t access_line_format(struct access_line *line, const struct exchange_record *record, char *out);
