/* SPDX-License-Identifier: MIT */
#include "settings/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "settings/dotenv.h"
#include "settings/table.h"
#include "settings/value.h"

enum {
    ARENA_BYTES_MAX = 8 * 1024 * 1024,
    SCRATCH_BYTES_MAX = 8 * DOTENV_BYTES_MAX, /* a file, its growth, its escapes */
    READ_BYTES = 16 * 1024,
    SHOWN_BYTES = 100, /* of a wrong value                */
    WORKERS_MOST = 256,
};

/* A value somebody wrote, not yet read as its kind. */
struct given {
    struct str text;
    enum setting_source source;
    unsigned line;
};

struct loader {
    struct settings *s;
    struct settings_report *report;
    struct arena scratch;
    struct given given[SETTINGS_MAX]; /* in the table's order; the last writer's */
};

static size_t index_of(const struct setting *row) { return (size_t)(row - settings_table); }

/* --- what the operator is told ---------------------------------------------------- */

static void add(struct settings_problems *list, struct settings_problem problem)
{
    if (list->kept < SETTINGS_PROBLEMS_MAX)
        list->rows[list->kept++] = problem;
    list->total++;
}

static struct str source_name(const struct loader *l, enum setting_source source)
{
    switch (source) {
    case FROM_FILE:
        return l->s->file;
    case FROM_ENVIRONMENT:
        return STR("environment");
    case FROM_COMMAND:
        return STR("--set");
    case FROM_DEFAULT:
        break;
    }
    return STR("default");
}

static struct settings_problem problem_at(struct loader *l, const struct given *where, struct str key)
{
    return (struct settings_problem){
        .source = source_name(l, where->source),
        .line = where->line,
        .key = arena_str(&l->s->arena, key),
    };
}

/* The wrong value as it may be shown; none of a URL that may hold a password. */
static struct str wrong_value(struct loader *l, const struct setting *row, struct str text)
{
    struct buf shown;
    struct str value = { NULL, 0 };

    if (row->flags & SECRET_INSIDE)
        return value;
    buf_init_arena(&shown, &l->scratch, text.len + SHOWN_BYTES);
    value_shown(row, text, &shown);
    value = buf_view(&shown);
    if (value.len > SHOWN_BYTES)
        return arena_printf(&l->s->arena, STR_FMT "...", (int)SHOWN_BYTES, value.ptr);
    return arena_str(&l->s->arena, value);
}

static void report_wrong_value(struct loader *l, const struct setting *row, const struct given *given)
{
    struct settings_problem problem = problem_at(l, given, str_of(row->key));
    struct buf text;

    buf_init_arena(&text, &l->s->arena, 1024);
    buf_cstr(&text, "must be ");
    value_allowed(row, &text);
    problem.value = wrong_value(l, row, given->text);
    problem.text = buf_view(&text);
    add(&l->report->errors, problem);
}

static void report_unknown(struct loader *l, struct settings_problems *list, const struct given *where, struct str key)
{
    struct settings_problem problem = problem_at(l, where, str_slice(key, 0, SHOWN_BYTES));
    const char *near = settings_nearest(key);

    problem.text = near ? arena_printf(&l->s->arena, "there is no such setting; did you mean %s?", near)
                        : STR("there is no such setting");
    add(list, problem);
}

static void report_twice(struct loader *l, const struct setting *row, const struct given *now, unsigned before)
{
    struct settings_problem problem = problem_at(l, now, str_of(row->key));

    problem.text = arena_printf(&l->s->arena, "line %u sets this too; the last one counts", before);
    add(&l->report->warnings, problem);
}

/* --- the file --------------------------------------------------------------------- */

/* All bytes of a descriptor, one more than allowed at most (dotenv refuses it). */
static int read_all(int fd, struct buf *out)
{
    while (out->len <= DOTENV_BYTES_MAX) {
        char *room = buf_room(out, READ_BYTES);
        if (!room)
            return ENOMEM;
        const ssize_t n = read(fd, room, READ_BYTES);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return 0;
        if (n > 0)
            buf_added(out, (size_t)n);
    }
    return 0;
}

/* Reads a file into the scratch arena. Returns 0 or the errno. */
static int read_file(struct loader *l, const char *path, struct str *ret_bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct buf bytes;

    if (fd < 0)
        return errno;
    buf_init_arena(&bytes, &l->scratch, DOTENV_BYTES_MAX + 2 * READ_BYTES);
    const int failed = read_all(fd, &bytes);
    (void)close(fd); /* only read: nothing to lose */
    if (failed == 0)
        *ret_bytes = buf_view(&bytes);
    return failed;
}

