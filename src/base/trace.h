/* SPDX-License-Identifier: MIT */
/* Whose trace a request is part of, as W3C Trace Context says in `traceparent`:
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   version, trace-id, parent-id (the caller's span), flags
 *
 * It is passed into the logs, so that what happened here is found from the trace.
 * A header that breaks the rules is as good as none.
 */
#pragma once

#include <stdbool.h>

#include "base/log.h"
#include "base/str.h"

enum { TRACE_ID_LEN = 32, TRACE_PARENT_LEN = 16 };

/* Views into the header; both empty: there is none. */
struct trace {
    struct str id, parent;
};

/* False: the header is not valid, and *ret_trace is empty. Of versions to come as
 * much is read as is promised to stay. */
bool trace_parse(struct str header, struct trace *ret_trace);

/* The fields of a log line that tell it; they are left out when there is none. */
#define LOG_TRACE(trace) LOG_O("trace_id", (trace).id), LOG_O("parent_id", (trace).parent)
