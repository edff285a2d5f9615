/* SPDX-License-Identifier: MIT */
#include "redis/conf.h"

#include <stdio.h>

enum { HOST_BYTES = 253, SECRET_BYTES = 512, PATH_BYTES = 107, DATABASE_MAX = 65535 };

/* One URL that is read. */
struct reading {
    struct arena *arena;
    struct redis_conf conf;
    const char *why;
};

static enum err refuse(struct reading *r, const char *why)
{
    r->why = why;
    return E_INVALID;
}

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

/* [USER]:PASSWORD, or nothing */
static enum err read_user(struct reading *r, struct str who)
{
    const size_t colon = str_find(who, ':', 0);
    enum err e = OK;

    if (who.len == 0)
        return OK;
    if (colon + 1 >= who.len)
        return refuse(r, "before the @ stands USER:PASSWORD or :PASSWORD");
    if (colon > 0)
        e = decode(r, str_slice(who, 0, colon), SECRET_BYTES, &r->conf.user);
    return e == OK ? decode(r, str_slice(who, colon + 1, who.len), SECRET_BYTES, &r->conf.password) : e;
}

static enum err read_port(struct reading *r, struct str port)
{
    int64_t number = 0;

    if (str_to_int(port, 1, UINT16_MAX, &number) != OK)
        return refuse(r, "the port is a number from 1 to 65535");
    r->conf.port = (int)number;
    return OK;
}

/* HOST, HOST:PORT or [HOST]:PORT; an IPv6 address stands in brackets. */
static enum err read_host(struct reading *r, struct str place)
{
    const bool bracket = place.len > 0 && place.ptr[0] == '[';
    const size_t end = str_find(place, bracket ? ']' : ':', 0);
    const struct str host = str_slice(place, bracket, end), rest = str_slice(place, end + bracket, place.len);
    enum err e;

    if (host.len == 0 || (bracket && end == place.len))
        return refuse(r, "it names no host: write redis://HOST:PORT/NUMBER");
    e = decode(r, host, HOST_BYTES, &r->conf.host);
    if (e != OK || rest.len == 0)
        return e;
    if (rest.ptr[0] != ':')
        return refuse(r, "what stands behind the host is no port");
    return read_port(r, str_slice(rest, 1, rest.len));
}

static enum err read_database(struct reading *r, struct str number)
{
    int64_t database = 0;

    if (number.len > 0 && str_to_int(number, 0, DATABASE_MAX, &database) != OK)
        return refuse(r, "a database of Redis is a number, such as 0");
    r->conf.database = (int)database;
    return OK;
}

static enum err read_query(struct reading *r, struct str query)
{
    const struct str key = STR("db=");

    if (query.len == 0)
        return OK;
    if (!str_starts_with(query, key))
        return refuse(r, "behind the question mark stands db=NUMBER, and nothing else");
    return read_database(r, str_slice(query, key.len, query.len));
}

static enum err read_tcp(struct reading *r, struct str place)
{
    const size_t slash = str_find(place, '/', 0);
    enum err e = read_host(r, str_slice(place, 0, slash));

    return e == OK ? read_database(r, str_slice(place, slash + 1, place.len)) : e;
}

static enum err read_unix(struct reading *r, struct str path)
{
    if (!str_starts_with(path, STR("/")) || path.len == 1)
        return refuse(r, "it names no socket: write unix:///PATH?db=NUMBER");
    return decode(r, path, PATH_BYTES, &r->conf.path);
}

static enum err read_tls(struct reading *r, struct str place)
{
    (void)place;
    return refuse(r, "this build speaks no TLS to Redis: let stunnel do it, and name the port on which stunnel listens "
                     "here, as redis://127.0.0.1:PORT/NUMBER");
}

static const struct scheme {
    const char *name;
    enum err (*read)(struct reading *r, struct str place);
} schemes[] = {
    { "redis", read_tcp },
    { "unix", read_unix },
    { "redis+unix", read_unix },
    { "rediss", read_tls },
};

/* [USER:PASSWORD@]PLACE[?db=NUMBER], where PLACE is as the scheme has it. A
 * password may hold an unencoded '@', as many have been written. */
static enum err read_rest(struct reading *r, const struct scheme *scheme, struct str rest)
{
    const size_t question = str_find(rest, '?', 0);
    const struct str before = str_slice(rest, 0, question);
    size_t at = before.len;
    enum err e;

    while (at > 0 && before.ptr[at - 1] != '@')
        at--;
    e = scheme->read(r, str_slice(before, at, before.len));
    if (e == OK && at > 0)
        e = read_user(r, str_slice(before, 0, at - 1));
    return e == OK ? read_query(r, str_slice(rest, question + 1, rest.len)) : e;
}

static enum err read_scheme(struct reading *r, struct str url)
{
    const size_t colon = str_find(url, ':', 0);
    const struct str name = str_slice(url, 0, colon), rest = str_slice(url, colon + 1, url.len);

    if (url.len > REDIS_URL_BYTES_MAX)
        return refuse(r, "it is too long");
    for (size_t i = 0; str_starts_with(rest, STR("//")) && i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_eq_nocase(name, str_of(schemes[i].name)))
            return read_rest(r, &schemes[i], str_slice(rest, 2, rest.len));
    return refuse(r, "Redis is named as redis://HOST:PORT/NUMBER or unix:///PATH?db=NUMBER");
}

enum err redis_conf_read(struct str url, struct arena *a, struct redis_conf *ret_conf, const char **ret_why)
{
    struct reading r = { .arena = a, .conf = { .port = REDIS_PORT } };
    const enum err e = read_scheme(&r, url);

    if (e == OK)
        *ret_conf = r.conf;
    else if (e == E_INVALID)
        *ret_why = r.why;
    return e;
}

size_t redis_conf_place(const struct redis_conf *conf, char *out, size_t size)
{
    const struct str host = str_of(conf->host);
    const bool v6 = str_find(host, ':', 0) < host.len;
    int n;

    if (conf->path)
        n = snprintf(out, size, "%s", conf->path);
    else
        n = snprintf(out, size, "%s" STR_FMT "%s:%d", v6 ? "[" : "", STR_ARG(host), v6 ? "]" : "", conf->port);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}
