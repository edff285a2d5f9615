/* SPDX-License-Identifier: MIT */
/* The Redis client of a worker: one connection, on the worker's loop, over which
 * all its commands go in order (and those of one turn together).
 *
 *   redis_send(r, REDIS_COMMAND(...), done, arg)       calls back
 *   redis_call(r, REDIS_COMMAND(...), arena, &value)   suspends the coroutine
 *
 * Redis is never waited for: an answer comes within the time limit of the
 * settings or is E_TIMEOUT, and while Redis is known to be away (or mute: after
 * some timeouts in a row) every command is E_UNAVAILABLE at once. The connection
 * comes back by itself (redis/session.h). After E_TIMEOUT nobody knows whether the
 * command was carried out; its answer, if it comes, is dropped.
 *
 * A refusal of the server's is an error: E_DISK_FULL (OOM), E_READ_ONLY (a replica,
 * or a server that cannot save), E_CONFLICT (the key holds another type),
 * E_UNAVAILABLE (LOADING, ...), E_INTERNAL for the rest. They are counted, and
 * logged once a minute. E_TOO_LARGE: the answer, or the command, is beyond its
 * bounds. E_BUSY: too many are under way (redis/wire.h).
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "redis/command.h"
#include "redis/conf.h"
#include "redis/value.h"

struct redis;

enum { REDIS_SCRIPTS_MAX = 16 };

/* Begins to connect, on this thread's loop (base/task.h). `conf` must outlive the
 * client. NULL without memory. */
struct redis *redis_new(const struct redis_conf *conf);

/* Ends it: commands under way are answered with E_UNAVAILABLE before this returns,
 * and the loop has no handle of it left when it has run. May be called from any
 * callback. NULL is fine. */
void redis_free(struct redis *r);

/* Called once for a command that was sent: E_TIMEOUT, E_UNAVAILABLE (the connection
 * ended), or as above. With OK `v` is the answer, with a refusal its text, else
 * NULL; it is valid until this returns. Runs on the loop's stack. */
typedef void redis_reply_fn(void *arg, enum err e, const struct redis_value *v);

/* Sends a command. OK: `done` will be called, later. Anything else: it will not. */
MUSTCHECK enum err redis_send(struct redis *r, const struct redis_command *c, redis_reply_fn *done, void *arg);

/* The same for the running coroutine; also E_CANCELLED. The answer is copied into
 * the arena (E_NO_MEMORY). */
MUSTCHECK enum err redis_call(struct redis *r, const struct redis_command *c, struct arena *arena,
                              struct redis_value *ret_value);

/* Makes a function known: it is loaded now, and at every new connection, and again
 * when the server has lost it (then the call is repeated, once, within its time
 * limit). Calls of a function that is not loaded are E_UNAVAILABLE: make it known
 * right after redis_new(). E_BUSY: there are REDIS_SCRIPTS_MAX. */
MUSTCHECK enum err redis_add_script(struct redis *r, const struct redis_script *script);

/* Whether commands are sent now; if not, why, and for how long. Before the first
 * attempt has ended the text is empty, and the time 0. */
bool        redis_is_up(const struct redis *r);
const char *redis_why_away(const struct redis *r);
int64_t     redis_away_ms(const struct redis *r);

/* Where it is, for the log: no secrets. */
const char *redis_place(const struct redis *r);
