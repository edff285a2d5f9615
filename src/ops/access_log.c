/* SPDX-License-Identifier: MIT */
#include "ops/access_log.h"

#include "base/metrics.h"
#include "ops/access_line.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 64 * 1024,
    FLUSH_AT = BUFFER_SIZE / 4 * 3,
    FLUSH_MS = 200,
    PATIENCE_MS = 1000, /* for a reader that takes nothing   */
    COMPLAIN_S = 60,
    ERROR_SIZE = 256,
};
_Static_assert((int)ACCESS_LINE_MAX <= (int)PIPE_BUF, "a line must fit one atomic write");

struct page {
    size_t len;
    char bytes[BUFFER_SIZE];
};

/* Where lines go. */
struct log_target {
    int fd;           /* -1: nowhere                                */
    bool close_fd;    /* it is not standard output                  */
    bool whole_pages; /* a regular file: one write a page           */
};

struct access_log {
    struct access_line line; /* how a line looks                          */
    const char *path;
    struct log_target target;
    struct log_target next; /* opened anew while the thread writes to `target` */
    bool writing;           /* `spare` and `target` belong to the thread  */
    bool closed;
    bool timer_closed;
    struct page *filling, *spare;
    uv_loop_t *loop;
    uv_timer_t timer; /* runs while `filling` holds lines           */
    uv_work_t work;
    uv_sem_t written; /* posted by the thread when done             */
    size_t lost;      /* the thread's result: lines not written     */
    int failure;      /* ... and the errno why                      */
    uint64_t dropped; /* since the last complaint                   */
    const char *why;  /* ... the last of them                       */
    mono_ns complain_at;
};

/* --- writing: in the thread, or at the end on the loop ---------------------- */

static bool wait_writable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, PATIENCE_MS) > 0;
}

/* The longest run of whole lines in [from, len) that one write may hold. */
static size_t piece(const struct access_log *log, const struct page *page, size_t from)
{
    const size_t left = page->len - from;

    if (log->target.whole_pages || left <= PIPE_BUF)
        return left;
    const char *start = page->bytes + from;
    const char *end = memrchr(start, '\n', PIPE_BUF);
    return (size_t)(end - start) + 1;
}

