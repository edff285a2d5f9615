/* SPDX-License-Identifier: MIT */
/* A line is made in a buffer on the stack, so that it can be written when
 * memory is short. What does not fit is cut, never the line's form: a value is
 * shortened until it fits, the values after it are left out, and the line says
 * so (`[cut]`, or "cut":true). It goes to file descriptor 2.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

enum {
    LINE_BYTES = 4096,
    TAIL_BYTES = 16, /* kept for the mark of a cut line, the end and the newline */
    PROCESS_BYTES = 32,
    WRITE_WAIT_MS = 100, /* patience with a pipe that is full and does not block */
};

/* The sink, one a process: set at start, read by every thread. */
static struct {
    enum log_level least;
    enum log_format format;
    char process[PROCESS_BYTES];
} sink = { LOG_INFO, LOG_TEXT, "sanad" };

/* clang-format off */
static const struct level_name { const char *json, *text; } level_names[] = {
    [LOG_DEBUG]   = { "debug",   "debug" },
    [LOG_INFO]    = { "info",    "info " },
    [LOG_WARNING] = { "warning", "warn " },
    [LOG_ERROR]   = { "error",   "error" },
};
/* clang-format on */

/* The line under way. */
struct line {
    char memory[LINE_BYTES];
    struct buf out;
    struct json json; /* only for LOG_JSON */
    bool cut;
};

void log_setup(enum log_level least, enum log_format format, const char *process)
{
    sink.least = least;
    sink.format = format;
    snprintf(sink.process, sizeof(sink.process), "%s", process);
}

enum log_level log_least(void) { return sink.least; }

/* ---- writing out ----------------------------------------------------------- */

/* One write(2) as a rule. A short write is completed; a reader that does not
 * read for a while loses the rest of the line. */
static void write_out(const char *p, size_t n)
{
    while (n > 0) {
        const ssize_t written = write(STDERR_FILENO, p, n);
        if (written > 0) {
            p += written;
            n -= (size_t)written;
            continue;
        }
        if (written == 0)
            return;
        if (errno == EAGAIN && poll(&(struct pollfd){ .fd = STDERR_FILENO, .events = POLLOUT }, 1, WRITE_WAIT_MS) > 0)
            continue;
        if (errno != EINTR)
            return;
    }
}

/* ---- values: a text is cut to what fits ------------------------------------- */

typedef void put_fn(struct line *line, const char *name, struct str s);

/* The first `len` bytes, without the part of a character at their end. */
static struct str clip(struct str s, size_t len)
{
    if (len >= s.len)
        return s;
    while (len > 0 && ((unsigned char)s.ptr[len] & 0xC0) == 0x80)
        len--;
    return str_slice(s, 0, len);
}

/* Undoes what was put since `before`, because it did not fit. (The JSON writer
 * stands behind a whole member before and after.) */
static void take_back(struct line *line, size_t before)
{
    line->out.len = before;
    line->out.err = OK;
    line->cut = true;
}

/* Puts as much of s as fits; if even none of it does, nothing is left behind. */
static void put_fitting(struct line *line, put_fn *put, const char *name, struct str s)
{
    const size_t before = line->out.len;
    size_t len = s.len < LINE_BYTES ? s.len : LINE_BYTES;

    line->cut = len < s.len;
    for (;;) {
        put(line, name, clip(s, len));
        if (buf_ok(&line->out))
            return;
        take_back(line, before);
        if (len == 0)
            return;
        len = len * 3 / 4;
    }
}

/* ---- text -------------------------------------------------------------------- */

/* Control characters are escaped, quotes and backslashes stay. */
static void put_message_text(struct line *line, const char *name, struct str s)
{
    (void)name;
    for (size_t from = 0; from < s.len;) {
        size_t to = from;
        while (to < s.len && s.ptr[to] != '"' && s.ptr[to] != '\\')
            to++;
        json_escape(&line->out, str_slice(s, from, to));
        buf_str(&line->out, str_slice(s, to, to + 1));
        from = to + 1;
    }
}

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == ' ' || s.ptr[i] == '"' || s.ptr[i] == '=' || s.ptr[i] == '\\')
            return true;
    return s.len == 0;
}

static void put_name_text(struct line *line, const char *name)
{
    buf_byte(&line->out, ' ');
    json_escape(&line->out, str_of(name));
    buf_byte(&line->out, '=');
}

