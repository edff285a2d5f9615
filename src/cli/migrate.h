/* SPDX-License-Identifier: MIT */
/* The database of the settings, opened and brought up to date by a command. */
#pragma once

#include "base/err.h"
#include "settings/settings.h"
#include "db/db.h"

enum { MIGRATE_ERROR_SIZE = 640 };

/* How many migrations there are, and how many of them are to be applied. */
struct migrate_state { int all, pending; };

/* What a database lacks; changes nothing but that an empty file is made. */
MUSTCHECK enum err migrate_look(struct db *db, struct migrate_state *ret_state, char *error, size_t size);

/* Applies what is pending, one printed line each; *ret_applied says how many. */
MUSTCHECK enum err migrate_apply(struct db *db, int *ret_applied, char *error, size_t size);
