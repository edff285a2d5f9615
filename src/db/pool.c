/* SPDX-License-Identifier: MIT */
#include "db/pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"

enum {
    OPENS_AT_ONCE = 4,        /* a rush must not become a storm of connects            */
    WAITERS_MAX = 16384,      /* more are refused at once                              */
    LINGER_S = 30,            /* a connection beyond the base stays idle for so long   */
    PING_AFTER_MS = 500,      /* one that was used just now is not asked for a sign    */
    STACK_BYTES = 128 * 1024, /* of the coroutines that open and reset                 */
};

/* A borrower in line. It lives on its coroutine's stack. */
struct waiter {
    struct link link;     /* pool->waiters, until settled                    */
    struct waitline turn; /* where its coroutine sleeps                      */
    mono_ns since;
    bool settled; /* out of the line: got a connection or an error   */
    struct db_pooled *got;
    enum err result;
};

static void pump(struct pool *p);

/* ---- states ------------------------------------------------------------------ */

static void show_counts(const struct pool *p)
{
    const size_t total = pool_total(p), size = (size_t)p->conf->pool_size;

    metric_gauge_set(M_POOL_IDLE, (int64_t)p->counts[POOL_IDLE]);
    metric_gauge_set(M_POOL_USED, (int64_t)p->counts[POOL_BUSY]);
    metric_gauge_set(M_POOL_OVERFLOW, total > size ? (int64_t)(total - size) : 0);
}

/* The only function that changes a connection's state. */
static void move(struct db_pooled *c, enum pool_state to)
{
    static const unsigned legal[POOL_STATES] = {
        [POOL_CONNECTING] = 1u << POOL_IDLE | 1u << POOL_CLOSED,
        [POOL_IDLE] = 1u << POOL_BUSY | 1u << POOL_CLOSED,
        [POOL_BUSY] = 1u << POOL_IDLE | 1u << POOL_RESETTING | 1u << POOL_CLOSED,
        [POOL_RESETTING] = 1u << POOL_IDLE | 1u << POOL_CLOSED,
    };
    const bool allowed = legal[c->state] >> to & 1u;
    struct pool *p = c->pool;

    assert(allowed);
    (void)allowed;
    list_remove(&c->link);
    p->counts[c->state]--;
    c->state = to;
    p->counts[to]++;
    list_push_front(&p->lists[to], &c->link);
    show_counts(p);
}

static void destroy(struct db_pooled *c)
{
    struct pool *p = c->pool;

    move(c, POOL_CLOSED);
    list_remove(&c->link);
    p->counts[POOL_CLOSED]--;
    p->driver->close(c->conn);
    free(c);
}

static struct db_pooled *first_of(struct pool *p, enum pool_state state)
{
    return list_empty(&p->lists[state]) ? NULL : container_of(p->lists[state].next, struct db_pooled, link);
}

static struct db_pooled *last_of(struct pool *p, enum pool_state state)
{
    return list_empty(&p->lists[state]) ? NULL : container_of(p->lists[state].prev, struct db_pooled, link);
}

static struct db_pooled *take_idle(struct pool *p)
{
    struct db_pooled *c = first_of(p, POOL_IDLE);

    if (!c)
        return NULL;
    c->taken_at = p->now();
    move(c, POOL_BUSY);
    return c;
}

static void to_idle(struct db_pooled *c)
{
    c->idle_since = c->pool->now();
    move(c, POOL_IDLE);
}

static void close_idle(struct pool *p)
{
    struct db_pooled *c;

    while ((c = first_of(p, POOL_IDLE)) != NULL)
        destroy(c);
}

/* ---- waiters ------------------------------------------------------------------ */

static size_t all_waiting(const struct pool *p) { return p->waiting + p->line; }

static void show_waiting(const struct pool *p)
{
    metric_gauge_set(M_POOL_WAITING, (int64_t)all_waiting(p));
    if (all_waiting(p) == 0)
        metric_gauge_set(M_POOL_OLDEST_WAIT_MS, 0);
}

void pool_note_line(struct pool *p, size_t waiting, mono_ns since)
{
    p->line = waiting;
    p->line_since = since;
    show_waiting(p);
}

static struct waiter *first_waiter(const struct pool *p)
{
    return list_empty(&p->waiters) ? NULL : container_of(p->waiters.next, struct waiter, link);
}

static int64_t oldest_wait_ms(const struct pool *p)
{
    const struct waiter *w = first_waiter(p);
    const mono_ns now = p->now();
    mono_ns oldest = w ? w->since : now;

    if (p->line > 0 && p->line_since < oldest)
        oldest = p->line_since;
    return (now - oldest) / NS_PER_MS;
}

