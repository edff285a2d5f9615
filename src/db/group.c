/* SPDX-License-Identifier: MIT */
#include "db/group.h"

#include <assert.h>

#include "base/coro.h"
#include "base/metrics.h"
#include "base/task.h"

enum {
    LINE_MAX_MEMBERS = 16384, /* more are refused at once                          */
    GROUP_MEMBERS = 64,       /* transactions of one COMMIT                        */
    GROUP_AGE_MS = 10,        /* who is done first waits little longer than that   */
};

/* Who waits: for the lane first, for the COMMIT in the end. It lives on its
 * coroutine's stack. */
struct member {
    struct link link; /* group->line, then group->done     */
    struct waitline turn;
    struct coro *coro; /* to wake after COMMIT              */
    bool given;        /* it has the lane                   */
    mono_ns since;     /* when it came                      */
};

static struct db_conn *conn_of(const struct group *g) { return g->conn->conn; }

static enum err script(const struct group *g, const char *sql) { return g->pool->driver->script(conn_of(g), sql); }

/* ---- the lane ------------------------------------------------------------------ */

/* Whoever waits for the lane waits for its connection: the pool tells of it. */
static void show_line(const struct group *g)
{
    const struct link *first = g->line.next;

    pool_note_line(g->pool, g->waiting, first != &g->line ? container_of(first, struct member, link)->since : 0);
}

/* The holder hands it to the first in line, who may run before this returns. */
static void pass_lane(struct group *g)
{
    struct link *l = list_pop_front(&g->line);
    struct member *m;

    if (!l) {
        g->taken = false;
        return;
    }
    g->waiting--;
    show_line(g);
    m = container_of(l, struct member, link);
    m->given = true;
    waitline_wake_one(&m->turn, OK);
}

/* Whether another member may join the open transaction. */
static bool may_go_on(const struct group *g)
{
    return g->conn && g->failed == OK && conn_of(g)->in_transaction && g->waiting > 0 && g->members < GROUP_MEMBERS &&
           g->pool->now() - g->first_end < (mono_ns)GROUP_AGE_MS * NS_PER_MS;
}

/* Ends the transaction as it deserves; returns what its members hear. */
static enum err end_transaction(struct group *g)
{
    enum err e = g->failed;

    if (e == OK && !conn_of(g)->in_transaction)
        e = E_DATABASE;
    if (e == OK && g->committed > 0)
        e = script(g, "COMMIT");
    if (e == OK && g->committed > 1) {
        metric_add(M_DB_GROUP_COMMITS, 1);
        metric_add(M_DB_GROUPED, g->committed);
    }
    if (conn_of(g)->in_transaction && (script(g, "ROLLBACK") != OK || conn_of(g)->in_transaction))
        conn_of(g)->broken = true;
    return e;
}

/* The last member of a group, still holding the lane, commits for all. */
static enum err finish(struct group *g)
{
    const enum err e = end_transaction(g);
    struct db_pooled *conn = g->conn;
    struct link done, *l;

    list_init(&done);
    list_splice(&done, &g->done);
    g->conn = NULL;
    g->committed = g->members = 0;
    g->first_end = 0;
    g->failed = OK;
    pool_put(conn);
    while ((l = list_pop_front(&done)) != NULL)
        coro_wake(container_of(l, struct member, link)->coro, e);
    pass_lane(g);
    return e;
}

/* A holder with nothing to commit of its own goes. */
static void leave(struct group *g)
{
    if (g->conn && !may_go_on(g))
        (void)finish(g); /* whoever waits for it hears the result */
    else
        pass_lane(g);
}

static enum err wait_for_lane(struct group *g)
{
    struct member m = { .since = g->pool->now() };
    enum err e;

    if (!coro_self() || g->waiting >= LINE_MAX_MEMBERS)
        return E_BUSY;
    waitline_init(&m.turn);
    list_push_back(&g->line, &m.link);
    g->waiting++;
    show_line(g);
    e = waitline_wait(&m.turn, (uint64_t)(g->pool->conf->pool_timeout_s * MS_PER_S) + 1);
    if (!m.given) {
        list_remove(&m.link);
        g->waiting--;
        show_line(g);
        if (e == E_TIMEOUT)
            metric_add(M_POOL_TIMEOUTS, 1);
        return e == E_TIMEOUT ? E_BUSY : e;
    }
    if (e != E_CANCELLED)
        return OK;
    leave(g);
    return e;
}

static enum err take_lane(struct group *g)
{
    if (g->taken)
        return wait_for_lane(g);
    g->taken = true;
    return OK;
}

/* ---- members --------------------------------------------------------------------- */

static enum err open_transaction(struct group *g, const struct pool_holder *who)
{
    enum err e = pool_get(g->pool, who, &g->conn);

    if (e == OK)
        e = script(g, g->pool->driver->begin);
    if (e == OK)
        e = script(g, "SAVEPOINT member");
    return e;
}

/* The member before left its savepoint; to release it costs no extra trip. */
static enum err join_transaction(struct group *g, const struct pool_holder *who)
{
    pool_lend(g->conn, who);
    return script(g, "RELEASE member; SAVEPOINT member");
}

enum err group_begin(struct group *g, const struct pool_holder *who, struct db_pooled **ret_conn)
{
    enum err e = take_lane(g);

    if (e != OK)
        return e;
    e = g->conn ? join_transaction(g, who) : open_transaction(g, who);
    if (e == OK) {
        g->members++;
        *ret_conn = g->conn;
        return OK;
    }
    if (g->conn)
        g->failed = e;
    leave(g);
    return e;
}

void group_note(struct group *g, enum err e)
{
    if (g->failed == OK && !conn_of(g)->in_transaction)
        g->failed = e != OK ? e : E_DATABASE;
}

static void note_end(struct group *g)
{
    if (g->first_end == 0)
        g->first_end = g->pool->now();
}

enum err group_commit(struct group *g)
{
    struct member m = { .coro = coro_self() };

    note_end(g);
    g->committed++;
    if (!m.coro || !may_go_on(g))
        return finish(g);
    list_push_back(&g->done, &m.link);
    pass_lane(g);
    return coro_wait_firmly();
}

void group_rollback(struct group *g)
{
    note_end(g);
    if (g->failed == OK && conn_of(g)->in_transaction)
        g->failed = script(g, "ROLLBACK TO member");
    leave(g);
}

void group_init(struct group *g, struct pool *pool)
{
    *g = (struct group){ .pool = pool };
    list_init(&g->line);
    list_init(&g->done);
}
