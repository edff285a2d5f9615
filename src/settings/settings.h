/* SPDX-License-Identifier: MIT */
/* The settings: what an operator may choose, as typed values.
 *
 *   default  <  .env file  <  environment  <  --set KEY=VALUE
 *
 * table.c has one row a setting; it names a member below, and all else follows
 * from the row: reading, checking, help, .env.example, docs/settings.md. To add
 * a setting, add a member here and a row there.
 *
 * All wrong values are reported, not only the first. Layers below do not see
 * this struct: whoever puts the program together hands them the values that
 * they ask for. Texts are also NUL-terminated and hold no NUL; they live in the
 * struct's arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cidr.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

struct setting; /* a row, settings/table.h */

enum db_driver_choice { DB_DRIVER_SQLITE, DB_DRIVER_MYSQL };
enum real_ip_header_choice {
    REAL_IP_HEADER_ANY,
    REAL_IP_HEADER_X_FORWARDED_FOR,
    REAL_IP_HEADER_FORWARDED,
    REAL_IP_HEADER_X_REAL_IP
};

struct str_list {
    size_t count;
    const struct str *rows;
};

enum setting_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND };

/* Where a value came from, and how it was written there. */
struct setting_origin {
    enum setting_source source;
    unsigned line;   /* of the file; 0 otherwise                              */
    const char *why; /* a default that was worked out: from what; else NULL   */
    struct str text; /* as written; secrets are in here unmasked              */
};

enum { SETTINGS_MAX = 80 };

struct settings {
    /* application */
    bool debug;
    struct str host; /* "": no TCP                                */
    int port; /* 0: any free one                            */
    struct str unix_socket;    /* a path; "": none                          */
    unsigned unix_socket_mode; /* of the file                               */
    struct str run_as_user, run_as_group;
    enum log_level log_level;
    enum log_format log_format;
    struct str access_log; /* "-": standard output; a path; "": none     */
    struct str public_url;
    struct str secret_key;
    struct str_list cors_origins;
    struct cidr_list metrics_allow;
    struct str web_dir;

    /* database */
    enum db_driver_choice db_driver;
    struct str db_path;
    struct str_list db_host;
    int db_port;
    struct str db_socket, db_name, db_user, db_password;
    bool db_ssl;
    struct str db_ssl_ca; /* empty: the system's                        */
    int db_pool_size;    /* of the node, shared by all workers         */
    int db_max_overflow; /* likewise                                   */
    double db_pool_timeout_s;
    double db_pool_recycle_s; /* 0: never                                   */
    bool db_pool_pre_ping;
    bool db_pool_warm;
    double db_pool_leak_s; /* 0: never                                   */
    int slow_query_ms;     /* 0: never                                   */
    struct str slow_log;   /* a path; "": none                           */
    int query_count_warn;  /* 0: never                                   */

    /* limiter */
    bool rate_limit_enabled;
    int rate_limit_per_minute, rate_limit_per_hour;
    int rate_limit_user_per_minute, rate_limit_user_per_hour;
    int rate_limit_clients;
    struct cidr_list trusted_proxies;
    enum real_ip_header_choice real_ip_header;
    bool proxy_protocol;
    struct cidr_list rate_limit_allow;

    /* redis */
    bool redis_enabled;
    struct str redis_url;

    /* cache */
    bool cache_enabled;
    double cache_ttl_s;
    int64_t cache_max_bytes;

    /* workers */
    struct str pid_file;
    int max_workers;        /* never 0 once loaded                        */
    int worker_connections; /* a worker                                   */
    int limit_concurrency;  /* a worker                                   */
    int backlog;
    double keep_alive_s, timeout_s, graceful_timeout_s;
    double header_timeout_s, body_timeout_s, write_timeout_s;
    int max_requests, max_requests_jitter;
    int64_t max_body_bytes;

    /* private */
    struct arena arena;
    struct str file;                             /* path of the .env file; "" when none was read */
    struct setting_origin origins[SETTINGS_MAX]; /* in the table's order                         */
};

/* Where to look. */
struct settings_sources {
    const char *file;            /* the .env file; NULL: none                   */
    bool file_required;          /* then it is an error that there is none      */
    char *const *environment;    /* as environ(7); NULL: that of the process    */
    const struct str *overrides; /* "KEY=VALUE"; the last of a key counts       */
    size_t override_count;
};

/* Something to tell the operator. `line` is 0 unless `source` is a file; `key`
 * is empty when it belongs to none; `value` has a NULL pointer when there is
 * none to show, and is masked when it is secret. */
struct settings_problem {
    struct str source;
    unsigned line;
    struct str key, value, text;
};

/* The first of them, and how many there were in all. */
enum { SETTINGS_PROBLEMS_MAX = 64 };
struct settings_problems {
    size_t kept, total;
    struct settings_problem rows[SETTINGS_PROBLEMS_MAX];
};

struct settings_report {
    struct settings_problems errors, warnings;
};

/* Reads the file (it must be there; NULL for none) and the environment. The
 * report's texts live in *s. Whatever is returned, *s wants settings_done(),
 * and a setting whose value was wrong has its default.
 * E_INVALID: the report has errors. E_NO_MEMORY. */
MUSTCHECK enum err settings_load(struct settings *s, const char *dotenv_path, struct settings_report *report);

/* The same from the sources named. */
MUSTCHECK enum err settings_load_from(struct settings *s, const struct settings_sources *from,
                                      struct settings_report *report);

/* Gives the settings that a reload cannot change (RESTART) the values that they have in
 * `before`, and calls held(arg, row) for each that was another. E_NO_MEMORY. */
MUSTCHECK enum err settings_hold(struct settings *s, const struct settings *before,
                                 void (*held)(void *arg, const struct setting *row), void *arg);

/* Wipes the secrets and frees what the values point to. Harmless when done. */
void settings_done(struct settings *s);

const struct setting_origin *settings_origin(const struct settings *s, const struct setting *row);

/* The settings that somebody chose but this version does not act on yet, in the
 * table's order, NULL at the end:
 *   for (size_t at = 0; (row = settings_planned(s, &at)) != NULL;) */
const struct setting *settings_planned(const struct settings *s, size_t *at);
