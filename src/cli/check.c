/* SPDX-License-Identifier: MIT */
/* sanad check: would the service run well with these settings? Prints what it
 * finds, a line each, and what to do about it; exits with 1 if it would not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/sanad.h"
#include "cli/cli.h"
#include "ops/sockets.h"
#include "settings/table.h"

enum { ERROR_SIZE = 256, APPLICATION_BYTES = 1024 * 1024, PATH_LIMIT = 4096, LOW_DISK_MB = 100, LISTED = 512 };

/* The findings so far. */
struct findings {
    int bad, warned;
};

static void good(const char *what, const char *detail) { printf("ok      %-16s %s\n", what, detail); }

static void warn(struct findings *f, const char *what, const char *detail)
{
    printf("warn    %-16s %s\n", what, detail);
    f->warned++;
}

static void bad(struct findings *f, const char *what, const char *detail)
{
    printf("BAD     %-16s %s\n", what, detail);
    f->bad++;
}

static void check_planned(struct findings *f, const struct settings *s)
{
    const struct setting *row;

    for (size_t at = 0; (row = settings_planned(s, &at)) != NULL;)
        warn(f, row->key, "is set, but this version does not act on it yet");
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
    char above[PATH_LIMIT], line[LISTED];

    folder_of(folder, above);
    if (access(above, W_OK | X_OK) == 0) {
        snprintf(line, sizeof(line), "%.300s does not exist yet; sanad serve and sanad migrate make it", folder);
        warn(f, "data folder", line);
        return;
    }
    snprintf(line, sizeof(line), "%.200s does not exist and cannot be made in %.200s: %s", folder, above,
             strerrordesc_np(errno));
    bad(f, "data folder", line);
}

static void check_folder(struct findings *f, const struct settings *s)
{
    char folder[PATH_LIMIT], line[LISTED];
    struct statvfs disk;
    unsigned long long free_mb;

    folder_of(s->db_path.ptr, folder);
    if (access(folder, F_OK) != 0 && errno == ENOENT) {
        check_missing_folder(f, folder);
        return;
    }
    if (access(folder, W_OK | X_OK) != 0) {
        snprintf(line, sizeof(line), "%.300s: this user may not write there: %s", folder, strerrordesc_np(errno));
        bad(f, "data folder", line);
        return;
    }
    if (statvfs(folder, &disk) != 0)
        return;
    free_mb = (unsigned long long)disk.f_bavail * disk.f_frsize / (1024 * 1024);
    snprintf(line, sizeof(line), "%.300s, %llu MB free", folder, free_mb);
    if (free_mb < LOW_DISK_MB)
        bad(f, "data folder", line);
    else
        good("data folder", line);
}

static void check_migrations(struct findings *f, struct db *db, const struct application *app)
{
    char error[ERROR_SIZE] = "", line[LISTED];
    size_t count = 0;
    int pending = 0;

    const struct migration *list = app->migrations(db_dialect(db), &count);

    if (migrate_pending(db, list, count, &pending, error, sizeof(error)) != OK) {
        bad(f, "migrations", error);
        return;
    }
    snprintf(line, sizeof(line), "%d of %zu to be applied%s", pending, count,
             pending > 0 ? "; sanad serve and sanad migrate do that" : "");
    if (pending > 0)
        warn(f, "migrations", line);
    else
        good("migrations", line);
}

static void check_database(struct findings *f, const struct settings *s, const struct application *app)
{
    const struct db_conf conf = service_db_conf(s, 0, 1);
    struct db *db;

    const bool embedded = s->db_driver == DB_DRIVER_SQLITE;

    if (embedded && access(s->db_path.ptr, F_OK) != 0) {
        warn(f, "database", "does not exist yet; sanad serve and sanad migrate make it");
        return;
    }
    db = db_new(&conf);
    if (!db || db_ping(db) != OK)
        bad(f, "database", db && db_last_error(db)[0] ? db_last_error(db) : "does not answer");
    else if (embedded && access(s->db_path.ptr, W_OK) != 0)
        bad(f, "database", "this user may not write to it");
    else {
        good("database", embedded ? s->db_path.ptr : s->db_name.ptr);
        check_migrations(f, db, app);
    }
    db_free(db);
}

static void check_port(struct findings *f, const struct settings *s)
{
    const struct sockets_conf conf = { s->host.ptr, s->port, 1, s->backlog };
    char error[ERROR_SIZE] = "", line[LISTED];
    struct sockets sockets;

    if (sockets_open(&conf, &sockets, error, sizeof(error)) != OK) {
        bad(f, "address", error);
        return;
    }
    snprintf(line, sizeof(line), "%s:%d is free", sockets.url_host, sockets.port);
    good("address", line);
    sockets_close(&sockets);
}

static void check_descriptors(struct findings *f, const struct settings *s)
{
    const rlim_t wanted = (rlim_t)(s->worker_connections + s->db_pool_size + s->db_max_overflow);
    struct rlimit limit;
    char line[LISTED];

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    snprintf(line, sizeof(line), "%llu wanted a worker, %llu allowed", (unsigned long long)wanted,
             (unsigned long long)limit.rlim_max);
    if (limit.rlim_max < wanted)
        warn(f, "descriptors", line);
    else
        good("descriptors", line);
}

static void check_secret(struct findings *f, const struct settings *s)
{
    if (s->secret_key.len > 0)
        good("SECRET_KEY", "is set");
    else
        good("SECRET_KEY", "is not set: a secret is kept beside the database file (enough for one node)");
    if (access(s->web_dir.ptr, R_OK | X_OK) != 0)
        warn(f, "WEB_DIR", "is not a readable folder: there will be no pages");
}

static int check(const struct settings *s)
{
    struct findings f = { 0 };
    const struct application *app;
    struct arena arena;

    arena_init(&arena, APPLICATION_BYTES);
    app = sanad_application(&arena);
    if (!app)
        return CLI_FAILED;
    check_folder(&f, s);
    check_database(&f, s, app);
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
    .help = "Looks at the settings, the data folder, the database and its migrations, the\n"
            "address and the limits of the system, changes nothing, and says what to do.\n"
            "Exits with 0 if the service would run, 1 if it would not, 78 if a setting is\n"
            "wrong.\n"
            "\n"
            "Example:\n"
            "  sanad check --set DB_PATH=/var/lib/sanad/sanad.db\n",
    .run = run,
};
