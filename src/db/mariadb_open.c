/* SPDX-License-Identifier: MIT */
/* Opening a connection to MariaDB or MySQL: the first of DB_HOST's servers that
 * answers and may be written to.
 *
 * While there is none, the first that may be read stands in for it, so that
 * reads go on: for a second, then all are tried again. It takes no writes,
 * whatever rights we have there. A tool gets no stand-in: it came to write.
 *
 * All of it up to the greeting happens on a thread: the library looks the name
 * up itself, and shakes hands over TLS (after it has read every certificate of
 * the system) in its caller's time even when it was asked not to block. From
 * then on the connection belongs to the loop. */
#include "db/mariadb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/coro.h"

enum { CONNECT_TIMEOUT_S = 5, STAND_IN_S = 1, HOST_SIZE = 256, CHECK_BYTES = 64 * 1024 };

/* A connection that is tried. */
struct attempt {
    struct mariadb_conn *c;
    char host[HOST_SIZE];
};

/* What is looked for, on one host after the other. */
struct search {
    const struct db_conf *conf;
    struct mariadb_conn *stand_in; /* NULL: none was found yet         */
    char *error;                   /* what is wrong with all of them   */
    size_t size;
};

static bool by_socket(const struct db_conf *conf) { return conf->socket && *conf->socket; }

static void set_timeouts(MYSQL *mysql, const struct db_conf *conf)
{
    const unsigned connect_s = CONNECT_TIMEOUT_S, io_s = (unsigned)conf->io_timeout_s;

    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
}

/* Nothing is sent in plain text then, and nothing to a server whose certificate
 * is not of a known authority or not of that name. A unix socket needs none. */
static void set_tls(MYSQL *mysql, const struct db_conf *conf)
{
    const my_bool yes = 1;

    if (!conf->ssl || by_socket(conf))
        return;
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    if (conf->ssl_ca && *conf->ssl_ca)
        mysql_options(mysql, MYSQL_OPT_SSL_CA, conf->ssl_ca);
}

static void set_options(MYSQL *mysql, const struct db_conf *conf)
{
    const unsigned protocol = by_socket(conf) ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    const unsigned off = 0; /* no pointer at all would mean on */
    const my_bool no = 0;

    mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
    mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no);
    mysql_options(mysql, MYSQL_REPORT_DATA_TRUNCATION, &no);
    set_timeouts(mysql, conf);
    set_tls(mysql, conf);
}

/* ---- connecting ------------------------------------------------------------------ */

static struct mariadb_conn *conn_new(const struct db_conf *conf)
{
    struct mariadb_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->base.driver = &db_mariadb;
    c->base.conf = conf;
    c->mysql = mysql_init(NULL);
    if (!c->mysql) {
        free(c);
        return NULL;
    }
    set_options(c->mysql, conf);
    return c;
}

/* The library's own calls that do not block rely on this being so over TLS. */
static enum err unblock(MYSQL *mysql)
{
    const int fd = mysql_get_socket(mysql), flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? OK : E_IO;
}

/* The library would not say which file. */
static enum err check_authorities(struct mariadb_conn *c)
{
    const char *path = c->base.conf->ssl_ca;

    if (!path || !*path || access(path, R_OK) == 0)
        return OK;
    snprintf(c->base.error, sizeof(c->base.error), "DB_SSL_CA, %s: %s", path, strerrordesc_np(errno));
    return E_IO;
}

static enum err connect_on_thread(void *arg)
{
    struct attempt *a = arg;
    const struct db_conf *conf = a->c->base.conf;

    if (check_authorities(a->c) != OK)
        return E_IO;
    if (!mysql_real_connect(a->c->mysql, a->host, conf->user, conf->password, conf->name, (unsigned)conf->port,
                            by_socket(conf) ? conf->socket : NULL, CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS))
        return mariadb_error(a->c);
    return unblock(a->c->mysql);
}

/* A number, or a word from MariaDB 12 on. */
static const struct db_statement read_only = {
    "read_only",
    "SELECT CAST(@@global.read_only AS CHAR) NOT IN ('0', 'OFF')",
    DB_READ,
};

