/* SPDX-License-Identifier: MIT */
#include "ops/process_info.h"

#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Fields of /proc/PID/stat by their numbers in proc(5); those before the third
 * are cut off, since the second may hold spaces and parentheses. Its memory
 * fields are estimates; statm's are exact. */
enum {
    STAT_FIRST = 3,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_CUTIME = 16,
    STAT_CSTIME = 17,
    STAT_THREADS = 20,
    STAT_COUNT
};
enum { STATM_VIRTUAL, STATM_RESIDENT, STATM_COUNT };

/* Reads a small file as a whole; the text's length, 0 on failure. */
static size_t slurp(const char *path, char *out, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, out, size);

    if (fd >= 0)
        (void)close(fd);
    return n > 0 ? (size_t)n : 0;
}

/* The first `count` words of a text as numbers; a word that is none is 0. */
static bool read_numbers(struct str text, int64_t *out, int count)
{
    for (int i = 0; i < count; i++) {
        if (!text.ptr)
            return false;
        if (str_to_int(str_split(&text, ' '), INT64_MIN, INT64_MAX, &out[i]) != OK)
            out[i] = 0;
    }
    return true;
}

static bool read_stat(int pid, int64_t fields[static STAT_COUNT])
{
    char path[64], text[1024];

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const size_t len = slurp(path, text, sizeof(text));
    const char *name_end = memrchr(text, ')', len);
    if (!name_end || name_end + 2 >= text + len)
        return false;
    const struct str rest = { name_end + 2, (size_t)(text + len - name_end) - 2 };
    return read_numbers(rest, fields + STAT_FIRST, STAT_COUNT - STAT_FIRST);
}

static bool read_statm(int pid, int64_t pages[static STATM_COUNT])
{
    char path[64], text[256];

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    const struct str all = { text, slurp(path, text, sizeof(text)) };
    return all.len > 0 && read_numbers(all, pages, STATM_COUNT);
}

static int64_t count_fds(int pid)
{
    char path[64];
    int64_t count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return pid == getpid() ? count - 1 : count; /* the listing itself */
}

static int64_t max_fds(int pid)
{
    struct rlimit limit;

    if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) != 0)
        return -1;
    return limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

bool process_info_read(int pid, struct process_info *ret_info)
{
    const double tick = (double)sysconf(_SC_CLK_TCK);
    const int64_t page = sysconf(_SC_PAGESIZE);
    int64_t fields[STAT_COUNT] = { 0 }, pages[STATM_COUNT] = { 0 };

    if (pid <= 0 || !read_stat(pid, fields) || !read_statm(pid, pages))
        return false;
    *ret_info = (struct process_info){
        .rss_bytes = pages[STATM_RESIDENT] * page,
        .virtual_bytes = pages[STATM_VIRTUAL] * page,
        .cpu_seconds = (double)(fields[STAT_UTIME] + fields[STAT_STIME]) / tick,
        .children_cpu_seconds = (double)(fields[STAT_CUTIME] + fields[STAT_CSTIME]) / tick,
        .threads = fields[STAT_THREADS],
        .open_fds = count_fds(pid),
        .max_fds = max_fds(pid),
    };
    return true;
}
