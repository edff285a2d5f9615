/* SPDX-License-Identifier: MIT */
/* How a database carries out a statement, as one line of text:
 *
 *   spa type=ref key=idx_spa_is_active rows=12 Using index condition | ...      MariaDB, MySQL
 *   SEARCH spa USING INDEX idx_spa_is_active (is_active=?) | ...                SQLite
 *
 * The database is asked with EXPLAIN before the statement's own constant text,
 * and with the same arguments, on which its choice may depend. They do not
 * appear in the answer.
 */
#pragma once

#include "base/arena.h"
#include "db/driver.h"

enum { PLAN_MAX_BYTES = 1024 };

/* The plan, in the arena; empty when the database does not say (waits). */
struct str plan_explain(struct db_conn *c, const struct db_statement *st, const struct db_value *args, size_t count,
                        struct arena *arena);
