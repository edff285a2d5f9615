/* SPDX-License-Identifier: MIT */
/* Prometheus and OpenMetrics text. They differ in little: OpenMetrics names a
 * counter's family without its "_total", knows the type "info", and ends with
 * "# EOF". Bounds are written as floats ("1.0") in both, so that a series keeps
 * its labels when a collector changes from one to the other. */
#include "ops/exposition.h"

#include "db/statement.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABELS_MAX = 512, BOUND_SIZE = 16, NAME_MAX_SIZE = 128 };

struct text {
    struct buf *out;
    const struct snapshot *snapshot;
    const struct router *router;
    enum exposition_text_kind kind;
    char bounds[METRIC_BUCKETS][BOUND_SIZE];
};

/* --- families, samples, labels -------------------------------------------------- */

static void family(struct text *t, struct str base, const char *type, const char *help)
{
    if (t->kind == EXPOSITION_OPENMETRICS && str_ends_with(base, STR("_total")))
        base.len -= STR("_total").len;
    buf_printf(t->out, "# HELP " STR_FMT " %s\n# TYPE " STR_FMT " %s\n", STR_ARG(base), help, STR_ARG(base), type);
}

/* Appends name="value" to a list of labels; a list that is full stays as it is. */
static void label(struct buf *labels, const char *name, struct str value)
{
    if (labels->len > 0)
        buf_byte(labels, ',');
    buf_printf(labels, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.ptr[i];
        if (c == '\\' || c == '"')
            buf_byte(labels, '\\');
        if (c == '\n')
            buf_cstr(labels, "\\n");
        else
            buf_byte(labels, c);
    }
    buf_byte(labels, '"');
}

static void label_number(struct buf *labels, const char *name, unsigned value)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", value);
    label(labels, name, str_of(text));
}

static void sample_start(struct text *t, const char *name, const char *suffix, struct str labels)
{
    buf_cstr(t->out, name);
    buf_cstr(t->out, suffix);
    if (labels.len > 0)
        buf_printf(t->out, "{" STR_FMT "}", STR_ARG(labels));
    buf_byte(t->out, ' ');
}

static void sample_uint(struct text *t, const char *name, struct str labels, uint64_t value)
{
    sample_start(t, name, "", labels);
    buf_uint(t->out, value);
    buf_byte(t->out, '\n');
}

static void sample_double(struct text *t, const char *name, struct str labels, double value)
{
    sample_start(t, name, "", labels);
    if (fabs(value) < 1e15 && value == trunc(value))
        buf_int(t->out, (int64_t)value);
    else
        buf_printf(t->out, "%.15g", value);
    buf_byte(t->out, '\n');
}

static void prepare_bounds(struct text *t)
{
    for (int i = 0; i < METRIC_BUCKETS - 1; i++) {
        const double bound = metric_bounds[i];
        (void)snprintf(t->bounds[i], BOUND_SIZE, bound == trunc(bound) ? "%.1f" : "%g", bound);
    }
    memcpy(t->bounds[METRIC_BUCKETS - 1], "+Inf", sizeof("+Inf"));
}

static void bucket(struct text *t, const char *name, struct str labels, const char *bound)
{
    buf_cstr(t->out, name);
    buf_cstr(t->out, "_bucket{");
    buf_str(t->out, labels);
    buf_cstr(t->out, labels.len > 0 ? ",le=\"" : "le=\"");
    buf_cstr(t->out, bound);
    buf_cstr(t->out, "\"} ");
}

static void histogram(struct text *t, const char *name, struct str labels, const struct histogram_sum *sum)
{
    uint64_t cumulative = 0;

    for (int i = 0; i < METRIC_BUCKETS; i++) {
        cumulative += sum->buckets[i];
        bucket(t, name, labels, t->bounds[i]);
        buf_uint(t->out, cumulative);
        buf_byte(t->out, '\n');
    }
    sample_start(t, name, "_sum", labels);
    buf_printf(t->out, "%" PRIu64 ".%09" PRIu64 "\n", sum->sum_ns / NS_PER_S, sum->sum_ns % NS_PER_S);
    sample_start(t, name, "_count", labels);
    buf_uint(t->out, cumulative);
    buf_byte(t->out, '\n');
}

