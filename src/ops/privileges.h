/* SPDX-License-Identifier: MIT */
/* From root to a user of the service's own, once and for good.
 *
 *   as root:      bind (ports below 1024), raise limits, make folders for the user
 *   drop:         groups, group, user, no new privileges; and try to get back
 *   as the user:  everything else
 *
 * Files that are opened again later (logs at their rotation, the .env file at a
 * reload) and the database are opened as the user from the beginning: what only
 * root could open would fail at night instead of at the start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct privileges {
    uid_t user;
    gid_t group;
    char  name[64];   /* of the user, whose further groups it gets; "": a number without a name */
};

bool privileges_of_root(void);

/* Names or numbers; no group: the user's own. E_INVALID, with a sentence. */
MUSTCHECK enum err privileges_find(const char *user, const char *group, struct privileges *ret_who, char *error,
                                   size_t size);

/* Makes the folder that a path is in, if there is none (one level), and gives it
 * to the user. If it cannot be made, neither can the file, and that is told then. */
void privileges_make_folder(const struct privileges *who, const char *path);

/* Becomes the user: as root, and before there is any thread. E_IO, with a
 * sentence: it is not certain that root was left behind; then end. */
MUSTCHECK enum err privileges_drop(const struct privileges *who, char *error, size_t size);
