/* SPDX-License-Identifier: MIT */
#include "ops/listeners.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* ---- opening ------------------------------------------------------------------------ */

/* What was asked for, and where to say what went wrong. */
struct plan {
    const struct listeners_conf *conf;
    struct endpoint tcp, local; /* length 0: not asked for */
    char *error;
    size_t error_size;
};

static bool has_lent(const struct inheritance *inherited)
{
    return inherited->count > 0 && inherited->rows[inherited->count - 1].kind == HEIRLOOM_LENT;
}

static enum err complete_plan(struct plan *p)
{
    enum err e = OK;

    if (*p->conf->host)
        e = endpoint_of_host(p->conf->host, p->conf->port, &p->tcp, p->error, p->error_size);
    if (e == OK && *p->conf->path)
        e = endpoint_of_path(p->conf->path, &p->local, p->error, p->error_size);
    return e;
}

static void add_shared(struct listeners *l, int fd, bool lent, const struct endpoint *place)
{
    l->shared[l->shared_count++] = (struct shared_listener){ fd, lent, *place };
}

/* Whether an heirloom has a place among ours. All own ones are of one address. */
static bool adopt(struct listeners *l, const struct plan *p, const struct heirloom *h)
{
    const struct endpoint *asked = l->own_count > 0 ? &l->tcp : &p->tcp;

    if (h->kind == HEIRLOOM_OWN && l->own_count < WORKERS_MAX && endpoint_matches(asked, &h->place)) {
        l->tcp = h->place;
        l->own[l->own_count++] = h->fd;
        return true;
    }
    const bool lent = h->kind == HEIRLOOM_LENT,
               ours = h->kind == HEIRLOOM_UNIX && endpoint_matches(&p->local, &h->place);
    if ((!lent && !ours) || l->shared_count == LISTENERS_SHARED_MAX)
        return false;
    add_shared(l, h->fd, lent, &h->place);
    return true;
}

/* What the settings no longer ask for is closed here; who serves from it still
 * has it open. */
static void adopt_all(struct listeners *l, const struct plan *p, struct inheritance *inherited)
{
    for (int i = 0; i < inherited->count; i++) {
        if (!adopt(l, p, &inherited->rows[i]))
            close_fd(&inherited->rows[i].fd);
    }
}

/* That an inherited port cannot be shared further is no failure. */
static enum err open_own(struct listeners *l, const struct plan *p)
{
    const bool inherited = l->own_count > 0;
    enum err e = OK;

    if (p->tcp.length == 0)
        return OK;
    if (l->own_count == 0) {
        l->tcp = p->tcp;
        e = binding_take_port(&l->tcp, l->backlog, &l->own[0], p->error, p->error_size);
        l->own_count += e == OK;
    }
    while (e == OK && l->own_count < p->conf->count) {
        e = binding_share_port(&l->tcp, l->backlog, &l->own[l->own_count], p->error, p->error_size);
        l->own_count += e == OK;
    }
    return inherited ? OK : e;
}

static enum err open_local(struct listeners *l, const struct plan *p)
{
    enum err e = OK;
    int fd;

    if (p->local.length == 0)
        return OK;
    if (l->shared_count == 0) {
        e = binding_take_path(p->conf->path, p->conf->mode, l->backlog, &fd, p->error, p->error_size);
        if (e == OK)
            add_shared(l, fd, false, &p->local);
    }
    if (e == OK)
        binding_learn_file(&l->file, p->conf->path);
    return e;
}

static enum err open_lacking(struct listeners *l, const struct plan *p)
{
    enum err e = open_own(l, p);

    if (e == OK)
        e = open_local(l, p);
    if (e != OK || l->own_count + l->shared_count > 0)
        return e;
    (void)snprintf(p->error, p->error_size, "there is nothing to listen on: HOST and UNIX_SOCKET are empty");
    return E_INVALID;
}

enum err listeners_open(const struct listeners_conf *conf, struct listeners *ret_listeners, char *error, size_t size)
{
    struct plan plan = { .conf = conf, .error = error, .error_size = size };
    struct listeners l = { .backlog = conf->backlog, .other = inheritance_giver() };
    struct inheritance inherited;
    enum err e = inheritance_take(&inherited, error, size);

    if (e == OK && !has_lent(&inherited))
        e = complete_plan(&plan);
    if (e != OK)
        return e;
    adopt_all(&l, &plan, &inherited);
    e = open_lacking(&l, &plan);
    if (e != OK) {
        listeners_close(&l);
        return e;
    }
    *ret_listeners = l;
    return OK;
}

enum err listeners_add(struct listeners *l)
{
    char ignored[ENDPOINT_TEXT * 2];
    enum err e;