/* --- the tables of base/metrics.h --------------------------------------------------- */

/* A name may bring labels: `count{state="idle"}`. Rows of one family stand together
 * in their table, and the first of them introduces it. */
static struct str base_name(const struct metric_info *info)
{
    struct str name = str_of(info->name);
    const char *labels = strchr(name.ptr, '{');

    return labels ? (struct str){ name.ptr, (size_t)(labels - name.ptr) } : name;
}

static bool is_first_of_family(const struct metric_info *table, int i)
{
    return i == 0 || !str_eq(base_name(&table[i]), base_name(&table[i - 1]));
}

static void write_counters(struct text *t)
{
    for (int i = 0; i < METRIC_COUNTER_COUNT; i++) {
        const struct metric_info *info = &metric_counter_info[i];
        if (is_first_of_family(metric_counter_info, i))
            family(t, base_name(info), "counter", info->help);
        sample_uint(t, info->name, STR_EMPTY, t->snapshot->counters[i]);
    }
}

/* A gauge that counts milliseconds is shown in seconds, the base unit. */
static void write_gauge(struct text *t, int i)
{
    static const char in_ms[] = "_milliseconds";
    const struct metric_info *info = &metric_gauge_info[i];
    const struct str base = base_name(info);
    const bool ms = str_ends_with(base, STR(in_ms));
    const size_t kept = ms ? base.len - STR(in_ms).len : base.len;
    char name[NAME_MAX_SIZE];

    (void)snprintf(name, sizeof(name), "%.*s%s", (int)kept, base.ptr, ms ? "_seconds" : "");
    if (is_first_of_family(metric_gauge_info, i))
        family(t, str_of(name), "gauge", info->help);
    sample_double(t, ms ? name : info->name, STR_EMPTY, (double)t->snapshot->gauges[i] / (ms ? MS_PER_S : 1));
}

static void write_gauges(struct text *t)
{
    for (int i = 0; i < METRIC_GAUGE_COUNT; i++)
        write_gauge(t, i);
}

static void write_histograms(struct text *t)
{
    for (int i = 0; i < METRIC_HISTOGRAM_COUNT; i++) {
        const struct metric_info *info = &metric_histogram_info[i];
        family(t, str_of(info->name), "histogram", info->help);
        histogram(t, info->name, STR_EMPTY, &t->snapshot->histograms[i]);
    }
}

/* --- series ---------------------------------------------------------------------------- */

static void label_http(const struct text *t, const struct series_row *row, struct buf *labels)
{
    label(labels, "http_request_method", str_of(exposition_method(row->b)));
    label(labels, "http_route", str_of(exposition_route(t->router, row->a)));
    label_number(labels, "http_response_status_code", row->c);
}

static void label_statement(const struct text *t, const struct series_row *row, struct buf *labels)
{
    (void)t;
    label(labels, "db_operation_name", str_of(db_statement_name(row->a)));
    if (row->c != OK)
        label(labels, "error_type", str_of(err_name((enum err)row->c)));
}

static void label_nothing(const struct text *t, const struct series_row *row, struct buf *labels)
{
    (void)t, (void)row, (void)labels;
}

static const struct series_family {
    enum series_kind kind;
    const char *name, *help;
    void (*label)(const struct text *t, const struct series_row *row, struct buf *labels);
} series_families[] = {
    { SERIES_HTTP, "http_server_request_duration_seconds",
      "Time from a request's head to its response, by route and status", label_http },
    { SERIES_STATEMENT, "db_client_operation_duration_seconds", "Time of a database statement, by its name and error",
      label_statement },
    { SERIES_OTHER, "unlabelled_duration_seconds", "What found no free series any more, of all kinds", label_nothing },
};

