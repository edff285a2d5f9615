/* SPDX-License-Identifier: MIT */
/* Opening connections: when one may be, at what pace, by whom. */
#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "db/pool_parts.h"

#include <string.h>

enum {
    OPENS_AT_ONCE = 4,    /* a rush must not become a storm of connects ...       */
    OPENS_IN_A_BURST = 20 /* ... nor, on a fast server, open a hundred in an instant */
};
static const mono_ns OPEN_INTERVAL = (mono_ns)5 * NS_PER_MS;

/* ---- when ------------------------------------------------------------------------ */

size_t pool_usable(const struct pool *p)
{
    return p->counts[POOL_IDLE] + p->counts[POOL_BUSY] + p->counts[POOL_RESETTING];
}

bool pool_is_away(const struct pool *p) { return p->retry.failures > 0 && pool_usable(p) == 0; }

bool pool_may_open(struct pool *p)
{
    if (p->closing || p->counts[POOL_CONNECTING] >= OPENS_AT_ONCE)
        return false;
    return p->retry.failures == 0 || (p->counts[POOL_CONNECTING] == 0 && retry_due(&p->retry, p->now()));
}

/* The generic cell rate algorithm (ITU-T I.371), as a virtual schedule. False:
 * it is too early, and the pool looks again. */
static bool pace_allows(struct pool *p)
{
    if (!task_loop() || p->next_open <= p->now() + (OPENS_IN_A_BURST - 1) * OPEN_INTERVAL)
        return true;
    pool_look_again(p);
    return false;
}

static void pace_spend(struct pool *p)
{
    const mono_ns now = p->now();

    p->next_open = (p->next_open > now ? p->next_open : now) + OPEN_INTERVAL;
}

/* ---- how ------------------------------------------------------------------------- */

/* Outside a loop the caller has the reason (db_last_error) and tells it. */
static void note_failure(struct pool *p)
{
    metric_add(M_POOL_ERRORS, 1);
    if (retry_failed(&p->retry, p->now()) && task_loop())
        log_event(LOG_ERROR, "database connection failed", LOG_C("reason", p->reason),
                  LOG_I("open_connections", (int64_t)pool_usable(p)));
}

static void note_success(struct pool *p)
{
    metric_add(M_POOL_OPENED, 1);
    p->opened = true;
    if (p->retry.failures > 0)
        log_event(LOG_INFO, "database connections open again", LOG_I("failed_attempts", p->retry.failures));
    p->retry.failures = 0;
}

/* A server that only may be read stands in (mariadb_open.c), or one that may be
 * written to is back: then what is older goes. */
static void note_access(struct pool *p, struct db_pooled *c)
{
    if (c->conn->read_only == p->read_only)
        return;
    p->read_only = c->conn->read_only;
    if (p->read_only)
        log_event(LOG_ERROR, "the database is read-only: reads go on, writes are refused");
    else
        log_event(LOG_INFO, "the database may be written to again");
    c->generation = ++p->generation;
    pool_close_idle(p);
}

/* Opens a connection that is `connecting`: then it is idle, or gone. */
static enum err establish(struct db_pooled *c)
{
    struct pool *p = c->pool;
    const mono_ns start = p->now();
    char reason[sizeof(p->reason)] = "";
    enum err e = p->driver->open(p->opened ? &p->again : p->conf, &c->conn, reason, sizeof(reason));

    memcpy(p->reason, reason, sizeof(reason));
    if (e == OK && !p->closing) {
        const mono_ns now = p->now();
        const double age_s = p->conf->pool_recycle_s;

        metric_observe(M_POOL_CREATE, now - start);
        c->expires_at = age_s > 0 ? now + (mono_ns)(retry_jitter(age_s) * NS_PER_S) : 0;
        p->again.first_host = c->conn->host;
        note_success(p);
        note_access(p, c);
        pool_offer(c);
        return OK;
    }
    if (e != OK)
        note_failure(p);
    pool_destroy(c);
    return E_UNAVAILABLE;
}

static void opener(void *arg)
{
    struct db_pooled *c = arg;
    struct pool *p = c->pool;
    const enum err e = establish(c);

    (void)e; /* a failure is noted; the waiters are told by the pump */
    pool_pump(p);
}

/* A permit of the budget. Beyond the sure share, what was handed over to a worker that
 * holds fewer is not taken back before that one hears of it. */
static enum err claim(struct pool *p, struct db_pooled **ret_conn)
{
    const bool beyond = pool_total(p) >= budget_sure(p->budget, p->index);
    struct db_pooled *c;

    if ((beyond && budget_wanted_by_poorer(p->budget, p->index)) || !budget_take(p->budget, p->index))
        return E_BUSY;
    c = pool_add(p);
    if (!c) {
        budget_give(p->budget, p->index);
        return E_NO_MEMORY;
    }
    *ret_conn = c;
    return OK;
}

enum err pool_open_now(struct pool *p)
{
    struct db_pooled *c = NULL;
    const enum err e = claim(p, &c);

    return e == OK ? establish(c) : e;
}

enum err pool_start_open(struct pool *p)
{
    struct db_pooled *c = NULL;
    const enum err e = claim(p, &c);

    if (e != OK)
        return e;
    pace_spend(p);
    if (coro_start(p->coros, opener, c, NULL) == OK)
        return OK;
    pool_destroy(c);
    return E_NO_MEMORY;
}

/* ---- as many as are needed ---------------------------------------------------------- */

/* How many more should be on their way. */
static size_t missing(const struct pool *p)
{
    const size_t sure = budget_sure(p->budget, p->index);
    const bool warm = p->conf->pool_warm && !p->draining && task_loop();
    const size_t cold = warm && sure > pool_usable(p) ? sure - pool_usable(p) : 0;
    const size_t wanted = p->waiting > cold ? p->waiting : cold;

    return wanted > p->counts[POOL_CONNECTING] ? wanted - p->counts[POOL_CONNECTING] : 0;
}

/* The need is told before the last attempt: what another worker gives back before
 * it reads of the need, this one finds. */
static enum err open_or_want(struct pool *p)
{
    const enum err e = pool_start_open(p);

    if (e != E_BUSY)
        return e;
    budget_want(p->budget, p->index, (uint32_t)missing(p));
    return pool_start_open(p);
}

enum err pool_open_missing(struct pool *p)
{
    enum err e = OK;

    while (e == OK && missing(p) > 0 && pool_may_open(p) && pace_allows(p))
        e = open_or_want(p);
    if (e != E_BUSY)
        budget_want(p->budget, p->index, 0);
    return e == E_NO_MEMORY ? e : OK;
}
