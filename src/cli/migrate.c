/* SPDX-License-Identifier: MIT */
/* sanad migrate: brings the database up to date, or says what it lacks. */
#include "cli/migrate.h"

#include <errno.h>
#include <unistd.h>

#include "app/service.h"
#include "cli/cli.h"
#include "db/migrate.h"

enum err migrate_look(struct db *db, struct migrate_state *ret_state, char *error, size_t size)
{
    size_t count = 0;
    int pending = 0;
    const struct migration *list = migrations_of(db_dialect(db), &count);
    const enum err e = migrate_pending(db, list, count, &pending, error, size);

    if (e == OK)
        *ret_state = (struct migrate_state){ .all = (int)count, .pending = pending };
    return e;
}

static void print_migration(void *arg, const struct migration *m)
{
    (void)arg;
    printf("applied %04d %s\n", m->number, m->name);
    fflush(stdout);
}

enum err migrate_apply(struct db *db, int *ret_applied, char *error, size_t size)
{
    size_t count = 0;
    const struct migration *list = migrations_of(db_dialect(db), &count);

    return migrate_up(db, list, count, print_migration, NULL, ret_applied, error, size);
}

/* ---- the command ---- */

static enum err apply(struct db *db, char *error, size_t size)
{
    int applied = 0;
    const enum err e = migrate_apply(db, &applied, error, size);

    if (e == OK && applied == 0)
        puts("the database is up to date");
    return e;
}

static void print_pending(const struct migrate_state *state)
{
    printf("%d of %d migrations pending\n", state->pending, state->all);
}

static enum err look(struct db *db, char *error, size_t size)
{
    struct migrate_state state;
    const enum err e = migrate_look(db, &state, error, size);

    if (e == OK)
        print_pending(&state);
    return e;
}

/* Of a database that is not there, and is not to be made by asking. */
static int look_at_nothing(const char *command)
{
    size_t count = 0;

    (void)migrations_of("sqlite", &count);
    print_pending(&(struct migrate_state){ .all = (int)count, .pending = (int)count });
    return cli_flush(command, stdout);
}

static int with_database(const char *command, const struct settings *s, bool only_look)
{
    const struct db_conf conf = service_db_conf(s);
    char error[MIGRATE_ERROR_SIZE] = "not enough memory";
    enum err e = E_NO_MEMORY;

    if (only_look && s->db_driver == DB_DRIVER_SQLITE && access(conf.path, F_OK) != 0 && errno == ENOENT)
        return look_at_nothing(command);
    struct db *db = db_new(&conf);
    if (db)
        e = only_look ? look(db, error, sizeof(error)) : apply(db, error, sizeof(error));
    db_free(db);
    if (e == OK)
        return cli_flush(command, stdout);
    fprintf(stderr, "sanad %s: %s\n", command, error);
    return CLI_FAILED;
}

static int run(int argc, char **argv)
{
    bool only_look = false;
    const struct cli_option own[] = { { "status", .given = &only_look }, { NULL } };
    struct cli_options options;
    struct settings s;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    status = cli_supported(&options, &s);
    if (status == CLI_OK)
        status = with_database(options.command, &s, only_look);
    settings_done(&s);
    return status;
}

const struct command command_migrate = {
    .name = "migrate",
    .arguments = "[--status] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Brings the database up to date",
    .help = "Applies the migrations that the database lacks, each in a transaction of its own,\n"
            "and makes the database and its folder if they are not there (the folder above\n"
            "must be). Safe to run while others do: each migration is applied once.\n"
            "\n"
            "  --status         say how many are pending; change nothing\n"
            "  --env FILE       read this file instead of ./.env\n"
            "  --set KEY=VALUE  override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sanad migrate --set DB_PATH=/var/lib/sanad/sanad.db\n",
    .run = run,
};