static void write_series(struct text *t, const struct series_family *f)
{
    char memory[LABELS_MAX];
    struct buf labels;
    bool begun = false;

    for (size_t i = 0; i < t->snapshot->series_count; i++) {
        const struct series_row *row = &t->snapshot->series[i];
        if (row->kind != f->kind)
            continue;
        if (!begun)
            family(t, str_of(f->name), "histogram", f->help);
        begun = true;
        buf_init_fixed(&labels, memory, sizeof(memory));
        f->label(t, row, &labels);
        histogram(t, f->name, buf_view(&labels), &row->sum);
    }
}

/* --- workers and processes ---------------------------------------------------------------- */

static double worker_up(const struct worker_view *w) { return w->state == WORKER_READY; }
static double worker_restarts(const struct worker_view *w) { return (double)w->restarts; }
static double worker_rss(const struct worker_view *w) { return (double)w->info.rss_bytes; }
static double worker_cpu(const struct worker_view *w) { return w->info.cpu_seconds; }
static double worker_fds(const struct worker_view *w) { return (double)w->info.open_fds; }
static double worker_max_fds(const struct worker_view *w) { return (double)w->info.max_fds; }
static double worker_started(const struct worker_view *w) { return (double)w->started / MS_PER_S; }
static double worker_silence(const struct worker_view *w) { return (double)w->silence_ms / MS_PER_S; }

static bool of_somebody(const struct worker_view *w) { return w->state != WORKER_NONE; }
static bool when_known(const struct worker_view *w) { return w->known; }
static bool when_fds_known(const struct worker_view *w) { return w->known && w->info.open_fds >= 0; }
static bool when_beating(const struct worker_view *w) { return w->known && w->silence_ms >= 0; }

static const struct worker_family {
    const char *name, *type, *help;
    double (*value)(const struct worker_view *w);
    bool (*shown)(const struct worker_view *w);
} worker_families[] = {
    { "worker_up", "gauge", "Whether the worker serves", worker_up, of_somebody },
    { "worker_restarts_total", "counter", "Times it was replaced", worker_restarts, of_somebody },
    { "worker_resident_memory_bytes", "gauge", "Resident memory", worker_rss, when_known },
    { "worker_cpu_seconds_total", "counter", "Processor time", worker_cpu, when_known },
    { "worker_open_fds", "gauge", "Open file descriptors", worker_fds, when_fds_known },
    { "worker_max_fds", "gauge", "File descriptors that it may open", worker_max_fds, when_fds_known },
    { "worker_start_time_seconds", "gauge", "Start, in Unix time", worker_started, when_known },
    { "worker_heartbeat_age_seconds", "gauge", "Since its loop last turned", worker_silence, when_beating },
};

static void write_worker_family(struct text *t, const struct worker_family *f)
{
    char memory[LABELS_MAX];
    struct buf labels;

    family(t, str_of(f->name), f->type, f->help);
    for (size_t i = 0; i < t->snapshot->worker_count; i++) {
        const struct worker_view *w = &t->snapshot->workers[i];
        if (w->superseded || !f->shown(w))
            continue;
        buf_init_fixed(&labels, memory, sizeof(memory));
        label_number(&labels, "worker", (unsigned)w->index);
        sample_double(t, f->name, buf_view(&labels), f->value(w));
    }
}

/* One sample a row, each under a label of its own. */
static void write_labelled(struct text *t, const char *name, const char *label_name, const char *value, double number)
{
    char memory[LABELS_MAX];
    struct buf labels;

    buf_init_fixed(&labels, memory, sizeof(memory));
    label(&labels, label_name, str_of(value));
    sample_double(t, name, buf_view(&labels), number);
}

static void write_value(struct text *t, const char *name, const char *type, const char *help, double value)
{
    family(t, str_of(name), type, help);
    sample_double(t, name, STR_EMPTY, value);
}

