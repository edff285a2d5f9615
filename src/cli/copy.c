/* SPDX-License-Identifier: MIT */
/* sanad copy: moves all data from one database to another, row by row. */
#include "db/copy.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "app/schema.h"
#include "app/service.h"
#include "cli/cli.h"
#include "cli/copy_report.h"
#include "cli/migrate.h"
#include "cli/progress.h"
#include "db/url.h"

enum {
    ARENA_MAX_BYTES = 4 * 1024 * 1024,
    SILENCE_S = 120, /* a table is counted in one statement */
    URL_SIZE = DB_URL_MAX_BYTES,
};

/* One run of the command. */
struct transfer {
    const struct settings *settings;
    const char *command;
    bool restart;
    struct arena arena; /* outlives both databases */
    struct db_conf from, to;
    struct copy_job job;
    struct progress progress;
    int phase; /* that the progress is of; -1: none yet */
    char error[MIGRATE_ERROR_SIZE];
};

/* ---- what is told on the way ---- */

static void tell_progress(void *arg, enum copy_phase phase, int64_t done, int64_t total)
{
    static const char *const what[] = { [COPY_STORING] = "rows copied", [COPY_COMPARING] = "rows compared" };
    struct transfer *t = arg;

    if (t->phase != (int)phase) {
        progress_end(&t->progress);
        progress_start(&t->progress, stderr, what[phase]);
        t->phase = (int)phase;
    }
    progress_tell(&t->progress, done, total);
}

static void tell_refused(void *arg, const char *table, int64_t key, const char *why)
{
    struct transfer *t = arg;

    progress_end(&t->progress);
    fprintf(stderr, "sanad %s: %s, id %lld: %s\n", t->command, table, (long long)key, why);
}

/* ---- the two ends ---- */

static enum err say(struct transfer *t, enum err e, const char *text)
{
    snprintf(t->error, sizeof(t->error), "%s", text);
    return e;
}

/* What a side lacks, said of that side. */
static enum err look(struct transfer *t, struct db *db, const char *side, struct migrate_state *ret_state)
{
    char error[MIGRATE_ERROR_SIZE];
    const enum err e = migrate_look(db, ret_state, error, sizeof(error));

    if (e != OK)
        snprintf(t->error, sizeof(t->error), "the %s: %.600s", side, error);
    return e;
}

static enum err check_source(struct transfer *t)
{
    struct migrate_state state;
    enum err e = look(t, t->job.from, "source", &state);

    if (e != OK || state.pending == 0)
        return e;
    if (state.pending == state.all)
        return say(t, E_NOT_FOUND, "the source is not a database of this program");
    snprintf(t->error, sizeof(t->error), "the source lacks %d of %d migrations; run sanad migrate on it first",
             state.pending, state.all);
    return E_CONFLICT;
}

/* A new database is migrated; to upgrade one is a decision of its own. */
static enum err migrate_destination(struct transfer *t)
{
    struct migrate_state state;
    int applied = 0;
    enum err e = look(t, t->job.to, "destination", &state);

    if (e != OK || state.pending == 0)
        return e;
    if (state.pending == state.all)
        return migrate_apply(t->job.to, &applied, t->error, sizeof(t->error));
    snprintf(t->error, sizeof(t->error), "the destination lacks %d of %d migrations; run sanad migrate on it first",
             state.pending, state.all);
    return E_CONFLICT;
}

static enum err prepare_destination(struct transfer *t)
{
    bool unfinished = false;
    enum err e = copy_is_unfinished(t->job.to, &unfinished);

    if (e != OK) {
        snprintf(t->error, sizeof(t->error), "the destination: %.600s", db_last_error(t->job.to));
        return e;
    }
    if (unfinished && !t->restart) {
        puts("going on with the copy that was not finished");
        return OK;
    }
    if (unfinished)
        e = copy_discard(&t->job, t->error, sizeof(t->error));
    return e == OK ? migrate_destination(t) : e;
}

/* ---- copying ---- */

static enum err differs(struct transfer *t)
{
    return say(t, E_CONFLICT,
               "the two sides differ: the source was changed after a part of it was copied, or somebody "
               "has written to the destination. Run the same command with --restart to begin anew");
}

static enum err copy_and_compare(struct transfer *t, struct copy *c)
{
    struct copy_result *results = arena_array(&t->arena, struct copy_result, t->job.count);
    bool equal = false;
    enum err e = results ? copy_store(c, t->error, sizeof(t->error)) : E_NO_MEMORY;

    if (e == OK)
        e = copy_compare(c, results, &equal, t->error, sizeof(t->error));
    progress_end(&t->progress);
    if (e != OK)
        return e;
    copy_print_results(&t->job, results);
    return equal ? OK : differs(t);
}

/* What the operator can do about a copy that was begun. */
static const char *remedy(enum err e)
{
    if (e == E_INVALID)
        return "Mend these rows in the source, then run the same command again: it goes on where it stopped.";
    return e == E_CONFLICT ? NULL : "What was copied is kept: run the same command again, and it goes on.";
}

static enum err transfer(struct transfer *t)
{
    struct copy *c = NULL;
    enum err e = copy_open(&t->job, &c, t->error, sizeof(t->error));

    if (e != OK)
        return e;
    e = copy_and_compare(t, c);
    copy_close(c);
    if (e == OK)
        copy_print_next(t->settings, &t->from, &t->to);
    else if (remedy(e))
        fprintf(stderr, "sanad %s: %s\n", t->command, remedy(e));
    return e;
}

