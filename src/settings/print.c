/* SPDX-License-Identifier: MIT */
#include "settings/print.h"

#include "base/buf.h"
#include "base/json.h"
#include "settings/table.h"
#include "settings/value.h"

enum { LINE_BYTES_MAX = 256 * 1024, JSON_BYTES_MAX = 4 * 1024 * 1024, KEY_WIDTH = 26, VALUE_WIDTH = 28 };

static const char planned_note[] = "not acted on yet by this version";

/* Calls each(row) for the rows of a group, in the table's order. */
static void each_of_group(enum setting_group group, void (*each)(FILE *out, const struct setting *row), FILE *out)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (settings_table[i].group == group)
            each(out, &settings_table[i]);
    }
}

static void put(FILE *out, struct str text) { (void)fwrite(text.ptr, 1, text.len, out); }

/* Prints what is allowed, in words. */
static void put_allowed(FILE *out, const struct setting *row)
{
    struct buf text;

    buf_init(&text, LINE_BYTES_MAX);
    value_allowed(row, &text);
    put(out, buf_view(&text));
    buf_done(&text);
}

/* --- help ------------------------------------------------------------------------- */

static void help_row(FILE *out, const struct setting *row)
{
    fprintf(out, "  %-*s %s", KEY_WIDTH, row->key, row->help);
    if (row->initial[0] != '\0')
        fprintf(out, " (%s)", row->initial);
    if (row->flags & PLANNED)
        fprintf(out, " [%s]", planned_note);
    fputc('\n', out);
}

void settings_print_help(FILE *out)
{
    for (enum setting_group g = 0; g < GROUP_COUNT; g++) {
        fprintf(out, "%sSettings, %s (default):\n", g > 0 ? "\n" : "", setting_groups[g]);
        each_of_group(g, help_row, out);
    }
}

/* --- .env.example ----------------------------------------------------------------- */

static void example_row(FILE *out, const struct setting *row)
{
    fprintf(out, "\n# %s.\n# Allowed: ", row->help);
    put_allowed(out, row);
    if (row->flags & PLANNED)
        fprintf(out, ".\n# Read and checked, but %s", planned_note);
    fprintf(out, ".\n#%s=%s\n", row->key, row->initial);
}

void settings_print_example(FILE *out)
{
    fputs("# Settings of Sanad, at their defaults. Copy this file to .env and uncomment what you change.\n"
          "# The environment overrides this file. `sanad config` shows what is set, and where.\n"
          "# Made by `sanad config --example`; edit the table in src/settings/table.c instead.\n",
          out);
    for (enum setting_group g = 0; g < GROUP_COUNT; g++) {
        fprintf(out, "\n\n# --- %s ---\n", setting_groups[g]);
        each_of_group(g, example_row, out);
    }
}

/* --- docs/settings.md ------------------------------------------------------------- */

static void markdown_row(FILE *out, const struct setting *row)
{
    fprintf(out, "| `%s` | ", row->key);
    if (row->initial[0] != '\0')
        fprintf(out, "`%s`", row->initial);
    fputs(" | ", out);
    put_allowed(out, row);
    fprintf(out, " | %s.", row->help);
    if (row->flags & (SECRET | SECRET_INSIDE))
        fputs(" Secret: never shown.", out);
    if (row->flags & PLANNED)
        fprintf(out, " *Read and checked, but %s.*", planned_note);
    fputs(" |\n", out);
}

static const char markdown_intro[] =
    "# Settings\n"
    "\n"
    "<!-- Made by `sanad config --markdown` from src/settings/table.c; edit that instead. -->\n"
    "\n"
    "A setting has the value of the first of these that names it: `--set KEY=VALUE` on the command line, the "
    "environment,\n"
    "the `.env` file (`./.env`, or the one after `--env`), its default. `sanad config` shows each value and where it "
    "came\n"
    "from.\n"
    "\n"
    "A wrong value stops the start with exit status 78; all wrong values are told at once, with file, line, and what "
    "is\n"
    "allowed. A name in the `.env` file that is no setting is a warning that proposes the nearest one.\n"
    "\n"
    "The `.env` file holds lines of `KEY=value`, perhaps after `export`, and comments after `#`. A value in single "
    "quotes\n"
    "is taken as it stands; in double quotes `\\n`, `\\t`, `\\\"`, `\\\\` and `\\$` are escapes; without quotes it "
    "ends at a ` #`.\n"
    "Nothing is expanded, and no value goes on in the next line.\n";

