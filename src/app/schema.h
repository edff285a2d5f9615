/* SPDX-License-Identifier: MIT */
/* Every table that holds data, and every column of it; each table behind those
 * that it refers to. What the migrations make, for who handles all of it. */
#pragma once

#include "db/copy.h"

extern const struct copy_table schema_tables[];
extern const size_t            schema_table_count;
