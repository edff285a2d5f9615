/* SPDX-License-Identifier: MIT */
/* How often a client may ask: which requests count, under what, and how the
 * client is told.
 *
 * A route's `limit_class` says how its requests count. Those of no route (404)
 * count as LIMIT_API does: who probes for paths is limited as well. Each class has
 * a row of limits of its own for each client (limit/table.h).
 *
 * With Redis all nodes decide together (limit/cluster.h), and a request waits for
 * that; this node's own table takes note of it. When Redis does not answer, the
 * node decides alone, at once, by what it knows: nobody waits, and nobody gets an
 * error for it.
 */
#pragma once

#include "base/cidr.h"
#include "http/request.h"
#include "limit/lines.h"
#include "limit/table.h"

struct redis;

/* X(class, name, what it is for) */
#define LIMIT_CLASS_TABLE(X)                                                                     \
    X(LIMIT_API,      "api",      "everything that is not said to be otherwise, by address")     \
    X(LIMIT_LOGIN,    "login",    "attempts to log in, by address")                              \
    X(LIMIT_ACCOUNT,  "account",  "attempts to log in, by account: see limiter_account")         \
    X(LIMIT_NONE,     "none",     "never limited: health, metrics, documentation, the start page")

enum limit_class {
#define X(id, name, help) id,
    LIMIT_CLASS_TABLE(X)
#undef X
    LIMIT_CLASSES
};
const char *limit_class_name(enum limit_class c);   /* "api"; never NULL */

struct limiter_conf {
    bool                    enabled;
    struct limit_rate       api;          /* the others are constants (limiter.c)  */
    const struct cidr_list *allow;        /* clients that are never limited        */
};

struct limiter {
    /* private */
    const struct limiter_conf *conf;
    struct limit_table        *table;     /* of the node, in shared memory         */
    struct redis              *redis;     /* of all nodes; NULL: there is but one  */
    struct limit_rate          rates[LIMIT_CLASSES];
    struct limit_policy        policies[LIMIT_CLASSES];
};

/* All outlive it; `redis` may be NULL, else its function is known
 * (limit_cluster_init). */
void limiter_init(struct limiter *l, const struct limiter_conf *conf, struct limit_table *table, struct redis *redis);

/* Sets the gauges of the table; for one worker of a node, now and then. */
void limiter_show(const struct limiter *l);

/* The step; ctx is a struct limiter. Comes after the client's address is known,
 * and sees refused requests too (http_step.always). Adds the lines that tell the
 * client how it stands; answers 429 with Retry-After when it asks too often. */
enum step_result limit_step(void *ctx, struct request *req, struct response *res);

/* For a handler (in its coroutine) that tries a password: counts an attempt on `account`, whoever
 * makes it and whether or not there is such an account. False, with the answer in
 * *res, when there were too many. */
MUSTCHECK bool limiter_account(struct limiter *l, struct request *req, struct str account, struct response *res);
