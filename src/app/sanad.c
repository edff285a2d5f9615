/* SPDX-License-Identifier: MIT */
#include "app/sanad.h"

#include <assert.h>
#include <string.h>

#include "app/app.h"
#include "app/pages.h"
#include "ops/exposition.h"
#include "ops/health.h"

enum { PROBE = ROUTE_INLINE | ROUTE_UNGATED };

/* clang-format off */
static const struct route service_routes[] = {
    { HTTP_GET, "/health",       health_live,    PROBE, ACCESS_ANYBODY, LIMIT_NONE, 0, NULL,           "Whether this worker serves" },
    { HTTP_GET, "/health/ready", health_ready,   PROBE, ACCESS_ANYBODY, LIMIT_NONE, 0, NULL,           "Whether it can do its work" },
    { HTTP_GET, "/metrics",      metrics_show,  PROBE, ACCESS_ANYBODY, LIMIT_NONE, 0, metrics_params, "Figures of the whole node" },
    { HTTP_GET, "/",             page_file,      0,     ACCESS_ANYBODY, LIMIT_NONE, 0, NULL,           "The front page" },
    { HTTP_GET, "/assets",       page_file,  ROUTE_SUBTREE, ACCESS_ANYBODY, LIMIT_API, 0, NULL,       "Files of the pages" },
};
/* clang-format on */

enum { SERVICE_ROUTES = sizeof(service_routes) / sizeof(service_routes[0]) };

enum { STATEMENTS_MAX = CATALOG_STATEMENTS_MAX + 32 };

static size_t count_of(const struct db_statement *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

/* All that handlers run, by name. */
static bool list_statements(struct application *app, struct arena *arena, const struct catalog *catalog)
{
    const struct db_statement **list = arena_array(arena, const struct db_statement *, STATEMENTS_MAX);
    const struct db_statement *const *const more[] = { template_statements, spa_statements };

    if (!list)
        return false;
    app->statement_count = catalog_statements(catalog, list);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        const size_t n = count_of(more[i]);

        assert(app->statement_count + n <= STATEMENTS_MAX);
        memcpy(list + app->statement_count, more[i], n * sizeof(*list));
        app->statement_count += n;
    }
    app->statements = list;
    return true;
}

const struct application *sanad_application(const struct settings *s, struct arena *arena)
{
    const struct db_conf conf = service_db_conf(s);
    struct application *app = arena_new(arena, struct application);
    struct route *routes = arena_array(arena, struct route, app_route_count + SERVICE_ROUTES);
    const struct catalog *catalog = catalog_build(arena, db_dialect_of(&conf), categories, category_count);

    if (!app || !routes || !catalog)
        return NULL;
    memcpy(routes, app_routes, app_route_count * sizeof(*routes));
    memcpy(routes + app_route_count, service_routes, sizeof(service_routes));
    app->routes = routes;
    app->route_count = app_route_count + SERVICE_ROUTES;
    app->migrations = migrations_of;
    app->domain = catalog;
    return list_statements(app, arena, catalog) ? app : NULL;
}

const struct catalog *app_catalog(struct request *req) { return request_service(req)->app->domain; }
const uint8_t *app_cursor_key(struct request *req) { return request_service(req)->key; }
