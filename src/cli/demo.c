/* SPDX-License-Identifier: MIT */
/* sanad demo: fills an empty database with believable data. */
#include "app/demo.h"

#include "app/service.h"
#include "cli/cli.h"
#include "cli/migrate.h"
#include "cli/progress.h"

static const int64_t default_seed = 1;

/* A number option; CLI_USAGE when it is none. Not given: *ret_value stays. */
static int take_number(const char *name, const char *text, int64_t most, int64_t *ret_value)
{
    if (!text || str_to_int(str_of(text), 0, most, ret_value) == OK)
        return CLI_OK;
    return cli_usage("demo", "--%s %s: wants a number from 0 to %lld", name, text, (long long)most);
}

/* Only a new database is migrated on the way: to upgrade one that somebody uses
 * is a decision of its own. */
static enum err prepare(struct db *db, char *error, size_t size)
{
    struct migrate_state state;
    int applied = 0;
    enum err e = migrate_look(db, &state, error, size);

    if (e != OK || state.pending == 0)
        return e;
    if (state.pending == state.all)
        return migrate_apply(db, &applied, error, size);
    snprintf(error, size, "%d migrations are pending; run sanad migrate first", state.pending);
    return E_CONFLICT;
}

static void tell(void *arg, int64_t done, int64_t total) { progress_tell(arg, done, total); }

static void print_counts(const struct demo_counts *c, double seconds)
{
    printf("%lld certificates, %lld templates, %lld spas, %lld users, %lld candidate forms, %lld hiring forms\n"
           "in %.1f s. Nobody can sign in as one of these users.\n",
           (long long)c->certificates, (long long)c->templates, (long long)c->spas, (long long)c->users,
           (long long)c->candidate_forms, (long long)c->hiring_forms, seconds);
}

/* What a run is asked to do. */
struct task {
    struct demo_options options;
    bool if_empty; /* a database that has data is no failure, and stays as it is */
};

static enum err fill(struct db *db, struct task *task, char *error, size_t size)
{
    struct progress progress;
    struct demo_counts counts;
    struct demo_error why = { .text = "" };

    progress_start(&progress, stderr, "certificates");
    task->options.progress = tell;
    task->options.arg = &progress;
    const enum err e = demo_fill(db, &task->options, &counts, &why);
    progress_end(&progress);
    if (e == OK)
        print_counts(&counts, progress_seconds(&progress));
    else
        snprintf(error, size, "%s", why.text);
    if (e == OK || !task->if_empty || !why.has_data)
        return e;
    puts("the database has data already; nothing was added");
    return OK;
}

static int with_database(const char *command, const struct settings *s, struct task *task)
{
    const struct db_conf conf = service_db_conf(s);
    char error[MIGRATE_ERROR_SIZE] = "not enough memory";
    struct db *db = db_new(&conf);
    enum err e = E_NO_MEMORY;

    if (db)
        e = prepare(db, error, sizeof(error));
    if (e == OK)
        e = fill(db, task, error, sizeof(error));
    db_free(db);
    if (e == OK)
        return cli_flush(command, stdout);
    fprintf(stderr, "sanad %s: %s\n", command, error);
    return CLI_FAILED;
}

static int run(int argc, char **argv)
{
    const char *certificates = NULL, *seed = NULL;
    struct task task = { .if_empty = false };
    const struct cli_option own[] = {
        { "certificates", .value = &certificates },
        { "seed", .value = &seed },
        { "if-empty", .given = &task.if_empty },
        { NULL },
    };
    struct cli_options options;
    struct settings s;
    int64_t count = DEMO_CERTIFICATES_DEFAULT, seed_value = default_seed;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = take_number("certificates", certificates, DEMO_CERTIFICATES_MAX, &count);
    if (status == CLI_OK)
        status = take_number("seed", seed, INT64_MAX, &seed_value);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    task.options = (struct demo_options){ .certificates = count, .seed = (uint64_t)seed_value };
    status = cli_supported(&options, &s);
    if (status == CLI_OK)
        status = with_database(options.command, &s, &task);
    settings_done(&s);
    return status;
}

const struct command command_demo = {
    .name = "demo",
    .arguments = "[--certificates N] [--seed N] [--if-empty] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Fills an empty database with believable data",
    .help = "An invented chain of 40 spas, its people, templates, forms and certificates of\n"
            "all categories, over two years. All or nothing: one transaction. A database that\n"
            "holds anything already is refused. The same seed makes the same data.\n"
            "\n"
            "  --certificates N  how many, 0 to 5000000 (100000)\n"
            "  --seed N          another number, other data (1)\n"
            "  --if-empty        leave a database that has data as it is, and exit with 0\n"
            "  --env FILE        read this file instead of ./.env\n"
            "  --set KEY=VALUE   override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sanad demo --certificates 1000 --set DB_PATH=/tmp/demo/sanad.db\n",
    .run = run,
};
