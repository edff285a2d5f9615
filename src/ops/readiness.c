/* SPDX-License-Identifier: MIT */
/* The part of health.h that asks the database: a timer starts a coroutine that
 * pings; a ping that takes too long is cancelled, and until it has really
 * ended no second one is started. */
#include "ops/health.h"

#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>

enum { PING_EVERY_MS = 1000, PING_PATIENCE_MS = 2000 };

struct readiness {
    uv_timer_t timer;
    struct coro_pool *pool;
    struct db *db;
    struct coro *ping; /* under way; NULL: none                */
    mono_ns ping_since;
    bool ping_busy; /* it waits because the pool is all lent out */
    bool stopped, timer_closed;
    enum err last;  /* result of the last ping that ended   */
    double last_ms; /* < 0: none ended yet                  */
    wall_ms last_at;
};

static void free_when_done(struct readiness *r)
{
    if (r->stopped && r->timer_closed && !r->ping)
        free(r);
}

static double ms_since(mono_ns start) { return (double)(clock_mono() - start) / NS_PER_MS; }

static bool overdue(const struct readiness *r) { return r->ping && ms_since(r->ping_since) > PING_PATIENCE_MS; }

/* All connections of this process are lent out: the database is not away. */
static bool pool_exhausted(void)
{
    const struct metrics_page *page = metrics_page();
    const int64_t most = atomic_load_explicit(&page->gauges[M_POOL_MAX], memory_order_relaxed);

    return most > 0 && atomic_load_explicit(&page->gauges[M_POOL_USED], memory_order_relaxed) >= most;
}

/* --- asking ------------------------------------------------------------------- */

static void ping(void *arg)
{
    struct readiness *r = arg;
    const enum err e = db_ping(r->db);

    r->ping = NULL;
    r->last = e != E_CANCELLED ? e : r->ping_busy ? E_BUSY : E_TIMEOUT;
    r->last_ms = ms_since(r->ping_since);
    r->last_at = clock_wall();
    free_when_done(r);
}

static void on_timer(uv_timer_t *timer)
{
    struct readiness *r = timer->data;

    if (r->ping) {
        r->ping_busy = pool_exhausted();
        if (overdue(r))
            coro_cancel(r->ping);
        return;
    }
    r->ping_since = clock_mono();
    r->ping_busy = false;
    if (coro_start(r->pool, ping, r, &r->ping) != OK)
        r->ping = NULL;
}

struct readiness *readiness_start(uv_loop_t *loop, struct coro_pool *pool, struct db *db)
{
    struct readiness *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    *r = (struct readiness){ .pool = pool, .db = db, .last_ms = -1 };
    (void)uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    (void)uv_timer_start(&r->timer, on_timer, 0, PING_EVERY_MS);
    uv_unref((uv_handle_t *)&r->timer);
    return r;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct readiness *r = timer->data;

    r->timer_closed = true;
    free_when_done(r);
}

void readiness_stop(struct readiness *r)
{
    if (!r)
        return;
    r->stopped = true;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    if (r->ping)
        coro_cancel(r->ping);
}

/* --- what was heard ------------------------------------------------------------ */

static enum health_status status_of(enum err e)
{
    return e == OK ? HEALTH_PASS : e == E_BUSY ? HEALTH_WARN : HEALTH_FAIL;
}

struct health_finding readiness_database(const struct readiness *r)
{
    struct health_finding f = { .observed_ms = r->last_ms, .at = r->last_at };
    const enum err e = overdue(r) ? (r->ping_busy ? E_BUSY : E_TIMEOUT) : r->last;

    if (r->last_ms < 0 && !overdue(r)) {
        f.status = HEALTH_FAIL;
        (void)snprintf(f.output, sizeof(f.output), "the database has not answered yet");
        return f;
    }
    f.status = status_of(e);
    if (f.status == HEALTH_WARN)
        (void)db_describe(r->db, f.output, sizeof(f.output));
    else if (f.status == HEALTH_FAIL)
        (void)snprintf(f.output, sizeof(f.output), "%s",
                       e == E_TIMEOUT ? "the database does not answer in time" : "the database is away");
    return f;
}
