/* SPDX-License-Identifier: MIT */
/* Requests that failed through no fault of the client's, told to the operator: a line
 * with the id that the client has been given, so that the one leads to the other.
 *
 *   request failed status=500 method=GET route=/api/spas request_id=01J... trace_id=... parent_id=...
 *
 * At most ten a second, for a failure seldom comes alone; a line says how many
 * others there were since the one before. (503 is no failure: too much load, or no
 * database, of which there are lines and metrics of their own.)
 */
#pragma once

#include "base/clock.h"
#include "http/server.h"

struct service_failures {
    mono_ns  due;        /* of the next line; zeroed at first */
    uint64_t untold;
};

void service_failure_tell(struct service_failures *f, const struct exchange_record *record);
