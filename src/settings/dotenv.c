/* SPDX-License-Identifier: MIT */
#include "settings/dotenv.h"

#include <stdbool.h>

static const char escapes[][2] = { { 'n', '\n' }, { 't', '\t' }, { '"', '"' }, { '\\', '\\' }, { '$', '$' } };

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static bool is_key_byte(char c, bool first)
{
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (!first && c >= '0' && c <= '9');
}

static struct str after(struct str s, size_t n) { return str_slice(s, n, s.len); }

struct dotenv dotenv_of(struct str bytes, struct arena *arena)
{
    if (str_starts_with(bytes, STR("\xef\xbb\xbf")))
        bytes = after(bytes, 3);
    return (struct dotenv){ .rest = bytes, .arena = arena };
}

/* The next line without its end, trimmed. */
static struct str take_line(struct dotenv *d)
{
    struct str line = str_split(&d->rest, '\n');

    d->line++;
    if (str_ends_with(line, STR("\r")))
        line.len--;
    return str_trim(line);
}

/* "export KEY=..." and "KEY=..." are the same. */
static struct str skip_export(struct str line)
{
    const struct str word = STR("export");

    if (!str_starts_with(line, word) || line.len == word.len || !is_space(line.ptr[word.len]))
        return line;
    const struct str rest = str_trim(after(line, word.len));
    return rest.len > 0 && rest.ptr[0] == '=' ? line : rest; /* "export = 1" sets the key "export" */
}

/* Cuts the key and the '=' off the front of *line; spaces after it stay. */
static const char *take_key(struct str *line, struct str *ret_key)
{
    size_t n = 0;

    while (n < line->len && is_key_byte(line->ptr[n], n == 0))
        n++;
    const struct str rest = str_trim(after(*line, n));
    if (n == 0)
        return "a line starts with a name of letters, digits and '_', or with '#'";
    if (rest.len == 0 || rest.ptr[0] != '=')
        return "a name is followed by '=' and its value";
    *ret_key = str_slice(*line, 0, n);
    *line = after(rest, 1);
    return NULL;
}

/* Whatever follows a closing quote must be a comment. */
static const char *check_tail(struct str tail)
{
    tail = str_trim(tail);
    return tail.len == 0 || tail.ptr[0] == '#' ? NULL : "there is text after the closing quote";
}

static const char *read_bare(struct str text, struct str *ret_value)
{
    size_t end = 0;

    while (end < text.len && !(text.ptr[end] == '#' && end > 0 && is_space(text.ptr[end - 1])))
        end++;
    *ret_value = str_trim(str_slice(text, 0, end));
    return NULL;
}

static const char *read_single(struct str text, struct str *ret_value)
{
    const size_t end = str_find(text, '\'', 1);

    if (end >= text.len)
        return "the closing ' is missing on this line";
    *ret_value = str_slice(text, 1, end);
    return check_tail(after(text, end + 1));
}

/* What the byte after a backslash stands for; 0 when nothing. */
static char escape_of(char c)
{
    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        if (escapes[i][0] == c)
            return escapes[i][1];
    }
    return 0;
}

static const char *read_double(struct str text, struct arena *arena, struct str *ret_value)
{
    char *out = arena_alloc(arena, text.len);
    size_t at = 1, len = 0;

    if (!out)
        return "there is no memory for this value";
    for (; at < text.len && text.ptr[at] != '"'; at++) {
        char c = text.ptr[at];
        if (c == '\\') {
            if (++at == text.len)
                break;
            c = escape_of(text.ptr[at]);
            if (c == 0)
                return "a backslash in double quotes is followed by one of n t \" \\ $";
        }
        out[len++] = c;
    }
    if (at >= text.len)
        return "the closing \" is missing on this line";
    *ret_value = (struct str){ out, len };
    return check_tail(after(text, at + 1));
}

static const char *read_value(struct str text, struct arena *arena, struct str *ret_value)
{
    const struct str value = str_trim(text);

    if (str_starts_with(value, STR("'")))
        return read_single(value, ret_value);
    if (str_starts_with(value, STR("\"")))
        return read_double(value, arena, ret_value);
    return read_bare(text, ret_value);
}

static const char *read_pair(struct str line, struct arena *arena, struct dotenv_line *ret_line)
{
    const char *wrong = NULL;

    if (line.len > DOTENV_LINE_MAX)
        return "the line is longer than 64 KiB";
    if (str_find(line, '\0', 0) < line.len)
        return "the line holds a NUL byte";
    line = skip_export(line);
    wrong = take_key(&line, &ret_line->key);
    return wrong ? wrong : read_value(line, arena, &ret_line->value);
}

enum dotenv_result dotenv_next(struct dotenv *d, struct dotenv_line *ret_line)
{
    struct dotenv_line found = { .key = STR_EMPTY, .value = STR_EMPTY };
    struct str line = STR_EMPTY;

    if (d->rest.len > DOTENV_BYTES_MAX) {
        d->rest = (struct str){ NULL, 0 };
        *ret_line = (struct dotenv_line){ .number = d->line + 1, .wrong = "the file is larger than 1 MiB" };
        return DOTENV_BAD;
    }
    while (d->rest.ptr && (line.len == 0 || line.ptr[0] == '#'))
        line = take_line(d);
    if (line.len == 0 || line.ptr[0] == '#')
        return DOTENV_END;
    found.wrong = read_pair(line, d->arena, &found);
    found.number = d->line;
    *ret_line = found;
    return found.wrong ? DOTENV_BAD : DOTENV_PAIR;
}
