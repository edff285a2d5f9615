/* SPDX-License-Identifier: MIT */
/* The terminal, for a command that fills it: pages out, keys in. The only place that
 * knows the library behind it. One at a time in a process.
 *
 * While it is open, SIGINT, SIGTERM and SIGHUP are keys (KEY_END), so that whatever
 * ends the command, the terminal is as it was before.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "cli/screen.h"

/* Beyond these, a key is its character. */
enum terminal_key {
    TERMINAL_NONE = 0,             /* nothing was typed in that time        */
    TERMINAL_END = 1000,           /* a signal, or the terminal is gone     */
    TERMINAL_RESIZED,
    TERMINAL_UP, TERMINAL_DOWN, TERMINAL_PAGE_UP, TERMINAL_PAGE_DOWN, TERMINAL_HOME,
    TERMINAL_LEFT, TERMINAL_RIGHT,
};

/* False, with the reason, when standard input and output are no terminal that can
 * be drawn on. */
MUSTCHECK bool terminal_open(const char **ret_why);
void terminal_close(void);

/* Whether what is beyond ASCII can be shown; the locale says so. */
bool terminal_is_utf8(void);

void terminal_size(int *ret_lines, int *ret_columns);
void terminal_show(const struct screen *s);

/* The next key, waiting for at most so long. */
int terminal_key(int timeout_ms);
