/* SPDX-License-Identifier: MIT */
#include "cli/top_watch.h"

#include <stdarg.h>
#include <string.h>

#include "ops/listening.h"

enum { LOOK_BYTES = 32 * 1024 * 1024, PLACES_MAX = 16, NOTE_S = 10 };

/* ---- notes ------------------------------------------------------------------------------- */

static void note(struct top_watch *w, const char *format, ...) PRINTF(2, 3);
static void note(struct top_watch *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(w->model.note, sizeof(w->model.note), format, args);
    va_end(args);
    w->noted = clock_mono();
}

static void forget_note(struct top_watch *w)
{
    if (!w->model.gone && clock_mono() - w->noted > (mono_ns)NOTE_S * NS_PER_S)
        w->model.note[0] = '\0';
}

/* ---- the server -------------------------------------------------------------------------- */

static void find_place(struct top_watch *w)
{
    struct listening places[PLACES_MAX];
    const size_t count = listening_of(w->running.pid, places, PLACES_MAX);

    w->model.place[0] = '\0';
    if (count > 1)
        snprintf(w->model.place, sizeof(w->model.place), "%s +%zu", places[0].text, count - 1);
    else if (count == 1)
        snprintf(w->model.place, sizeof(w->model.place), "%s", places[0].text);
}

static bool attach(struct top_watch *w, char why[static RUNNING_WHY_SIZE])
{
    struct node_source node;

    if (!running_open(w->settings, RUNNING_READ, &w->running, why))
        return false;
    if (!running_node(&w->running, &node)) {
        snprintf(why, RUNNING_WHY_SIZE, "the running server is another build, whose memory this one cannot read");
        running_close(&w->running);
        return false;
    }
    find_place(w);
    w->model.pid = w->running.pid;
    return true;
}

static void lose(struct top_watch *w, const char *why)
{
    if (w->running.pid > 0)
        running_close(&w->running);
    w->model.gone = true;
    note(w, "%s", why);
}

/* Nothing that was counted before says anything of this one. */
static void start_anew(struct top_watch *w, long before)
{
    w->model.gone = false;
    w->model.now = NULL;
    w->model.latest = w->model.total = NULL;
    w->model.rate_count = w->model.client_count = 0;
    note(w, "the server is process %ld now; before it was %ld", w->model.pid, before);
}

/* True when the process that has PID_FILE now is attached. */
static bool follow(struct top_watch *w)
{
    const long before = w->model.pid;
    char why[RUNNING_WHY_SIZE];
    const pid_t pid = running_pid(w->settings, why);

    if (pid != 0 && pid == w->running.pid)
        return true;
    if (w->running.pid > 0)
        running_close(&w->running);
    if (pid == 0 || !attach(w, why)) {
        lose(w, why);
        return false;
    }
    start_anew(w, before);
    return true;
}

/* ---- looking ------------------------------------------------------------------------------- */

static void keep_rate(struct top_model *m, double rate)
{
    if (m->rate_count == TOP_HISTORY)
        memmove(m->rates, m->rates + 1, (TOP_HISTORY - 1) * sizeof(*m->rates));
    else
        m->rate_count++;
    m->rates[m->rate_count - 1] = rate;
}

static void look_at_limits(struct top_watch *w)
{
    const struct limit_table *table = running_limits(&w->running);

    w->model.limits = table ? limit_table_stats(table) : (struct limit_stats){ 0 };
}

void top_watch_clients(struct top_watch *w)
{
    struct limit_table *table = w->model.gone ? NULL : running_limits(&w->running);
    struct top_model *m = &w->model;

    if (table)
        m->client_count = limit_table_busiest(table, clock_mono() / NS_PER_MS, m->clients, TOP_CLIENTS);
}

/* The arena of the look before last is free; the last one's is still needed. */
static bool take(struct top_watch *w)
{
    struct arena *arena = &w->memory[!w->current];
    struct top_model *m = &w->model;
    const struct snapshot *now;
    struct node_source node;

    arena_reset(arena);
    if (!running_node(&w->running, &node))
        return false;
    now = snapshot_take(&node, arena);
    if (!now)
        return false;
    m->latest = m->now ? interval_between(m->now, now, arena) : NULL;
    m->total = interval_between(NULL, now, arena);
    m->now = m->total ? now : NULL;
    w->current = !w->current;
    return m->total != NULL;
}

void top_watch_look(struct top_watch *w)
{
    struct top_model *m = &w->model;

    forget_note(w);
    if (!follow(w))
        return;
    if (!take(w)) {
        lose(w, "what the server's memory says is beyond what this program can hold");
        return;
    }
    look_at_limits(w);
    if (m->latest)
        keep_rate(m, interval_rate(m->latest, m->latest->http.count));
}

bool top_watch_open(struct top_watch *w, const struct settings *s, const struct router *router,
                    char why[static RUNNING_WHY_SIZE])
{
    *w = (struct top_watch){ .settings = s, .model = { .router = router } };
    arena_init(&w->memory[0], LOOK_BYTES);
    arena_init(&w->memory[1], LOOK_BYTES);
    return attach(w, why);
}

void top_watch_close(struct top_watch *w)
{
    if (w->running.pid > 0)
        running_close(&w->running);
    arena_done(&w->memory[0]);
    arena_done(&w->memory[1]);
}