static void take_pair(struct loader *l, const struct dotenv_line *line)
{
    const struct given now = { line->value, FROM_FILE, line->number };
    const struct setting *row = settings_find(line->key);

    if (!row) {
        report_unknown(l, &l->report->warnings, &now, line->key);
        return;
    }
    struct given *given = &l->given[index_of(row)];
    if (given->source == FROM_FILE)
        report_twice(l, row, &now, given->line);
    *given = now;
}

/* What is written on a bad line is not shown: it may be half a secret. */
static void take_bad_line(struct loader *l, const struct dotenv_line *line)
{
    const struct given where = { .source = FROM_FILE, .line = line->number };
    struct settings_problem problem = problem_at(l, &where, STR_EMPTY);

    problem.text = str_of(line->wrong);
    add(&l->report->errors, problem);
}

static void take_lines(struct loader *l, struct str bytes)
{
    struct dotenv reader = dotenv_of(bytes, &l->scratch);
    struct dotenv_line line;

    for (;;) {
        switch (dotenv_next(&reader, &line)) {
        case DOTENV_END:
            return;
        case DOTENV_PAIR:
            take_pair(l, &line);
            break;
        case DOTENV_BAD:
            take_bad_line(l, &line);
            break;
        }
    }
}

static void take_file(struct loader *l, const char *path, bool required)
{
    const struct given where = { .source = FROM_FILE };
    struct str bytes;

    const int failed = read_file(l, path, &bytes);
    if (failed == ENOENT && !required)
        return;
    l->s->file = arena_str(&l->s->arena, str_of(path));
    if (failed == 0) {
        take_lines(l, bytes);
        return;
    }
    struct settings_problem problem = problem_at(l, &where, STR_EMPTY);
    problem.text = arena_printf(&l->s->arena, "the file cannot be read: %s", strerrordesc_np(failed));
    add(&l->report->errors, problem);
}

/* --- the environment and the command line ------------------------------------------ */

static struct str key_of(struct str pair) { return str_slice(pair, 0, str_find(pair, '=', 0)); }
static struct str value_of(struct str pair) { return str_slice(pair, str_find(pair, '=', 0) + 1, pair.len); }

/* Of a name that is there twice the first counts, as with getenv(3). Unknown
 * names are other programs' business. */
static void take_environment(struct loader *l, char *const *environment)
{
    for (; *environment; environment++) {
        const struct str pair = str_of(*environment);
        const struct setting *row = settings_find(key_of(pair));
        if (row && l->given[index_of(row)].source != FROM_ENVIRONMENT)
            l->given[index_of(row)] = (struct given){ value_of(pair), FROM_ENVIRONMENT, 0 };
    }
}

static void take_override(struct loader *l, struct str pair)
{
    const struct setting *row = settings_find(str_trim(key_of(pair)));
    const struct given now = { value_of(pair), FROM_COMMAND, 0 };

    if (!row)
        report_unknown(l, &l->report->errors, &now, str_trim(key_of(pair)));
    else
        l->given[index_of(row)] = now;
}

/* --- values ----------------------------------------------------------------------- */

static void set_origin(struct loader *l, const struct setting *row, const struct given *given, const char *why)
{
    l->s->origins[index_of(row)] = (struct setting_origin){
        .source = given->source,
        .line = given->line,
        .why = why,
        .text = arena_str(&l->s->arena, given->text),
    };
}

static enum err set_value(struct loader *l, const struct setting *row, const struct given *given, const char *why)
{
    const enum err e = value_read(row, given->text, l->s);

    if (e == OK)
        set_origin(l, row, given, why);
    return e;
}

static enum err set_row(struct loader *l, const struct setting *row)
{
    const struct given initial = { str_of(row->initial), FROM_DEFAULT, 0 };
    const struct given *given = &l->given[index_of(row)];
    enum err e = set_value(l, row, &initial, NULL);

    if (e != OK || given->source == FROM_DEFAULT)
        return e; /* a default that is wrong is a mistake in the table, found by its test */
    e = set_value(l, row, given, NULL);
    if (e == E_INVALID) {
        report_wrong_value(l, row, given);
        return OK;
    }
    return e;
}

static bool is_default(const struct loader *l, const char *key)
{
    return settings_origin(l->s, settings_find(str_of(key)))->source == FROM_DEFAULT;
}

