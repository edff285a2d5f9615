/* SPDX-License-Identifier: MIT */
#include "cli/copy_report.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "app/service.h"
#include "db/url.h"

enum { SHOWN_BYTES = 8, URL_SIZE = DB_URL_MAX_BYTES, ERROR_SIZE = 256 };

/* ---- the tables ---- */

static void print_total(const struct copy_job *job, const struct copy_result *results)
{
    int64_t rows = 0;

    for (size_t i = 0; i < job->count; i++)
        rows += results[i].to.rows;
    printf("%-32s %10" PRId64 "\n", "all", rows);
}

static void print_result(const char *table, const struct copy_result *r)
{
    char checksum[2 * SHOWN_BYTES + 1];

    sodium_bin2hex(checksum, sizeof(checksum), r->from.hash, SHOWN_BYTES);
    if (r->equal)
        printf("%-32s %10" PRId64 "  %s\n", table, r->from.rows, checksum);
    else
        printf("%-32s %10" PRId64 "  DIFFERS: %" PRId64 " rows in the destination, the first difference at id %" PRId64
               "\n",
               table, r->from.rows, r->to.rows, r->differs_at);
}

void copy_print_results(const struct copy_job *job, const struct copy_result *results)
{
    printf("%-32s %10s  %s\n", "table", "rows", "checksum of both sides");
    for (size_t i = 0; i < job->count; i++)
        print_result(job->tables[i].name, &results[i]);
    print_total(job, results);
}

/* ---- what is left to do ---- */

static bool is_sqlite(const struct db_conf *conf) { return str_eq(str_of(conf->driver), STR("sqlite")); }

static void print_settings(const struct db_conf *to)
{
    puts("To use the new database, give the service these settings:");
    printf("  DB_DRIVER=%s\n", to->driver);
    if (is_sqlite(to)) {
        printf("  DB_PATH=%s\n", to->path);
        return;
    }
    if (to->socket && *to->socket)
        printf("  DB_SOCKET=%s\n", to->socket);
    else
        printf("  DB_HOST=" STR_FMT "\n  DB_PORT=%d\n", STR_ARG(to->hosts[0]), to->port);
    printf("  DB_NAME=%s\n  DB_USER=%s\n  DB_PASSWORD=...\n", to->name, to->user);
}

/* The source keeps its secret in a file of its own. */
static void print_file_secret(const struct settings *s, const struct db_conf *from, const struct db_conf *to,
                              const char *secret)
{
    char url[URL_SIZE];

    db_url_write(from, url, sizeof(url));
    if (str_eq(s->secret_key, str_of(secret)))
        puts("SECRET_KEY is the secret of the old installation: what it signed stays valid.");
    else if (s->secret_key.len > 0)
        printf("SECRET_KEY is not the secret in %s.key. If the service ran with that file, without\n"
               "SECRET_KEY, what it signed stays valid only with this line instead:\n"
               "  sanad copy --from %s --show-secret\n",
               from->path, url);
    else if (is_sqlite(to))
        printf("What was signed stays valid with the same secret:\n  cp -p %s.key %s.key\n", from->path, to->path);
    else
        printf("SECRET_KEY must be set, too. What was signed stays valid with the old installation's secret,\n"
               "which this prints as a line for .env:\n"
               "  sanad copy --from %s --show-secret\n",
               url);
}

static void print_secret(const struct settings *s, const struct db_conf *from, const struct db_conf *to)
{
    char secret[SERVICE_KEY_TEXT], error[ERROR_SIZE];

    if (is_sqlite(from) && service_key_write(from->path, secret, error, sizeof(error)) == OK) {
        print_file_secret(s, from, to, secret);
        sodium_memzero(secret, sizeof(secret));
    } else if (s->secret_key.len > 0)
        puts("Keep SECRET_KEY as it is: what was signed with it stays valid.");
    else if (!is_sqlite(to))
        puts("SECRET_KEY must be set, too, the same on every node: 32 letters or more that nobody can guess.");
}

void copy_print_next(const struct settings *s, const struct db_conf *from, const struct db_conf *to)
{
    const struct db_conf ours = service_db_conf(s);

    putchar('\n');
    if (db_url_same(&ours, to))
        puts("The settings name the new database already.");
    else
        print_settings(to);
    print_secret(s, from, to);
    puts("What is written to the source from now on is not in the copy.");
}
