/* SPDX-License-Identifier: MIT */
#include "cli/running.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/pid_file.h"

/* Nobody has the lock of the file: why not? */
static void tell_none(const char *path, char why[static RUNNING_WHY_SIZE])
{
    const int failure = access(path, R_OK) == 0 ? 0 : errno;

    if (*path == '\0')
        snprintf(why, RUNNING_WHY_SIZE, "no server can be found: PID_FILE is empty");
    else if (failure == 0)
        snprintf(why, RUNNING_WHY_SIZE,
                 "no server is running here: PID_FILE, %.300s, was left behind by one that was killed", path);
    else if (failure == ENOENT || failure == ENOTDIR)
        snprintf(why, RUNNING_WHY_SIZE, "no server is running here; PID_FILE says where to look: %.300s", path);
    else
        snprintf(why, RUNNING_WHY_SIZE, "PID_FILE, %.300s: %s; run this as the server's user, or root", path,
                 strerrordesc_np(failure));
}

pid_t running_pid(const struct settings *s, char why[static RUNNING_WHY_SIZE])
{
    const pid_t pid = s->pid_file.len > 0 ? pid_file_owner(s->pid_file.ptr) : 0;

    if (pid <= 0)
        tell_none(s->pid_file.ptr, why);
    return pid > 0 ? pid : 0;
}

static void tell_failure(pid_t pid, int failure, char why[static RUNNING_WHY_SIZE])
{
    char version[SHARED_VERSION_SIZE];

    if (failure == EPROTO) {
        shared_version(pid, version);
        snprintf(why, RUNNING_WHY_SIZE, "the running server (process %ld) is of another version%s%s, this is %s",
                 (long)pid, version[0] ? ": " : "", version, SANAD_VERSION);
    } else if (failure == EACCES || failure == EPERM) {
        snprintf(why, RUNNING_WHY_SIZE,
                 "the running server (process %ld) is another user's; run this as that user, or root", (long)pid);
    } else if (failure == ENOENT) {
        snprintf(why, RUNNING_WHY_SIZE, "process %ld is no server that can be looked into, or it is just ending",
                 (long)pid);
    } else {
        snprintf(why, RUNNING_WHY_SIZE, "cannot look into the running server (process %ld): %s", (long)pid,
                 strerrordesc_np(failure));
    }
}

bool running_open(const struct settings *s, enum running_access access, struct running *ret,
                  char why[static RUNNING_WHY_SIZE])
{
    struct running r = { .pid = running_pid(s, why) };
    int failure;

    if (r.pid == 0)
        return false;
    failure = (access == RUNNING_READ ? shared_look : shared_attach)(r.pid, &r.shared);
    if (failure != 0)
        tell_failure(r.pid, failure, why);
    else
        *ret = r;
    return failure == 0;
}

void running_close(struct running *r)
{
    shared_close(&r->shared);
    r->pid = 0;
}

bool running_node(const struct running *r, struct node_source *ret)
{
    size_t slots_size = 0, pages_size = 0, used, room;
    const struct worker_slots *slots = shared_part(&r->shared, "workers", &slots_size);
    const struct metrics_page *pages = shared_part(&r->shared, "metrics", &pages_size);
    int count;

    if (!slots || slots_size != sizeof(*slots) || !pages || pages_size % sizeof(*pages) != 0)
        return false;
    count = slots->count;
    used = count > 0 ? (size_t)count : 0;
    room = pages_size / sizeof(*pages);
    *ret = (struct node_source){ .pages = pages, .page_count = used < room ? used : room, .slots = slots };
    return true;
}

struct limit_table *running_limits(const struct running *r)
{
    size_t size = 0;
    struct limit_table *t = shared_part(&r->shared, "limits", &size);

    if (!t || size < limit_table_bytes(1) || limit_table_bytes((size_t)limit_table_stats(t).capacity) > size)
        return NULL;
    return t;
}
