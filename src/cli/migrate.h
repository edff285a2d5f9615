/* SPDX-License-Identifier: MIT */
/* The database of the settings, opened and brought up to date by a command. */
#pragma once

#include "base/err.h"
#include "settings/settings.h"
#include "db/db.h"

enum { MIGRATE_ERROR_SIZE = 640 };

/* How many migrations there are, and how many of them are to be applied. */
struct migrate_state { int all, pending; };

/* CLI_OK if this version works with the settings' database, or CLI_SETTINGS
 * with the reason printed. */
MUSTCHECK int migrate_supports(const char *command, const struct settings *s);

/* The database, its folder made (for this user only) unless it is there; the
 * folder above must be. `conf` outlives it; *ret_db goes to db_free(). E_IO or
 * E_NO_MEMORY, with a sentence in `error`. */
MUSTCHECK enum err migrate_open(const struct db_conf *conf, struct db **ret_db, char *error, size_t size);

/* What a database lacks; changes nothing but that an empty file is made. */
MUSTCHECK enum err migrate_look(struct db *db, struct migrate_state *ret_state, char *error, size_t size);

/* Applies what is pending, one printed line each; *ret_applied says how many. */
MUSTCHECK enum err migrate_apply(struct db *db, int *ret_applied, char *error, size_t size);
