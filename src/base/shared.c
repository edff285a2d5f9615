/* SPDX-License-Identifier: MIT */
#include "base/shared.h"

#include "base/str.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_LINE = 64, DIRECTORY_BYTES = 4096, PARTS_MAX = 16, NAME_SIZE = 16, PATH_SIZE = 64, LINK_SIZE = 256 };

static const char MEMFD_NAME[] = "sanad";
static const char LINK_START[] = "/memfd:sanad ";
static const char MARK[NAME_SIZE] = "sanad " SANAD_VERSION;

/* The first page: what is published. */
struct directory {
    char mark[NAME_SIZE];
    uint64_t layout;
    uint32_t count;
    struct {
        char name[NAME_SIZE];
        uint64_t offset, size;
    } parts[PARTS_MAX];
};
_Static_assert(sizeof(struct directory) <= DIRECTORY_BYTES, "the directory is one page");

static int map(int fd, size_t size, int protection, struct shared *ret_s)
{
    void *base = mmap(NULL, size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);

    if (base == MAP_FAILED)
        return errno;
    *ret_s = (struct shared){ .base = base, .size = size, .used = DIRECTORY_BYTES, .fd = fd };
    return 0;
}

/* ---- the owner's side --------------------------------------------------------------- */

/* Sealed in its size: a reader in another process never finds a page gone. */
int shared_open(struct shared *s, size_t size)
{
    const int fd = memfd_create(MEMFD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int failure;

    if (fd < 0)
        return errno;
    if (size == 0 || size > SIZE_MAX - DIRECTORY_BYTES)
        failure = EINVAL;
    else if (ftruncate(fd, (off_t)(size + DIRECTORY_BYTES)) != 0 ||
             fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        failure = errno;
    else
        failure = map(fd, size + DIRECTORY_BYTES, PROT_READ | PROT_WRITE, s);
    if (failure != 0)
        close(fd);
    else
        memcpy(s->base, MARK, sizeof(MARK));
    return failure;
}

/* `used` stays a multiple of the cache line, and the mapping is page-aligned. */
void *shared_take(struct shared *s, size_t size)
{
    void *part;

    if (s->used > s->size || size > s->size - s->used)
        return NULL;
    part = s->base + s->used;
    s->used += (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return part;
}

/* ---- from program to program ---------------------------------------------------------- */

#define BEQUEST "SANAD_MEMORY"

void shared_describe(struct shared *s, uint64_t layout)
{
    memcpy(s->base, MARK, sizeof(MARK));
    ((struct directory *)s->base)->layout = layout;
}

void shared_bequeath(const struct shared *s)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", s->fd);
    if (fcntl(s->fd, F_SETFD, 0) == 0)
        (void)setenv(BEQUEST, number, 1);
}

/* A descriptor that is named and is such a memory; else -1. */
static int inherited(void)
{
    const char *text = getenv(BEQUEST);
    char link[LINK_SIZE], path[PATH_SIZE];
    int64_t fd = -1;
    ssize_t len;

    if (!text || str_to_int(str_of(text), 3, 1 << 20, &fd) != OK)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)fd);
    len = readlink(path, link, sizeof(link));
    if (len < (ssize_t)strlen(LINK_START) || strncmp(link, LINK_START, strlen(LINK_START)) != 0)
        return -1;
    return fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0 ? (int)fd : -1;
}

int shared_inherit(struct shared *s, uint64_t layout)
{
    const int fd = inherited();
    struct stat st;

    (void)unsetenv(BEQUEST);
    if (fd < 0)
        return ENOENT;
    if (fstat(fd, &st) != 0 || st.st_size < DIRECTORY_BYTES ||
        map(fd, (size_t)st.st_size, PROT_READ | PROT_WRITE, s) != 0) {
        close(fd);
        return ENOENT;
    }
    if (((const struct directory *)s->base)->layout != layout) {
        shared_close(s);
        return ENOENT;
    }
    memcpy(s->base, MARK, sizeof(MARK));
    return 0;
}

/* ---- what is published --------------------------------------------------------------- */

