/* SPDX-License-Identifier: MIT */
#include "cli/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What SQLite may have left beside a database. */
static const char *const companions[] = { "-journal", "-wal", "-shm" };
enum { COMPANIONS = sizeof(companions) / sizeof(companions[0]), COMPANION_SIZE = BACKUP_PATH_SIZE + 16 };

static enum err complain(char *error, size_t size, const char *what, const char *path)
{
    const int code = errno;

    snprintf(error, size, "%s %s: %s", what, path, strerrordesc_np(code));
    return code == ENOSPC || code == EDQUOT ? E_DISK_FULL : E_IO;
}

/* ---- what is in its place ------------------------------------------------------------------ */

static bool same_file(const struct stat *there, const char *other)
{
    struct stat s;

    return other && stat(other, &s) == 0 && s.st_dev == there->st_dev && s.st_ino == there->st_ino;
}

/* A log beside a file is of a database that is in use, or was: with another file
 * in front of it, the log would spoil that. */
static enum err check_companions(const char *path, char *error, size_t size)
{
    char beside[COMPANION_SIZE];

    for (size_t i = 0; i < COMPANIONS; i++) {
        snprintf(beside, sizeof(beside), "%s%s", path, companions[i]);
        if (access(beside, F_OK) != 0)
            continue;
        snprintf(error, size, "%s is there: %s is in use as a database, or was; choose another file", beside, path);
        return E_CONFLICT;
    }
    return OK;
}

static enum err check_place(const struct backup_file *f, const char *source, char *error, size_t size)
{
    struct stat there;

    if (stat(f->path, &there) != 0)
        return check_companions(f->path, error, size);
    if (same_file(&there, source))
        snprintf(error, size, "%s is the database itself", f->path);
    else if (!S_ISREG(there.st_mode))
        snprintf(error, size, "%s is not a file", f->path);
    else if (!f->replace)
        snprintf(error, size, "%s exists already; --force replaces it", f->path);
    else
        return check_companions(f->path, error, size);
    return E_CONFLICT;
}

/* ---- the draft -------------------------------------------------------------------------------- */

/* The first byte, of this open file: SQLite's own locks are elsewhere, and neither
 * end nor share with it. */
static bool lock(int fd)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static void remove_draft(const struct backup_file *f)
{
    char beside[COMPANION_SIZE];

    unlink(f->draft);
    for (size_t i = 0; i < COMPANIONS; i++) {
        snprintf(beside, sizeof(beside), "%s%s", f->draft, companions[i]);
        unlink(beside);
    }
}

/* Removes a draft that nobody writes any more. */
static enum err clear_place(const struct backup_file *f, char *error, size_t size)
{
    const int fd = open(f->draft, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool free;

    if (fd < 0)
        return errno == ENOENT ? OK : complain(error, size, "cannot replace", f->draft);
    free = lock(fd);
    if (free)
        remove_draft(f);
    else
        snprintf(error, size, "another backup into %s is under way", f->path);
    close(fd);
    return free ? OK : E_BUSY;
}

static enum err make_draft(struct backup_file *f, char *error, size_t size)
{
    enum err e = clear_place(f, error, size);

    if (e != OK)
        return e;
    f->fd = open(f->draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0)
        return complain(error, size, "cannot create", f->draft);
    if (lock(f->fd))
        return OK;
    e = complain(error, size, "cannot lock", f->draft);
    backup_file_close(f);
    return e;
}

enum err backup_file_open(struct backup_file *f, const char *source, char *error, size_t size)
{
    enum err e;

    f->fd = -1;
    if (snprintf(f->draft, sizeof(f->draft), "%s.part", f->path) >= (int)sizeof(f->draft)) {
        snprintf(error, size, "the file's name is too long");
        return E_INVALID;
    }
    e = check_place(f, source, error, size);
    return e == OK ? make_draft(f, error, size) : e;
}

/* ---- its end ---------------------------------------------------------------------------------------- */

/* Without `replace` a file that came meanwhile stays; where the file system cannot
 * promise that, as far as a look can. */
static bool take_name(const struct backup_file *f)
{
    if (f->replace)
        return rename(f->draft, f->path) == 0;
    if (renameat2(AT_FDCWD, f->draft, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (access(f->path, F_OK) != 0)
        return rename(f->draft, f->path) == 0;
    errno = EEXIST;
    return false;
}

/* The name is on the disk, too. Some file systems know no such call for folders. */
static bool sync_folder(const char *path)
{
    char copy[BACKUP_PATH_SIZE];
    bool ok;
    int fd;

    snprintf(copy, sizeof(copy), "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    if (fd >= 0)
        close(fd);
    return ok;
}

enum err backup_file_keep(struct backup_file *f, char *error, size_t size)
{
    struct stat there;

    if (fsync(f->fd) != 0 || fstat(f->fd, &there) != 0)
        return complain(error, size, "cannot write", f->draft);
    if (!same_file(&there, f->draft)) {
        snprintf(error, size, "%s was taken away meanwhile", f->draft);
        return E_CONFLICT;
    }
    if (!take_name(f))
        return complain(error, size, "cannot make", f->path);
    close(f->fd);
    f->fd = -1;
    return sync_folder(f->path) ? OK : complain(error, size, "cannot bring to the disk the folder of", f->path);
}

void backup_file_close(struct backup_file *f)
{
    if (f->fd < 0)
        return;
    remove_draft(f);
    close(f->fd);
    f->fd = -1;
}
