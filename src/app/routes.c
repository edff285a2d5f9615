/* SPDX-License-Identifier: MIT */
/* What the domain answers. The order of a list of parameters is the order of
 * the arguments in its handler (enum ARG_… there). */
#include "app/app.h"

enum { PAGE_LIMIT = 20, PAGE_LIMIT_MAX = 100, SKIP_MAX = 1000000 };

/* clang-format off */
#define P_SKIP   { .name = "skip",  .kind = PARAM_INT, .min = 0, .max = SKIP_MAX,       .fallback = 0,          .help = "rows to pass over" }
#define P_LIMIT  { .name = "limit", .kind = PARAM_INT, .min = 1, .max = PAGE_LIMIT_MAX, .fallback = PAGE_LIMIT, .help = "rows in the answer" }
#define P_CATEGORY { .name = "category", .kind = PARAM_CHOICE, .choices = category_ids, .help = "only this category" }

static const struct param template_params[] = {
    P_CATEGORY,
    { .name = "variant", .kind = PARAM_TEXT, .min = 1, .max = 100, .help = "only this variant" },
    { .name = NULL },
};

static const struct param public_params[] = {
    P_CATEGORY,
    P_SKIP,
    P_LIMIT,
    { .name = "cursor", .kind = PARAM_TEXT, .min = 1, .max = 200, .help = "from the Link header of the page before" },
    { .name = NULL },
};

static const struct param spa_params[] = {
    P_SKIP,
    P_LIMIT,
    { .name = "city", .kind = PARAM_TEXT, .min = 1, .max = 100, .help = "only this city" },
    { .name = NULL },
};

#undef P_SKIP
#undef P_LIMIT
#undef P_CATEGORY

#define EVERYONE ROUTE_CACHED, ACCESS_ANYBODY

const struct route app_routes[] = {
/*    method    path                                                  handler                  flags, access   limit      tags            parameters       summary */
    { HTTP_GET, "/api/certificates/templates",                        template_list,           EVERYONE,       LIMIT_API, TAG_TEMPLATES,    template_params, "Public templates" },
    { HTTP_GET, "/api/certificates/templates/{id}",                   template_get,            EVERYONE,       LIMIT_API, TAG_TEMPLATES,    NULL,            "One public template" },
    { HTTP_GET, "/api/certificates/templates/by-category/{category}", template_by_category,    EVERYONE,       LIMIT_API, TAG_TEMPLATES,    NULL,            "Public templates of a category, by variant" },
    { HTTP_GET, "/api/certificates/public",                           certificate_public_list, EVERYONE,       LIMIT_API, TAG_CERTIFICATES, public_params,   "Public certificates, newest first" },
    { HTTP_GET, "/api/certificates/{code}",                           certificate_get,         0, ACCESS_ANYBODY, LIMIT_API, TAG_CERTIFICATES, NULL,            "One public certificate, by its code" },
    { HTTP_GET, "/api/spas",                                          spa_list,                EVERYONE,       LIMIT_API, TAG_SPAS,         spa_params,      "Active branches" },
};
/* clang-format on */

const size_t app_route_count = sizeof(app_routes) / sizeof(app_routes[0]);
