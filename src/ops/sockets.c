/* SPDX-License-Identifier: MIT */
#include "ops/sockets.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where to listen, and where to say what went wrong. */
struct place {
    const struct sockets_conf *conf;
    struct sockaddr_storage address;
    socklen_t length;
    char *error;
    size_t error_size;
};

static in_port_t *port_of(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)(void *)address)->sin6_port;
    return &((struct sockaddr_in *)(void *)address)->sin_port;
}

static enum err resolve(struct place *p)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(p->conf->host, NULL, &hints, &found);

    if (failure == EAI_NONAME) {
        hints.ai_flags = AI_PASSIVE;
        failure = getaddrinfo(p->conf->host, NULL, &hints, &found);
    }
    if (failure != 0) {
        (void)snprintf(p->error, p->error_size, "HOST \"%s\" is neither an address nor a known name (%s)",
                       p->conf->host, gai_strerror(failure));
        return E_INVALID;
    }
    memcpy(&p->address, found->ai_addr, found->ai_addrlen);
    p->length = found->ai_addrlen;
    *port_of(&p->address) = htons((uint16_t)p->conf->port);
    freeaddrinfo(found);
    return OK;
}

static enum err set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? OK : E_IO;
}

/* A socket with the options that do not depend on sharing; -1 with errno. */
static int new_socket(const struct place *p)
{
    const int family = p->address.ss_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == OK &&
        (family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == OK))
        return fd;
    (void)close(fd);
    return -1;
}

static int bind_to(const struct place *p, int fd) { return bind(fd, (const struct sockaddr *)&p->address, p->length); }

/* Turns errno into the sentence and the kind of failure. */
static enum err explain(const struct place *p, int error_number)
{
    const char *host = p->conf->host;
    const char *why = strerrordesc_np(error_number);
    const int port = p->conf->port;

    switch (error_number) {
    case EADDRINUSE:
        (void)snprintf(p->error, p->error_size, "port %d is in use (another server listens on it at %s)", port, host);
        return E_CONFLICT;
    case EACCES:
        (void)snprintf(p->error, p->error_size, "port %d may not be opened by this user (%s)", port, why);
        return E_INVALID;
    case EADDRNOTAVAIL:
        (void)snprintf(p->error, p->error_size, "HOST \"%s\" is not an address of this machine", host);
        return E_INVALID;
    default:
        (void)snprintf(p->error, p->error_size, "cannot listen on %s port %d (%s)", host, port, why);
        return E_IO;
    }
}

static enum err start_to_listen(const struct place *p, int fd)
{
    return bind_to(p, fd) == 0 && listen(fd, p->conf->backlog) == 0 ? OK : E_IO;
}

/* The first socket fails if anybody has the port, sharing or not; also when two
 * servers start at the same moment. Learns the port when any would do. */
static enum err take_port(struct place *p, int fd)
{
    if (start_to_listen(p, fd) != OK || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != OK)
        return E_IO;
    return getsockname(fd, (struct sockaddr *)&p->address, &p->length) == 0 ? OK : E_IO;
}

static enum err share_port(struct place *p, int fd)
{
    return set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == OK ? start_to_listen(p, fd) : E_IO;
}

static enum err open_one(struct place *p, bool first, int *ret_fd)
{
    const int fd = new_socket(p);

    if (fd >= 0 && set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == OK && (first ? take_port : share_port)(p, fd) == OK) {
        *ret_fd = fd;
        return OK;
    }
    const enum err e = explain(p, errno);
    if (fd >= 0)
        (void)close(fd);
    return e;
}

static void describe(const struct place *p, struct sockets *s)
{
    char name[64] = "?";

    (void)getnameinfo((const struct sockaddr *)&p->address, p->length, name, sizeof(name), NULL, 0, NI_NUMERICHOST);
    (void)snprintf(s->url_host, sizeof(s->url_host), p->address.ss_family == AF_INET6 ? "[%s]" : "%s", name);
}

enum err sockets_open(const struct sockets_conf *conf, struct sockets *ret_sockets, char *error, size_t size)
{
    struct place place = { .conf = conf, .error = error, .error_size = size };
    struct sockets s = { .count = 0 };
    enum err e = conf->count >= 1 && conf->count <= WORKERS_MAX ? resolve(&place) : E_INVALID;

    for (; e == OK && s.count < conf->count; s.count += e == OK)
        e = open_one(&place, s.count == 0, &s.fds[s.count]);
    if (e != OK) {
        sockets_close(&s);
        return e;
    }
    s.port = ntohs(*port_of(&place.address));
    describe(&place, &s);
    *ret_sockets = s;
    return OK;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void sockets_keep_only(struct sockets *s, int index)
{
    for (int i = 0; i < s->count; i++) {
        if (i != index)
            close_one(&s->fds[i]);
    }
}

void sockets_close(struct sockets *s) { sockets_keep_only(s, -1); }

/* Lets every segment pass but the first of a handshake: SYN without ACK. Where
 * the kernel does not take the filter, the queue is closed as it is. */
void sockets_shut_door(const struct sockets *s)
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

    for (int i = 0; i < s->count; i++) {
        if (s->fds[i] >= 0)
            (void)setsockopt(s->fds[i], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
    }
}

int sockets_backlog_limit(void)
{
    char text[32];
    int64_t limit = -1;
    const int fd = open("/proc/sys/net/core/somaxconn", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    if (fd >= 0)
        (void)close(fd);
    if (n <= 0 || str_to_int((struct str){ text, (size_t)n - 1 }, 1, INT32_MAX, &limit) != OK)
        return -1;
    return (int)limit;
}
