/* SPDX-License-Identifier: MIT */
/* Routes: what the server answers, as rows of one table.
 *
 * A row drives the router, the validation of query parameters, the steps before
 * the handler (limiter, cache, session), the labels of metrics, and the
 * documentation. http/ gives no meaning to `access`, `limit_class` and
 * `cache_tags`: those belong to the layers above.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "http/parser.h"
#include "http/target.h"

struct request;
struct response;

/* Answers a request. Runs in a coroutine (unless ROUTE_INLINE). */
typedef struct response http_handler(struct request *req);

enum route_flag {
    ROUTE_INLINE  = 1 << 0,   /* never waits: runs on the loop, without a coroutine    */
    ROUTE_UNGATED = 1 << 1,   /* answered even when too many requests are under way    */
    ROUTE_CACHED  = 1 << 2,   /* the response depends only on path, query and the tags */
    ROUTE_SUBTREE = 1 << 3,   /* matches everything below its path too (static files)  */
};

/* A declared query parameter. Undeclared ones are ignored (and so cannot
 * multiply cache entries); a repeated or ill-typed one is 422 with its name. */
enum param_kind { PARAM_INT, PARAM_TEXT, PARAM_CHOICE };
struct param {
    const char        *name;      /* NULL ends the list                      */
    enum param_kind    kind;
    int64_t            min, max;  /* INT: bounds. TEXT: bounds of the length */
    int64_t            fallback;  /* INT: value when not given               */
    const char *const *choices;   /* CHOICE: NULL-terminated                 */
    const char        *help;
};

enum { PARAMS_MAX = 8, PATH_ARGS_MAX = 4 };

/* The value of a declared parameter, in the order of the route's list. */
struct arg { bool given; int64_t i; struct str s; };    /* CHOICE: i is the index */

struct route {
    enum http_method    method;       /* GET answers HEAD as well                    */
    const char         *path;         /* "/api/spas/{id}"                            */
    http_handler       *handler;
    unsigned            flags;        /* enum route_flag                             */
    unsigned            access;       /* who may call: the application's meaning     */
    unsigned            limit_class;  /* the limiter's meaning                       */
    uint32_t            cache_tags;   /* bits: what the response is made from        */
    const struct param *params;       /* query parameters; NULL for none             */
    const char         *summary;
};

/* The router: a tree over path segments, built once from the table. */
struct router;

/* `routes` must outlive the router. NULL without memory; a table that
 * contradicts itself (two rows of one method and path, two names for one
 * parameter) is a programmer's error and aborts with the row. */
struct router *router_new(const struct route *routes, size_t count);
void router_free(struct router *r);

struct route_match {
    const struct route *route;                  /* NULL: none for path and method     */
    uint32_t            allowed;                /* bit per http_method of the path; 0: no such path */
    struct str          path_args[PATH_ARGS_MAX]; /* values of {…}, in order          */
    size_t              rest;                   /* SUBTREE: index of the first segment below */
};

/* Literal segments win over {parameters}. HEAD matches a GET row. */
struct route_match router_find(const struct router *r, enum http_method method, const struct target *t);

/* Index of a route in its table; count of rows; row by index. For metrics. */
size_t router_index(const struct router *r, const struct route *route);
size_t router_count(const struct router *r);
const struct route *router_row(const struct router *r, size_t index);

/* Checks the target's query against route->params and fills args (PARAMS_MAX).
 * Appends a line to *errors for each wrong one; OK or E_INVALID. */
struct field_error { struct str field; struct str message; };
struct field_errors { size_t count; struct field_error rows[PARAMS_MAX]; };
MUSTCHECK enum err params_check(const struct route *route, const struct target *t, struct arena *arena,
                                struct arg *args, struct field_errors *errors);
