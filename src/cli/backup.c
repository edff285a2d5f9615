/* SPDX-License-Identifier: MIT */
/* sanad backup: keeps the database as one file, while the service runs on it.
 *
 *   embedded   the pages as they are at one moment (db/backup.h)
 *   a server   the rows as they are at one moment (db/copy.h), in an embedded database
 *
 * so that a backup of either is read by the same commands. */
#include "db/backup.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "app/schema.h"
#include "app/service.h"
#include "cli/backup_file.h"
#include "cli/cli.h"
#include "cli/migrate.h"
#include "cli/progress.h"

enum {
    ARENA_MAX_BYTES = 4 * 1024 * 1024,
    SILENCE_S = 120, /* a table is counted in one statement */
    ERROR_SIZE = BACKUP_PATH_SIZE + MIGRATE_ERROR_SIZE,
};

static const double bytes_of_mb = 1e6;

/* One run of the command. */
struct backup {
    const struct settings *settings;
    const char *command;
    struct backup_file file;
    struct backup_content content; /* as it was read */
    struct progress progress;
    const char *doing; /* what the progress counts; NULL: nothing yet */
    char error[ERROR_SIZE];
};

/* ---- stopping ------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop_signal;

static void on_stop_signal(int number) { stop_signal = number; }

/* A run that is asked to stop takes its draft away first; asked twice, it ends at once. */
static void catch_stop_signals(void)
{
    const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_stop_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
}

static bool is_stopped(void *arg)
{
    (void)arg;
    return stop_signal != 0;
}

/* ---- what is told on the way ------------------------------------------------------------------ */

static void tell(struct backup *b, const char *what, int64_t done, int64_t total)
{
    if (b->doing != what) {
        progress_end(&b->progress);
        progress_start(&b->progress, stderr, what);
        b->doing = what;
    }
    progress_tell(&b->progress, done, total);
}

static void tell_pages(void *arg, int64_t done, int64_t total) { tell(arg, "pages copied", done, total); }

static void tell_rows(void *arg, enum copy_phase phase, int64_t done, int64_t total)
{
    static const char *const what[] = { [COPY_STORING] = "rows copied", [COPY_COMPARING] = "rows compared" };

    tell(arg, what[phase], done, total);
}

static void tell_refused(void *arg, const char *table, int64_t key, const char *why)
{
    struct backup *b = arg;

    progress_end(&b->progress);
    fprintf(stderr, "sanad %s: %s, id %" PRId64 ": %s\n", b->command, table, key, why);
}

static void tell_table(void *arg, const char *name, int64_t rows)
{
    (void)arg;
    printf("%-32s %10" PRId64 "\n", name, rows);
}

static struct backup_watcher watcher_of(struct backup *b)
{
    return (struct backup_watcher){ .progress = tell_pages, .stopped = is_stopped, .arg = b };
}

/* ---- a server's database -------------------------------------------------------------------------- */

static enum err look_at_server(struct backup *b, struct db *db)
{
    struct migrate_state state;
    const enum err e = migrate_look(db, &state, b->error, sizeof(b->error));

    if (e != OK || state.pending == 0)
        return e;
    snprintf(b->error, sizeof(b->error),
             "the database lacks %d of this program's %d migrations: run sanad migrate first, or back it up with the "
             "version that it is of",
             state.pending, state.all);
    return E_CONFLICT;
}

static enum err prepare_draft(struct backup *b, struct db *draft)
{
    size_t count = 0;
    int applied = 0;
    const struct migration *list = migrations_of(db_dialect(draft), &count);

    return migrate_up(draft, list, count, NULL, NULL, &applied, b->error, sizeof(b->error));
}

static enum err copy_and_compare(struct backup *b, const struct copy_job *job)
{
    struct copy_result *results = arena_array(job->arena, struct copy_result, job->count);
    struct copy *c = NULL;
    bool equal = false;
    enum err e = results ? copy_open(job, &c, b->error, sizeof(b->error)) : E_NO_MEMORY;

