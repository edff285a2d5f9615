/* SPDX-License-Identifier: MIT */
#include "paced/report.h"

#include "base/json.h"

#include <stdio.h>

enum { REPORT_MAX = 64 * 1024 };

static const struct percentile {
    const char *name;
    double share;
} percentiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p95", 0.95 }, { "p99", 0.99 }, { "p999", 0.999 } };

static double in_seconds(mono_ns time) { return (double)time / NS_PER_S; }

/* To a thousandth of a millisecond, as more is not known. */
static double in_ms(mono_ns time) { return (double)((time + 500) / 1000) / 1000; }

static void write_latencies(struct json *j, const char *key, const struct latencies *l)
{
    json_key(j, str_of(key));
    json_object(j);
    json_member_uint(j, "count", l->count);
    json_member_double(j, "mean", latencies_mean_ms(l));
    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
        json_member_double(j, percentiles[i].name, in_ms(latencies_at(l, percentiles[i].share)));
    json_member_double(j, "max", in_ms(l->longest));
    json_object_end(j);
}

/* Each route and all together. */
static void write_routes(struct json *j, const char *key, const struct latencies routes[static CROWD_ROUTE_COUNT])
{
    static struct latencies all;

    all = (struct latencies){ 0 };
    json_key(j, str_of(key));
    json_object(j);
    for (int i = 0; i < CROWD_ROUTE_COUNT; i++) {
        write_latencies(j, crowd_routes[i], &routes[i]);
        latencies_merge(&all, &routes[i]);
    }
    write_latencies(j, "all", &all);
    json_object_end(j);
}

static uint64_t write_failures(struct json *j, const char *key, const uint64_t failures[static CROWD_FAILURE_COUNT])
{
    uint64_t total = 0;

    json_key(j, str_of(key));
    json_object(j);
    for (int i = 0; i < CROWD_FAILURE_COUNT; i++) {
        json_member_uint(j, crowd_failures[i], failures[i]);
        total += failures[i];
    }
    json_member_uint(j, "total", total);
    json_object_end(j);
    return total;
}

static uint64_t write_statuses(struct json *j, const uint64_t statuses[static ANSWER_STATUS_MAX])
{
    uint64_t answers = 0;
    char name[16];

    json_key(j, STR("statuses"));
    json_object(j);
    for (int i = 0; i < ANSWER_STATUS_MAX; i++) {
        if (statuses[i] == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%d", i);
        json_member_uint(j, name, statuses[i]);
        answers += statuses[i];
    }
    json_object_end(j);
    return answers;
}

static void write_plan(struct json *j, const struct plan *p, uint64_t processes)
{
    json_member_uint(j, "users", p->users);
    json_member_uint(j, "processes", processes);
    json_member_double(j, "seconds", in_seconds(p->end - p->measured));
    json_member_double(j, "think_min_ms", in_ms(p->think_min));
    json_member_double(j, "think_max_ms", in_ms(p->think_max));
    json_member_double(j, "error", 1.0 / (1 << LATENCIES_FINE_BITS));
}

enum err report_print(const struct plan *plan, const struct tally *total, uint64_t processes, double cpu_seconds)
{
    struct buf out;
    struct json j;

    buf_init(&out, REPORT_MAX);
    json_init(&j, &out);
    json_object(&j);
    write_plan(&j, plan, processes);
    const uint64_t answers = write_statuses(&j, total->statuses);
    json_member_uint(&j, "answers", answers);
    json_member_double(&j, "rate", (double)answers / in_seconds(plan->end - plan->measured));
    json_member_uint(&j, "bytes", total->bytes);
    json_member_uint(&j, "warm_answers", total->warm);
    json_member_uint(&j, "opened", total->opened);
    json_member_uint(&j, "closed_by_server", total->closed_by_server);
    json_member_double(&j, "cpu_seconds", cpu_seconds);
    (void)write_failures(&j, "failures", total->failures);
    (void)write_failures(&j, "warm_failures", total->warm_failures);
    write_routes(&j, "intended_ms", total->intended);
    write_routes(&j, "sent_ms", total->sent);
    write_latencies(&j, "late_ms", &total->late);
    json_object_end(&j);
    const bool whole = buf_ok(&out) && printf(STR_FMT "\n", STR_ARG(buf_view(&out))) > 0 && fflush(stdout) == 0;
    buf_done(&out);
    return whole ? OK : E_IO;
}

void report_merge(struct tally *into, const struct tally *from)
{
    for (int i = 0; i < CROWD_ROUTE_COUNT; i++) {
        latencies_merge(&into->intended[i], &from->intended[i]);
        latencies_merge(&into->sent[i], &from->sent[i]);
    }
    latencies_merge(&into->late, &from->late);
    for (int i = 0; i < CROWD_FAILURE_COUNT; i++) {
        into->failures[i] += from->failures[i];
        into->warm_failures[i] += from->warm_failures[i];
    }
    for (int i = 0; i < ANSWER_STATUS_MAX; i++)
        into->statuses[i] += from->statuses[i];
    into->warm += from->warm;
    into->bytes += from->bytes;
    into->opened += from->opened;
    into->closed_by_server += from->closed_by_server;
}
