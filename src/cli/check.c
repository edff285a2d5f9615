/* SPDX-License-Identifier: MIT */
/* sanad check: would the service run well with these settings? Prints what it
 * finds, a line each, and what to do about it; exits with 1 if it would not. */
#include "cli/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/sanad.h"
#include "cli/cli.h"
#include "ops/listeners.h"
#include "settings/table.h"

enum { ERROR_SIZE = 256, APPLICATION_BYTES = 1024 * 1024, PATH_LIMIT = 4096, LOW_DISK_MB = 100 };

/* ---- findings -------------------------------------------------------------------- */

PRINTF(3, 0)
static void print(const char *kind, const char *what, const char *format, va_list args)
{
    printf("%-7s %-16s ", kind, what);
    vprintf(format, args);
    putchar('\n');
}

void finding_good(const char *what, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print("ok", what, format, args);
    va_end(args);
}

void finding_warn(struct findings *f, const char *what, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print("warn", what, format, args);
    va_end(args);
    f->warned++;
}

void finding_bad(struct findings *f, const char *what, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print("BAD", what, format, args);
    va_end(args);
    f->bad++;
}

/* ---- the parts ------------------------------------------------------------------- */

static void check_planned(struct findings *f, const struct settings *s)
{
    const struct setting *row;

    for (size_t at = 0; (row = settings_planned(s, &at)) != NULL;)
        finding_warn(f, row->key, "is set, but this version does not act on it yet");
}

/* The folder that a file or folder is in. */
static void folder_of(const char *path, char out[PATH_LIMIT])
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(out, PATH_LIMIT, ".");
    else
        snprintf(out, PATH_LIMIT, "%.*s", slash > path ? (int)(slash - path) : 1, path);
}

/* The first start makes the folder, not the one above. */
static void check_missing_folder(struct findings *f, const char *folder)
{
    char above[PATH_LIMIT];

    folder_of(folder, above);
    if (access(above, W_OK | X_OK) == 0)
        finding_warn(f, "data folder", "%s does not exist yet; sanad serve and sanad migrate make it", folder);
    else
        finding_bad(f, "data folder", "%s does not exist and cannot be made in %s: %s", folder, above,
                    strerrordesc_np(errno));
}

static void check_folder(struct findings *f, const struct settings *s)
{
    char folder[PATH_LIMIT];
    struct statvfs disk;
    unsigned long long free_mb;

    folder_of(s->db_path.ptr, folder);
    if (access(folder, F_OK) != 0 && errno == ENOENT) {
        check_missing_folder(f, folder);
        return;
    }
    if (access(folder, W_OK | X_OK) != 0) {
        finding_bad(f, "data folder", "%s: this user may not write there: %s", folder, strerrordesc_np(errno));
        return;
    }
    if (statvfs(folder, &disk) != 0)
        return;
    free_mb = (unsigned long long)disk.f_bavail * disk.f_frsize / (1024 * 1024);
    if (free_mb < LOW_DISK_MB)
        finding_bad(f, "data folder", "%s, %llu MB free; make room: writes fail on a full disk", folder, free_mb);
    else
        finding_good("data folder", "%s, %llu MB free", folder, free_mb);
}

static void check_file(struct findings *f, const struct settings *s, const struct application *app)
{
    const struct db_conf conf = service_probe_conf(s);
    struct db *db;

    if (access(s->db_path.ptr, F_OK) != 0) {
        finding_warn(f, "database", "does not exist yet; sanad serve and sanad migrate make it");
        return;
    }
    db = db_new(&conf);
    if (!db || db_ping(db) != OK)
        finding_bad(f, "database", "%s", db && db_last_error(db)[0] ? db_last_error(db) : "does not answer");
    else if (access(s->db_path.ptr, W_OK) != 0)
        finding_bad(f, "database", "this user may not write to it");
    else {
        finding_good("database", "%s", s->db_path.ptr);
        check_schema(f, db, app);
    }
    db_free(db);
}

