/* SPDX-License-Identifier: MIT */
/* How much room is left where the server keeps its files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { KEPT_FILES_MAX = 4 };

/* A file that the server writes, by the name under which it is told of. */
struct kept_file { const char *name, *path; };

struct disk_room {
    const char *file;                       /* the kept file's name             */
    uint64_t    size_bytes, avail_bytes;    /* of the file system; without what only root may use */
};

/* False for a path that is empty, standard output ("-"), or not there. */
bool disk_room_read(const struct kept_file *file, struct disk_room *ret_room);
