/* SPDX-License-Identifier: MIT */
/* What a MariaDB or MySQL server says of itself, for the start and for
 * `sanad check`. Whether that is good is for the caller to judge.
 *
 * Only what both document is asked for, and needs no privilege: SHOW VARIABLES,
 * SHOW STATUS, and information_schema, which shows each account its own. A fact
 * that a server does not give all the same stays unknown: FACT_UNKNOWN, or a text
 * whose pointer is NULL. Texts live in the scope's arena.
 */
#pragma once

#include "db/db.h"

enum { FACT_UNKNOWN = -1 };

enum server_kind { SERVER_OTHER, SERVER_MARIADB, SERVER_MYSQL };

struct server_version {
    enum server_kind kind;
    int              major, minor, patch;
};

struct server_facts {
    struct server_version version;
    struct str version_text;          /* "10.11.6-MariaDB-0+deb12u1"                          */
    struct str charset, collation;    /* of our database                                      */
    struct str server_charset;        /* of a database that is made without saying            */
    struct str tls_cipher;            /* of this connection; empty: none                      */
    int64_t    max_connections;
    int64_t    max_user_connections;  /* of this account; 0: no limit of its own              */
    int64_t    connected;             /* now, with this connection                            */
    int64_t    max_used;              /* connections at once, since the server started        */
    int64_t    ours;                  /* now, of this account from this machine, without this one */
    int64_t    wait_timeout_s;        /* after which it closes an idle connection             */
    int64_t    buffer_pool_bytes;
    int64_t    data_bytes;            /* tables and indexes of our database                   */
    int64_t    flush_log;             /* innodb_flush_log_at_trx_commit                       */
    int64_t    ahead_ms;              /* its clock, of ours                                   */
    mono_ns    round_trip_ns;         /* of a small statement, the median                     */
};

/* Reads all but what examine_speed() adds. Fails only when the server does. */
MUSTCHECK enum err examine_server(struct db_scope *scope, struct server_facts *ret_facts);

/* Adds data_bytes, ahead_ms and round_trip_ns: some twenty statements. */
MUSTCHECK enum err examine_speed(struct db_scope *scope, struct server_facts *facts);

/* From VERSION() and @@version_comment. SERVER_OTHER when no number is in it. */
struct server_version server_version_of(struct str text, struct str comment);

/* Whether it is older than that. */
bool server_version_older(const struct server_version *v, int major, int minor, int patch);

/* Connections that are neither ours nor this one. */
int64_t facts_others(const struct server_facts *facts);

/* How many connections this node may have in all, when one is left for an
 * administrator; 0 for none, FACT_UNKNOWN when the limits are. */
int64_t facts_room(const struct server_facts *facts);

/* What my.cnf should say so that `wanted` are possible: "max_connections = 200". */
enum { FACTS_LINE_SIZE = 96 };
void facts_room_line(const struct server_facts *facts, int64_t wanted, char out[static FACTS_LINE_SIZE]);