/* The node as if it were one process. */
static void write_processes(struct text *t)
{
    const struct process_info *p = &t->snapshot->processes;

    write_value(t, "process_cpu_seconds_total", "counter", "Processor time of all processes, dead workers included",
                p->cpu_seconds);
    write_value(t, "process_resident_memory_bytes", "gauge", "Resident memory of all processes", (double)p->rss_bytes);
    write_value(t, "process_virtual_memory_bytes", "gauge", "Virtual memory of all processes",
                (double)p->virtual_bytes);
    write_value(t, "process_threads", "gauge", "Threads of all processes", (double)p->threads);
    write_value(t, "process_open_fds", "gauge", "Open file descriptors of all processes", (double)p->open_fds);
    write_value(t, "process_max_fds", "gauge", "File descriptors that all processes may open", (double)p->max_fds);
    if (t->snapshot->started > 0)
        write_value(t, "process_start_time_seconds", "gauge", "When the master started, in Unix time",
                    (double)t->snapshot->started / MS_PER_S);
}

static void write_node(struct text *t)
{
    static const enum worker_state shown[] = { WORKER_STARTING, WORKER_READY, WORKER_DRAINING };
    const struct snapshot *s = t->snapshot;

    family(t, STR("workers"), "gauge", "Workers, by what they do");
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        write_labelled(t, "workers", "state", worker_state_name(shown[i]), s->workers_in[shown[i]]);
    write_value(t, "workers_wanted", "gauge", "Workers that should be ready", s->workers_wanted);
    family(t, STR("workers_ended_total"), "counter", "Workers that ended, by why");
    for (int i = 0; i < WORKER_END_COUNT; i++)
        write_labelled(t, "workers_ended_total", "reason", worker_end_name((enum worker_end)i), (double)s->ends[i]);
}

static void write_rooms(struct text *t)
{
    const struct snapshot *s = t->snapshot;

    if (s->room_count == 0)
        return;
    family(t, STR("filesystem_size_bytes"), "gauge", "Size of the file system that a file of ours is on");
    for (size_t i = 0; i < s->room_count; i++)
        write_labelled(t, "filesystem_size_bytes", "file", s->rooms[i].file, (double)s->rooms[i].size_bytes);
    family(t, STR("filesystem_avail_bytes"), "gauge", "Room that is left there");
    for (size_t i = 0; i < s->room_count; i++)
        write_labelled(t, "filesystem_avail_bytes", "file", s->rooms[i].file, (double)s->rooms[i].avail_bytes);
}

/* In OpenMetrics the family of an info sample goes without "_info". */
static void write_build_info(struct text *t)
{
    char memory[LABELS_MAX];
    struct buf labels;

    if (t->kind == EXPOSITION_OPENMETRICS)
        family(t, STR("build"), "info", "What is running");
    else
        family(t, STR("build_info"), "gauge", "What is running");
    buf_init_fixed(&labels, memory, sizeof(memory));
    label(&labels, "version", STR(SANAD_VERSION));
    sample_uint(t, "build_info", buf_view(&labels), 1);
}

void exposition_text(const struct snapshot *s, const struct router *router, enum exposition_text_kind kind,
                     struct buf *out)
{
    struct text t = { .out = out, .snapshot = s, .router = router, .kind = kind };

    prepare_bounds(&t);
    write_build_info(&t);
    write_counters(&t);
    write_gauges(&t);
    write_histograms(&t);
    for (size_t i = 0; i < sizeof(series_families) / sizeof(series_families[0]); i++)
        write_series(&t, &series_families[i]);
    for (size_t i = 0; i < sizeof(worker_families) / sizeof(worker_families[0]); i++)
        write_worker_family(&t, &worker_families[i]);
    write_node(&t);
    write_rooms(&t);
    write_processes(&t);
    if (kind == EXPOSITION_OPENMETRICS)
        buf_cstr(out, "# EOF\n");
}