void settings_print_markdown(FILE *out)
{
    fputs(markdown_intro, out);
    for (enum setting_group g = 0; g < GROUP_COUNT; g++) {
        fprintf(out, "\n## %c%s\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n",
                setting_groups[g][0] - 'a' + 'A', setting_groups[g] + 1);
        each_of_group(g, markdown_row, out);
    }
}

/* --- what is set ------------------------------------------------------------------ */

/* "default", "default: DB_HOST is set", ".env:3", "environment", "--set" */
static void origin_text(const struct settings *s, const struct setting_origin *origin, struct buf *out)
{
    switch (origin->source) {
    case FROM_DEFAULT:
        buf_cstr(out, "default");
        break;
    case FROM_FILE:
        buf_printf(out, STR_FMT ":%u", STR_ARG(s->file), origin->line);
        break;
    case FROM_ENVIRONMENT:
        buf_cstr(out, "environment");
        break;
    case FROM_COMMAND:
        buf_cstr(out, "--set");
        break;
    }
    if (origin->why)
        buf_printf(out, ": %s", origin->why);
}

static void value_row(FILE *out, const struct settings *s, const struct setting *row)
{
    const struct setting_origin *origin = settings_origin(s, row);
    struct buf value, from;

    buf_init(&value, LINE_BYTES_MAX);
    buf_init(&from, LINE_BYTES_MAX);
    value_shown(row, origin->text, &value);
    origin_text(s, origin, &from);
    fprintf(out, "%-*s %-*.*s ", KEY_WIDTH, row->key, VALUE_WIDTH, STR_ARG(buf_view(&value)));
    put(out, buf_view(&from));
    fputc('\n', out);
    buf_done(&value);
    buf_done(&from);
}

void settings_print_values(FILE *out, const struct settings *s)
{
    for (enum setting_group g = 0; g < GROUP_COUNT; g++) {
        fprintf(out, "%s# %s\n", g > 0 ? "\n" : "", setting_groups[g]);
        for (size_t i = 0; i < settings_count; i++) {
            if (settings_table[i].group == g)
                value_row(out, s, &settings_table[i]);
        }
    }
}

static void json_row(struct json *j, const struct settings *s, const struct setting *row)
{
    struct buf from;

    buf_init(&from, LINE_BYTES_MAX);
    origin_text(s, settings_origin(s, row), &from);
    json_key(j, str_of(row->key));
    json_object(j);
    json_key(j, STR("value"));
    value_json(row, s, j);
    json_member_str(j, "origin", buf_view(&from));
    json_member_str(j, "group", str_of(setting_groups[row->group]));
    json_member_bool(j, "planned", (row->flags & PLANNED) != 0);
    json_object_end(j);
    buf_done(&from);
}

enum err settings_print_json(FILE *out, const struct settings *s)
{
    struct buf text;
    struct json j;

    buf_init(&text, JSON_BYTES_MAX);
    json_init(&j, &text);
    json_object(&j);
    for (size_t i = 0; i < settings_count; i++)
        json_row(&j, s, &settings_table[i]);
    json_object_end(&j);
    buf_byte(&text, '\n');
    const enum err e = text.err;
    if (e == OK)
        put(out, buf_view(&text));
    buf_done(&text);
    return e;
}

/* --- what is wrong ---------------------------------------------------------------- */

/* Prints text that somebody wrote: nothing in it can act on a terminal. */
static void put_escaped(FILE *out, struct str text)
{
    struct buf safe;

    buf_init(&safe, LINE_BYTES_MAX);
    json_escape(&safe, text);
    put(out, buf_view(&safe));
    buf_done(&safe);
}

static void put_problem(FILE *out, const char *severity, const struct settings_problem *p)
{
    fprintf(out, "sanad: %s: ", severity);
    put_escaped(out, p->source);
    if (p->line > 0)
        fprintf(out, ":%u", p->line);
    fputs(": ", out);
    put_escaped(out, p->key);
    if (p->value.ptr) {
        fputc('=', out);
        put_escaped(out, p->value);
    }
    fputs(p->key.len > 0 ? ": " : "", out);
    put(out, p->text);
    fputc('\n', out);
}

static void put_problems(FILE *out, const char *severity, const struct settings_problems *list)
{
    for (size_t i = 0; i < list->kept; i++)
        put_problem(out, severity, &list->rows[i]);
    if (list->total > list->kept)
        fprintf(out, "sanad: %s: and %zu more\n", severity, list->total - list->kept);
}

void settings_print_report(FILE *out, const struct settings_report *report)
{
    put_problems(out, "warning", &report->warnings);
    put_problems(out, "error", &report->errors);
}