static void unlink_waiter(struct pool *p, struct waiter *w)
{
    list_remove(&w->link);
    p->waiting--;
    show_waiting(p);
}

/* Ends a wait; the waiter's coroutine may run before this returns. */
static void settle(struct pool *p, struct waiter *w, struct db_pooled *got, enum err result)
{
    unlink_waiter(p, w);
    w->settled = true;
    w->got = got;
    w->result = result;
    waitline_wake_one(&w->turn, OK);
}

static void fail_waiters(struct pool *p, enum err e)
{
    struct link failing, *l;

    list_init(&failing);
    list_splice(&failing, &p->waiters);
    while ((l = failing.next) != &failing)
        settle(p, container_of(l, struct waiter, link), NULL, e);
}

/* ---- opening -------------------------------------------------------------------- */

static size_t usable(const struct pool *p)
{
    return p->counts[POOL_IDLE] + p->counts[POOL_BUSY] + p->counts[POOL_RESETTING];
}

static size_t budget(const struct pool *p) { return (size_t)p->conf->pool_size + (size_t)p->conf->max_overflow; }

static bool is_away(const struct pool *p) { return p->retry.failures > 0 && usable(p) == 0; }

/* Whether one more connection may be opened now. After a failure it is one
 * probe at a time, when the pause is over. */
static bool may_open(const struct pool *p)
{
    if (p->closing || pool_total(p) >= budget(p) || p->counts[POOL_CONNECTING] >= OPENS_AT_ONCE)
        return false;
    return p->retry.failures == 0 || (p->counts[POOL_CONNECTING] == 0 && retry_due(&p->retry, p->now()));
}

/* Outside a loop the caller has the reason (db_last_error) and tells it. */
static void note_failure(struct pool *p)
{
    metric_add(M_POOL_ERRORS, 1);
    if (retry_failed(&p->retry, p->now()) && task_loop())
        log_event(LOG_ERROR, "database connection failed", LOG_C("reason", p->reason),
                  LOG_I("open_connections", (int64_t)usable(p)));
}

static void note_success(struct pool *p)
{
    metric_add(M_POOL_OPENED, 1);
    p->opened = true;
    if (p->retry.failures > 0)
        log_event(LOG_INFO, "database connections open again", LOG_I("failed_attempts", p->retry.failures));
    p->retry.failures = 0;
}

static struct db_pooled *pooled_new(struct pool *p)
{
    struct db_pooled *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    *c = (struct db_pooled){ .pool = p, .state = POOL_CONNECTING, .generation = p->generation };
    list_push_front(&p->lists[POOL_CONNECTING], &c->link);
    p->counts[POOL_CONNECTING]++;
    show_counts(p);
    return c;
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
        note_success(p);
        to_idle(c);
        return OK;
    }
    if (e != OK)
        note_failure(p);
    destroy(c);
    return E_UNAVAILABLE;
}

static void opener(void *arg)
{
    struct db_pooled *c = arg;
    struct pool *p = c->pool;

    (void)establish(c); /* a failure is noted; pump() tells the waiters */
    pump(p);
}

static enum err start_open(struct pool *p)
{
    struct db_pooled *c = pooled_new(p);

    if (!c)
        return E_NO_MEMORY;
    if (coro_start(p->coros, opener, c, NULL) == OK)
        return OK;
    destroy(c);
    return E_NO_MEMORY;
}

/* Brings waiters and connections together, and has more opened as needed. Call
 * after every change that may let a waiter go on. */
static void pump(struct pool *p)
{
    while (!list_empty(&p->waiters) && p->counts[POOL_IDLE] > 0)
        settle(p, first_waiter(p), take_idle(p), OK);
    while (p->waiting > p->counts[POOL_CONNECTING] && may_open(p)) {
        if (start_open(p) != OK) {
            settle(p, first_waiter(p), NULL, E_NO_MEMORY);
            break;
        }
    }
    if (is_away(p) && p->counts[POOL_CONNECTING] == 0)
        fail_waiters(p, E_UNAVAILABLE);
}

/* ---- borrowing ------------------------------------------------------------------- */

static void throw_away(struct db_pooled *c)
{
    struct pool *p = c->pool;

    metric_add(M_POOL_INVALID, 1);
    if (c->conn->lost && c->generation == p->generation) {
        p->generation++;
        metric_add(M_POOL_INVALID, p->counts[POOL_IDLE]);
        close_idle(p);
    }
    destroy(c);
}

/* Asks a connection that has been idle for a sign of life; on an error it is no
 * longer the caller's. */
static enum err check_alive(struct db_pooled *c)
{
    struct pool *p = c->pool;
    enum err e;