static int with_databases(struct transfer *t)
{
    enum err e = say(t, E_NO_MEMORY, "not enough memory");

    t->job.from = db_new(&t->from);
    t->job.to = db_new(&t->to);
    if (t->job.from && t->job.to)
        e = check_source(t);
    if (e == OK)
        e = prepare_destination(t);
    if (e == OK)
        e = transfer(t);
    db_free(t->job.to);
    db_free(t->job.from);
    if (e == OK)
        return cli_flush(t->command, stdout);
    fflush(stdout);
    fprintf(stderr, "sanad %s: %s\n", t->command, t->error);
    return CLI_FAILED;
}

/* ---- the secret ---- */

static int show_secret(const struct transfer *t)
{
    char secret[SERVICE_KEY_TEXT], error[MIGRATE_ERROR_SIZE];

    if (!str_eq(str_of(t->from.driver), STR("sqlite")))
        return cli_usage(t->command, "--show-secret: only an embedded database has its secret in a file");
    if (service_key_write(t->from.path, secret, error, sizeof(error)) != OK) {
        fprintf(stderr, "sanad %s: %s\n", t->command, error);
        return CLI_FAILED;
    }
    printf("SECRET_KEY=%s\n", secret);
    sodium_memzero(secret, sizeof(secret));
    return cli_flush(t->command, stdout);
}

/* ---- the command ---- */

static int read_url(struct transfer *t, const char *option, const char *url, struct db_conf *ret_conf)
{
    struct db_conf conf = service_probe_conf(t->settings);
    const char *why = "not enough memory";

    if (db_url_read(str_of(url), &t->arena, &conf, &why) != OK)
        return cli_usage(t->command, "%s: %s", option, why);
    conf.io_timeout_s = SILENCE_S;
    *ret_conf = conf;
    return CLI_OK;
}

/* Where the data go when nothing is said: to the settings' own database. */
static const char *own_url(const struct settings *s) { return s->db_driver == DB_DRIVER_SQLITE ? "sqlite:" : "mysql:"; }

static int check_ends(struct transfer *t)
{
    char url[URL_SIZE];

    if (db_url_same(&t->from, &t->to)) {
        db_url_write(&t->to, url, sizeof(url));
        return cli_usage(t->command, "source and destination are one database, %s", url);
    }
    t->from.must_exist = true;
    if (!str_eq(str_of(t->from.driver), STR("sqlite")) || access(t->from.path, F_OK) == 0)
        return CLI_OK;
    fprintf(stderr, "sanad %s: the source %s: %s\n", t->command, t->from.path, strerrordesc_np(errno));
    return CLI_FAILED;
}

static int run_transfer(struct transfer *t, const char *to)
{
    int status = read_url(t, "--to", to ? to : own_url(t->settings), &t->to);

    if (status == CLI_OK)
        status = check_ends(t);
    if (status != CLI_OK)
        return status;
    t->job = (struct copy_job){
        .tables = schema_tables,
        .count = schema_table_count,
        .arena = &t->arena,
        .watcher = { tell_progress, tell_refused, NULL, t },
    };
    progress_start(&t->progress, stderr, "rows");
    return with_databases(t);
}

static int run(int argc, char **argv)
{
    const char *from = NULL, *to = NULL;
    bool secret = false;
    struct transfer t = { .phase = -1 };
    const struct cli_option own[] = {
        { "from", .value = &from },
        { "to", .value = &to },
        { "restart", .given = &t.restart },
        { "show-secret", .given = &secret },
        { NULL },
    };
    struct cli_options options;
    struct settings s;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK && !from)
        status = cli_usage(options.command, "--from says where the data are: --from sqlite:data/sanad.db");
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    t.settings = &s;
    t.command = options.command;
    arena_init(&t.arena, ARENA_MAX_BYTES);
    status = read_url(&t, "--from", from, &t.from);
    if (status == CLI_OK)
        status = secret ? show_secret(&t) : run_transfer(&t, to);
    arena_done(&t.arena);
    settings_done(&s);
    return status;
}

const struct command command_copy = {
    .name = "copy",
    .arguments = "--from URL [--to URL] [--restart] [--show-secret] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Moves all data from one database to another",
    .help = "Copies every row as it is, in batches, and compares both sides at the end, row by\n"
            "row and by checksum. The destination must be new; it is migrated. Cut short by\n"
            "whatever, the same command goes on where it stopped, and nothing else uses the\n"
            "destination before the copy is finished. The source is only read; an embedded one\n"
            "takes no writes meanwhile. Stop the service first: what it writes to the source\n"
            "after the copy is not in it.\n"
            "\n"
            "  --from URL       where the data are\n"
            "  --to URL         where they go (the database of the settings)\n"
            "  --restart        empty what an unfinished copy left, and begin anew\n"
            "  --show-secret    copy nothing; print the SECRET_KEY that keeps valid what the\n"
            "                   embedded installation of --from signed\n"
            "  --env FILE       read this file instead of ./.env\n"
            "  --set KEY=VALUE  override a setting; may be repeated\n"
            "\n"
            "A URL is one of these; what it leaves out is as in the settings, and the password\n"
            "is always DB_PASSWORD:\n"
            "  sqlite:PATH  mysql://USER@HOST:PORT/NAME  mysql:///NAME?socket=PATH  mysql:\n"
            "\n"
            "Example:\n"
            "  sanad copy --from sqlite:data/sanad.db --to mysql://sanad@db.example/sanad\n",
    .run = run,
};
