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

static bool write_pid(int fd)
{
    char text[32];
    const int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

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
    if (!write_pid(fd))
        return refuse(fd, path, error, size);
    *f = (struct pid_file){ .fd = fd, .path = path };
    return OK;
}

void pid_file_drop(struct pid_file *f)
{
    if (f->path) {
        (void)unlink(f->path);
        close(f->fd);
    }
    *f = (struct pid_file){ .fd = -1 };
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
