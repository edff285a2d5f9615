/* SPDX-License-Identifier: MIT */
/* Closing connections: of old age, after a rush, for another worker's sake, or
 * because they broke. */
#include "base/coro.h"
#include "base/metrics.h"
#include "base/task.h"
#include "db/pool_parts.h"

#include <stdlib.h>

enum {
    LINGER_S = 30,     /* a connection beyond the sure ones stays idle for so long           */
    HAND_OVER_MS = 50, /* one idle for so long is nobody's here; in use, one goes in each    */
};

/* Connections that will still be there when those that leave have left. */
static size_t staying(const struct pool *p) { return pool_total(p) - p->counts[POOL_LEAVING]; }

static bool is_beyond(const struct pool *p) { return staying(p) > budget_sure(p->budget, p->index); }

void pool_destroy(struct db_pooled *c)
{
    struct pool *p = c->pool;
    const bool replace = c->replace && pool_total(p) <= budget_sure(p->budget, p->index);

    pool_move(c, POOL_CLOSED);
    list_remove(&c->link);
    p->counts[POOL_CLOSED]--;
    p->driver->close(c->conn);
    free(c);
    budget_give(p->budget, p->index);
    if (replace && task_loop() && pool_may_open(p) && pool_start_open(p) != OK)
        return; /* without memory: the next borrower has it opened */
}

static void leaver(void *arg)
{
    struct db_pooled *c = arg;
    struct pool *p = c->pool;

    p->driver->leave(c->conn);
    c->conn = NULL;
    pool_destroy(c);
    pool_pump(p);
}

/* Closes one that works: its place is free when the server knows. */
static void retire(struct db_pooled *c)
{
    struct pool *p = c->pool;

    if (!p->driver->leave || !task_loop() || p->closing) {
        pool_destroy(c);
        return;
    }
    pool_move(c, POOL_LEAVING);
    if (coro_start(p->coros, leaver, c, NULL) != OK)
        pool_destroy(c);
}

/* ---- broken ----------------------------------------------------------------------- */

void pool_close_idle(struct pool *p)
{
    struct db_pooled *c;

    while ((c = pool_newest(p, POOL_IDLE)) != NULL)
        pool_destroy(c);
}

void pool_throw_away(struct db_pooled *c)
{
    struct pool *p = c->pool;

    metric_add(M_POOL_INVALID, 1);
    if (c->conn->lost && c->generation == p->generation) {
        p->generation++;
        metric_add(M_POOL_INVALID, p->counts[POOL_IDLE]);
        pool_close_idle(p);
    }
    pool_destroy(c);
}

/* ---- old ----------------------------------------------------------------------------- */

bool pool_is_aged(const struct db_pooled *c, mono_ns now) { return c->expires_at != 0 && now >= c->expires_at; }

void pool_recycle(struct db_pooled *c)
{
    metric_add(M_POOL_RECYCLED, 1);
    c->replace = true;
    retire(c);
}

void pool_replace_aged(struct pool *p, mono_ns now)
{
    const struct link *head = &p->lists[POOL_IDLE];
    struct link *next;

    for (struct link *l = head->next; l != head; l = next) {
        struct db_pooled *c = container_of(l, struct db_pooled, link);

        next = l->next;
        if (pool_is_aged(c, now))
            pool_recycle(c); /* may run its opener, which adds at the front only */
    }
}

/* ---- too many ------------------------------------------------------------------------ */

void pool_close_lingering(struct pool *p, mono_ns now)
{
    struct db_pooled *c;

    while (is_beyond(p) && (c = pool_oldest(p, POOL_IDLE)) != NULL &&
           now - c->idle_since >= (mono_ns)LINGER_S * NS_PER_S)
        retire(c);
}

/* Whether one that is free for so long goes, for the sake of another worker. While
 * this one is busy itself, one goes now and then: when borrowers wait here too, only
 * to a worker that holds fewer. So the workers come to hold as many each, and do not
 * trade for ever. */
static bool is_owed(struct pool *p, mono_ns idle_ns)
{
    const mono_ns now = p->now(), patience = (mono_ns)HAND_OVER_MS * NS_PER_MS;

    if (p->draining && p->waiting == 0)
        return true;
    if (!is_beyond(p) || !budget_wanted(p->budget, p->index))
        return false;
    if (p->waiting == 0 && idle_ns >= patience)
        return true;
    return now - p->handed_over_at >= patience && (p->waiting == 0 || budget_wanted_by_poorer(p->budget, p->index));
}

static void hand_over(struct db_pooled *c)
{
    metric_add(M_POOL_HANDED_OVER, 1);
    c->pool->handed_over_at = c->pool->now();
    retire(c);
}

bool pool_hand_over(struct db_pooled *c)
{
    if (!is_owed(c->pool, 0))
        return false;
    hand_over(c);
    return true;
}

void pool_make_room(struct pool *p)
{
    struct db_pooled *c;

    while ((c = pool_oldest(p, POOL_IDLE)) != NULL && is_owed(p, p->now() - c->idle_since))
        hand_over(c);
    if (c && is_beyond(p) && budget_wanted(p->budget, p->index))
        pool_look_again(p);
}