/* Writes n bytes and adds what was written to *done; 0 or the errno. */
static int write_all(int fd, const char *bytes, size_t n, size_t *done)
{
    for (size_t at = 0; at < n;) {
        const ssize_t written = write(fd, bytes + at, n - at);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return errno;
        if (written < 0 && errno == EAGAIN && !wait_writable(fd))
            return EAGAIN;
        at += written > 0 ? (size_t)written : 0;
        *done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static size_t count_lines(const char *bytes, size_t n)
{
    size_t lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static void write_page(struct access_log *log, const struct page *page)
{
    size_t done = 0;

    log->failure = 0;
    while (done < page->len && log->failure == 0) {
        const bool takes = log->target.whole_pages || wait_writable(log->target.fd);
        log->failure = takes ? write_all(log->target.fd, page->bytes + done, piece(log, page, done), &done) : EAGAIN;
    }
    log->lost = count_lines(page->bytes + done, page->len - done);
}

/* --- the loop's side --------------------------------------------------------- */

static void complain(struct access_log *log, mono_ns now)
{
    if (log->dropped == 0 || now < log->complain_at)
        return;
    log_event(LOG_WARNING, "access log lines dropped", LOG_I("lines", (int64_t)log->dropped), LOG_C("why", log->why));
    log->complain_at = now + (mono_ns)COMPLAIN_S * NS_PER_S;
    log->dropped = 0;
}

static void drop(struct access_log *log, size_t lines, const char *why)
{
    if (lines == 0)
        return;
    metric_add(M_LOG_DROPPED, lines);
    log->dropped += lines;
    log->why = why;
    complain(log, clock_mono());
}

static const char *failure_text(int failure)
{
    return failure == EAGAIN ? "nobody reads the other end" : strerrordesc_np(failure);
}

static void free_when_done(struct access_log *log)
{
    if (!log->closed || !log->timer_closed || log->writing)
        return;
    uv_sem_destroy(&log->written);
    free(log->filling);
    free(log->spare);
    free(log);
}

static void close_target(struct log_target *t)
{
    if (t->fd >= 0 && t->close_fd)
        (void)close(t->fd);
    t->fd = -1;
}

static void take_next(struct access_log *log)
{
    if (log->next.fd < 0)
        return;
    close_target(&log->target);
    log->target = log->next;
    log->next.fd = -1;
}

/* The thread has posted, or is about to. */
static void take_result(struct access_log *log)
{
    uv_sem_wait(&log->written);
    drop(log, log->lost, failure_text(log->failure));
    take_next(log);
}

static void on_work(uv_work_t *work)
{
    struct access_log *log = work->data;

    write_page(log, log->spare);
    uv_sem_post(&log->written);
}

static void after_work(uv_work_t *work, int status)
{
    struct access_log *log = work->data;

    (void)status;
    log->writing = false;
    if (!log->closed) {
        take_result(log);
        if (log->filling->len >= FLUSH_AT)
            access_log_flush(log);
    }
    free_when_done(log);
}

static void swap_pages(struct access_log *log)
{
    struct page *full = log->filling;

    log->filling = log->spare;
    log->spare = full;
    log->filling->len = 0;
}

void access_log_flush(struct access_log *log)
{
    if (log->writing || log->filling->len == 0)
        return;
    swap_pages(log);
    (void)uv_timer_stop(&log->timer);
    log->writing = true;
    if (uv_queue_work(log->loop, &log->work, on_work, after_work) != 0) {
        log->writing = false;
        drop(log, count_lines(log->spare->bytes, log->spare->len), "no memory");
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct access_log *log = timer->data;

    access_log_flush(log);
    if (log->filling->len > 0)
        (void)uv_timer_start(timer, on_timer, FLUSH_MS, 0);
}

void access_log_write(struct access_log *log, const struct exchange_record *record)
{
    struct page *page = log->filling;

    if (BUFFER_SIZE - page->len < ACCESS_LINE_MAX) {
        drop(log, 1, "it cannot be written as fast as requests come");
        return;
    }
    if (page->len == 0)
        (void)uv_timer_start(&log->timer, on_timer, FLUSH_MS, 0);
    page->len += access_line_format(&log->line, record, page->bytes + page->len);
    if (page->len >= FLUSH_AT)
        access_log_flush(log);
}

/* --- life ---------------------------------------------------------------------- */

/* Without O_NONBLOCK a named pipe that nobody reads would stop the worker here. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

static bool is_stdout(const char *path) { return strcmp(path, "-") == 0; }

static void explain(const char *path, int failure, char *error, size_t size)
{
    const char *why = failure == ENXIO ? "it is a pipe that nobody reads" : strerrordesc_np(failure);

    (void)snprintf(error, size, "cannot open the access log %s (%s)", path, why);
}

bool access_log_check(const char *path, char *error, size_t size)
{
    const int fd = is_stdout(path) ? STDOUT_FILENO : open_file(path);

    if (fd < 0)
        explain(path, errno, error, size);
    else if (fd != STDOUT_FILENO)
        (void)close(fd);
    return fd >= 0;
}

/* 0 or the errno; then *ret_target is as it was. */
static int open_target(const char *path, struct log_target *ret_target)
{
    const int fd = is_stdout(path) ? STDOUT_FILENO : open_file(path);
    struct stat st;

    if (fd < 0)
        return errno;
    *ret_target = (struct log_target){
        .fd = fd,
        .close_fd = !is_stdout(path),
        .whole_pages = fstat(fd, &st) == 0 && S_ISREG(st.st_mode),
    };
    return 0;
}

/* What is being written goes to the old file whole, everything after it to the new one. */
void access_log_reopen(struct access_log *log)
{
    char error[ERROR_SIZE];

    if (!log || log->closed || is_stdout(log->path))
        return;
    close_target(&log->next);
    const int failure = open_target(log->path, &log->next);
    if (failure != 0) {
        explain(log->path, failure, error, sizeof(error));
        log_text(LOG_ERROR, "%s; going on with the one that is open", error);
    } else if (!log->writing) {
        take_next(log);
    }
}

static struct access_log *allocate(void)
{
    struct access_log *log = calloc(1, sizeof(*log));

    if (!log)
        return NULL;
    log->target.fd = log->next.fd = -1;
    log->filling = calloc(1, sizeof(struct page));
    log->spare = calloc(1, sizeof(struct page));
    if (log->filling && log->spare && uv_sem_init(&log->written, 0) == 0)
        return log;
    free(log->filling);
    free(log->spare);
    free(log);
    return NULL;
}

struct access_log *access_log_open(uv_loop_t *loop, const struct access_log_conf *conf, char *error, size_t size)
{
    struct access_log *log = allocate();
    const int failure = log ? open_target(conf->path, &log->target) : ENOMEM;

    if (failure != 0) {
        explain(conf->path, failure, error, size);
        if (log) {
            log->closed = log->timer_closed = true;
            free_when_done(log);
        }
        return NULL;
    }
    log->line = (struct access_line){ .format = conf->format, .worker = conf->worker, .second = -1 };
    log->path = conf->path;
    log->filling->len = 0;
    log->loop = loop;
    log->work.data = log->timer.data = log;
    (void)uv_timer_init(loop, &log->timer);
    uv_unref((uv_handle_t *)&log->timer);
    return log;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct access_log *log = timer->data;

    log->timer_closed = true;
    free_when_done(log);
}

void access_log_close(struct access_log *log)
{
    if (!log)
        return;
    if (log->writing)
        take_result(log);
    write_page(log, log->filling);
    drop(log, log->lost, failure_text(log->failure));
    complain(log, log->complain_at);
    close_target(&log->target);
    log->closed = true;
    uv_close((uv_handle_t *)&log->timer, on_timer_closed);
}
