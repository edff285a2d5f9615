/* SPDX-License-Identifier: MIT */
/* The inside of the pool, for the files that make it up: one lends
 * connections and keeps house (pool.c), one opens them (pool_open.c), one closes
 * them (pool_close.c). */
#pragma once

#include "db/pool.h"

/* ---- pool.c ---- */

/* The only function that changes a connection's state. */
void pool_move(struct db_pooled *c, enum pool_state to);

/* A new connection, connecting; NULL without memory. */
struct db_pooled *pool_add(struct pool *p);

/* The one that came to a state last, or first; NULL: none. */
struct db_pooled *pool_newest(struct pool *p, enum pool_state state);
struct db_pooled *pool_oldest(struct pool *p, enum pool_state state);

/* It may be borrowed from now on. */
void pool_offer(struct db_pooled *c);

/* Brings waiters and connections together, and has more opened as needed. Call
 * after every change that may let a waiter go on. */
void pool_pump(struct pool *p);

/* Pumps, and makes room for others, a few milliseconds from now. */
void pool_look_again(struct pool *p);

/* ---- pool_open.c ---- */

/* Connections that are open. */
size_t pool_usable(const struct pool *p);

/* An open failed, and none is left. */
bool pool_is_away(const struct pool *p);

/* Whether one more may be opened now, if the budget has it. After a failure it
 * is one probe at a time, when the pause is over. */
bool pool_may_open(struct pool *p);

/* Opens one in the caller's own time: it is idle then. E_BUSY (no permit),
 * E_NO_MEMORY, E_UNAVAILABLE. */
MUSTCHECK enum err pool_open_now(struct pool *p);

/* Has one opened by a coroutine of the pool's. E_BUSY (no permit), E_NO_MEMORY. */
MUSTCHECK enum err pool_start_open(struct pool *p);

/* Has as many opened as borrowers wait for, and a warm pool keeps, as far as the
 * pace and the budget allow; what the budget does not allow, the other workers
 * hear of. E_NO_MEMORY. */
MUSTCHECK enum err pool_open_missing(struct pool *p);

/* ---- pool_close.c ---- */

/* Closes and frees at once; gives back its permit. */
void pool_destroy(struct db_pooled *c);

void pool_close_idle(struct pool *p);

/* One that broke; with `lost` all that are older go as they come home. */
void pool_throw_away(struct db_pooled *c);

/* One that is too old; another one is opened in its place. */
bool pool_is_aged(const struct db_pooled *c, mono_ns now);
void pool_recycle(struct db_pooled *c);
void pool_replace_aged(struct pool *p, mono_ns now);

/* What was opened for a rush and is idle for long. */
void pool_close_lingering(struct pool *p, mono_ns now);

/* Closes one that was just returned if another worker is owed it. Whether it did. */
bool pool_hand_over(struct db_pooled *c);

/* Closes what is idle and owed to other workers. */
void pool_make_room(struct pool *p);
