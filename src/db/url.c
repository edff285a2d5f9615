/* SPDX-License-Identifier: MIT */
#include "db/url.h"

#include <stdio.h>
#include <sys/stat.h>

enum { PATH_MAX_BYTES = 1024, HOST_MAX_BYTES = 253, USER_MAX_BYTES = 128, NAME_MAX_BYTES = 64, SOCKET_MAX_BYTES = 107 };

/* One URL that is read. */
struct reading {
    struct arena *arena;
    struct db_conf conf;
    const char *why;
};

static enum err refuse(struct reading *r, const char *why)
{
    r->why = why;
    return E_INVALID;
}

/* ---- pieces ---------------------------------------------------------------------- */

/* A piece decoded, and not longer than `most`. */
static enum err decode(struct reading *r, struct str piece, size_t most, const char **ret_text)
{
    char *text = arena_alloc(r->arena, piece.len + 1);
    size_t n = 0;

    if (!text)
        return E_NO_MEMORY;
    for (size_t at = 0; at < piece.len;) {
        const int byte = str_percent_byte(piece, &at);

        if (byte < ' ' || byte == 0x7f)
            return refuse(r, "a percent sign is followed by two hexadecimal digits, and control characters are none");
        text[n++] = (char)byte;
    }
    text[n] = '\0';
    if (n > most)
        return refuse(r, "a part of it is too long");
    *ret_text = text;
    return OK;
}

static struct str after(struct str s, size_t at) { return str_slice(s, at + 1, s.len); }

/* ---- mysql:// ---------------------------------------------------------------------- */

static enum err read_user(struct reading *r, struct str user)
{
    if (str_find(user, ':', 0) < user.len)
        return refuse(r, "a password in a URL can be read by everybody on this machine: put it into DB_PASSWORD "
                         "(environment or .env)");
    return user.len == 0 ? OK : decode(r, user, USER_MAX_BYTES, &r->conf.user);
}

static enum err read_port(struct reading *r, struct str port)
{
    int64_t number = 0;

    if (str_to_int(port, 1, UINT16_MAX, &number) != OK)
        return refuse(r, "the port is a number from 1 to 65535");
    r->conf.port = (int)number;
    return OK;
}

/* A host takes the place of all that the settings name, and of their socket. */
static enum err use_host(struct reading *r, struct str host)
{
    struct str *hosts = arena_new(r->arena, struct str);
    const char *text = NULL;
    enum err e = hosts ? decode(r, host, HOST_MAX_BYTES, &text) : E_NO_MEMORY;

    if (e != OK)
        return e;
    *hosts = str_of(text);
    r->conf.hosts = hosts;
    r->conf.host_count = 1;
    r->conf.socket = NULL;
    return OK;
}

/* HOST, HOST:PORT or [HOST]:PORT; an IPv6 address stands in brackets. */
static enum err read_host(struct reading *r, struct str place)
{
    const bool bracket = place.len > 0 && place.ptr[0] == '[';
    const size_t end = str_find(place, bracket ? ']' : ':', 0);
    const struct str host = str_slice(place, bracket, end), rest = str_slice(place, end + bracket, place.len);
    enum err e;

    if (place.len == 0)
        return OK;
    if (host.len == 0 || (bracket && end == place.len))
        return refuse(r, "there is no host before the port");
    e = use_host(r, host);
    if (e != OK || rest.len == 0)
        return e;
    return rest.ptr[0] == ':' ? read_port(r, after(rest, 0)) : refuse(r, "what stands behind the host is no port");
}

static enum err read_authority(struct reading *r, struct str authority)
{
    size_t at = authority.len;
    enum err e;

    while (at > 0 && authority.ptr[at - 1] != '@')
        at--;
    if (at == 0)
        return read_host(r, authority);
    e = read_user(r, str_slice(authority, 0, at - 1));
    return e == OK ? read_host(r, str_slice(authority, at, authority.len)) : e;
}

static enum err read_name(struct reading *r, struct str name)
{
    if (str_find(name, '/', 0) < name.len)
        return refuse(r, "the name of a database holds no '/'");
    return name.len == 0 ? OK : decode(r, name, NAME_MAX_BYTES, &r->conf.name);
}

static enum err read_query(struct reading *r, struct str query, bool has_host)
{
    const struct str key = STR("socket=");

    if (!str_starts_with(query, key) || query.len == key.len || str_find(query, '&', 0) < query.len)
        return refuse(r, "behind the question mark stands socket=PATH, and nothing else");
    if (has_host)
        return refuse(r, "it names a host and a socket: one of them is enough");
    return decode(r, str_slice(query, key.len, query.len), SOCKET_MAX_BYTES, &r->conf.socket);
}

/* USER@HOST:PORT/NAME?socket=PATH */
static enum err read_place(struct reading *r, struct str place)
{
    const size_t question = str_find(place, '?', 0), slash = str_find(str_slice(place, 0, question), '/', 0);
    const struct str authority = str_slice(place, 0, slash);
    const struct str *hosts = r->conf.hosts;
    enum err e = read_authority(r, authority);

