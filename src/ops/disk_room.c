/* SPDX-License-Identifier: MIT */
#include "ops/disk_room.h"

#include <string.h>
#include <sys/statvfs.h>

bool disk_room_read(const struct kept_file *file, struct disk_room *ret_room)
{
    const bool named = file->path && *file->path && strcmp(file->path, "-") != 0;
    struct statvfs fs;

    if (!named || statvfs(file->path, &fs) != 0)
        return false;
    *ret_room = (struct disk_room){
        .file = file->name,
        .size_bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
        .avail_bytes = (uint64_t)fs.f_bavail * fs.f_frsize,
    };
    return true;
}