/* A value that follows from something else; where it came from stays. */
static enum err derive(struct loader *l, const char *key, struct str text, const char *why)
{
    const struct setting *row = settings_find(str_of(key));
    const struct setting_origin *origin = settings_origin(l->s, row);
    const struct given given = { text, origin->source, origin->line };

    return set_value(l, row, &given, why);
}

/* Processor cores that this process may use. */
static int core_count(void)
{
    cpu_set_t set;
    const int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return count > WORKERS_MOST ? WORKERS_MOST : count;
}

/* The values that follow from others or from the machine. */
static enum err derive_values(struct loader *l)
{
    enum err e = OK;

    if (l->s->db_host.count > 0 && is_default(l, "DB_DRIVER"))
        e = derive(l, "DB_DRIVER", STR("mysql"), "DB_HOST is set");
    if (e == OK && l->s->db_ssl_ca.len > 0 && is_default(l, "DB_SSL"))
        e = derive(l, "DB_SSL", STR("True"), "DB_SSL_CA is set");
    if (e == OK && l->s->max_workers == 0)
        e = derive(l, "MAX_WORKERS", arena_printf(&l->scratch, "%d", core_count()), "the number of cores");
    return e;
}

static enum err set_values(struct loader *l)
{
    for (size_t i = 0; i < settings_count; i++) {
        const enum err e = set_row(l, &settings_table[i]);
        if (e != OK)
            return e;
    }
    return derive_values(l);
}

/* --- loading ---------------------------------------------------------------------- */

static enum err verdict(const struct loader *l, enum err e)
{
    if (e == OK && (l->s->arena.full || l->scratch.full))
        return E_NO_MEMORY;
    return e == OK && l->report->errors.total > 0 ? E_INVALID : e;
}

enum err settings_load_from(struct settings *s, const struct settings_sources *from, struct settings_report *report)
{
    struct loader l = { .s = s, .report = report };

    *s = (struct settings){ .file = STR_EMPTY };
    *report = (struct settings_report){ 0 };
    arena_init(&s->arena, ARENA_BYTES_MAX);
    arena_init(&l.scratch, SCRATCH_BYTES_MAX);
    if (from->file)
        take_file(&l, from->file, from->file_required);
    take_environment(&l, from->environment ? from->environment : environ);
    for (size_t i = 0; i < from->override_count; i++)
        take_override(&l, from->overrides[i]);
    const enum err e = verdict(&l, set_values(&l));
    arena_done(&l.scratch);
    return e;
}

enum err settings_load(struct settings *s, const char *dotenv_path, struct settings_report *report)
{
    return settings_load_from(s, &(struct settings_sources){ .file = dotenv_path, .file_required = true }, report);
}

static void wipe(struct str text)
{
    if (text.len > 0)
        explicit_bzero((char *)text.ptr, text.len);
}

static void wipe_secrets(struct settings *s)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (!(row->flags & (SECRET | SECRET_INSIDE)))
            continue;
        wipe(s->origins[i].text);
        wipe(*(struct str *)((char *)s + row->offset)); /* secrets are texts; the table's test says so */
    }
}

void settings_done(struct settings *s)
{
    wipe_secrets(s);
    arena_done(&s->arena);
    *s = (struct settings){ 0 };
}

static enum err hold(struct settings *s, const struct settings *before, const struct setting *row)
{
    struct setting_origin *origin = &s->origins[index_of(row)];
    const enum err e = value_read(row, before->origins[index_of(row)].text, s);

    *origin = before->origins[index_of(row)];
    origin->text = arena_str(&s->arena, origin->text);
    return e == OK && s->arena.full ? E_NO_MEMORY : e;
}

enum err settings_hold(struct settings *s, const struct settings *before,
                       void (*held)(void *arg, const struct setting *row), void *arg)
{
    enum err e = OK;

    for (size_t i = 0; i < settings_count && e == OK; i++) {
        const struct setting *row = &settings_table[i];

        if (!(row->flags & RESTART) || str_eq(s->origins[i].text, before->origins[i].text))
            continue;
        held(arg, row);
        e = hold(s, before, row);
    }
    return e;
}

const struct setting_origin *settings_origin(const struct settings *s, const struct setting *row)
{
    return &s->origins[index_of(row)];
}

const struct setting *settings_planned(const struct settings *s, size_t *at)
{
    while (*at < settings_count) {
        const struct setting *row = &settings_table[(*at)++];
        if ((row->flags & PLANNED) && settings_origin(s, row)->source != FROM_DEFAULT)
            return row;
    }
    return NULL;
}