    if (e == OK)
        e = copy_store(c, b->error, sizeof(b->error));
    if (e == OK)
        e = copy_compare(c, results, &equal, b->error, sizeof(b->error));
    copy_close(c);
    if (e == OK && !equal) {
        snprintf(b->error, sizeof(b->error), "the copy is not as the database was");
        e = E_CONFLICT;
    }
    b->content = (struct backup_content){ .tables = (int64_t)job->count };
    for (size_t i = 0; e == OK && i < job->count; i++)
        b->content.rows += results[i].from.rows;
    return e;
}

static enum err copy_rows(struct backup *b, struct copy_job *job)
{
    enum err e = look_at_server(b, job->from);

    if (e == OK)
        e = prepare_draft(b, job->to);
    return e == OK ? copy_and_compare(b, job) : e;
}

static enum err store_server(struct backup *b)
{
    struct db_conf from = service_probe_conf(b->settings), to = from;
    struct arena arena;
    struct copy_job job = {
        .tables = schema_tables,
        .count = schema_table_count,
        .arena = &arena,
        .watcher = { tell_rows, tell_refused, is_stopped, b },
    };
    enum err e = E_NO_MEMORY;

    from.io_timeout_s = SILENCE_S;
    from.only_read = true;
    to.driver = "sqlite";
    to.path = b->file.draft;
    arena_init(&arena, ARENA_MAX_BYTES);
    job.from = db_new(&from);
    job.to = db_new(&to);
    if (job.from && job.to)
        e = copy_rows(b, &job);
    db_free(job.to);
    db_free(job.from);
    arena_done(&arena);
    return e == OK ? backup_seal(b->file.draft, b->error, sizeof(b->error)) : e;
}

/* ---- storing ---------------------------------------------------------------------------------------- */

static bool is_embedded(const struct settings *s) { return s->db_driver == DB_DRIVER_SQLITE; }

static enum err store(struct backup *b)
{
    const struct backup_watcher w = watcher_of(b);

    if (!is_embedded(b->settings))
        return store_server(b);
    return backup_store(b->settings->db_path.ptr, b->file.draft, &w, &b->content, b->error, sizeof(b->error));
}

/* What was written is read again, all of it. */
static enum err check_draft(struct backup *b)
{
    const struct backup_watcher w = watcher_of(b);
    struct backup_content there;
    enum err e;

    progress_end(&b->progress);
    if (progress_seconds(&b->progress) > 1)
        fputs("checking the copy\n", stderr);
    e = backup_check(b->file.draft, BACKUP_QUICK, &w, &there, b->error, sizeof(b->error));
    if (e != OK || (there.tables == b->content.tables && there.rows == b->content.rows))
        return e;
    snprintf(b->error, sizeof(b->error), "the copy has %" PRId64 " rows, the database had %" PRId64, there.rows,
             b->content.rows);
    return E_DATABASE;
}

/* The secret goes first: whoever finds the backup finds it, too. */
static enum err keep_secret(struct backup *b, bool *ret_kept)
{
    enum err e;

    *ret_kept = false;
    if (!is_embedded(b->settings) || b->settings->secret_key.len > 0)
        return OK;
    e = service_key_copy(b->settings->db_path.ptr, b->file.path, b->file.replace, b->error, sizeof(b->error));
    *ret_kept = e == OK;
    return e == E_NOT_FOUND ? OK : e; /* nothing was ever signed */
}

static void print_result(const struct backup *b, bool has_secret)
{
    struct stat file = { .st_size = 0 };

    (void)stat(b->file.path, &file);
    printf("%s: %" PRId64 " rows in %" PRId64 " tables, %.1f MB, checked\n", b->file.path, b->content.rows,
           b->content.tables, (double)file.st_size / bytes_of_mb);
    if (has_secret)
        printf("%s.key: the secret that belongs to it; keep both, and let nobody read them\n", b->file.path);
    else if (b->settings->secret_key.len > 0)
        puts("SECRET_KEY belongs to it and is not in it: keep the settings, too");
}

