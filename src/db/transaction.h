/* SPDX-License-Identifier: MIT */
/* A write transaction as a function: begun, run, committed, and run again when
 * the database undid it for the sake of another one.
 *
 * Two transactions that lock the same rows in different order cannot both go on:
 * the server undoes one (a deadlock), or lets it wait too long for a lock. What
 * it undid may be done again, if doing so is harmless: the body must have no
 * effect but its statements, and start from values that it reads itself.
 *
 * Many that hammer the same rows undo each other again and again, until nobody
 * gets through. So those of a process that were undone repeat one after the
 * other, in a lane: the more there are, the fewer are in each other's way.
 */
#pragma once

#include "base/task.h"
#include "db/db.h"

enum db_repeat {
    DB_ONCE,        /* a deadlock is the caller's to tell: E_DEADLOCK */
    DB_REPEATABLE,  /* the body is run again, a few times at most     */
};

/* One a database (db_repeat_lane). */
struct repeat_lane {
    struct waitline line;
    bool            taken;
};
void repeat_lane_init(struct repeat_lane *lane);

/* The statements of a transaction; an error rolls it back. May suspend. */
typedef enum err db_body(struct db_scope *scope, void *arg);

/* OK: all that `body` did is durable. Else nothing is, and it is the body's
 * error or the database's (db_begin, db_commit); E_DEADLOCK when the database
 * undid it each time. */
MUSTCHECK enum err db_transact(struct db_scope *scope, enum db_repeat repeat, db_body *body, void *arg);