    if (p->driver->is_gone && p->driver->is_gone(c->conn)) {
        throw_away(c);
        return E_UNAVAILABLE;
    }
    if (!p->conf->pool_pre_ping || c->taken_at - c->idle_since <= (mono_ns)PING_AFTER_MS * NS_PER_MS)
        return OK;
    e = p->driver->ping(c->conn);
    if (e == OK)
        return OK;
    if (e == E_CANCELLED) {
        pool_put(c);
        return e;
    }
    c->conn->lost = true;
    throw_away(c);
    return e;
}

/* What is left of the one timeout of a borrower who came at `asked`. */
static uint64_t time_left_ms(const struct pool *p, mono_ns asked)
{
    const int64_t left = (int64_t)(p->conf->pool_timeout_s * MS_PER_S) - (p->now() - asked) / NS_PER_MS;

    return left > 1 ? (uint64_t)left : 1;
}

static enum err wait_in_line(struct pool *p, mono_ns asked, struct db_pooled **ret_conn)
{
    struct waiter w = { .since = asked };
    enum err e = OK;

    if (p->waiting >= WAITERS_MAX)
        return E_BUSY;
    waitline_init(&w.turn);
    list_push_back(&p->waiters, &w.link);
    p->waiting++;
    show_waiting(p);
    pump(p);
    if (!w.settled)
        e = waitline_wait(&w.turn, time_left_ms(p, asked));
    if (!w.settled) {
        unlink_waiter(p, &w);
        if (e == E_TIMEOUT)
            metric_add(M_POOL_TIMEOUTS, 1);
        return e == E_TIMEOUT ? E_BUSY : e;
    }
    if (!w.got)
        return w.result;
    if (e == E_CANCELLED) {
        pool_put(w.got);
        return e;
    }
    *ret_conn = w.got;
    return OK;
}

/* For callers that cannot be suspended. */
static enum err open_at_once(struct pool *p, struct db_pooled **ret_conn)
{
    struct db_pooled *c;
    enum err e;

    if (!may_open(p))
        return E_BUSY;
    c = pooled_new(p);
    if (!c)
        return E_NO_MEMORY;
    e = establish(c);
    if (e == OK)
        *ret_conn = take_idle(p);
    return e;
}

static enum err borrow(struct pool *p, mono_ns asked, struct db_pooled **ret_conn)
{
    struct db_pooled *c;

    if (p->closing)
        return E_UNAVAILABLE;
    while ((c = take_idle(p)) != NULL) {
        const enum err e = check_alive(c);

        if (e == OK)
            *ret_conn = c;
        if (e == OK || e == E_CANCELLED)
            return e;
    }
    if (is_away(p) && !may_open(p))
        return E_UNAVAILABLE;
    return coro_self() ? wait_in_line(p, asked, ret_conn) : open_at_once(p, ret_conn);
}

void pool_lend(struct db_pooled *c, const struct pool_holder *who)
{
    const size_t n = who->request_id.len < POOL_REQUEST_ID_MAX ? who->request_id.len : POOL_REQUEST_ID_MAX;

    c->lent_at = c->pool->now();
    c->leak_told = false;
    c->statement = NULL;
    c->route = who->route;
    if (n > 0)
        memcpy(c->request_id, who->request_id.ptr, n);
    c->request_id[n] = '\0';
}

enum err pool_get(struct pool *p, const struct pool_holder *who, struct db_pooled **ret_conn)
{
    const mono_ns asked = p->now();
    struct db_pooled *c = NULL;
    const enum err e = borrow(p, asked, &c);

    if (e != OK)
        return e;
    pool_lend(c, who);
    metric_observe(M_POOL_WAIT, c->lent_at - asked);
    *ret_conn = c;
    return OK;
}

/* ---- returning ------------------------------------------------------------------- */

static bool is_aged(const struct db_pooled *c, mono_ns now) { return c->expires_at != 0 && now >= c->expires_at; }

/* Closes a connection for its age; another is opened in its place. */
static void recycle(struct db_pooled *c)
{
    struct pool *p = c->pool;

    metric_add(M_POOL_RECYCLED, 1);
    destroy(c);
    if (task_loop() && pool_total(p) < (size_t)p->conf->pool_size && may_open(p))
        (void)start_open(p); /* without memory the next borrower opens it */
}

/* A clean connection joins the idle ones, unless its time is over. */
static void come_home(struct db_pooled *c)
{
    struct pool *p = c->pool;

    if (c->conn->broken)
        throw_away(c);
    else if (p->closing)
        destroy(c);
    else if (c->generation != p->generation) {
        metric_add(M_POOL_INVALID, 1);
        destroy(c);
    } else if (is_aged(c, p->now()))
        recycle(c);
    else
        to_idle(c);
    pump(p);
}

