/* SPDX-License-Identifier: MIT */
/* A file that counts only when it is whole.
 *
 * It is written as PATH.part beside its place, for this user only, and takes its
 * name when all of it is on the disk: whoever finds PATH finds a whole one, however
 * the writer ended. A draft that a killed writer left is removed by the next one
 * for the same PATH; two at once are told apart by a lock, and the second refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { BACKUP_PATH_SIZE = 4096 };

struct backup_file {
    const char *path;                      /* the caller's                              */
    char        draft[BACKUP_PATH_SIZE];   /* to be written by whoever makes the content */
    bool        replace;                   /* what is there already                     */
    /* private */
    int         fd;                        /* keeps the draft locked                    */
};

/* Makes an empty draft. A file that is in its place is replaced at the end, if
 * `replace`; never one that is in use as a database, nor the file `source`. Every
 * failure with a sentence in `error`. */
MUSTCHECK enum err backup_file_open(struct backup_file *f, const char *source, char *error, size_t size);

/* Brings the draft to the disk and gives it its name. */
MUSTCHECK enum err backup_file_keep(struct backup_file *f, char *error, size_t size);

/* Removes the draft, if it was not kept, and what stands beside it. */
void backup_file_close(struct backup_file *f);
