/* SPDX-License-Identifier: MIT */
/* Database URLs: how a tool is told of another database than the settings'.
 *
 *   sqlite:PATH                        sqlite:   the file of the settings
 *   mysql://USER@HOST:PORT/NAME        mysql:    the server of the settings
 *   mysql:///NAME?socket=PATH
 *
 * What a URL leaves out is as in the settings. It never holds a password: the
 * arguments of a program are everybody's to read. In a mysql URL %XX stands for
 * a byte; the path of an sqlite URL is taken as it is.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "db/db.h"

enum { DB_URL_MAX_BYTES = 2048 };

/* Puts what the URL says into *conf, which holds what the settings say; texts go
 * to the arena. E_INVALID, when it is no such URL or leaves out what the settings
 * do not say either, with a sentence in *ret_why that repeats nothing of it.
 * E_NO_MEMORY. */
MUSTCHECK enum err db_url_read(struct str url, struct arena *a, struct db_conf *conf, const char **ret_why);

/* The URL of a database, as people write it: "mysql://sanad@db.example:3306/sanad".
 * Returns its length; what does not fit is cut. */
size_t db_url_write(const struct db_conf *conf, char *out, size_t size);

/* Whether two are one database, as far as their names tell. */
bool db_url_same(const struct db_conf *a, const struct db_conf *b);
