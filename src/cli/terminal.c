/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#define NCURSES_WIDECHAR 1

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ESCAPE_MS = 25, WAIT_MAX_MS = 250 };

/* clang-format off */
static const struct look { attr_t attributes; short colour; } looks[STYLE_COUNT] = {
    [STYLE_PLAIN]  = { A_NORMAL,  -1 },
    [STYLE_BAR]    = { A_REVERSE, -1 },
    [STYLE_CHOSEN] = { A_BOLD | A_UNDERLINE, COLOR_CYAN },
    [STYLE_HEAD]   = { A_BOLD,    -1 },
    [STYLE_LABEL]  = { A_NORMAL,  COLOR_CYAN },
    [STYLE_GOOD]   = { A_NORMAL,  COLOR_GREEN },
    [STYLE_WARN]   = { A_BOLD,    COLOR_YELLOW },
    [STYLE_BAD]    = { A_BOLD,    COLOR_RED },
};

static const struct key_row { int theirs, ours; } key_rows[] = {
    { KEY_UP, TERMINAL_UP },         { KEY_DOWN, TERMINAL_DOWN },      { KEY_PPAGE, TERMINAL_PAGE_UP },
    { KEY_NPAGE, TERMINAL_PAGE_DOWN }, { KEY_HOME, TERMINAL_HOME },    { KEY_LEFT, TERMINAL_LEFT },
    { KEY_RIGHT, TERMINAL_RIGHT },   { KEY_RESIZE, TERMINAL_RESIZED },
};
/* clang-format on */

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* Before the library looks: it takes over only what is still as it was. */
static void catch_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    const struct sigaction action = { .sa_handler = on_signal };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaction(numbers[i], &action, NULL);
}

bool terminal_is_utf8(void)
{
    (void)setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void choose_colours(void)
{
    if (!has_colors() || getenv("NO_COLOR") || start_color() != OK || use_default_colors() != OK)
        return;
    for (short i = 0; i < STYLE_COUNT; i++) {
        if (looks[i].colour >= 0)
            (void)init_pair((short)(i + 1), looks[i].colour, -1);
    }
}

bool terminal_open(const char **ret_why)
{
    SCREEN *screen;

    *ret_why = "standard input and output are no terminal";
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return false;
    (void)setlocale(LC_CTYPE, "");
    catch_signals();
    screen = newterm(NULL, stdout, stdin);
    *ret_why = "the terminal that TERM names is not known here, or cannot be drawn on";
    if (!screen)
        return false;
    if (!tigetstr("cup")) {
        (void)endwin();
        return false;
    }
    set_escdelay(ESCAPE_MS);
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    choose_colours();
    return true;
}

void terminal_close(void) { (void)endwin(); }

void terminal_size(int *ret_lines, int *ret_columns) { getmaxyx(stdscr, *ret_lines, *ret_columns); }

/* ---- pages ------------------------------------------------------------------------------- */

static void choose_look(enum style style)
{
    (void)attr_set(looks[style].attributes, has_colors() && looks[style].colour >= 0 ? (short)(style + 1) : (short)0,
                   NULL);
}

static void show_cell(int line, int column, const struct cell *c)
{
    const wchar_t text[2] = { c->rune ? (wchar_t)c->rune : L' ' };

    choose_look(c->style);
    (void)mvaddwstr(line, column, text);
}

void terminal_show(const struct screen *s)
{
    (void)erase();
    for (int line = 0; line < s->lines; line++) {
        for (int column = 0; column < s->columns; column++)
            show_cell(line, column, &s->cells[(size_t)line * (size_t)s->columns + (size_t)column]);
    }
    (void)refresh();
}

/* ---- keys -------------------------------------------------------------------------------- */

static int translate(int key)
{
    for (size_t i = 0; i < sizeof(key_rows) / sizeof(key_rows[0]); i++) {
        if (key_rows[i].theirs == key)
            return key_rows[i].ours;
    }
    return key > 0 && key < 0x80 ? key : TERMINAL_NONE;
}

/* A size that has changed is told by the library, as a key, after its signal has
 * interrupted the wait. */
int terminal_key(int timeout_ms)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    const int n = poll(&input, 1, timeout_ms < WAIT_MAX_MS ? timeout_ms : WAIT_MAX_MS);
    int key;

    if (ended || (n > 0 && input.revents & (POLLHUP | POLLERR | POLLNVAL)) || (n < 0 && errno != EINTR))
        return TERMINAL_END;
    key = getch();
    return key == ERR ? TERMINAL_NONE : translate(key);
}