    if (e == OK)
        e = read_name(r, str_slice(place, slash + 1, question));
    if (e == OK && question < place.len)
        e = read_query(r, after(place, question), r->conf.hosts != hosts);
    return e;
}

static bool is_empty(const char *text) { return !text || *text == '\0'; }

static enum err read_mysql(struct reading *r, struct str rest)
{
    enum err e = OK;

    r->conf.driver = "mysql";
    if (str_starts_with(rest, STR("//")))
        e = read_place(r, str_slice(rest, 2, rest.len));
    else if (rest.len > 0)
        return refuse(r, "behind mysql: stands //USER@HOST:PORT/NAME, or nothing");
    if (e != OK)
        return e;
    if (r->conf.host_count == 0 && is_empty(r->conf.socket))
        return refuse(r, "it names no server: write mysql://USER@HOST/NAME, or set DB_HOST or DB_SOCKET");
    if (is_empty(r->conf.name))
        return refuse(r, "it names no database: write mysql://USER@HOST/NAME, or set DB_NAME");
    if (is_empty(r->conf.user))
        return refuse(r, "it names no user: write mysql://USER@HOST/NAME, or set DB_USER");
    return OK;
}

/* ---- sqlite: ------------------------------------------------------------------------- */

/* Three slashes, as in other programs' URLs, are one. */
static enum err read_sqlite(struct reading *r, struct str path)
{
    struct str copy;

    r->conf.driver = "sqlite";
    if (path.len == 0)
        return OK;
    if (str_starts_with(path, STR("///")))
        path = str_slice(path, 2, path.len);
    else if (str_starts_with(path, STR("//")))
        return refuse(r, "behind sqlite: stands the path of a file, or nothing");
    if (path.len > PATH_MAX_BYTES)
        return refuse(r, "a part of it is too long");
    copy = arena_str(r->arena, path);
    r->conf.path = copy.ptr;
    return copy.ptr ? OK : E_NO_MEMORY;
}

/* ---- both ------------------------------------------------------------------------------ */

static const struct scheme {
    const char *name;
    enum err (*read)(struct reading *r, struct str rest);
} schemes[] = { { "sqlite", read_sqlite }, { "mysql", read_mysql }, { "mariadb", read_mysql } };

static enum err read_scheme(struct reading *r, struct str url)
{
    const size_t colon = str_find(url, ':', 0);
    const struct str name = str_slice(url, 0, colon);

    if (url.len > DB_URL_MAX_BYTES)
        return refuse(r, "it is too long");
    for (size_t i = 0; colon < url.len && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (str_eq_nocase(name, str_of(schemes[i].name)))
            return schemes[i].read(r, after(url, colon));
    }
    return refuse(r, "a database is named as sqlite:PATH or mysql://USER@HOST:PORT/NAME");
}

enum err db_url_read(struct str url, struct arena *a, struct db_conf *conf, const char **ret_why)
{
    struct reading r = { .arena = a, .conf = *conf };
    const enum err e = read_scheme(&r, url);

    if (e == OK)
        *conf = r.conf;
    else if (e == E_INVALID)
        *ret_why = r.why;
    return e;
}

static bool is_sqlite(const struct db_conf *conf) { return str_eq(str_of(conf->driver), STR("sqlite")); }

size_t db_url_write(const struct db_conf *conf, char *out, size_t size)
{
    const struct str host = conf->host_count > 0 ? conf->hosts[0] : STR_EMPTY;
    const bool v6 = str_find(host, ':', 0) < host.len;
    int n;

    if (is_sqlite(conf))
        n = snprintf(out, size, "sqlite:%s", conf->path);
    else if (!is_empty(conf->socket))
        n = snprintf(out, size, "mysql://%s@/%s?socket=%s", conf->user, conf->name, conf->socket);
    else
        n = snprintf(out, size, "mysql://%s@%s" STR_FMT "%s:%d/%s", conf->user, v6 ? "[" : "", STR_ARG(host),
                     v6 ? "]" : "", conf->port, conf->name);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;

    if (stat(a, &one) != 0 || stat(b, &other) != 0)
        return str_eq(str_of(a), str_of(b));
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool same_server(const struct db_conf *a, const struct db_conf *b)
{
    if (!is_empty(a->socket) || !is_empty(b->socket))
        return str_eq(str_of(a->socket), str_of(b->socket));
    return a->host_count > 0 && b->host_count > 0 && str_eq_nocase(a->hosts[0], b->hosts[0]) && a->port == b->port;
}

bool db_url_same(const struct db_conf *a, const struct db_conf *b)
{
    if (is_sqlite(a) != is_sqlite(b))
        return false;
    return is_sqlite(a) ? same_file(a->path, b->path) : same_server(a, b) && str_eq(str_of(a->name), str_of(b->name));
}
