/* SPDX-License-Identifier: MIT */
/* Opening a connection to MariaDB or MySQL: the hosts of DB_HOST in their order,
 * the first that answers and may be written to. */
#include "db/mariadb.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CONNECT_TIMEOUT_S = 5 };

/* One of the hosts of DB_HOST. */
struct place {
    const struct db_conf *conf;
    char host[256];   /* as configured                    */
    char address[64]; /* looked up; empty: use the host   */
};

/* The name service may be slow: on a thread. */
static enum err look_up(void *arg)
{
    struct place *at = arg;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *found = NULL;
    enum err e = E_UNAVAILABLE;

    if (getaddrinfo(at->host, NULL, &hints, &found) == 0 &&
        getnameinfo(found->ai_addr, found->ai_addrlen, at->address, sizeof(at->address), NULL, 0, NI_NUMERICHOST) == 0)
        e = OK;
    if (found)
        freeaddrinfo(found);
    return e;
}

static void set_options(MYSQL *mysql, const struct db_conf *conf)
{
    const unsigned connect_s = CONNECT_TIMEOUT_S, io_s = (unsigned)conf->io_timeout_s;
    const unsigned off = 0; /* no pointer at all would mean on */
    const my_bool yes = 1, no = 0;

    mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no);
    mysql_options(mysql, MYSQL_REPORT_DATA_TRUNCATION, &no);
    if (conf->ssl) {
        mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
        mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
}

/* With TLS the library must see the host's name, to hold it against the
 * certificate; it looks it up itself then, from what was looked up just now. */
static enum err connect_to(struct mariadb_conn *c, const struct place *at)
{
    const struct db_conf *conf = at->conf;
    const char *host = at->address[0] && !conf->ssl ? at->address : at->host;
    const char *socket = conf->socket && *conf->socket ? conf->socket : NULL;
    MYSQL *connected = NULL;

    AWAIT(c,
          mysql_real_connect_start(&connected, c->mysql, socket ? "localhost" : host, conf->user, conf->password,
                                   conf->name, (unsigned)conf->port, socket,
                                   CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS),
          mysql_real_connect_cont(&connected, c->mysql, came));
    return connected ? OK : mariadb_error(c);
}

static const struct db_statement read_only = { "read_only", "SELECT @@global.read_only", DB_READ };

/* A replica, or a server that was made read-only, is no place for writes. */
static enum err refuse_read_only(struct mariadb_conn *c)
{
    struct db_rows rows;
    struct arena arena;
    enum err e;

    arena_init(&arena, 64 * 1024);
    e = mariadb_run(&c->base, &read_only, NULL, 0, &arena, &rows);
    if (e == OK && rows.count == 1 && db_int(db_row(&rows, 0)) != 0) {
        snprintf(c->base.error, sizeof(c->base.error), "the server is read-only");
        e = E_READ_ONLY;
    }
    arena_done(&arena);
    return e;
}

static enum err open_at(struct place *at, struct db_conn **ret_conn, char *error, size_t size)
{
    struct mariadb_conn *c = calloc(1, sizeof(*c));
    enum err e;

    if (!c)
        return E_NO_MEMORY;
    c->base.driver = &db_mariadb;
    c->base.conf = at->conf;
    c->mysql = mysql_init(NULL);
    if (!c->mysql) {
        free(c);
        return E_NO_MEMORY;
    }
    set_options(c->mysql, at->conf);
    e = connect_to(c, at);
    if (e == OK)
        e = mariadb_query(c, mariadb_session);
    if (e == OK)
        e = refuse_read_only(c);
    if (e == OK) {
        *ret_conn = &c->base;
        return OK;
    }
    snprintf(error, size, "%s: %s", at->host, c->base.error);
    c->base.broken = true;
    mariadb_close(&c->base);
    return E_UNAVAILABLE;
}

/* In the order of DB_HOST; the first that may be written to. */
enum err mariadb_open(const struct db_conf *conf, struct db_conn **ret_conn, char *error, size_t size)
{
    const bool by_socket = conf->socket && *conf->socket;
    enum err e = E_UNAVAILABLE;

    for (size_t i = 0; e != OK && i < (by_socket ? 1 : conf->host_count); i++) {
        struct place at = { .conf = conf };

        snprintf(at.host, sizeof(at.host), STR_FMT, STR_ARG(by_socket ? str_of(conf->socket) : conf->hosts[i]));
        if (!by_socket && task_offload(look_up, &at) != OK) {
            snprintf(error, size, "%s: no such host", at.host);
            continue;
        }
        e = open_at(&at, ret_conn, error, size);
    }
    return e;
}
