/* SPDX-License-Identifier: MIT */
#include "db/pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bell.h"
#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "db/pool_parts.h"

enum {
    WAITERS_MAX = 16384, /* more are refused at once                              */
    PING_AFTER_MS = 500, /* one that was used just now is not asked for a sign    */
    LOOK_AGAIN_MS = 5,
    STACK_BYTES = 128 * 1024, /* of the coroutines that open and reset                 */
    STACKS_KEPT = 4,
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

/* ---- states ------------------------------------------------------------------ */

/* What this worker's gauges say of the budget; summed over all it is the whole, so
 * one that is being replaced says nothing. */
static size_t base(const struct pool *p) { return p->draining ? 0 : budget_share_of_base(p->budget, p->index); }
static size_t most(const struct pool *p) { return p->draining ? 0 : budget_share_of_all(p->budget, p->index); }

/* Connections beyond the base. */
static size_t beyond(const struct pool *p) { return pool_total(p) > base(p) ? pool_total(p) - base(p) : 0; }

static void show_counts(const struct pool *p)
{
    atomic_store_explicit(&p->row->idle, (uint32_t)p->counts[POOL_IDLE], memory_order_relaxed);
    atomic_store_explicit(&p->row->active, (uint32_t)p->counts[POOL_BUSY], memory_order_relaxed);
    metric_gauge_set(M_POOL_IDLE, (int64_t)p->counts[POOL_IDLE]);
    metric_gauge_set(M_POOL_USED, (int64_t)p->counts[POOL_BUSY]);
    metric_gauge_set(M_POOL_OPENING, (int64_t)p->counts[POOL_CONNECTING]);
    metric_gauge_set(M_POOL_CLOSING, (int64_t)(p->counts[POOL_RESETTING] + p->counts[POOL_LEAVING]));
    metric_gauge_set(M_POOL_OVERFLOW, (int64_t)beyond(p));
}

void pool_move(struct db_pooled *c, enum pool_state to)
{
    static const unsigned legal[POOL_STATES] = {
        [POOL_CONNECTING] = 1u << POOL_IDLE | 1u << POOL_CLOSED,
        [POOL_IDLE] = 1u << POOL_BUSY | 1u << POOL_LEAVING | 1u << POOL_CLOSED,
        [POOL_BUSY] = 1u << POOL_IDLE | 1u << POOL_RESETTING | 1u << POOL_LEAVING | 1u << POOL_CLOSED,
        [POOL_RESETTING] = 1u << POOL_IDLE | 1u << POOL_LEAVING | 1u << POOL_CLOSED,
        [POOL_LEAVING] = 1u << POOL_CLOSED,
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

struct db_pooled *pool_add(struct pool *p)
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

struct db_pooled *pool_newest(struct pool *p, enum pool_state state)
{
    return list_empty(&p->lists[state]) ? NULL : container_of(p->lists[state].next, struct db_pooled, link);
}

struct db_pooled *pool_oldest(struct pool *p, enum pool_state state)
{
    return list_empty(&p->lists[state]) ? NULL : container_of(p->lists[state].prev, struct db_pooled, link);
}

static struct db_pooled *take_idle(struct pool *p)
{
    struct db_pooled *c = pool_newest(p, POOL_IDLE);

    if (!c)
        return NULL;
    c->taken_at = p->now();
    pool_move(c, POOL_BUSY);
    return c;
}

void pool_offer(struct db_pooled *c)
{
    c->idle_since = c->pool->now();
    pool_move(c, POOL_IDLE);
}

/* ---- waiters ------------------------------------------------------------------ */

static size_t all_waiting(const struct pool *p) { return p->waiting + p->line; }

static struct waiter *first_waiter(const struct pool *p)
{
    return list_empty(&p->waiters) ? NULL : container_of(p->waiters.next, struct waiter, link);
}

/* When the oldest wait began; 0: nobody waits. */
static mono_ns waiting_since(const struct pool *p)
{
    const struct waiter *w = first_waiter(p);

    if (!w)
        return p->line > 0 ? p->line_since : 0;
    return p->line > 0 && p->line_since < w->since ? p->line_since : w->since;
}

static void show_waiting(const struct pool *p)
{
    atomic_store_explicit(&p->row->waiting, (uint32_t)all_waiting(p), memory_order_relaxed);
    atomic_store_explicit(&p->row->waiting_since, waiting_since(p), memory_order_relaxed);
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

/* ---- bringing them together ------------------------------------------------------- */

void pool_pump(struct pool *p)
{
    while (!list_empty(&p->waiters) && p->counts[POOL_IDLE] > 0)
        settle(p, first_waiter(p), take_idle(p), OK);
    if (pool_open_missing(p) == E_NO_MEMORY && !list_empty(&p->waiters))
        settle(p, first_waiter(p), NULL, E_NO_MEMORY);
    if (pool_is_away(p) && p->counts[POOL_CONNECTING] == 0)
        fail_waiters(p, E_UNAVAILABLE);
}

/* Another worker rang: it wants connections, or has given some back. */
static void look(void *arg)
{
    struct pool *p = arg;

    pool_pump(p);
    pool_make_room(p);
}

static void look_later(void *arg)
{
    struct pool *p = arg;
    const enum err e = task_sleep(LOOK_AGAIN_MS);

    (void)e; /* without memory for a timer it is due now */
    p->looking = false;
    if (!p->closing)
        look(p);
}

void pool_look_again(struct pool *p)
{
    if (!p->looking && task_loop())
        p->looking = coro_start(p->coros, look_later, p, NULL) == OK;
}

/* ---- borrowing ------------------------------------------------------------------- */

/* Asks a connection that has been idle for a sign of life; on an error it is no
 * longer the caller's. */
static enum err check_alive(struct db_pooled *c)
{
    struct pool *p = c->pool;
    enum err e;

    if (p->driver->is_gone && p->driver->is_gone(c->conn)) {
        pool_throw_away(c);
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
    pool_throw_away(c);
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
    pool_pump(p);
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
    const enum err e = pool_may_open(p) ? pool_open_now(p) : E_BUSY;

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
    if (pool_is_away(p) && !pool_may_open(p))
        return E_UNAVAILABLE;
    return coro_self() ? wait_in_line(p, asked, ret_conn) : open_at_once(p, ret_conn);
}

/* As much of s as there is room for. */
static void keep_text(struct str s, char *out, size_t size)
{
    const size_t n = s.len < size - 1 ? s.len : size - 1;

    if (n > 0)
        memcpy(out, s.ptr, n);
    out[n] = '\0';
}

void pool_lend(struct db_pooled *c, const struct pool_holder *who)
{
    c->lent_at = c->pool->now();
    c->leak_told = false;
    c->statement = NULL;
    c->route = who->route;
    keep_text(who->request_id, c->request_id, sizeof(c->request_id));
    keep_text(who->trace.id, c->trace_id, sizeof(c->trace_id));
    keep_text(who->trace.parent, c->parent_id, sizeof(c->parent_id));
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

/* A clean connection joins the idle ones, unless its time is over. */
static void come_home(struct db_pooled *c)
{
    struct pool *p = c->pool;

    if (c->conn->broken)
        pool_throw_away(c);
    else if (p->closing)
        pool_destroy(c);
    else if (c->generation != p->generation) {
        metric_add(M_POOL_INVALID, 1);
        pool_destroy(c);
    } else if (pool_is_aged(c, p->now()))
        pool_recycle(c);
    else if (!pool_hand_over(c))
        pool_offer(c);
    pool_pump(p);
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
    pool_move(c, POOL_RESETTING);
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
                  LOG_C("request_id", c->request_id), LOG_C("statement", c->statement), LOG_D("held_s", held_s),
                  LOG_O("trace_id", str_of(c->trace_id)), LOG_O("parent_id", str_of(c->parent_id)));
    }
}

static void show_budget(const struct pool *p)
{
    metric_gauge_set(M_POOL_SIZE, (int64_t)base(p));
    metric_gauge_set(M_POOL_MAX, (int64_t)most(p));
}

static int64_t ms_since(const struct pool *p, mono_ns since) { return since != 0 ? (p->now() - since) / NS_PER_MS : 0; }

void pool_tick(struct pool *p)
{
    const mono_ns now = p->now();

    report_leaks(p, now);
    budget_settle(p->budget, p->index);
    pool_close_lingering(p, now);
    pool_replace_aged(p, now);
    if (p->retry.failures > 0 && pool_may_open(p) && pool_start_open(p) == E_NO_MEMORY)
        log_text(LOG_WARNING, "no memory to look for the database; trying again");
    look(p); /* it may have been rung in vain, for want of memory or at a bad moment */
    show_budget(p);
    metric_gauge_set(M_POOL_OLDEST_WAIT_MS, ms_since(p, waiting_since(p)));
    metric_gauge_set(M_POOL_AWAY, pool_is_away(p));
    metric_gauge_set(M_POOL_READ_ONLY, p->read_only);
}

int64_t pool_retry_after_ms(const struct pool *p)
{
    int64_t left_ms;

    if (!pool_is_away(p))
        return 0;
    left_ms = (p->retry.at - p->now()) / NS_PER_MS;
    return left_ms > 1 ? left_ms : 1;
}

size_t pool_describe(const struct pool *p, char *out, size_t size)
{
    const struct budget_use use = budget_use(p->budget);
    const int n = snprintf(out, size, "size=%d overflow=%d active=%u idle=%u waiting=%u oldest_wait_ms=%lld",
                           p->budget->size, p->budget->overflow, use.active, use.idle, use.waiting,
                           (long long)ms_since(p, use.waiting_since));

    return n < 0 || size == 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* ---- life ---------------------------------------------------------------------------- */

/* One that nobody shares, of the pool's own. */
static struct budget *own_budget(const struct db_conf *conf)
{
    const size_t line = _Alignof(struct budget);
    const size_t room = (budget_bytes(conf->pool_size, conf->max_overflow) + line - 1) / line * line;
    struct budget *b = aligned_alloc(line, room);

    if (!b)
        return NULL;
    memset(b, 0, room);
    if (budget_init(b, conf->pool_size, conf->max_overflow, 0) != OK) {
        free(b);
        return NULL;
    }
    budget_seat(b, 0, 0);
    return b;
}

static void free_budget(struct pool *p)
{
    if (p->budget != p->conf->budget)
        free(p->budget);
}

enum err pool_init(struct pool *p, const struct db_driver *driver, const struct db_conf *conf)
{
    *p = (struct pool){ .driver = driver, .conf = conf, .again = *conf, .now = clock_mono };
    p->again.must_exist = true;
    p->budget = conf->budget ? conf->budget : own_budget(conf);
    p->index = conf->budget ? conf->budget_row : 0;
    p->coros = coro_pool_new(STACK_BYTES, STACKS_KEPT);
    if (!p->budget || !p->coros)
        goto no_memory;
    p->row = &p->budget->rows[p->index];
    if (task_loop() && p->row->bell >= 0 && (p->bell = bell_listen(p->row->bell, look, p)) == NULL)
        goto no_memory;
    for (size_t i = 0; i < POOL_STATES; i++)
        list_init(&p->lists[i]);
    list_init(&p->waiters);
    show_budget(p);
    return OK;
no_memory:
    coro_pool_free(p->coros);
    free_budget(p);
    return E_NO_MEMORY;
}

void pool_drain(struct pool *p)
{
    p->draining = true;
    show_budget(p);
    pool_make_room(p);
}

static void ignore_bell(struct pool *p)
{
    bell_ignore(p->bell);
    p->bell = NULL;
}

void pool_shutdown(struct pool *p)
{
    p->closing = true;
    ignore_bell(p);
    pool_close_idle(p);
    fail_waiters(p, E_UNAVAILABLE);
    budget_want(p->budget, p->index, 0);
}

void pool_done(struct pool *p)
{
    ignore_bell(p);
    pool_close_idle(p);
    assert(pool_total(p) == 0);
    coro_pool_free(p->coros);
    free_budget(p);
}
