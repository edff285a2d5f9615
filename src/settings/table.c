/* SPDX-License-Identifier: MIT */
#include "settings/table.h"

#include "settings/nearest.h"

/* The type of the member that each kind fills. */
#define SET_BOOL_T    bool
#define SET_INT_T     int
#define SET_BYTES_T   int64_t
#define SET_SECONDS_T double
#define SET_TEXT_T    struct str
#define SET_ADDRESS_T struct str
#define SET_MODE_T    unsigned
#define SET_URL_T     struct str
#define SET_CHOICE_T  unsigned /* what an enum without negative values is */
#define SET_LIST_T    struct str_list
#define SET_CIDRS_T   struct cidr_list

/* Kind and member of a row; where they do not match, it does not compile. */
#define AT(kind, member) kind, _Generic(((struct settings *)0)->member, kind##_T : offsetof(struct settings, member))

#define K                1024.0
#define M                (1024.0 * K)
#define G                (1024.0 * M)
#define DAY              86400.0

static const char *const log_levels[] = { "debug", "info", "warning", "error", NULL }; /* enum log_level  */
static const char *const log_formats[] = { "text", "json", NULL };                     /* enum log_format */
static const char *const drivers[] = { "sqlite", "mysql", NULL };                      /* enum db_driver_choice */
static const char *const real_ip_headers[] = {
    "any", "x-forwarded-for", "forwarded", "x-real-ip", NULL /* enum real_ip_header_choice */
};
static const char *const web_schemes[] = { "http", "https", NULL };
static const char *const redis_schemes[] = { "redis", "rediss", "unix", "redis+unix", NULL };

#define PRIVATE_RANGES "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10"

const char *const setting_groups[GROUP_COUNT] = {
    [GROUP_APP] = "application", [GROUP_DB] = "database", [GROUP_LIMIT] = "limiter",
    [GROUP_REDIS] = "redis",     [GROUP_CACHE] = "cache", [GROUP_WORKERS] = "workers",
};