    if (l->own_count == 0)
        return E_NOT_FOUND;
    if (l->own_count == WORKERS_MAX)
        return E_TOO_LARGE;
    e = binding_share_port(&l->tcp, l->backlog, &l->own[l->own_count], ignored, sizeof(ignored));
    l->own_count += e == OK;
    return e;
}

/* ---- who accepts from which ------------------------------------------------------------ */

int listeners_of(const struct listeners *l, int position, int positions, int fds[static LISTENERS_A_WORKER])
{
    const bool too_few = l->own_count < positions;
    int count = 0;

    for (int i = 0; i < l->own_count; i++) {
        if (l->own[i] >= 0 && (too_few ? i == position % l->own_count : i % positions == position))
            fds[count++] = l->own[i];
    }
    for (int i = 0; i < l->shared_count; i++) {
        if (l->shared[i].fd >= 0)
            fds[count++] = l->shared[i].fd;
    }
    return count;
}

static void close_others(int *fd, const int *kept, int count)
{
    for (int i = 0; i < count; i++) {
        if (*fd == kept[i])
            return;
    }
    close_fd(fd);
}

void listeners_keep_only(struct listeners *l, const int *fds, int count)
{
    for (int i = 0; i < l->own_count; i++)
        close_others(&l->own[i], fds, count);
    for (int i = 0; i < l->shared_count; i++)
        close_others(&l->shared[i].fd, fds, count);
}

enum err listeners_give(const struct listeners *l, uid_t user, gid_t group)
{
    int failures = 0;

    for (int i = 0; i < l->own_count; i++)
        failures += fchown(l->own[i], user, group) != 0;
    if (l->file.path[0])
        failures += lchown(l->file.path, user, group) != 0;
    return failures == 0 ? OK : E_IO;
}

/* ---- the end ----------------------------------------------------------------------------- */

static bool is_shared(const struct listeners *l) { return l->other > 0 && (kill(l->other, 0) == 0 || errno == EPERM); }

void listeners_shut_door(const struct listeners *l, int index)
{
    if (is_shared(l))
        return;
    for (int i = 0; i < l->own_count; i++) {
        if (l->own[i] >= 0 && (index == i || index == LISTENERS_ALL))
            binding_shut_door(l->own[i]);
    }
    for (int i = 0; i < l->shared_count && index == LISTENERS_ALL; i++) {
        if (l->shared[i].fd >= 0 && !l->shared[i].lent)
            binding_shut_door(l->shared[i].fd);
    }
}

void listeners_close_one(struct listeners *l, int index)
{
    if (index < 0 || index >= l->own_count)
        return;
    close_fd(&l->own[index]);
    while (l->own_count > 0 && l->own[l->own_count - 1] < 0)
        l->own_count--;
}

void listeners_close(struct listeners *l)
{
    listeners_keep_only(l, NULL, 0);
    l->own_count = l->shared_count = 0;
    binding_remove_file(&l->file);
}

enum err listeners_export(const struct listeners *l, char *text, size_t size)
{
    enum err e = OK;

    text[0] = '\0';
    for (int i = 0; i < l->own_count && e == OK; i++) {
        if (l->own[i] >= 0)
            e = inheritance_add(text, size, HEIRLOOM_OWN, l->own[i]);
    }
    for (int i = 0; i < l->shared_count && e == OK; i++) {
        const struct shared_listener *s = &l->shared[i];
        if (s->fd >= 0)
            e = inheritance_add(text, size, s->lent ? HEIRLOOM_LENT : HEIRLOOM_UNIX, s->fd);
    }
    return e;
}

/* ---- in words -------------------------------------------------------------------------------- */

static const struct endpoint *first_place(const struct listeners *l)
{
    return l->own_count > 0 || l->shared_count == 0 ? &l->tcp : &l->shared[0].place;
}

void listeners_print(const struct listeners *l, char *out, size_t size)
{
    char place[ENDPOINT_TEXT];
    size_t used = 0;

    out[0] = '\0';
    for (int i = l->own_count > 0 ? -1 : 0; i < l->shared_count; i++) {
        endpoint_print(i < 0 ? &l->tcp : &l->shared[i].place, place);
        const int n = snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", place);
        if (n < 0 || (size_t)n >= size - used) {
            if (size > sizeof("..."))
                memcpy(out + size - sizeof("..."), "...", sizeof("..."));
            return;
        }
        used += (size_t)n;
    }
}

void listeners_print_url(const struct listeners *l, char out[static ENDPOINT_TEXT])
{
    endpoint_print_url(first_place(l), out);
}

int listeners_port(const struct listeners *l)
{
    if (l->own_count > 0)
        return endpoint_port(&l->tcp);
    for (int i = 0; i < l->shared_count; i++) {
        if (!endpoint_is_unix(&l->shared[i].place))
            return endpoint_port(&l->shared[i].place);
    }
    return 0;
}

int listeners_backlog_limit(void)
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