static void put_str_text(struct line *line, const char *name, struct str s)
{
    const bool quotes = needs_quotes(s);

    put_name_text(line, name);
    if (quotes)
        buf_byte(&line->out, '"');
    json_escape(&line->out, s);
    if (quotes)
        buf_byte(&line->out, '"');
}

static void head_text(struct line *line, enum log_level level)
{
    char now[ISO_TIME_SIZE];

    clock_iso(clock_wall(), now);
    buf_printf(&line->out, "%s %s [", now, level_names[level].text);
    json_escape(&line->out, str_of(sink.process));
    buf_printf(&line->out, " %ld] ", (long)getpid());
}

static void number_text(struct line *line, const struct log_field *field)
{
    struct json j;

    put_name_text(line, field->name);
    json_init(&j, &line->out);
    if (field->kind == LOG_FIELD_INT)
        json_int(&j, field->i);
    else
        json_double(&j, field->d);
}

static void tail_text(struct line *line)
{
    if (line->cut)
        buf_cstr(&line->out, " [cut]");
}

/* ---- JSON -------------------------------------------------------------------- */

static void put_str_json(struct line *line, const char *name, struct str s) { json_member_str(&line->json, name, s); }

static void head_json(struct line *line, enum log_level level)
{
    char now[ISO_TIME_SIZE];

    clock_iso(clock_wall(), now);
    json_init(&line->json, &line->out);
    json_object(&line->json);
    json_member_str(&line->json, "time", str_of(now));
    json_member_str(&line->json, "level", str_of(level_names[level].json));
    json_member_str(&line->json, "process", str_of(sink.process));
    json_member_int(&line->json, "pid", getpid());
}

static void number_json(struct line *line, const struct log_field *field)
{
    if (field->kind == LOG_FIELD_INT)
        json_member_int(&line->json, field->name, field->i);
    else
        json_member_double(&line->json, field->name, field->d);
}

static void tail_json(struct line *line)
{
    if (line->cut)
        json_member_bool(&line->json, "cut", true);
    json_object_end(&line->json);
}

/* ---- the line ----------------------------------------------------------------- */

/* clang-format off */
static const struct form {
    void  (*head)(struct line *line, enum log_level level);
    put_fn *message, *str;
    void  (*number)(struct line *line, const struct log_field *field);
    void  (*tail)(struct line *line);
} forms[] = {
    [LOG_TEXT] = { head_text, put_message_text, put_str_text, number_text, tail_text },
    [LOG_JSON] = { head_json, put_str_json,     put_str_json, number_json, tail_json },
};
/* clang-format on */

/* A number is there whole or not at all. */
static void put_number(struct line *line, const struct form *form, const struct log_field *field)
{
    const size_t before = line->out.len;

    form->number(line, field);
    if (!buf_ok(&line->out))
        take_back(line, before);
}

static void put_fields(struct line *line, const struct form *form, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count && !line->cut; i++) {
        if (fields[i].kind == LOG_FIELD_OPTION && fields[i].s.len == 0)
            continue;
        if (fields[i].kind == LOG_FIELD_STR || fields[i].kind == LOG_FIELD_OPTION)
            put_fitting(line, form->str, fields[i].name, fields[i].s);
        else
            put_number(line, form, &fields[i]);
    }
}

static void write_line(enum log_level level, struct str message, const struct log_field *fields, size_t count)
{
    const struct form *form = &forms[sink.format];
    const int saved_errno = errno;
    struct line line;

    line.cut = false;
    buf_init_fixed(&line.out, line.memory, LINE_BYTES - TAIL_BYTES);
    json_init(&line.json, &line.out);
    form->head(&line, level);
    put_fitting(&line, form->message, "message", message);
    put_fields(&line, form, fields, count);
    line.out.max = line.out.cap = sizeof(line.memory); /* now the tail's bytes too */
    form->tail(&line);
    buf_byte(&line.out, '\n');
    write_out(line.out.ptr, line.out.len);
    errno = saved_errno;
}

void log_line(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    if (level >= sink.least)
        write_line(level, str_of(message), fields, count);
}

void log_text(enum log_level level, const char *format, ...)
{
    char message[LINE_BYTES + 1];
    va_list args;

    if (level < sink.least)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    write_line(level, str_of(message), NULL, 0);
}
