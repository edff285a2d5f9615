/* SPDX-License-Identifier: MIT */
/* Group commit: several write transactions of one process share one COMMIT.
 *
 * A database with a single writer at a time makes each transaction pay for a
 * lock, a log write and a sync. Here they go in single file through a lane:
 *
 *   first in line   BEGIN, SAVEPOINT   statements ...  done, waits for COMMIT
 *   next            RELEASE, SAVEPOINT     statements ...  done, waits
 *   next            RELEASE, SAVEPOINT         statements ...  COMMIT for all three
 *
 * Who ends while others stand in line, and the group is small and young, hands
 * the lane on and waits; who ends otherwise commits for all, and every member
 * hears that COMMIT's result. A member that rolls back undoes its own savepoint
 * only. If the database itself undoes the whole transaction (disk full), every
 * member fails with that error.
 *
 * A member's constraints are checked by its own statements: constraints deferred
 * to COMMIT would fail the innocent too and must not be used with such a driver.
 * A transaction must be short: members that are done wait for those that follow.
 *
 * Invariants: one holder of the lane; the line is empty while the lane is free;
 * members that are done exist only while `conn` is in a transaction.
 */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "db/pool.h"

struct group {
    /* private */
    struct pool *pool;
    struct link line; /* who waits for the lane, first come first served */
    size_t waiting;
    bool taken;             /* somebody has the lane                           */
    struct db_pooled *conn; /* the group's transaction; NULL between groups    */
    struct link done;       /* members that wait for COMMIT                    */
    size_t committed;       /* members whose work is in the transaction        */
    size_t members;         /* that had the lane in this group                 */
    mono_ns first_end;      /* when the first of them ended                    */
    enum err failed;        /* why the transaction is dead; OK: it is not      */
};

void group_init(struct group *g, struct pool *pool);

/* Waits for the lane (conf->pool_timeout_s) and opens the member's part.
 * *ret_conn is the group's connection, for this member alone until it ends.
 * E_BUSY, E_UNAVAILABLE, E_CANCELLED, or the driver's error. */
MUSTCHECK enum err group_begin(struct group *g, const struct pool_holder *who, struct db_pooled **ret_conn);

/* Tells the group how a statement of its present member ended. */
void group_note(struct group *g, enum err e);

/* Ends the member's part. OK: it is durable. Waits firmly. */
MUSTCHECK enum err group_commit(struct group *g);
void group_rollback(struct group *g);
