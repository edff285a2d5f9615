/* SPDX-License-Identifier: MIT */
/* sanad limits: who asks most of the server that runs here, and letting one go. It
 * reads the table that the server's workers share (base/shared.h). */
#include "cli/limits.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/running.h"
#include "limit/client_address.h"
#include "limit/limiter.h"

enum { LISTED_DEFAULT = 20, LISTED_MAX = 1000 };

static int fail(const char *reason, const char *what)
{
    fprintf(stderr, "sanad limits: %s%s\n", reason, what);
    return CLI_FAILED;
}

/* ---- listing ------------------------------------------------------------------------------ */

/* An address, or what is left of an account's name. */
void limits_name_client(const struct limit_key *key, char out[static LIMITS_NAME_SIZE])
{
    struct address address;
    size_t used;

    if (key->kind != LIMIT_ACCOUNT) {
        memcpy(address.bytes, key->bytes, sizeof(address.bytes));
        (void)client_key_print(&address, out);
        return;
    }
    used = (size_t)snprintf(out, LIMITS_NAME_SIZE, "account ");
    for (size_t i = 0; i < sizeof(key->bytes); i++)
        used += (size_t)snprintf(out + used, LIMITS_NAME_SIZE - used, "%02x", key->bytes[i]);
}

static void print_client(const struct limit_client *c, int64_t now_ms)
{
    char name[LIMITS_NAME_SIZE];

    limits_name_client(&c->key, name);
    printf("%-42s %-8s %8u %8u %9u %8lld s\n", name, limit_class_name(c->key.kind), c->minute, c->hour, c->refused,
           (long long)((now_ms - c->seen_ms) / MS_PER_S));
}

static int list(struct limit_table *t, size_t count)
{
    static struct limit_client clients[LISTED_MAX];
    const int64_t now_ms = clock_mono() / NS_PER_MS;
    const size_t found = limit_table_busiest(t, now_ms, clients, count);
    const struct limit_stats stats = limit_table_stats(t);

    printf("%-42s %-8s %8s %8s %9s %10s\n", "CLIENT", "CLASS", "MINUTE", "HOUR", "REFUSED", "LAST SEEN");
    for (size_t i = 0; i < found; i++)
        print_client(&clients[i], now_ms);
    printf("\n%llu clients of at most %llu, %llu forgotten for others since the start\n",
           (unsigned long long)stats.clients, (unsigned long long)stats.capacity, (unsigned long long)stats.evictions);
    return CLI_OK;
}

/* ---- lifting -------------------------------------------------------------------------------- */

static int forget(struct limit_table *t, const struct address *address)
{
    const struct address counted = client_key(address);
    char name[CLIENT_KEY_TEXT_SIZE];
    int forgotten = 0;

    (void)client_key_print(&counted, name);
    for (int c = 0; c < LIMIT_NONE; c++) {
        struct limit_key key = { .kind = (uint8_t)c };

        memcpy(key.bytes, counted.bytes, sizeof(key.bytes));
        if (c == LIMIT_ACCOUNT || !limit_table_forget(t, &key))
            continue;
        printf("%s (%s) begins anew\n", name, limit_class_name((enum limit_class)c));
        forgotten++;
    }
    return forgotten > 0 ? CLI_OK : fail("is not among the clients that are remembered: ", name);
}

/* ---- the command ---------------------------------------------------------------------------- */

struct task {
    bool forgets;
    struct address address;
    int64_t listed;
};

static int take_task(const char *forgotten, const char *listed, struct task *ret_task)
{
    *ret_task = (struct task){ .listed = LISTED_DEFAULT };
    if (forgotten && address_parse(str_of(forgotten), &ret_task->address) != OK)
        return cli_usage("limits", "--forget %s: is no address", forgotten);
    if (listed && str_to_int(str_of(listed), 1, LISTED_MAX, &ret_task->listed) != OK)
        return cli_usage("limits", "--top %s: wants a number from 1 to %d", listed, LISTED_MAX);
    ret_task->forgets = forgotten != NULL;
    return CLI_OK;
}

static int work(const struct settings *s, const struct task *task)
{
    char why[RUNNING_WHY_SIZE];
    struct limit_table *table;
    struct running running;
    int status;

    if (!running_open(s, task->forgets ? RUNNING_CHANGE : RUNNING_READ, &running, why))
        return fail(why, "");
    table = running_limits(&running);
    if (!table)
        status = fail("the running server is another build, whose limits this one cannot read", "");
    else
        status = task->forgets ? forget(table, &task->address) : list(table, (size_t)task->listed);
    running_close(&running);
    return status;
}

static int run(int argc, char **argv)
{
    const char *forgotten = NULL, *listed = NULL;
    const struct cli_option own[] = { { "forget", .value = &forgotten }, { "top", .value = &listed }, { NULL } };
    struct cli_options options;
    struct settings s;
    struct task task;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = take_task(forgotten, listed, &task);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    status = work(&s, &task);
    settings_done(&s);
    return status != CLI_OK ? status : cli_flush("limits", stdout);
}

const struct command command_limits = {
    .name = "limits",
    .arguments = "[--top N] [--forget ADDRESS] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Lists who asks most of the running server, and lets one begin anew",
    .help = "Shows the clients that asked most in the last hour: what was let through in the\n"
            "last minute and hour, and what was refused since they are known. Run it as the\n"
            "user of the server, or root, in the server's folder (PID_FILE).\n"
            "\n"
            "  --top N           so many of them, 1 to 1000 (20)\n"
            "  --forget ADDRESS  this one may ask again at once; an IPv6 address stands for\n"
            "                    its /64\n"
            "  --env FILE        read this file instead of ./.env\n"
            "  --set KEY=VALUE   override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sanad limits --forget 203.0.113.7\n",
    .run = run,
};
