/* SPDX-License-Identifier: MIT */
/* The least that a server can do: the bytes of one file, written for each
 * request, from a bare epoll loop. An upper bound to measure ours against.
 *
 *   epoll_loop PORT FILE [PROCESSES]
 *
 * FILE holds a whole response, head and body. Nothing is parsed but the empty
 * line that ends a request; a client that does not read is dropped.
 */
#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, EVENTS = 512, REQUEST_MAX = 16 * 1024 };

static char answer[ANSWER_MAX];
static size_t answer_len;

static int listen_on(uint16_t port)
{
    const int on = 1;
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 || listen(fd, 2048) < 0)
        err(1, "port %u", port);
    return fd;
}

static void watch(int loop, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0)
        close(fd);
}

/* False: the client is gone, or does not read. */
static bool serve(int fd)
{
    char request[REQUEST_MAX];
    const ssize_t got = recv(fd, request, sizeof(request), 0);
    if (got <= 0)
        return false;
    const char *end = request + got;
    for (const char *at = request; (at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)); at += 4)
        if (send(fd, answer, answer_len, MSG_NOSIGNAL) != (ssize_t)answer_len)
            return false;
    return true;
}

static void run(int listener)
{
    struct epoll_event events[EVENTS];
    const int loop = epoll_create1(0);
    watch(loop, listener);
    for (;;) {
        const int count = epoll_wait(loop, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listener && !serve(fd))
                close(fd);
            while (fd == listener && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                watch(loop, fd);
                fd = listener;
            }
        }
    }
}

int main(int argc, char **argv)
{
    FILE *file = argc > 2 ? fopen(argv[2], "rb") : NULL;
    if (!file || !(answer_len = fread(answer, 1, sizeof(answer), file)))
        errx(64, "usage: epoll_loop PORT FILE [PROCESSES]");
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    for (unsigned long i = argc > 3 ? strtoul(argv[3], NULL, 10) : 1; i > 1; i--) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    }
    run(listen_on(port));
}
