/* SPDX-License-Identifier: MIT */
/* What a request cost in the database, told: in the log when it ran too many
 * statements, and to its client, in `Server-Timing` (W3C), when DEBUG asks. */
#pragma once

#include "http/request.h"

/* One line for a request that ran more than `most` statements (0: any number is
 * fine): often one a row of another, where a single one would do. */
void service_cost_warn(const struct request *req, int most);

/* Server-Timing: pool;dur=0.12, db;dur=3.4;desc="statements=5", total;dur=4.1
 *
 * Milliseconds: waiting for a connection, in the database, since the request's
 * head. On a cached route `cache;desc=HIT` (or MISS, ...) stands before. */
void service_cost_tell(struct request *req, struct response *res);
