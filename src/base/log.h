/* SPDX-License-Identifier: MIT */
/* Levelled log, one line an event, to standard error.
 *
 * Text:  2026-01-31T12:00:00.123Z info  [master 4711] worker started index=2 pid=4715
 * JSON:  {"time":"...","level":"info","process":"master","pid":4711,"message":"worker started","index":2}
 *
 * A line is written with one write(2) and never exceeds 4 KiB, so that lines of
 * several processes do not mix in a pipe. Control characters in values are
 * escaped: no client can forge a line. Library code does not log; the layer
 * that decides does, once. Secrets and values of queries are never logged.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* LOG_NONE is no level of a line: with it as the least nothing is logged. */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_NONE };
enum log_format { LOG_TEXT, LOG_JSON };

/* A named value of a line. */
struct log_field {
    const char *name;
    enum { LOG_FIELD_STR, LOG_FIELD_OPTION, LOG_FIELD_INT, LOG_FIELD_DOUBLE } kind;
    struct str  s;
    int64_t     i;
    double      d;
};
#define LOG_S(field, value) { .name = (field), .kind = LOG_FIELD_STR, .s = (value) }
#define LOG_C(field, value) { .name = (field), .kind = LOG_FIELD_STR, .s = str_of(value) }
#define LOG_O(field, value) { .name = (field), .kind = LOG_FIELD_OPTION, .s = (value) }   /* left out when empty */
#define LOG_I(field, value) { .name = (field), .kind = LOG_FIELD_INT, .i = (value) }
#define LOG_D(field, value) { .name = (field), .kind = LOG_FIELD_DOUBLE, .d = (value) }

/* `process` ("master", "worker 2") stands in each line; copied. Call again
 * after a fork. Before the first call: text, info, "sanad". */
void log_setup(enum log_level least, enum log_format format, const char *process);
enum log_level log_least(void);

/* A line with a message and fields:
 *   log_event(LOG_INFO, "worker started", LOG_I("index", 2), LOG_I("pid", pid)); */
#define log_event(level, message, ...) \
    log_line((level), (message), (const struct log_field[]){ __VA_ARGS__ }, \
             sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
void log_line(enum log_level level, const char *message, const struct log_field *fields, size_t count);

/* A line that is only a message. */
void log_text(enum log_level level, const char *format, ...) PRINTF(2, 3);