static enum err make_backup(struct backup *b, bool *ret_has_secret)
{
    enum err e = store(b);

    if (e == OK)
        e = check_draft(b);
    if (e == OK)
        e = keep_secret(b, ret_has_secret);
    return e == OK ? backup_file_keep(&b->file, b->error, sizeof(b->error)) : e;
}

static int fail(struct backup *b)
{
    progress_end(&b->progress);
    fprintf(stderr, "sanad %s: %s\n", b->command, b->error);
    return CLI_FAILED;
}

static int keep(struct backup *b)
{
    const char *source = is_embedded(b->settings) ? b->settings->db_path.ptr : NULL;
    bool has_secret = false;
    enum err e;

    catch_stop_signals();
    if (backup_file_open(&b->file, source, b->error, sizeof(b->error)) != OK)
        return fail(b);
    e = make_backup(b, &has_secret);
    backup_file_close(&b->file);
    if (e != OK)
        return fail(b);
    print_result(b, has_secret);
    return cli_flush(b->command, stdout);
}

/* ---- verifying ------------------------------------------------------------------------------------------ */

static int verify(struct backup *b)
{
    struct backup_watcher w = { .table = tell_table, .arg = b };
    struct backup_content there;
    size_t known = 0;

    if (backup_check(b->file.path, BACKUP_THOROUGH, &w, &there, b->error, sizeof(b->error)) != OK) {
        fflush(stdout);
        return fail(b);
    }
    (void)migrations_of("sqlite", &known);
    printf("%s: whole; %" PRId64 " rows in %" PRId64 " tables, %" PRId64 " migrations (this program has %zu)\n",
           b->file.path, there.rows, there.tables, there.migrations, known);
    return cli_flush(b->command, stdout);
}

/* ---- the command -------------------------------------------------------------------------------------------- */

static int take_path(const struct cli_options *options, struct backup *b)
{
    if (options->arg_count == 0 || options->args[0][0] == '\0')
        return cli_usage(options->command, "wants the file to write: sanad backup backups/sanad.db");
    if (options->arg_count > 1)
        return cli_usage(options->command, "%s is one argument too many", options->args[1]);
    b->command = options->command;
    b->file.path = options->args[0];
    progress_start(&b->progress, stderr, "");
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    bool only_verify = false;
    struct settings s;
    struct backup b = { .settings = &s, .error = "not enough memory" };
    const struct cli_option own[] = {
        { "force", .given = &b.file.replace },
        { "verify", .given = &only_verify },
        { NULL },
    };
    struct cli_options options;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = take_path(&options, &b);
    if (status == CLI_OK && only_verify)
        return verify(&b);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    status = cli_supported(&options, &s);
    if (status == CLI_OK)
        status = keep(&b);
    settings_done(&s);
    return status;
}

const struct command command_backup = {
    .name = "backup",
    .arguments = "[--force] [--verify] [--env FILE] [--set KEY=VALUE]... FILE",
    .summary = "Keeps all data in one file, while the service runs",
    .help = "Writes all that was committed when it began into FILE, an embedded database of\n"
            "its own, whatever the service's database is; nobody waits for it. It is written\n"
            "as FILE.part, read again and checked, and only then gets its name, for this user\n"
            "alone. The secret of an embedded installation goes to FILE.key; a SECRET_KEY is\n"
            "in the settings, which are yours to keep.\n"
            "\n"
            "  --force          replace FILE if it exists\n"
            "  --verify         write nothing; check every page, row and index of FILE\n"
            "  --env FILE       read this file instead of ./.env\n"
            "  --set KEY=VALUE  override a setting; may be repeated\n"
            "\n"
            "To restore an embedded database, stop the service, put FILE and FILE.key in the\n"
            "place of DB_PATH and DB_PATH.key, and remove DB_PATH-wal and DB_PATH-shm. To\n"
            "restore into an empty database of a server: sanad copy --from sqlite:FILE\n"
            "\n"
            "Example:\n"
            "  sanad backup /var/backups/sanad/monday.db\n",
    .run = run,
};