static void check_database(struct findings *f, const struct settings *s, const struct application *app)
{
    if (s->db_driver != DB_DRIVER_SQLITE) {
        check_server(f, s, app);
        return;
    }
    check_folder(f, s);
    check_file(f, s, app);
}

static void check_port(struct findings *f, const struct settings *s)
{
    const struct listeners_conf conf = {
        .host = s->host.ptr,
        .port = s->port,
        .count = 1,
        .backlog = s->backlog,
        .path = s->unix_socket.ptr,
        .mode = s->unix_socket_mode,
    };
    char error[ERROR_SIZE] = "", places[ERROR_SIZE];
    struct listeners listeners;

    if (listeners_open(&conf, &listeners, error, sizeof(error)) != OK) {
        finding_bad(f, "address", "%s", error);
        return;
    }
    listeners_print(&listeners, places, sizeof(places));
    finding_good("address", "%s is free", places);
    listeners_close(&listeners);
}

static void check_descriptors(struct findings *f, const struct settings *s)
{
    const rlim_t wanted = (rlim_t)(s->worker_connections + s->db_pool_size + s->db_max_overflow);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max < wanted)
        finding_warn(f, "descriptors", "%llu wanted a worker, %llu allowed; raise the limit (ulimit -n, LimitNOFILE=)",
                     (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
    else
        finding_good("descriptors", "%llu wanted a worker, %llu allowed", (unsigned long long)wanted,
                     (unsigned long long)limit.rlim_max);
}

/* A server's other nodes must have the same one: none is made for them. */
static void check_secret(struct findings *f, const struct settings *s)
{
    if (s->secret_key.len > 0)
        finding_good("SECRET_KEY", "is set");
    else if (s->db_driver == DB_DRIVER_SQLITE)
        finding_good("SECRET_KEY", "is not set: a secret is kept beside the database file (enough for one node)");
    else
        finding_bad(f, "SECRET_KEY", "is not set, and sanad serve does not start without one");
    if (access(s->web_dir.ptr, R_OK | X_OK) != 0)
        finding_warn(f, "WEB_DIR", "is not a readable folder: there will be no pages");
}

static int check(const struct settings *s)
{
    struct findings f = { 0 };
    const struct application *app;
    struct arena arena;

    arena_init(&arena, APPLICATION_BYTES);
    app = sanad_application(s, &arena);
    if (!app)
        return CLI_FAILED;
    check_database(&f, s, app);
    check_redis(&f, s);
    check_port(&f, s);
    check_descriptors(&f, s);
    check_secret(&f, s);
    check_planned(&f, s);
    printf("\n%d bad, %d warnings\n", f.bad, f.warned);
    arena_done(&arena);
    return f.bad > 0 ? CLI_FAILED : CLI_OK;
}

static int run(int argc, char **argv)
{
    struct cli_options options;
    struct settings s;
    int status = cli_parse(argc, argv, NULL, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    status = cli_supported(&options, &s);
    if (status == CLI_OK)
        status = check(&s);
    settings_done(&s);
    return status != CLI_OK ? status : cli_flush("check", stdout);
}

const struct command command_check = {
    .name = "check",
    .arguments = "[--env FILE] [--set KEY=VALUE]...",
    .summary = "Tells whether the service would run well with these settings",
    .help = "Looks at the settings, the database with its migrations and indexes, the data\n"
            "folder or the database server (version, room for the pool, speed, clock, text,\n"
            "durability, memory, encryption), the address and the limits of the system;\n"
            "changes nothing, and says what to do. Safe beside a running service.\n"
            "Exits with 0 if the service would run, 1 if it would not, 78 if a setting is\n"
            "wrong.\n"
            "\n"
            "Example:\n"
            "  sanad check --set DB_PATH=/var/lib/sanad/sanad.db\n",
    .run = run,
};
