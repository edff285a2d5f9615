/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <unistd.h>

enum { BAR_WIDTH = 30, BAR_EVERY_MS = 100, LINE_EVERY_MS = 1000, SPEED_AFTER_MS = 100, PERCENT = 100 };

void progress_start(struct progress *p, FILE *out, const char *what)
{
    mono_ns now = clock_mono();
    *p = (struct progress){ .out = out, .what = what, .terminal = isatty(fileno(out)), .started = now, .shown = now };
}

static int64_t share_of(int64_t whole, int64_t done, int64_t total) { return total > 0 ? whole * done / total : whole; }

size_t progress_line(char out[static PROGRESS_LINE_SIZE], const char *what, int64_t done, int64_t total, mono_ns took)
{
    int percent = (int)share_of(PERCENT, done, total);
    double seconds = (double)took / NS_PER_S, rate = seconds > 0 ? (double)done / seconds : 0;
    int n;

    if (took < (mono_ns)SPEED_AFTER_MS * NS_PER_MS || done == 0)
        n = snprintf(out, PROGRESS_LINE_SIZE, "%s %3d %%  %lld of %lld", what, percent, (long long)done,
                     (long long)total);
    else
        n = snprintf(out, PROGRESS_LINE_SIZE, "%s %3d %%  %lld of %lld, %.0f/s, %.0f s left", what, percent,
                     (long long)done, (long long)total, rate, (double)(total - done) / rate);
    return n < PROGRESS_LINE_SIZE ? (size_t)n : PROGRESS_LINE_SIZE - 1;
}

static void draw(struct progress *p, int64_t done, int64_t total, const char *line)
{
    char bar[BAR_WIDTH + 1];
    int64_t full = share_of(BAR_WIDTH, done, total);

    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '-';
    bar[BAR_WIDTH] = '\0';
    fprintf(p->out, "\r[%s] %s\033[K", bar, line);
    p->drawn = true;
}

void progress_tell(struct progress *p, int64_t done, int64_t total)
{
    mono_ns now = clock_mono(), pause = (mono_ns)(p->terminal ? BAR_EVERY_MS : LINE_EVERY_MS) * NS_PER_MS;
    char line[PROGRESS_LINE_SIZE];

    if (now - p->shown < pause)
        return;
    p->shown = now;
    progress_line(line, p->what, done, total, now - p->started);
    if (p->terminal)
        draw(p, done, total, line);
    else
        fprintf(p->out, "%s\n", line);
    fflush(p->out);
}

void progress_end(struct progress *p)
{
    if (!p->drawn)
        return;
    fputs("\r\033[K", p->out);
    fflush(p->out);
    p->drawn = false;
}

double progress_seconds(const struct progress *p) { return (double)(clock_mono() - p->started) / NS_PER_S; }
