/* SPDX-License-Identifier: MIT */
/* What every handler of the domain has at hand.
 *
 * The first group is the composition's (service.c): it owns the database, the
 * key and the catalog, and knows how a request leads to them. The second is
 * how handlers answer.
 */
#pragma once

#include "app/catalog.h"
#include "base/buf.h"
#include "base/json.h"
#include "db/db.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "limit/limiter.h"

/* Bits of route.cache_tags and of cache_invalidate(): the tables that a
 * response is made from. Whoever writes to one bumps its bit. */
enum app_tag {
    TAG_TEMPLATES    = 1 << 0,
    TAG_CERTIFICATES = 1 << 1,
    TAG_SPAS         = 1 << 2,
};

/* Who may call a route: route.access. */
enum app_access { ACCESS_ANYBODY };

/* The domain's rows; the composition serves them beside those of ops/. */
extern const struct route app_routes[];
extern const size_t       app_route_count;

/* Statements under whose names they are timed: each list ends in a NULL. */
extern const struct db_statement *const template_statements[], *const spa_statements[];

/* The request's own scope; it lives in the request's arena and is ended after
 * the response. */
struct db_scope *request_db(struct request *req);

/* CURSOR_KEY_BYTES bytes, the same on every worker and after a restart. */
const uint8_t *app_cursor_key(struct request *req);

const struct catalog *app_catalog(struct request *req);

/* Most bytes of a JSON body made by a handler. */
enum { BODY_MAX_BYTES = 8 * 1024 * 1024 };

/* A body in the request's arena, to be finished by body_response(). */
void body_init(struct request *req, struct buf *body, struct json *j);
struct response body_response(struct request *req, const struct buf *body);

/* The answer to a failed statement. Says when to come back (Retry-After), and,
 * when no connection was to be had in time, how the pool stands. */
struct response app_db_problem(struct request *req, enum err e);

/* 422 about one query parameter; `message` lives as long as the request. */
struct response app_param_problem(struct request *req, const char *param, const char *message);

/* The one 404 of a resource that is not there, or not for this caller. */
struct response app_not_found(struct request *req);

/* Link: <the request's path?name=value&...>; rel="next" (RFC 8288). Values that
 * are not given are left out; the rest is percent-encoded. */
struct link_param { const char *name; struct str value; };
void link_next(struct request *req, struct response *res, const struct link_param *params, size_t count);

/* Handlers, by file. */
http_handler template_list, template_get, template_by_category;          /* templates.c    */
http_handler certificate_public_list, certificate_get;                   /* certificates.c */
http_handler spa_list;                                                   /* spas.c         */
