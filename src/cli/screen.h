/* SPDX-License-Identifier: MIT */
/* A page of text in cells, as a terminal has them: written from the top to the bottom,
 * then shown on a terminal (cli/terminal.h) or printed.
 *
 * What does not fit is cut, never wrapped. Each character is taken to be one cell wide,
 * which is true of what our commands write; control characters become '?'.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"

enum style { STYLE_PLAIN, STYLE_BAR, STYLE_CHOSEN, STYLE_HEAD, STYLE_LABEL, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_COUNT };

enum { SCREEN_LINES_MAX = 2000, SCREEN_COLUMNS_MAX = 400 };

struct cell { uint32_t rune; enum style style; };

struct screen {
    struct cell *cells;           /* lines * columns; rune 0: nothing was written */
    int          lines, columns;
    int          line, column;    /* of the next character                        */
    bool         ascii;           /* nothing else can be shown                    */
};

/* An empty page, cut to the maxima above; false when the arena is full. */
MUSTCHECK bool screen_init(struct screen *s, struct arena *arena, int lines, int columns);

static inline int screen_left(const struct screen *s) { return s->lines - s->line; }

/* Writes behind what stands there. */
void screen_put(struct screen *s, enum style style, const char *text);
void screen_printf(struct screen *s, enum style style, const char *format, ...) PRINTF(3, 4);

/* Blanks up to a column, if it is not there yet. */
void screen_to(struct screen *s, enum style style, int column);

/* Goes to a line's start: the next one, or that one. */
void screen_next(struct screen *s);
void screen_go(struct screen *s, int line);

/* A curve of the last values, at most `width` cells; `most` is its full height. */
void screen_curve(struct screen *s, enum style style, const double *values, size_t count, double most, int width);

/* As plain text, without what is blank at the end of lines and of the page. */
void screen_print(const struct screen *s, FILE *out);
