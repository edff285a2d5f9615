/* SPDX-License-Identifier: MIT */
/* What `sanad copy` tells at its end: the tables, and what is left to do. */
#pragma once

#include "db/copy.h"
#include "settings/settings.h"

/* A line a table: rows and checksum, or where the two sides differ. */
void copy_print_results(const struct copy_job *job, const struct copy_result *results);

/* How the service comes to use the new database, and keeps its secret. */
void copy_print_next(const struct settings *s, const struct db_conf *from, const struct db_conf *to);
