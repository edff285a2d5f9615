/* SPDX-License-Identifier: MIT */
#include "app/sanad.h"

#include <string.h>

#include "app/app.h"
#include "app/pages.h"
#include "ops/exposition.h"
#include "ops/health.h"

enum { PROBE = ROUTE_INLINE | ROUTE_UNGATED };

/* clang-format off */
static const struct route service_routes[] = {
    { HTTP_GET, "/health",       health_live,    PROBE, ACCESS_ANYBODY, 0, 0, NULL,           "Whether this worker serves" },
    { HTTP_GET, "/health/ready", health_ready,   PROBE, ACCESS_ANYBODY, 0, 0, NULL,           "Whether it can do its work" },
    { HTTP_GET, "/metrics",      metrics_show,  PROBE, ACCESS_ANYBODY, 0, 0, metrics_params, "Figures of the whole node" },
    { HTTP_GET, "/",             page_file,      0,     ACCESS_ANYBODY, 0, 0, NULL,           "The front page" },
    { HTTP_GET, "/assets",       page_file,  ROUTE_SUBTREE, ACCESS_ANYBODY, 0, 0, NULL,       "Files of the pages" },
};
/* clang-format on */

enum { SERVICE_ROUTES = sizeof(service_routes) / sizeof(service_routes[0]) };

const struct application *sanad_application(struct arena *arena)
{
    struct application *app = arena_new(arena, struct application);
    struct route *routes = arena_array(arena, struct route, app_route_count + SERVICE_ROUTES);
    const struct catalog *catalog = catalog_build(arena, categories, category_count);

    if (!app || !routes || !catalog)
        return NULL;
    memcpy(routes, app_routes, app_route_count * sizeof(*routes));
    memcpy(routes + app_route_count, service_routes, sizeof(service_routes));
    app->routes = routes;
    app->route_count = app_route_count + SERVICE_ROUTES;
    app->migrations = migrations_of("sqlite", &app->migration_count);
    app->domain = catalog;
    return app;
}

const struct catalog *app_catalog(struct request *req) { return request_service(req)->app->domain; }
const uint8_t *app_cursor_key(struct request *req) { return request_service(req)->key; }
