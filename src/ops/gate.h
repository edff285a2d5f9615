/* SPDX-License-Identifier: MIT */
/* The gate: a worker takes on a bounded number of requests at once.
 *
 * A request beyond LIMIT_CONCURRENCY is answered 503 at once, before anything
 * is spent on it, so that those under way still finish in time. Counted are
 * requests, not connections: idle keep-alive connections are free. Routes
 * marked ROUTE_UNGATED (health) always pass.
 */
#pragma once

#include "http/request.h"

struct gate { size_t limit; };   /* requests under way in this worker; 0: no limit */

/* The step; ctx is a struct gate. Comes first of all steps. */
enum step_result gate_step(void *ctx, struct request *req, struct response *res);
