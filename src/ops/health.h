/* SPDX-License-Identifier: MIT */
/* Is this worker alive, and can it do its work?
 *
 * Alive (GET /health): whoever reads this is answered, so yes; nothing else is
 * asked, since killing workers would not bring a database back.
 *
 * Ready (GET /health/ready, application/health+json): the worker is not on its
 * way out, and its database answered lately. A request never waits for that: a
 * coroutine asks once a second and leaves what it heard in a struct readiness.
 * A database that is only busy (all its connections lent out) is a warning: to
 * take a busy node out of rotation would only make the next one busier. So is a
 * Redis that is away.
 */
#pragma once

#include <uv.h>

#include "base/clock.h"
#include "base/coro.h"
#include "base/err.h"
#include "db/db.h"
#include "http/request.h"

enum health_status { HEALTH_PASS, HEALTH_WARN, HEALTH_FAIL };

/* What a look at the database found. */
struct health_finding {
    enum health_status status;
    double             observed_ms;    /* of the last answer; < 0: there is none yet */
    wall_ms            at;             /* when it was last heard of; 0: never        */
    char               output[160];    /* why not pass; empty                        */
};

/* Asks the database now and then. The timer does not keep the loop alive. NULL
 * without memory. */
struct readiness;
struct readiness *readiness_start(uv_loop_t *loop, struct coro_pool *pool, struct db *db);

/* Stops asking; a ping under way is cancelled. Its memory goes when that has
 * ended and the loop has run. NULL is fine. */
void readiness_stop(struct readiness *r);

struct health_finding readiness_database(const struct readiness *r);

/* Handlers; both ROUTE_INLINE | ROUTE_UNGATED. req->app is a struct worker. */
struct response health_live(struct request *req);
struct response health_ready(struct request *req);