bool mariadb_is_stale(const struct mariadb_conn *c)
{
    return c->base.read_only && clock_mono() - c->checked_at >= (mono_ns)STAND_IN_S * NS_PER_S;
}

static enum err ask_read_only(struct mariadb_conn *c, bool *ret_read_only)
{
    struct db_rows rows;
    struct arena arena;
    enum err e;

    arena_init(&arena, CHECK_BYTES);
    e = mariadb_run(&c->base, &read_only, NULL, 0, &arena, &rows);
    if (e == OK)
        *ret_read_only = rows.count == 1 && db_int(db_row(&rows, 0)) != 0;
    arena_done(&arena);
    return e;
}

enum err mariadb_check_writable(struct mariadb_conn *c)
{
    const bool stale = mariadb_is_stale(c);
    bool is_read_only = c->base.read_only;
    enum err e = OK;

    if (!c->base.read_only)
        c->checked_at = clock_mono();
    if (!stale)
        e = ask_read_only(c, &is_read_only);
    if (e != OK || (!stale && is_read_only == c->base.read_only))
        return e;
    snprintf(c->base.error, sizeof(c->base.error), "the server is %s", is_read_only ? "read-only" : "writable again");
    c->base.broken = c->base.lost = true;
    return E_READ_ONLY;
}

static enum err open_on(struct attempt *a)
{
    enum err e = task_offload(connect_on_thread, a);

    if (e == OK && coro_self() && !mariadb_watch(a->c))
        e = E_NO_MEMORY;
    if (e == OK)
        e = mariadb_begin_session(a->c);
    return e == OK ? mariadb_check_writable(a->c) : e;
}

/* Adds what is wrong with a host; what does not fit is left out. */
static void tell(char *error, size_t size, const char *host, const char *reason)
{
    const size_t used = strlen(error);

    snprintf(error + used, size - used, "%s%s: %s", used > 0 ? "; " : "", host, reason);
}

static void give_up(struct mariadb_conn *c)
{
    c->base.broken = true;
    mariadb_close(&c->base);
}

static enum err open_at(struct search *s, size_t host, struct db_conn **ret_conn)
{
    struct attempt a = { .c = conn_new(s->conf) };
    enum err e;

    if (!a.c)
        return E_NO_MEMORY;
    a.c->base.host = host;
    snprintf(a.host, sizeof(a.host), STR_FMT, STR_ARG(by_socket(s->conf) ? STR("localhost") : s->conf->hosts[host]));
    e = open_on(&a);
    if (e == OK) {
        *ret_conn = &a.c->base;
        return OK;
    }
    tell(s->error, s->size, a.host, a.c->base.error[0] ? a.c->base.error : err_text(e));
    if (e == E_READ_ONLY && !s->stand_in)
        s->stand_in = a.c;
    else
        give_up(a.c);
    return E_UNAVAILABLE;
}

/* In the order of DB_HOST, from where the last one was opened: a host that is away
 * is not asked again by each connection, and one that comes back is not mixed with
 * the one that serves meanwhile. */
static enum err open_at_any(struct search *s, struct db_conn **ret_conn)
{
    const size_t count = by_socket(s->conf) ? 1 : s->conf->host_count;
    enum err e = E_UNAVAILABLE;

    for (size_t i = 0; e != OK && i < count; i++)
        e = open_at(s, (s->conf->first_host + i) % count, ret_conn);
    return e;
}

static enum err stand_in(struct mariadb_conn *c)
{
    c->base.broken = c->base.lost = false;
    c->base.read_only = true;
    return mariadb_begin_session(c);
}

enum err mariadb_open(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size)
{
    struct search s = { .conf = conf, .error = error, .size = size };
    enum err e;

    error[0] = '\0';
    e = open_at_any(&s, ret_conn);
    if (!s.stand_in)
        return e;
    if (e != OK && (coro_self() || conf->only_read) && stand_in(s.stand_in) == OK) {
        *ret_conn = &s.stand_in->base;
        return OK;
    }
    give_up(s.stand_in);
    return e;
}
