/* SPDX-License-Identifier: MIT */
#include "ops/inheritance.h"

#include "base/str.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_PASSED = 3, FD_MOST = 1 << 20 };

static const char letters[] = { [HEIRLOOM_OWN] = 'o', [HEIRLOOM_UNIX] = 'u', [HEIRLOOM_LENT] = 'l' };

static enum err make_ours(int fd)
{
    const int status = fcntl(fd, F_GETFL), on = 1;

    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return E_INVALID;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* a Unix socket has none */
    return OK;
}

static enum err take_one(struct inheritance *h, const char *giver, enum heirloom_kind kind, int fd, char *error,
                         size_t size)
{
    struct heirloom row = { .fd = fd, .kind = kind };

    if (h->count == HEIRLOOMS_MAX) {
        (void)snprintf(error, size, "%s: more than %d sockets", giver, HEIRLOOMS_MAX);
        return E_TOO_LARGE;
    }
    if (endpoint_of_listener(fd, &row.place) != OK || make_ours(fd) != OK) {
        (void)snprintf(error, size, "%s: descriptor %d is no listening stream socket", giver, fd);
        return E_INVALID;
    }
    h->rows[h->count++] = row;
    return OK;
}

static enum err take_piece(struct inheritance *h, struct str piece, char *error, size_t size)
{
    const char *letter = piece.len > 0 ? memchr(letters, piece.ptr[0], sizeof(letters)) : NULL;
    int64_t fd;

    if (!letter || str_to_int(str_slice(piece, 1, piece.len), FIRST_PASSED, FD_MOST, &fd) != OK) {
        (void)snprintf(error, size, INHERITANCE_VARIABLE ": \"%.20s\" is not understood", piece.ptr);
        return E_INVALID;
    }
    return take_one(h, INHERITANCE_VARIABLE, (enum heirloom_kind)(letter - letters), (int)fd, error, size);
}

static enum err take_from_forebear(struct inheritance *h, const char *text, char *error, size_t size)
{
    struct str rest = str_of(text);
    enum err e = OK;

    while (rest.ptr && rest.len > 0 && e == OK)
        e = take_piece(h, str_split(&rest, ','), error, size);
    return e;
}

static pid_t pid_in(const char *variable)
{
    const char *text = getenv(variable);
    int64_t number;

    return text && str_to_int(str_of(text), 1, INT32_MAX, &number) == OK ? (pid_t)number : 0;
}

pid_t inheritance_giver(void) { return getenv(INHERITANCE_VARIABLE) ? pid_in("SANAD_UPGRADE_FROM") : 0; }

static enum err take_from_systemd(struct inheritance *h, const char *text, char *error, size_t size)
{
    int64_t count;
    enum err e = OK;

    if (str_to_int(str_of(text), 0, LENT_MAX, &count) != OK) {
        (void)snprintf(error, size, "LISTEN_FDS is \"%.20s\"; it may be 0 to %d", text, LENT_MAX);
        return E_TOO_LARGE;
    }
    for (int fd = FIRST_PASSED; fd < FIRST_PASSED + count && e == OK; fd++)
        e = take_one(h, "LISTEN_FDS", HEIRLOOM_LENT, fd, error, size);
    return e;
}

static void forget_variables(void)
{
    static const char *const names[] = { INHERITANCE_VARIABLE, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unsetenv(names[i]);
}

enum err inheritance_take(struct inheritance *ret_inheritance, char *error, size_t size)
{
    const char *forebear = getenv(INHERITANCE_VARIABLE), *lent = getenv("LISTEN_FDS");
    struct inheritance h = { .count = 0 };
    enum err e = OK;

    if (forebear)
        e = take_from_forebear(&h, forebear, error, size);
    else if (lent && pid_in("LISTEN_PID") == getpid())
        e = take_from_systemd(&h, lent, error, size);
    forget_variables();
    if (e == OK)
        *ret_inheritance = h;
    return e;
}

enum err inheritance_add(char *text, size_t size, enum heirloom_kind kind, int fd)
{
    const size_t used = strlen(text);
    const int n = snprintf(text + used, size - used, "%s%c%d", used > 0 ? "," : "", letters[kind], fd);

    if (n < 0 || (size_t)n >= size - used)
        return E_TOO_LARGE;
    return fcntl(fd, F_SETFD, 0) == 0 ? OK : E_IO;
}
