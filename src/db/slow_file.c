/* SPDX-License-Identifier: MIT */
#include "db/slow_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "db/slow_log.h"

enum {
    HEAD_MAX = 512,
    COMMENT_MAX = 512,
    WORD_MAX = 128, /* of each word in the comment */
    LOOK_S = 1,
    COMPLAIN_S = 60,
    US_PER_S = 1000000,
    NS_PER_US = 1000,
};

/* ---- the file ------------------------------------------------------------------- */

/* Without O_NONBLOCK a pipe or terminal that nobody reads would stop the worker. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

void slow_file_init(struct slow_file *f, const char *path)
{
    *f = (struct slow_file){ .path = path && *path ? path : NULL, .fd = -1 };
}

void slow_file_close(struct slow_file *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
}

bool slow_file_check(const char *path, char *error, size_t size)
{
    const int fd = open_file(path);

    if (fd < 0)
        (void)snprintf(error, size, "cannot open SLOW_LOG %s (%s)", path, strerrordesc_np(errno));
    else
        (void)close(fd);
    return fd >= 0;
}

static bool in_place(const struct slow_file *f)
{
    struct stat ours, theirs;

    return fstat(f->fd, &ours) == 0 && stat(f->path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

/* 0 or the errno; then the file that is open, if any, stays. */
static int open_anew(struct slow_file *f)
{
    const int fd = open_file(f->path);

    if (fd < 0)
        return errno;
    slow_file_close(f);
    f->fd = fd;
    return 0;
}

void slow_file_reopen(struct slow_file *f)
{
    const int failure = f->path && f->fd >= 0 ? open_anew(f) : 0;

    if (failure != 0)
        log_event(LOG_ERROR, "cannot open SLOW_LOG; going on with the one that is open", LOG_C("path", f->path),
                  LOG_C("why", strerrordesc_np(failure)));
}

/* Opens the file, anew when another one or none has its name now. 0 or the
 * errno when none is open. */
static int take_place(struct slow_file *f, mono_ns now)
{
    int failure = 0;

    if (f->fd < 0 || (now >= f->look_due && !in_place(f)))
        failure = open_anew(f);
    if (now >= f->look_due)
        f->look_due = now + (mono_ns)LOOK_S * NS_PER_S;
    return f->fd >= 0 ? 0 : failure;
}

static void drop(struct slow_file *f, int failure, mono_ns now)
{
    metric_add(M_SLOW_LOG_DROPPED, 1);
    f->dropped++;
    if (now < f->complaint_due)
        return;
    log_event(LOG_WARNING, "slow log records dropped", LOG_I("records", (int64_t)f->dropped),
              LOG_C("why", strerrordesc_np(failure)));
    f->complaint_due = now + (mono_ns)COMPLAIN_S * NS_PER_S;
    f->dropped = 0;
}

/* The part of a record that still had room is taken back, unless somebody else
 * has written behind it. */
static void take_back(int fd, off_t written)
{
    const off_t end = lseek(fd, 0, SEEK_CUR);
    struct stat now;

    if (end >= written && fstat(fd, &now) == 0 && S_ISREG(now.st_mode) && now.st_size == end)
        (void)!ftruncate(fd, end - written);
}

/* 0 or the errno. */
static int append(int fd, const struct iovec *pieces, int count)
{
    size_t size = 0;
    ssize_t written;

    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    written = writev(fd, pieces, count);
    if (written < 0)
        return errno;
    if ((size_t)written == size)
        return 0;
    take_back(fd, (off_t)written);
    return ENOSPC;
}

/* ---- records ---------------------------------------------------------------------- */

/* Nothing that could end a comment, a line or a record. */
static void put_word(struct buf *out, const char *name, struct str word)
{
    buf_printf(out, " %s=", name);
    for (size_t i = 0; i < word.len && i < WORD_MAX; i++) {
        const char c = word.ptr[i];
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        buf_byte(out, plain || (c != '\0' && strchr("-._/{}", c)) ? c : '_');
    }
    if (word.len == 0)
        buf_byte(out, '-');
}

/* Microseconds, always: readers know the time by its place. */
static void put_time(struct buf *out, wall_ms at)
{
    char text[ISO_TIME_SIZE];

    clock_iso(at - at % MS_PER_S, text);
    buf_printf(out, "# Time: %.19s.%06dZ\n", text, (int)(at % MS_PER_S) * NS_PER_US);
}

static void put_head(struct buf *out, const struct slow_query *q)
{
    const wall_ms now = clock_wall();
    const int64_t us = q->took / NS_PER_US;

    put_time(out, now);
    buf_printf(out, "# User@Host: sanad[sanad] @ localhost []  Id: %ld\n", (long)getpid());
    buf_printf(out, "# Query_time: %lld.%06lld  Lock_time: 0.000000  Rows_sent: %llu  Rows_examined: 0\n",
               (long long)(us / US_PER_S), (long long)(us % US_PER_S), (unsigned long long)q->rows);
    buf_printf(out, "# Rows_affected: %llu\n", (unsigned long long)q->changes);
    buf_printf(out, "SET timestamp=%lld;\n", (long long)((now - q->took / NS_PER_MS) / MS_PER_S));
}

static void put_comment(struct buf *out, const struct slow_query *q)
{
    buf_cstr(out, " /*");
    put_word(out, "name", str_of(q->st->name));
    put_word(out, "route", str_of(q->route));
    put_word(out, "request_id", q->request_id);
    if (q->trace.id.len > 0) {
        put_word(out, "trace_id", q->trace.id);
        put_word(out, "parent_id", q->trace.parent);
    }
    buf_cstr(out, " */;\n");
}

static struct iovec piece(struct str s) { return (struct iovec){ (void *)(uintptr_t)s.ptr, s.len }; }

void slow_file_write(struct slow_file *f, const struct slow_query *q)
{
    const mono_ns now = clock_mono();
    char head_room[HEAD_MAX], comment_room[COMMENT_MAX];
    struct buf head, comment;
    int failure;

    if (!f->path)
        return;
    failure = take_place(f, now);
    if (failure != 0) {
        drop(f, failure, now);
        return;
    }
    buf_init_fixed(&head, head_room, sizeof(head_room));
    buf_init_fixed(&comment, comment_room, sizeof(comment_room));
    put_head(&head, q);
    put_comment(&comment, q);
    const struct iovec pieces[] = { piece(buf_view(&head)), piece(str_of(q->st->sql)), piece(buf_view(&comment)) };
    failure = append(f->fd, pieces, 3);
    if (failure != 0)
        drop(f, failure, now);
}
