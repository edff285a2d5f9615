/* SPDX-License-Identifier: MIT */
#include "ops/listening.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SOCKETS_MAX = 1024,
    LINE_SIZE = 512,
    PATH_SIZE = 64,
    LISTEN_STATE = 0x0A,      /* TCP_LISTEN                      */
    ACCEPTING_FLAG = 0x10000, /* __SO_ACCEPTCON of a Unix socket */
};

struct search {
    uint64_t inodes[SOCKETS_MAX]; /* the process's sockets */
    size_t inode_count;
    struct listening *out;
    size_t count, room;
};

/* ---- whose they are ---------------------------------------------------------------------- */

static void note_descriptor(struct search *s, const char *folder, const char *name)
{
    char path[PATH_SIZE + LINE_SIZE], link[PATH_SIZE];
    uint64_t inode;
    ssize_t len;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    len = readlink(path, link, sizeof(link) - 1);
    if (len < 0)
        return;
    link[len] = '\0';
    if (s->inode_count < SOCKETS_MAX && sscanf(link, "socket:[%" SCNu64 "]", &inode) == 1)
        s->inodes[s->inode_count++] = inode;
}

static void note_descriptors(struct search *s, pid_t pid)
{
    char folder[PATH_SIZE];
    struct dirent *entry;
    DIR *fds;

    snprintf(folder, sizeof(folder), "/proc/%ld/fd", (long)pid);
    fds = opendir(folder);
    if (!fds)
        return;
    while ((entry = readdir(fds)) != NULL)
        note_descriptor(s, folder, entry->d_name);
    closedir(fds);
}

static bool is_theirs(const struct search *s, uint64_t inode)
{
    for (size_t i = 0; i < s->inode_count; i++) {
        if (s->inodes[i] == inode)
            return true;
    }
    return false;
}

/* ---- where they listen --------------------------------------------------------------------- */

/* Several sockets may share a port. */
static void add(struct search *s, const char *text)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->out[i].text, text) == 0)
            return;
    }
    if (s->count < s->room)
        snprintf(s->out[s->count++].text, LISTENING_SIZE, "%s", text);
}

/* The kernel prints an address as words of 32 bits in the machine's order. */
static bool read_address(const char *hex, int family, char out[static INET6_ADDRSTRLEN])
{
    const size_t words = family == AF_INET ? 1 : 4;
    uint32_t address[4];

    for (size_t i = 0; i < words; i++) {
        if (sscanf(hex + 8 * i, "%8" SCNx32, &address[i]) != 1)
            return false;
    }
    return inet_ntop(family, address, out, INET6_ADDRSTRLEN) != NULL;
}

static void take_tcp(struct search *s, const char *line, int family)
{
    char hex[33], address[INET6_ADDRSTRLEN], text[LISTENING_SIZE];
    unsigned port, state;
    uint64_t inode;

    if (sscanf(line, "%*u: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*u %" SCNu64, hex, &port, &state, &inode) != 4)
        return;
    if (state != LISTEN_STATE || strlen(hex) != (family == AF_INET ? 8 : 32) || !is_theirs(s, inode) ||
        !read_address(hex, family, address))
        return;
    snprintf(text, sizeof(text), family == AF_INET ? "http://%s:%u" : "http://[%s]:%u", address, port);
    add(s, text);
}

static void take_tcp4(struct search *s, const char *line) { take_tcp(s, line, AF_INET); }
static void take_tcp6(struct search *s, const char *line) { take_tcp(s, line, AF_INET6); }

static void take_unix(struct search *s, const char *line)
{
    char path[LISTENING_SIZE - 8], text[LISTENING_SIZE];
    unsigned flags;
    uint64_t inode;

    if (sscanf(line, "%*[^:]: %*s %*s %x %*s %*s %" SCNu64 " %151[^\n]", &flags, &inode, path) != 3)
        return;
    if (!(flags & ACCEPTING_FLAG) || !is_theirs(s, inode))
        return;
    snprintf(text, sizeof(text), "unix:%s", path);
    add(s, text);
}

static const struct table {
    const char *name;
    void (*take)(struct search *s, const char *line);
} tables[] = { { "tcp", take_tcp4 }, { "tcp6", take_tcp6 }, { "unix", take_unix } };

/* Of the process's own network namespace. */
static void read_table(struct search *s, pid_t pid, const struct table *table)
{
    char path[PATH_SIZE], line[LINE_SIZE];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/net/%s", (long)pid, table->name);
    file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file))
        table->take(s, line);
    fclose(file);
}

size_t listening_of(pid_t pid, struct listening *out, size_t room)
{
    struct search s = { .out = out, .room = room };

    note_descriptors(&s, pid);
    for (size_t i = 0; s.inode_count > 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
        read_table(&s, pid, &tables[i]);
    return s.count;
}