void shared_publish(struct shared *s, const char *name, const void *part, size_t size)
{
    struct directory *d = (struct directory *)s->base;

    assert(d->count < PARTS_MAX && strlen(name) < NAME_SIZE);
    memcpy(d->parts[d->count].name, name, strlen(name) + 1);
    d->parts[d->count].offset = (uint64_t)((const char *)part - s->base);
    d->parts[d->count].size = size;
    d->count++;
}

/* ---- another process's side ------------------------------------------------------------ */

/* Opens a descriptor of another process if it is such a mapping; else -1. */
static int open_theirs(const char *folder, const char *name, int access)
{
    char path[PATH_SIZE + LINK_SIZE], link[LINK_SIZE];
    ssize_t len;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    len = readlink(path, link, sizeof(link) - 1);
    if (len < 0)
        return -1;
    link[len] = '\0';
    return strncmp(link, LINK_START, strlen(LINK_START)) == 0 ? open(path, access | O_CLOEXEC) : -1;
}

static int find_theirs(pid_t pid, int access, int *ret_fd)
{
    char folder[PATH_SIZE];
    struct dirent *entry;
    DIR *fds;
    int fd = -1;

    snprintf(folder, sizeof(folder), "/proc/%ld/fd", (long)pid);
    fds = opendir(folder);
    if (!fds)
        return errno;
    while (fd < 0 && (entry = readdir(fds)) != NULL)
        fd = open_theirs(folder, entry->d_name, access);
    closedir(fds);
    *ret_fd = fd;
    return fd < 0 ? ENOENT : 0;
}

static int attach(pid_t pid, int access, struct shared *ret_s)
{
    struct stat st;
    int fd = -1, failure = find_theirs(pid, access, &fd);

    if (failure != 0)
        return failure;
    if (fstat(fd, &st) != 0)
        failure = errno;
    else if (st.st_size < DIRECTORY_BYTES)
        failure = EPROTO;
    else
        failure = map(fd, (size_t)st.st_size, access == O_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE, ret_s);
    if (failure != 0) {
        close(fd);
    } else if (memcmp(ret_s->base, MARK, sizeof(MARK)) != 0) {
        shared_close(ret_s);
        failure = EPROTO;
    }
    return failure;
}

int shared_attach(pid_t pid, struct shared *ret_s) { return attach(pid, O_RDWR, ret_s); }
int shared_look(pid_t pid, struct shared *ret_s) { return attach(pid, O_RDONLY, ret_s); }

void shared_version(pid_t pid, char out[static SHARED_VERSION_SIZE])
{
    const size_t prefix = strlen("sanad ");
    char mark[NAME_SIZE] = "";
    int fd = -1;

    out[0] = '\0';
    if (find_theirs(pid, O_RDONLY, &fd) != 0)
        return;
    if (pread(fd, mark, sizeof(mark) - 1, 0) > 0 && strncmp(mark, MARK, prefix) == 0)
        snprintf(out, SHARED_VERSION_SIZE, "%s", mark + prefix);
    close(fd);
}

/* Numbers that another process may write are read once, then checked. */
void *shared_part(const struct shared *s, const char *name, size_t *ret_size)
{
    const struct directory *d = (const struct directory *)s->base;

    for (uint32_t i = 0; i < d->count && i < PARTS_MAX; i++) {
        const uint64_t offset = d->parts[i].offset, size = d->parts[i].size;

        if (strncmp(d->parts[i].name, name, NAME_SIZE) != 0)
            continue;
        if (offset > s->size || size > s->size - offset || offset % CACHE_LINE != 0)
            return NULL;
        *ret_size = size;
        return s->base + offset;
    }
    return NULL;
}

void *shared_find(const struct shared *s, const char *name, size_t least)
{
    size_t size = 0;
    void *part = shared_part(s, name, &size);

    return part && size >= least ? part : NULL;
}

void shared_close(struct shared *s)
{
    if (s->base) {
        munmap(s->base, s->size);
        close(s->fd);
    }
    *s = (struct shared){ .fd = -1 };
}