/* clang-format off */
const struct setting settings_table[] = {
/*    key                             kind, member                                  default          min, max, choices,
      flags, group, help */
    { "DEBUG",                      AT(SET_BOOL,    debug),                       "False",         0, 0, NULL,
      0, GROUP_APP, "Clients are told times (Server-Timing), the log the plans of slow reads; not for production" },
    { "HOST",                       AT(SET_ADDRESS, host),                        "0.0.0.0",       0, 0, NULL,
      RESTART, GROUP_APP, "Address to listen on; :: for IPv6 and IPv4, empty for no TCP" },
    { "PORT",                       AT(SET_INT,     port),                        "8000",          0, 65535, NULL,
      RESTART, GROUP_APP, "TCP port to listen on; 0 takes any free one" },
    { "UNIX_SOCKET",                AT(SET_TEXT,    unix_socket),                 "",              0, 107, NULL,
      RESTART, GROUP_APP, "Unix socket to listen on as well, for a proxy on the same machine; empty is none" },
    { "UNIX_SOCKET_MODE",           AT(SET_MODE,    unix_socket_mode),            "0660",          0, 0777, NULL,
      RESTART, GROUP_APP, "Who may connect to it: owner, group, others" },
    { "RUN_AS_USER",                AT(SET_TEXT,    run_as_user),                 "",              0, 63, NULL,
      RESTART, GROUP_APP, "Started by root: the user to become once the ports are open; a name or a number" },
    { "RUN_AS_GROUP",               AT(SET_TEXT,    run_as_group),                "",              0, 63, NULL,
      RESTART, GROUP_APP, "... and the group; the user's own when empty" },
    { "LOG_LEVEL",                  AT(SET_CHOICE,  log_level),                   "info",          0, 0, log_levels,
      0, GROUP_APP, "Least level that is logged" },
    { "LOG_FORMAT",                 AT(SET_CHOICE,  log_format),                  "text",          0, 0, log_formats,
      0, GROUP_APP, "Form of the log's lines" },
    { "ACCESS_LOG",                 AT(SET_TEXT,    access_log),                  "-",             0, 1024, NULL,
      0, GROUP_APP, "File of the access log; - is standard output, empty is none" },
    { "PUBLIC_URL",                 AT(SET_URL,     public_url),                  "",              0, 1024, web_schemes,
      PLANNED, GROUP_APP, "How people outside reach this server, for links and QR codes" },
    { "SECRET_KEY",                 AT(SET_TEXT,    secret_key),                  "",              32, 1024, NULL,
      SECRET | RESTART, GROUP_APP, "Key that signs sessions and codes" },
    { "CORS_ORIGINS",               AT(SET_LIST,    cors_origins),                "",              0, 64, NULL,
      PLANNED, GROUP_APP, "Other sites whose pages may call the API, such as https://example.com" },
    { "METRICS_ALLOW",              AT(SET_CIDRS,   metrics_allow),               PRIVATE_RANGES,  0, 64, NULL,
      0, GROUP_APP, "Address ranges that may read /metrics; unix: who comes by the Unix socket" },
    { "WEB_DIR",                    AT(SET_TEXT,    web_dir),                     "web",           1, 1024, NULL,
      NOT_EMPTY, GROUP_APP, "Folder of the pages that people see" },

    { "DB_DRIVER",                  AT(SET_CHOICE,  db_driver),                   "sqlite",        0, 0, drivers,
      RESTART, GROUP_DB, "Kind of database; mysql when DB_HOST is set" },
    { "DB_PATH",                    AT(SET_TEXT,    db_path),                     "data/sanad.db", 1, 1024, NULL,
      NOT_EMPTY | RESTART, GROUP_DB, "SQLite: the database file" },
    { "DB_HOST",                    AT(SET_LIST,    db_host),                     "",              0, 16, NULL,
      RESTART, GROUP_DB, "MySQL: one or several servers, comma-separated; the first that may be written to is used" },
    { "DB_PORT",                    AT(SET_INT,     db_port),                     "3306",          1, 65535, NULL,
      RESTART, GROUP_DB, "MySQL: TCP port" },
    { "DB_SOCKET",                  AT(SET_TEXT,    db_socket),                   "",              0, 107, NULL,
      RESTART, GROUP_DB, "MySQL: Unix socket, instead of host and port" },
    { "DB_NAME",                    AT(SET_TEXT,    db_name),                     "",              0, 64, NULL,
      RESTART, GROUP_DB, "MySQL: name of the database" },
    { "DB_USER",                    AT(SET_TEXT,    db_user),                     "",              0, 128, NULL,
      0, GROUP_DB, "MySQL: account" },
    { "DB_PASSWORD",                AT(SET_TEXT,    db_password),                 "",              0, 1024, NULL,
      SECRET, GROUP_DB, "MySQL: password of DB_USER" },
    { "DB_SSL",                     AT(SET_BOOL,    db_ssl),                      "False",         0, 0, NULL,
      0, GROUP_DB, "MySQL: TLS, to a server whose certificate is valid and of its name; else no connection" },
    { "DB_SSL_CA",                  AT(SET_TEXT,    db_ssl_ca),                   "",              0, 1024, NULL,
      0, GROUP_DB, "MySQL: file of the authorities that may sign it, PEM; the system's when empty" },
    { "DB_POOL_SIZE",               AT(SET_INT,     db_pool_size),                "50",            1, 10000, NULL,
      RESTART, GROUP_DB, "Connections that are kept, of the node: all workers share them" },
    { "DB_MAX_OVERFLOW",            AT(SET_INT,     db_max_overflow),             "100",           0, 10000, NULL,
      RESTART, GROUP_DB, "Connections beyond those under load, of the node" },
    { "DB_POOL_TIMEOUT",            AT(SET_SECONDS, db_pool_timeout_s),           "30",            0.1, 3600, NULL,
      0, GROUP_DB, "Longest wait of a request for a connection" },
    { "DB_POOL_RECYCLE",            AT(SET_SECONDS, db_pool_recycle_s),           "3600",          0, 30 * DAY, NULL,
      0, GROUP_DB, "Age at which a connection is replaced, give or take a tenth; 0 is never" },
    { "DB_POOL_PRE_PING",           AT(SET_BOOL,    db_pool_pre_ping),            "True",          0, 0, NULL,
      0, GROUP_DB, "Try a connection that was idle before a request gets it" },
    { "DB_POOL_WARM",               AT(SET_BOOL,    db_pool_warm),                "False",         0, 0, NULL,
      0, GROUP_DB, "Open all kept connections at start instead of at first use" },
    { "DB_POOL_LEAK_SECONDS",       AT(SET_SECONDS, db_pool_leak_s),              "60",            0, DAY, NULL,
      0, GROUP_DB, "A connection held longer is logged with its route; 0 is never" },
    { "SLOW_QUERY_MS",              AT(SET_INT,     slow_query_ms),               "200",           0, 3600000, NULL,
      0, GROUP_DB, "A statement slower than so many milliseconds is logged; 0 is never" },
    { "SLOW_LOG",                   AT(SET_TEXT,    slow_log),                    "",              0, 1024, NULL,
      0, GROUP_DB, "File of slow statements as MySQL writes it, for pt-query-digest; empty is none" },
    { "QUERY_COUNT_WARN",           AT(SET_INT,     query_count_warn),            "10",            0, 100000, NULL,
      0, GROUP_DB, "A request with more statements is logged; 0 is never" },

    { "RATE_LIMIT_ENABLED",         AT(SET_BOOL,    rate_limit_enabled),          "True",          0, 0, NULL,
      0, GROUP_LIMIT, "Limit how often one client may ask" },
    { "RATE_LIMIT_PER_MINUTE",      AT(SET_INT,     rate_limit_per_minute),       "60",            1, 1000000, NULL,
      0, GROUP_LIMIT, "Requests a minute of one address" },
    { "RATE_LIMIT_PER_HOUR",        AT(SET_INT,     rate_limit_per_hour),         "1000",          1, 10000000, NULL,
      0, GROUP_LIMIT, "Requests an hour of one address" },
    { "RATE_LIMIT_USER_PER_MINUTE", AT(SET_INT,     rate_limit_user_per_minute),  "600",           1, 1000000, NULL,
      PLANNED, GROUP_LIMIT, "Requests a minute of one signed-in user, wherever from" },
    { "RATE_LIMIT_USER_PER_HOUR",   AT(SET_INT,     rate_limit_user_per_hour),    "10000",         1, 10000000, NULL,
      PLANNED, GROUP_LIMIT, "Requests an hour of one signed-in user, wherever from" },
    { "RATE_LIMIT_CLIENTS",         AT(SET_INT,     rate_limit_clients),          "100000",        1000, 10000000, NULL,
      RESTART, GROUP_LIMIT, "Clients remembered at once; the least recently seen goes first" },
    { "RATE_LIMIT_ALLOW",           AT(SET_CIDRS,   rate_limit_allow),            "",              0, 64, NULL,
      0, GROUP_LIMIT, "Address ranges that are never limited; unix: who comes by the Unix socket" },
    { "TRUSTED_PROXIES",            AT(SET_CIDRS,   trusted_proxies),             "",              0, 64, NULL,
      0, GROUP_LIMIT, "Proxies that are believed when they say for whom they ask: address ranges; unix: the Unix socket's" },
    { "REAL_IP_HEADER",             AT(SET_CHOICE,  real_ip_header),              "any",           0, 0, real_ip_headers,
      0, GROUP_LIMIT, "Header in which trusted proxies name the client; best set, as the others may be the client's" },
    { "PROXY_PROTOCOL",             AT(SET_BOOL,    proxy_protocol),              "False",         0, 0, NULL,
      0, GROUP_LIMIT, "Trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2" },

    { "REDIS_ENABLED",              AT(SET_BOOL,    redis_enabled),               "False",         0, 0, NULL,
      0, GROUP_REDIS, "Share limits and cache with other nodes through Redis" },
    { "REDIS_URL",                  AT(SET_URL,     redis_url),
      "redis://localhost:6379/0", 0, 1024, redis_schemes,
      SECRET_INSIDE | NOT_EMPTY, GROUP_REDIS, "Where Redis is" },

    { "CACHE_ENABLED",              AT(SET_BOOL,    cache_enabled),               "True",          0, 0, NULL,
      0, GROUP_CACHE, "Keep responses that are the same for everybody" },
    { "CACHE_TTL",                  AT(SET_SECONDS, cache_ttl_s),                 "30",            0, DAY, NULL,
      0, GROUP_CACHE, "Longest life of a kept response; a write ends it at once" },
    { "CACHE_MAX_BYTES",            AT(SET_BYTES,   cache_max_bytes),             "64M",           1 * M, 64 * G, NULL,
      0, GROUP_CACHE, "Memory for kept responses, of the node: all workers share it" },

    { "PID_FILE",                   AT(SET_TEXT,    pid_file),                    "data/sanad.pid", 0, 1024, NULL,
      RESTART, GROUP_WORKERS, "Where the commands find the running server: sanad limits; empty is nowhere" },
    { "MAX_WORKERS",                AT(SET_INT,     max_workers),                 "0",             0, 256, NULL,
      0, GROUP_WORKERS, "Worker processes; 0 is one a processor core" },
    { "WORKER_CONNECTIONS",         AT(SET_INT,     worker_connections),          "1000",          1, 1000000, NULL,
      0, GROUP_WORKERS, "Open connections, a worker; more wait in the backlog" },
    { "LIMIT_CONCURRENCY",          AT(SET_INT,     limit_concurrency),           "1000",          1, 1000000, NULL,
      0, GROUP_WORKERS, "Requests under way, a worker; more get 503 at once" },
    { "BACKLOG",                    AT(SET_INT,     backlog),                     "2048",          1, 65535, NULL,
      0, GROUP_WORKERS, "Connections that the kernel holds until a worker accepts them" },
    { "KEEP_ALIVE",                 AT(SET_SECONDS, keep_alive_s),                "5",             0.1, 3600, NULL,
      0, GROUP_WORKERS, "How long an idle connection stays open" },
    { "HEADER_TIMEOUT",             AT(SET_SECONDS, header_timeout_s),            "10",            0.1, 3600, NULL,
      0, GROUP_WORKERS, "Time for a client to send the head of a request" },
    { "BODY_TIMEOUT",               AT(SET_SECONDS, body_timeout_s),              "60",            0.1, 3600, NULL,
      0, GROUP_WORKERS, "Time between two pieces of a body that is awaited" },
    { "WRITE_TIMEOUT",              AT(SET_SECONDS, write_timeout_s),             "60",            0.1, 3600, NULL,
      0, GROUP_WORKERS, "A client that takes nothing of its answer for so long is cut off" },
    { "TIMEOUT",                    AT(SET_SECONDS, timeout_s),                   "120",           1, 3600, NULL,
      0, GROUP_WORKERS, "A worker that gives no sign of life for so long is killed and replaced" },
    { "GRACEFUL_TIMEOUT",           AT(SET_SECONDS, graceful_timeout_s),          "30",            0, 3600, NULL,
      0, GROUP_WORKERS, "Time for requests under way to finish when the server stops" },
    { "MAX_REQUESTS",               AT(SET_INT,     max_requests),                "0",             0, 1000000000, NULL,
      0, GROUP_WORKERS, "A worker is replaced after so many requests; 0 is never" },
    { "MAX_REQUESTS_JITTER",        AT(SET_INT,     max_requests_jitter),         "0",             0, 1000000000, NULL,
      0, GROUP_WORKERS, "So many more or fewer, by chance, so that workers go one by one" },
    { "MAX_BODY_BYTES",             AT(SET_BYTES,   max_body_bytes),              "10M",           1 * K, 1 * G, NULL,
      0, GROUP_WORKERS, "Largest request body; a larger one gets 413" },
};
/* clang-format on */

const size_t settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

_Static_assert(sizeof(settings_table) / sizeof(settings_table[0]) <= SETTINGS_MAX, "raise SETTINGS_MAX");
_Static_assert(CIDR_LIST_MAX == 64, "the rows of SET_CIDRS say 64");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "SET_CHOICE fills an unsigned");

const struct setting *settings_find(struct str key)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (str_eq(key, str_of(settings_table[i].key)))
            return &settings_table[i];
    }
    return NULL;
}

const char *settings_nearest(struct str key)
{
    struct nearest near = nearest_to(key);

    for (size_t i = 0; i < settings_count; i++)
        nearest_offer(&near, settings_table[i].key);
    return near.best;
}
