/* SPDX-License-Identifier: MIT */
#include "ops/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0600, FOLDER_MODE = 0750, PATH_LIMIT = 4096 };

static void make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_LIMIT];

    if (!slash || slash == path)
        return;
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    (void)!mkdir(folder, FOLDER_MODE); /* if it cannot be made, neither can the file, and that is told */
}

static enum err refuse(int fd, const char *path, char *error, size_t size)
{
    const int why = errno;

    snprintf(error, size, "PID_FILE, %s: %s", path, strerrordesc_np(why));
    if (fd >= 0)
        close(fd);
    return E_IO;
}

static bool write_pid(int fd, const char *news)
{
    char text[32 + PID_FILE_NEWS_SIZE];
    const int len = snprintf(text, sizeof(text), "%ld\n%.*s%s", (long)getpid(), PID_FILE_NEWS_SIZE - 2, news,
                             news[0] ? "\n" : "");

    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len;
}

enum err pid_file_take(struct pid_file *f, const char *path, char *error, size_t size)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd;

    make_folder(path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return refuse(fd, path, error, size);
    if (fcntl(fd, F_SETLK, &all) != 0) {
        if (errno != EACCES && errno != EAGAIN)
            return refuse(fd, path, error, size);
        snprintf(error, size, "PID_FILE, %s: process %ld has it", path, (long)pid_file_owner(path));
        close(fd);
        return E_CONFLICT;
    }
    if (!write_pid(fd, ""))
        return refuse(fd, path, error, size);
    *f = (struct pid_file){ .fd = fd, .path = path };
    return OK;
}

/* Whether that name is our file, and not a successor's. */
static bool is_at(const struct pid_file *f, const char *path)
{
    struct stat ours, there;

    return fstat(f->fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

void pid_file_aside(const char *path, char out[static PID_FILE_PATH_SIZE])
{
    snprintf(out, PID_FILE_PATH_SIZE, "%s.old", path);
}

enum err pid_file_set_aside(const struct pid_file *f)
{
    char aside[PID_FILE_PATH_SIZE];

    if (!f->path)
        return OK;
    pid_file_aside(f->path, aside);
    return rename(f->path, aside) == 0 ? OK : E_IO;
}

void pid_file_put_back(const struct pid_file *f)
{
    char aside[PID_FILE_PATH_SIZE];

    if (!f->path)
        return;
    pid_file_aside(f->path, aside);
    if (is_at(f, aside))
        (void)!rename(aside, f->path);
}

void pid_file_drop(struct pid_file *f)
{
    char aside[PID_FILE_PATH_SIZE];

    if (f->path) {
        pid_file_aside(f->path, aside);
        if (is_at(f, f->path))
            (void)unlink(f->path);
        else if (is_at(f, aside))
            (void)unlink(aside);
        close(f->fd);
    }
    *f = (struct pid_file){ .fd = -1 };
}

void pid_file_tell(const struct pid_file *f, const char *news)
{
    if (f->path)
        (void)!write_pid(f->fd, news); /* then commands wait in vain, for a while */
}

void pid_file_news(const char *path, char out[static PID_FILE_NEWS_SIZE])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32 + PID_FILE_NEWS_SIZE] = "";
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    const char *line = n > 0 ? strchr(text, '\n') : NULL;

    snprintf(out, PID_FILE_NEWS_SIZE, "%.*s", line ? (int)strcspn(line + 1, "\n") : 0, line ? line + 1 : "");
    if (fd >= 0)
        close(fd);
}

pid_t pid_file_owner(const char *path)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    pid_t owner = 0;

    if (fd < 0)
        return 0;
    if (fcntl(fd, F_GETLK, &all) == 0 && all.l_type != F_UNLCK)
        owner = all.l_pid;
    close(fd);
    return owner;
}
