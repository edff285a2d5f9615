/* SPDX-License-Identifier: MIT */
#include "db/transaction.h"

#include "base/coro.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/task.h"

enum {
    ATTEMPTS_MAX = 5,
    PAUSE_MOST_MS = 20, /* before the second attempt; twice as long before each further one */
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

/* Two that met once should not meet again: each waits for as long as chance has
 * it. Outside a loop nobody else of this process is in the way. */
static enum err pause_before(unsigned tried)
{
    if (!coro_self())
        return OK;
    return task_sleep(1 + random_fast() % ((uint64_t)PAUSE_MOST_MS << (tried - 1)));
}

enum err db_transact(struct db_scope *scope, enum db_repeat repeat, db_body *body, void *arg)
{
    const unsigned attempts = repeat == DB_REPEATABLE ? ATTEMPTS_MAX : 1;
    enum err e = attempt(scope, body, arg);

    for (unsigned tried = 1; e == E_DEADLOCK && tried < attempts; tried++) {
        metric_add(M_DB_REPEATED, 1);
        e = pause_before(tried);
        if (e == OK)
            e = attempt(scope, body, arg);
    }
    return e;
}
