/* SPDX-License-Identifier: MIT */
#include "cli/screen.h"

#include <stdarg.h>
#include <string.h>

#include "base/str.h"

enum { TEXT_SIZE = 1024, LEVELS = 8, BLOCK_FIRST = 0x2581, RUNE_SIZE = 4 };

static int within(int n, int most) { return n < 1 ? 1 : n < most ? n : most; }

bool screen_init(struct screen *s, struct arena *arena, int lines, int columns)
{
    *s = (struct screen){ .lines = within(lines, SCREEN_LINES_MAX), .columns = within(columns, SCREEN_COLUMNS_MAX) };
    s->cells = arena_array(arena, struct cell, (size_t)s->lines * (size_t)s->columns);
    return s->cells != NULL;
}

/* ---- writing --------------------------------------------------------------------------- */

static void put_rune(struct screen *s, enum style style, uint32_t rune)
{
    if (s->line < s->lines && s->column < s->columns)
        s->cells[(size_t)s->line * (size_t)s->columns + (size_t)s->column] = (struct cell){ rune, style };
    s->column++;
}

/* The code point of a well-formed sequence of `len` bytes. */
static uint32_t decode(const char *at, size_t len)
{
    uint32_t rune = (unsigned char)*at;

    if (len > 1)
        rune &= 0x7Fu >> len;
    for (size_t i = 1; i < len; i++)
        rune = rune << 6 | ((unsigned char)at[i] & 0x3F);
    return rune;
}

void screen_put(struct screen *s, enum style style, const char *text)
{
    const char *const end = text + strlen(text);

    while (text < end) {
        const size_t len = utf8_sequence(text, end);
        const uint32_t rune = len > 0 ? decode(text, len) : 0;
        const bool shown = rune >= ' ' && rune != 0x7F && (rune < 0x80 || (rune >= 0xA0 && !s->ascii));

        put_rune(s, style, shown ? rune : '?');
        text += len > 0 ? len : 1;
    }
}

void screen_printf(struct screen *s, enum style style, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    screen_put(s, style, text);
}

void screen_to(struct screen *s, enum style style, int column)
{
    while (s->column < column && s->column < s->columns)
        put_rune(s, style, ' ');
}

void screen_next(struct screen *s) { screen_go(s, s->line + 1); }

void screen_go(struct screen *s, int line)
{
    s->line = line;
    s->column = 0;
}

void screen_curve(struct screen *s, enum style style, const double *values, size_t count, double most, int width)
{
    static const char plain[LEVELS] = { '_', '.', '-', '=', '+', '*', '%', '#' };
    const size_t shown = width > 0 && (size_t)width < count ? (size_t)width : count;

    for (size_t i = count - shown; width > 0 && i < count; i++) {
        const double height = most > 0 ? values[i] / most * (LEVELS - 1) : 0;
        const int level = height < 0 ? 0 : height > LEVELS - 1 ? LEVELS - 1 : (int)(height + 0.5);

        put_rune(s, style, s->ascii ? (uint32_t)plain[level] : (uint32_t)(BLOCK_FIRST + level));
    }
}

/* ---- printing ---------------------------------------------------------------------------- */

static size_t encode(uint32_t rune, char out[static RUNE_SIZE])
{
    static const unsigned char first[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    const size_t len = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--, rune >>= 6)
        out[i] = (char)(0x80 | (rune & 0x3F));
    out[0] = (char)(len > 1 ? first[len] | rune : rune);
    return len;
}

static bool is_blank(struct cell c) { return c.rune == 0 || c.rune == ' '; }

static int used_columns(const struct screen *s, const struct cell *row)
{
    int used = s->columns;

    while (used > 0 && is_blank(row[used - 1]))
        used--;
    return used;
}

static void print_row(const struct screen *s, const struct cell *row, FILE *out)
{
    char bytes[RUNE_SIZE] = { 0 };

    for (int i = 0, used = used_columns(s, row); i < used; i++) {
        const size_t n = encode(row[i].rune ? row[i].rune : ' ', bytes);
        fwrite(bytes, 1, n, out);
    }
    fputc('\n', out);
}

void screen_print(const struct screen *s, FILE *out)
{
    int lines = s->lines;

    while (lines > 0 && used_columns(s, s->cells + (size_t)(lines - 1) * (size_t)s->columns) == 0)
        lines--;
    for (int i = 0; i < lines; i++)
        print_row(s, s->cells + (size_t)i * (size_t)s->columns, out);
}
