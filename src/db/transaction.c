/* SPDX-License-Identifier: MIT */
#include "db/transaction.h"

#include "base/coro.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/task.h"
#include "db/driver.h"

enum {
    ATTEMPTS_MAX = 5,
    PAUSE_MOST_MS = 20,       /* before the second attempt; twice as long before each further one */
    LANE_PATIENCE_MS = 10000, /* as long as a lock is waited for, by whoever has it */
};

static enum err attempt(struct db_scope *scope, db_body *body, void *arg)
{
    enum err e = db_begin(scope);

    if (e != OK)
        return e;
    e = body(scope, arg);
    if (e == OK)
        return db_commit(scope);
    db_rollback(scope);
    return e;
}

/* ---- repeating --------------------------------------------------------------- */

void repeat_lane_init(struct repeat_lane *lane)
{
    *lane = (struct repeat_lane){ .taken = false };
    waitline_init(&lane->line);
}

/* Whoever has the lane may wait long for a lock: then others go on without it.
 * Outside a loop nobody else of this process is in the way. */
static enum err enter(struct repeat_lane *lane, bool *ret_entered)
{
    enum err e = OK;

    while (coro_self() && lane->taken && e == OK)
        e = waitline_wait(&lane->line, LANE_PATIENCE_MS);
    if (e == E_TIMEOUT)
        return OK;
    if (e == OK)
        *ret_entered = lane->taken = true;
    else if (!lane->taken)
        waitline_wake_one(&lane->line, OK); /* it may have been this one's turn */
    return e;
}

static void leave(struct repeat_lane *lane)
{
    lane->taken = false;
    waitline_wake_one(&lane->line, OK);
}

/* Two that met once should not meet again: each waits for as long as chance has it. */
static enum err pause_before(unsigned tried)
{
    if (!coro_self())
        return OK;
    return task_sleep(1 + random_fast() % ((uint64_t)PAUSE_MOST_MS << (tried - 1)));
}

static enum err repeat_until_done(struct db_scope *scope, db_body *body, void *arg)
{
    enum err e = E_DEADLOCK;

    for (unsigned tried = 1; e == E_DEADLOCK && tried < ATTEMPTS_MAX; tried++) {
        metric_add(M_DB_REPEATED, 1);
        e = pause_before(tried);
        if (e == OK)
            e = attempt(scope, body, arg);
    }
    return e;
}

enum err db_transact(struct db_scope *scope, enum db_repeat repeat, db_body *body, void *arg)
{
    struct repeat_lane *lane = db_repeat_lane(scope->db);
    enum err e = attempt(scope, body, arg);
    bool entered = false;

    if (e != E_DEADLOCK || repeat == DB_ONCE)
        return e;
    e = enter(lane, &entered);
    if (e == OK)
        e = repeat_until_done(scope, body, arg);
    if (entered)
        leave(lane);
    return e;
}
