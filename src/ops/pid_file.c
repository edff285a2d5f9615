/* SPDX-License-Identifier: MIT */
#include "ops/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0600, FOLDER_MODE = 0750, PATH_LIMIT = 4096, STATE_SIZE = PID_FILE_PATH_SIZE + 8 };

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

/* "PATH.state" */
static void name_state(const char *path, char out[static STATE_SIZE]) { snprintf(out, STATE_SIZE, "%s.state", path); }

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
    pid_file_tell(f, "");
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

static bool move(const char *from, const char *to)
{
    char state_from[STATE_SIZE], state_to[STATE_SIZE];

    name_state(from, state_from);
    name_state(to, state_to);
    (void)!rename(state_from, state_to);
    return rename(from, to) == 0;
}

enum err pid_file_set_aside(const struct pid_file *f)
{
    char aside[PID_FILE_PATH_SIZE];

    if (!f->path)
        return OK;
    pid_file_aside(f->path, aside);
    return move(f->path, aside) ? OK : E_IO;
}

void pid_file_put_back(const struct pid_file *f)
{
    char aside[PID_FILE_PATH_SIZE];

    if (!f->path)
        return;
    pid_file_aside(f->path, aside);
    if (is_at(f, aside))
        (void)move(aside, f->path);
}

static void remove_both(const char *path)
{
    char state[STATE_SIZE];

    name_state(path, state);
    (void)unlink(state);
    (void)unlink(path);
}

void pid_file_drop(struct pid_file *f)
{
    char aside[PID_FILE_PATH_SIZE];

    if (f->path) {
        pid_file_aside(f->path, aside);
        if (is_at(f, f->path))
            remove_both(f->path);
        else if (is_at(f, aside))
            remove_both(aside);
        close(f->fd);
    }
    *f = (struct pid_file){ .fd = -1 };
}

/* Under another name first: who reads finds the line before, or this one, whole. If it
 * cannot be written, commands wait in vain, for a while. */
void pid_file_tell(const struct pid_file *f, const char *news)
{
    char aside[PID_FILE_PATH_SIZE], state[STATE_SIZE], draft[STATE_SIZE + 8];
    int fd;

    if (!f->path)
        return;
    pid_file_aside(f->path, aside);
    name_state(is_at(f, f->path) ? f->path : aside, state);
    snprintf(draft, sizeof(draft), "%s.new", state);
    fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return;
    if (dprintf(fd, "%.*s\n", PID_FILE_NEWS_SIZE - 2, news) > 0)
        (void)!rename(draft, state);
    close(fd);
}

void pid_file_news(const char *path, char out[static PID_FILE_NEWS_SIZE])
{
    char state[STATE_SIZE], text[PID_FILE_NEWS_SIZE] = "";
    int fd;

    name_state(path, state);
    fd = open(state, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        (void)!read(fd, text, sizeof(text) - 1);
        close(fd);
    }
    snprintf(out, PID_FILE_NEWS_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
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
