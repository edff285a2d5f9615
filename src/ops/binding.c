/* SPDX-License-Identifier: MIT */
#include "ops/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100 };

static const struct timespec LOCK_PAUSE = { .tv_nsec = 10 * 1000 * 1000 };

static enum err set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? OK : E_IO;
}

static int stream_socket(int family) { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

static int bind_to(const struct endpoint *e, int fd)
{
    return bind(fd, (const struct sockaddr *)&e->address, e->length);
}

/* Closes, and keeps errno. */
static void discard(int fd)
{
    const int why = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = why;
}

/* ---- TCP ------------------------------------------------------------------------ */

/* A socket with the options that do not depend on sharing; -1 with errno. */
static int tcp_socket(const struct endpoint *e)
{
    const int family = e->address.ss_family;
    const int fd = stream_socket(family);

    if (fd < 0)
        return -1;
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == OK && set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == OK &&
        (family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == OK))
        return fd;
    discard(fd);
    return -1;
}

/* Turns errno into the sentence and the kind of failure. */
static enum err explain_tcp(const struct endpoint *e, int error_number, char *error, size_t size)
{
    const char *why = strerrordesc_np(error_number);
    const int port = endpoint_port(e);
    char place[ENDPOINT_TEXT];

    endpoint_print(e, place);
    switch (error_number) {
    case EADDRINUSE:
        (void)snprintf(error, size, "port %d is in use (another server listens on it at %s)", port, place);
        return E_CONFLICT;
    case EACCES:
        (void)snprintf(error, size, "port %d may not be opened by this user (%s)", port, why);
        return E_INVALID;
    case EADDRNOTAVAIL:
        (void)snprintf(error, size, "HOST: %s is not an address of this machine", place);
        return E_INVALID;
    default:
        (void)snprintf(error, size, "cannot listen on %s (%s)", place, why);
        return E_IO;
    }
}

static enum err start_to_listen(const struct endpoint *e, int fd, int backlog)
{
    return bind_to(e, fd) == 0 && listen(fd, backlog) == 0 ? OK : E_IO;
}

/* Fails if anybody has the port, sharing or not; also when two servers start at
 * the same moment. */
enum err binding_take_port(struct endpoint *e, int backlog, int *ret_fd, char *error, size_t size)
{
    const int fd = tcp_socket(e);

    if (fd >= 0 && start_to_listen(e, fd, backlog) == OK && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == OK &&
        getsockname(fd, (struct sockaddr *)&e->address, &e->length) == 0) {
        *ret_fd = fd;
        return OK;
    }
    discard(fd);
    return explain_tcp(e, errno, error, size);
}

enum err binding_share_port(const struct endpoint *e, int backlog, int *ret_fd, char *error, size_t size)
{
    const int fd = tcp_socket(e);

    if (fd >= 0 && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == OK && start_to_listen(e, fd, backlog) == OK) {
        *ret_fd = fd;
        return OK;
    }
    discard(fd);
    return explain_tcp(e, errno, error, size);
}

/* ---- Unix sockets ----------------------------------------------------------------- */

/* Whether somebody answers; E_NOT_FOUND: there is a file, but nobody behind it. */
static enum err ask(const struct endpoint *e)
{
    const int fd = stream_socket(AF_UNIX);
    const int result = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&e->address, e->length);

    discard(fd);
    if (result == 0 || errno == EAGAIN || errno == EPROTOTYPE)
        return OK;
    return errno == ECONNREFUSED || errno == ENOENT ? E_NOT_FOUND : E_IO;
}

static enum err explain_path(const char *path, const char *why, enum err e, char *error, size_t size)
{
    (void)snprintf(error, size, "UNIX_SOCKET, %s: %s", path, why);
    return e;
}

static enum err explain_errno(const char *path, int error_number, char *error, size_t size)
{
    const bool wrong = error_number == EACCES || error_number == EPERM || error_number == ENOENT ||
                       error_number == ENOTDIR || error_number == EROFS;

    return explain_path(path, strerrordesc_np(error_number), wrong ? E_INVALID : E_IO, error, size);
}

static enum err clear_path(const char *path, const struct endpoint *e, char *error, size_t size)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? OK : explain_errno(path, errno, error, size);
    if (!S_ISSOCK(st.st_mode))
        return explain_path(path, "is there already, and is no socket", E_INVALID, error, size);
    switch (ask(e)) {
    case OK:
        return explain_path(path, "is in use (another server listens on it)", E_CONFLICT, error, size);
    case E_NOT_FOUND:
        return unlink(path) == 0 || errno == ENOENT ? OK : explain_errno(path, errno, error, size);
    default:
        return explain_errno(path, errno, error, size);
    }
}

/* The lock of the folder is a courtesy between servers: after a second, or where
 * it cannot be had, one goes on without. */
static int lock_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[sizeof(((struct unix_file *)0)->path)] = ".";
    int fd;

    if (slash)
        (void)snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
        (void)nanosleep(&LOCK_PAUSE, NULL);
    return fd;
}

/* Nobody can connect before listen(), so the mode is there in time. */
static enum err open_path(const char *path, mode_t mode, int backlog, const struct endpoint *e, int *ret_fd)
{
    const int fd = stream_socket(AF_UNIX);

    if (fd >= 0 && bind_to(e, fd) == 0) {
        if (chmod(path, mode) == 0 && listen(fd, backlog) == 0) {
            *ret_fd = fd;
            return OK;
        }
        const int why = errno;
        (void)unlink(path);
        errno = why;
    }
    discard(fd);
    return E_IO;
}

enum err binding_take_path(const char *path, mode_t mode, int backlog, int *ret_fd, char *error, size_t size)
{
    struct endpoint place;
    enum err e = endpoint_of_path(path, &place, error, size);
    int lock;

    if (e != OK)
        return e;
    lock = lock_folder(path);
    e = clear_path(path, &place, error, size);
    if (e == OK && open_path(path, mode, backlog, &place, ret_fd) != OK)
        e = errno == EADDRINUSE ? explain_path(path, "is in use", E_CONFLICT, error, size)
                                : explain_errno(path, errno, error, size);
    discard(lock);
    return e;
}

void binding_learn_file(struct unix_file *f, const char *path)
{
    struct stat st;

    *f = (struct unix_file){ .path = "" };
    if (lstat(path, &st) != 0)
        return;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    (void)snprintf(f->path, sizeof(f->path), "%s", path);
}

void binding_remove_file(struct unix_file *f)
{
    struct endpoint place;
    struct stat st;
    char ignored[64];

    if (f->path[0] && lstat(f->path, &st) == 0 && st.st_dev == f->device && st.st_ino == f->inode &&
        endpoint_of_path(f->path, &place, ignored, sizeof(ignored)) == OK && ask(&place) == E_NOT_FOUND)
        (void)unlink(f->path);
    f->path[0] = '\0';
}

/* ---- the door ------------------------------------------------------------------------ */

/* Lets every segment pass but the first of a handshake: SYN without ACK. Where
 * the kernel does not take the filter, the queue is closed as it is. */
static void shut_tcp(int fd)
{
    enum { FLAGS_AT = 13, SYN = 0x02, ACK = 0x10 };
    /* clang-format off */
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    /* clang-format on */
    const struct sock_fprog filter = { sizeof(steps) / sizeof(steps[0]), steps };

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

void binding_shut_door(int fd)
{
    int family = 0;
    socklen_t size = sizeof(family);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0)
        return;
    if (family == AF_UNIX)
        (void)shutdown(fd, SHUT_RD); /* who is in the queue can still be accepted */
    else
        shut_tcp(fd);
}
