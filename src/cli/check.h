/* SPDX-License-Identifier: MIT */
/* What the parts of `sanad check` share: how a finding is printed, a line each,
 * with what to do about it at its end; and the parts themselves.
 *
 *   ok      what             it is like this
 *   warn    what             it is like that; do this
 *   BAD     what             the service would not run well; do this
 */
#pragma once

#include "app/service.h"

/* The findings so far. */
struct findings { int bad, warned; };

void finding_good(const char *what, const char *format, ...) PRINTF(2, 3);
void finding_warn(struct findings *f, const char *what, const char *format, ...) PRINTF(3, 4);
void finding_bad(struct findings *f, const char *what, const char *format, ...) PRINTF(3, 4);

/* The hosts of DB_HOST, the server and the schema in it. */
void check_server(struct findings *f, const struct settings *s, const struct application *app);

/* Migrations and indexes of a database that answers. */
void check_schema(struct findings *f, struct db *db, const struct application *app);

/* Whether Redis answers, if it is to be used. */
void check_redis(struct findings *f, const struct settings *s);
