/* SPDX-License-Identifier: MIT */
/* Opening a connection to MariaDB or MySQL: the first of DB_HOST's servers that
 * answers and may be written to.
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

enum { CONNECT_TIMEOUT_S = 5, HOST_SIZE = 256, CHECK_BYTES = 64 * 1024 };

/* A connection that is tried. */
struct attempt {
    struct mariadb_conn *c;
    char host[HOST_SIZE];
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

static const struct db_statement read_only = { "read_only", "SELECT @@global.read_only", DB_READ };

enum err mariadb_check_writable(struct mariadb_conn *c)
{
    struct db_rows rows;
    struct arena arena;
    enum err e;

    c->checked_at = clock_mono();
    arena_init(&arena, CHECK_BYTES);
    e = mariadb_run(&c->base, &read_only, NULL, 0, &arena, &rows);
    if (e == OK && rows.count == 1 && db_int(db_row(&rows, 0)) != 0) {
        snprintf(c->base.error, sizeof(c->base.error), "the server is read-only");
        c->base.broken = c->base.lost = true;
        e = E_READ_ONLY;
    }
    arena_done(&arena);
    return e;
}

static enum err open_on(struct attempt *a)
{
    enum err e = task_offload(connect_on_thread, a);

    if (e == OK)
        e = mariadb_query(a->c, mariadb_session);
    return e == OK ? mariadb_check_writable(a->c) : e;
}

/* Adds what is wrong with a host; what does not fit is left out. */
static void tell(char *error, size_t size, const char *host, const char *reason)
{
    const size_t used = strlen(error);

    snprintf(error + used, size - used, "%s%s: %s", used > 0 ? "; " : "", host, reason);
}

static enum err open_at(const struct db_conf *conf, struct str host, struct db_conn **ret_conn, char *error,
                        size_t size)
{
    struct attempt a = { .c = conn_new(conf) };
    enum err e;

    if (!a.c)
        return E_NO_MEMORY;
    snprintf(a.host, sizeof(a.host), STR_FMT, STR_ARG(host));
    e = open_on(&a);
    if (e == OK) {
        *ret_conn = &a.c->base;
        return OK;
    }
    tell(error, size, a.host, a.c->base.error[0] ? a.c->base.error : err_text(e));
    a.c->base.broken = true;
    mariadb_close(&a.c->base);
    return E_UNAVAILABLE;
}

enum err mariadb_open(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size)
{
    enum err e = E_UNAVAILABLE;

    error[0] = '\0';
    if (by_socket(conf))
        return open_at(conf, STR("localhost"), ret_conn, error, size);
    for (size_t i = 0; e != OK && i < conf->host_count; i++)
        e = open_at(conf, conf->hosts[i], ret_conn, error, size);
    return e;
}