static void resetter(void *arg)
{
    struct db_pooled *c = arg;

    if (c->pool->driver->reset(c->conn) != OK || c->conn->in_transaction)
        c->conn->broken = true;
    c->conn->dirty = false;
    come_home(c);
}

static void reset(struct db_pooled *c)
{
    move(c, POOL_RESETTING);
    if (!coro_self()) {
        resetter(c);
    } else if (coro_start(c->pool->coros, resetter, c, NULL) != OK) {
        c->conn->broken = true;
        come_home(c);
    }
}

void pool_put(struct db_pooled *c)
{
    metric_observe(M_POOL_USE, c->pool->now() - c->taken_at);
    if (!c->conn->broken && (c->conn->in_transaction || c->conn->dirty))
        reset(c);
    else
        come_home(c);
}

/* ---- housekeeping ------------------------------------------------------------------ */

static void report_leaks(struct pool *p, mono_ns now)
{
    const struct link *head = &p->lists[POOL_BUSY];

    if (p->conf->pool_leak_s <= 0)
        return;
    for (struct link *l = head->next; l != head; l = l->next) {
        struct db_pooled *c = container_of(l, struct db_pooled, link);
        const double held_s = (double)(now - c->lent_at) / NS_PER_S;

        if (c->leak_told || held_s < p->conf->pool_leak_s)
            continue;
        c->leak_told = true;
        metric_add(M_POOL_LEAKS, 1);
        log_event(LOG_WARNING, "database connection held for long", LOG_C("route", c->route),
                  LOG_C("request_id", c->request_id), LOG_C("statement", c->statement), LOG_D("held_s", held_s));
    }
}

static void replace_aged(struct pool *p, mono_ns now)
{
    const struct link *head = &p->lists[POOL_IDLE];
    struct link *next;

    for (struct link *l = head->next; l != head; l = next) {
        struct db_pooled *c = container_of(l, struct db_pooled, link);

        next = l->next;
        if (!is_aged(c, now))
            continue;
        recycle(c); /* may run its opener, which adds at the front only */
    }
}

static void close_lingering(struct pool *p, mono_ns now)
{
    struct db_pooled *c;

    while (pool_total(p) > (size_t)p->conf->pool_size && (c = last_of(p, POOL_IDLE)) != NULL &&
           now - c->idle_since >= (mono_ns)LINGER_S * NS_PER_S)
        destroy(c);
}

void pool_tick(struct pool *p)
{
    const mono_ns now = p->now();

    report_leaks(p, now);
    close_lingering(p, now);
    replace_aged(p, now);
    if (p->retry.failures > 0 && may_open(p))
        (void)start_open(p); /* the probe; without memory the next tick tries again */
    pump(p);
    metric_gauge_set(M_POOL_SIZE, p->conf->pool_size);
    metric_gauge_set(M_POOL_MAX, (int64_t)budget(p));
    metric_gauge_set(M_POOL_OLDEST_WAIT_MS, oldest_wait_ms(p));
}

int64_t pool_retry_after_ms(const struct pool *p)
{
    int64_t left_ms;

    if (!is_away(p))
        return 0;
    left_ms = (p->retry.at - p->now()) / NS_PER_MS;
    return left_ms > 1 ? left_ms : 1;
}

size_t pool_describe(const struct pool *p, char *out, size_t size)
{
    const int n = snprintf(out, size, "size=%d overflow=%d active=%zu idle=%zu waiting=%zu oldest_wait_ms=%lld",
                           p->conf->pool_size, p->conf->max_overflow, p->counts[POOL_BUSY], p->counts[POOL_IDLE],
                           all_waiting(p), (long long)oldest_wait_ms(p));

    return n < 0 || size == 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* ---- life ---------------------------------------------------------------------------- */

enum err pool_init(struct pool *p, const struct db_driver *driver, const struct db_conf *conf)
{
    struct coro_pool *coros = coro_pool_new(STACK_BYTES, OPENS_AT_ONCE);

    if (!coros)
        return E_NO_MEMORY;
    *p = (struct pool){ .driver = driver, .conf = conf, .again = *conf, .coros = coros, .now = clock_mono };
    p->again.must_exist = true;
    for (size_t i = 0; i < POOL_STATES; i++)
        list_init(&p->lists[i]);
    list_init(&p->waiters);
    metric_gauge_set(M_POOL_SIZE, conf->pool_size);
    metric_gauge_set(M_POOL_MAX, (int64_t)budget(p));
    return OK;
}

void pool_shutdown(struct pool *p)
{
    p->closing = true;
    close_idle(p);
    fail_waiters(p, E_UNAVAILABLE);
}

void pool_done(struct pool *p)
{
    close_idle(p);
    assert(pool_total(p) == 0);
    coro_pool_free(p->coros);
}
