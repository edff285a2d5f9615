/* SPDX-License-Identifier: MIT */
/* The composition: from settings and a table of routes to a running node.
 *
 *   service_run: shared memory -> listeners -> migrations -> master -> workers
 *   a worker:    loop -> database -> cache -> router -> server -> serve -> drain
 *
 * This is the one place that knows all layers, and hands each its values. It
 * knows nothing of certificates: what is served is an `application`, and the
 * tests serve a small one of their own with it.
 */
#pragma once

#include "cache/cache.h"
#include "db/db.h"
#include "db/migrate.h"
#include "http/request.h"
#include "http/route.h"
#include "ops/worker.h"
#include "redis/conf.h"
#include "settings/settings.h"

struct static_root;

enum { SERVICE_KEY_BYTES = 32, SERVICE_KEY_TEXT = 48 };

/* What is served. Constant, alive as long as the process. */
struct application {
    const struct route              *routes;
    size_t                           route_count;
    const struct migration         *(*migrations)(const char *dialect, size_t *ret_count);
    const struct db_statement *const *statements;      /* for the labels of metrics     */
    size_t                           statement_count;
    const void                      *domain;           /* the application's own, for handlers */
};

/* What a handler finds of the service, through worker->domain. */
struct service_context {
    const struct application *app;
    struct cache             *cache;                   /* whoever writes tells it        */
    struct static_root       *web;                     /* NULL: no folder of pages      */
    uint8_t                   key[SERVICE_KEY_BYTES];  /* secret of this installation   */
};

static inline struct worker *request_worker(const struct request *req) { return req->app; }
static inline struct service_context *request_service(const struct request *req)
{
    return request_worker(req)->domain;
}

/* The request's own database scope, made at first use and ended when its
 * handler has returned. NULL when the request's memory is full. */
struct db_scope *request_db(struct request *req);

/* Reads the settings anew, from where they came. False, with the reason told: they are
 * wrong, and *ret_settings needs nothing. */
struct settings_source {
    bool (*load)(void *arg, struct settings *ret_settings);
    void  *arg;
};

/* Serves until a stop signal; returns the exit status. `again`: for a reload. */
int service_run(const struct settings *settings, const struct application *app, const struct settings_source *again);

/* Derives a key of `purpose` from the installation's secret: SECRET_KEY, or for
 * an embedded database a file beside it, made at the first start. E_IO, with a
 * sentence in `error`. */
MUSTCHECK enum err service_key(const struct settings *s, const char *purpose, uint8_t ret_key[SERVICE_KEY_BYTES],
                               char *error, size_t size);

/* The secret in the file beside an embedded database, as a SECRET_KEY that keeps
 * every derived key when the data move to a server. E_NOT_FOUND: there is none;
 * E_IO; each with a sentence in `error`. */
MUSTCHECK enum err service_key_write(const char *db_path, char out[static SERVICE_KEY_TEXT], char *error, size_t size);

/* Copies that file to the place where it belongs beside the database `to_path`. One
 * that is there already with the same secret stays; another one is E_CONFLICT, unless
 * it is to be replaced. E_NOT_FOUND, E_IO. */
MUSTCHECK enum err service_key_copy(const char *db_path, const char *to_path, bool replace, char *error, size_t size);

/* The database's settings, with the budget of a process that is alone. */
struct db_conf service_db_conf(const struct settings *s);

/* The same for a look: a single connection, of which the log says nothing. */
struct db_conf service_probe_conf(const struct settings *s);

/* What REDIS_URL says; its texts are in the arena. A refusal has a sentence in *ret_why,
 * without what the URL holds. */
MUSTCHECK enum err service_redis_conf(const struct settings *s, struct arena *a, struct redis_conf *ret_conf,
                                      const char **ret_why);
