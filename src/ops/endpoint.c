/* SPDX-License-Identifier: MIT */
#include "ops/endpoint.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const struct sockaddr_in *as_v4(const struct endpoint *e) { return (const void *)&e->address; }
static const struct sockaddr_in6 *as_v6(const struct endpoint *e) { return (const void *)&e->address; }
static const struct sockaddr_un *as_unix(const struct endpoint *e) { return (const void *)&e->address; }

static void set_port(struct endpoint *e, in_port_t port)
{
    if (e->address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)&e->address)->sin6_port = port;
    else
        ((struct sockaddr_in *)(void *)&e->address)->sin_port = port;
}

enum err endpoint_of_host(const char *host, int port, struct endpoint *ret_place, char *error, size_t size)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, NULL, &hints, &found);

    if (failure == EAI_NONAME) {
        hints.ai_flags = AI_PASSIVE;
        failure = getaddrinfo(host, NULL, &hints, &found);
    }
    if (failure != 0) {
        (void)snprintf(error, size, "HOST \"%s\" is neither an address nor a known name (%s)", host,
                       gai_strerror(failure));
        return E_INVALID;
    }
    *ret_place = (struct endpoint){ .length = found->ai_addrlen };
    memcpy(&ret_place->address, found->ai_addr, found->ai_addrlen);
    set_port(ret_place, htons((uint16_t)port));
    freeaddrinfo(found);
    return OK;
}

enum err endpoint_of_path(const char *path, struct endpoint *ret_place, char *error, size_t size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const size_t len = strlen(path);

    if (len == 0 || len >= sizeof(address.sun_path)) {
        (void)snprintf(error, size, "UNIX_SOCKET, %s: the path may have at most %zu bytes", path,
                       sizeof(address.sun_path) - 1);
        return E_INVALID;
    }
    memcpy(address.sun_path, path, len);
    *ret_place = (struct endpoint){ .length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1) };
    memcpy(&ret_place->address, &address, sizeof(address));
    return OK;
}

static bool option_is(int fd, int name, int expected)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 && value == expected;
}

enum err endpoint_of_listener(int fd, struct endpoint *ret_place)
{
    struct endpoint e = { .length = sizeof(e.address) };

    if (!option_is(fd, SO_TYPE, SOCK_STREAM) || !option_is(fd, SO_ACCEPTCONN, 1) ||
        getsockname(fd, (struct sockaddr *)&e.address, &e.length) != 0)
        return E_INVALID;
    if (e.address.ss_family != AF_INET && e.address.ss_family != AF_INET6 && e.address.ss_family != AF_UNIX)
        return E_INVALID;
    *ret_place = e;
    return OK;
}

bool endpoint_is_unix(const struct endpoint *e) { return e->length > 0 && e->address.ss_family == AF_UNIX; }

/* The path as text, with its length; a first byte of zero says "abstract". */
static int unix_name(const struct endpoint *e, const char **ret_name)
{
    const size_t most = (size_t)e->length - offsetof(struct sockaddr_un, sun_path);
    const char *path = as_unix(e)->sun_path;

    *ret_name = path;
    if (e->length <= offsetof(struct sockaddr_un, sun_path))
        return 0;
    return path[0] ? (int)strnlen(path, most) : (int)most;
}

static bool same_unix(const struct endpoint *a, const struct endpoint *b)
{
    const char *name_a, *name_b;
    const int len_a = unix_name(a, &name_a), len_b = unix_name(b, &name_b);

    return len_a == len_b && memcmp(name_a, name_b, (size_t)len_a) == 0;
}

bool endpoint_matches(const struct endpoint *asked, const struct endpoint *there)
{
    if (asked->length == 0 || there->length == 0 || asked->address.ss_family != there->address.ss_family)
        return false;
    if (endpoint_is_unix(asked))
        return same_unix(asked, there);
    if (endpoint_port(asked) != 0 && endpoint_port(asked) != endpoint_port(there))
        return false;
    if (asked->address.ss_family == AF_INET)
        return as_v4(asked)->sin_addr.s_addr == as_v4(there)->sin_addr.s_addr;
    return memcmp(&as_v6(asked)->sin6_addr, &as_v6(there)->sin6_addr, sizeof(struct in6_addr)) == 0 &&
           as_v6(asked)->sin6_scope_id == as_v6(there)->sin6_scope_id;
}

int endpoint_port(const struct endpoint *e)
{
    if (e->length == 0 || endpoint_is_unix(e))
        return 0;
    return ntohs(e->address.ss_family == AF_INET6 ? as_v6(e)->sin6_port : as_v4(e)->sin_port);
}

static void print_unix(const struct endpoint *e, char out[static ENDPOINT_TEXT])
{
    const char *name;
    const int len = unix_name(e, &name);
    const bool abstract = len > 0 && name[0] == '\0';

    (void)snprintf(out, ENDPOINT_TEXT, "unix:%s%.*s", abstract ? "@" : "", abstract ? len - 1 : len, name + abstract);
}

void endpoint_print(const struct endpoint *e, char out[static ENDPOINT_TEXT])
{
    char name[80] = "?";

    if (endpoint_is_unix(e)) {
        print_unix(e, out);
        return;
    }
    (void)getnameinfo((const struct sockaddr *)&e->address, e->length, name, sizeof(name), NULL, 0, NI_NUMERICHOST);
    (void)snprintf(out, ENDPOINT_TEXT, e->address.ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", name, endpoint_port(e));
}

static bool is_everywhere(const struct endpoint *e)
{
    if (e->address.ss_family == AF_INET)
        return as_v4(e)->sin_addr.s_addr == htonl(INADDR_ANY);
    return e->address.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&as_v6(e)->sin6_addr);
}

void endpoint_print_url(const struct endpoint *e, char out[static ENDPOINT_TEXT])
{
    char place[ENDPOINT_TEXT];

    endpoint_print(e, place);
    if (endpoint_is_unix(e))
        memcpy(out, place, sizeof(place));
    else if (is_everywhere(e))
        (void)snprintf(out, ENDPOINT_TEXT, "http://127.0.0.1:%d", endpoint_port(e));
    else
        (void)snprintf(out, ENDPOINT_TEXT, "http://%.150s", place);
}
