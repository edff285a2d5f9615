/* SPDX-License-Identifier: MIT */
/* sanad top: the running server, live, on a terminal. The looks are top_watch's, the
 * pages top_view's; here are the keys and the clock. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/sanad.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "cli/top_watch.h"
#include "db/statement.h"

enum {
    NAMES_BYTES = 1024 * 1024,
    PAGE_BYTES = 16 * 1024 * 1024,
    PLAIN_LINES = SCREEN_LINES_MAX,
    PLAIN_COLUMNS = 160,
    INTERVAL_MAX_S = 3600,
    COUNT_MAX = 1000000,
};

struct top {
    struct top_watch watch;
    struct top_choice choice;
    struct arena page; /* of the page that is being drawn       */
    mono_ns due;       /* of the next look                      */
    bool ascii, ended;
};

/* ---- keys -------------------------------------------------------------------------------- */

static void quit(struct top *t) { t->ended = true; }
static void pause_or_go_on(struct top *t) { t->choice.paused = !t->choice.paused; }
static void sort_next(struct top *t) { top_choice_sort_next(&t->choice); }
static void change_span(struct top *t) { t->choice.since_start = !t->choice.since_start; }
static void toggle_help(struct top *t) { t->choice.help = !t->choice.help; }

static void go_to(struct top *t, int view)
{
    t->choice.view = (enum top_view)((view + VIEW_COUNT) % VIEW_COUNT);
    t->choice.scroll = 0;
    t->choice.help = false;
    if (t->choice.view == VIEW_CLIENTS)
        top_watch_clients(&t->watch);
}

static void go_right(struct top *t) { go_to(t, (int)t->choice.view + 1); }
static void go_left(struct top *t) { go_to(t, (int)t->choice.view - 1); }

static void scroll(struct top *t, int lines) { top_choice_scroll(&t->choice, &t->watch.model, lines); }
static void scroll_up(struct top *t) { scroll(t, -1); }
static void scroll_down(struct top *t) { scroll(t, 1); }
static void scroll_home(struct top *t) { scroll(t, -t->choice.scroll); }

/* Half a page. */
static int page_lines(void)
{
    int lines, columns;

    terminal_size(&lines, &columns);
    return lines / 2;
}

static void page_up(struct top *t) { scroll(t, -page_lines()); }
static void page_down(struct top *t) { scroll(t, page_lines()); }

/* The next of these. */
static void change_interval(struct top *t, bool longer)
{
    static const int steps[] = { 1, 2, 5, 10, 30, 60 };
    const size_t count = sizeof(steps) / sizeof(steps[0]);
    int chosen = t->choice.interval_s;

    for (size_t i = 0; i < count; i++) {
        const int step = steps[longer ? i : count - 1 - i];
        if (longer ? step > t->choice.interval_s : step < t->choice.interval_s) {
            chosen = step;
            break;
        }
    }
    t->choice.interval_s = chosen;
    t->due = clock_mono() + (mono_ns)chosen * NS_PER_S;
}

static void look_less(struct top *t) { change_interval(t, true); }
static void look_more(struct top *t) { change_interval(t, false); }

/* clang-format off */
static const struct key_row {
    int key;
    void (*act)(struct top *t);
} keys[] = {
    { 'q', quit },                       { TERMINAL_END, quit },
    { ' ', pause_or_go_on },             { 'p', pause_or_go_on },
    { '+', look_less },                  { '-', look_more },
    { 's', sort_next },                  { 'a', change_span },
    { '?', toggle_help },                { 'h', toggle_help },
    { '\t', go_right },                  { TERMINAL_RIGHT, go_right },
    { TERMINAL_LEFT, go_left },          { TERMINAL_HOME, scroll_home },
    { TERMINAL_UP, scroll_up },          { TERMINAL_DOWN, scroll_down },
    { TERMINAL_PAGE_UP, page_up },       { TERMINAL_PAGE_DOWN, page_down },
};
/* clang-format on */

static void act_on(struct top *t, int key)
{
    if (key >= '1' && key < '1' + VIEW_COUNT)
        go_to(t, key - '1');
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].key == key)
            keys[i].act(t);
    }
}

/* ---- on a terminal -------------------------------------------------------------------------- */

static void show(struct top *t)
{
    struct screen s;
    int lines, columns;

    arena_reset(&t->page);
    terminal_size(&lines, &columns);
    if (!screen_init(&s, &t->page, lines, columns))
        return;
    s.ascii = t->ascii;
    top_draw(&s, &t->watch.model, &t->choice, &t->page);
    terminal_show(&s);
}

static int ms_until(mono_ns due)
{
    const mono_ns left = due - clock_mono();

    return left > 0 ? (int)(left / NS_PER_MS) + 1 : 0;
}

static bool look_if_due(struct top *t)
{
    if (t->choice.paused || clock_mono() < t->due)
        return false;
    top_watch_look(&t->watch);
    if (t->choice.view == VIEW_CLIENTS)
        top_watch_clients(&t->watch);
    t->due = clock_mono() + (mono_ns)t->choice.interval_s * NS_PER_S;
    return true;
}

static int live(struct top *t)
{
    const char *why;

    if (!terminal_open(&why)) {
        fprintf(stderr, "sanad top: %s; --batch prints plain text\n", why);
        return CLI_FAILED;
    }
    top_watch_look(&t->watch);
    go_to(t, (int)t->choice.view);    /* what it needs besides */
    t->due = clock_mono() + NS_PER_S; /* rates need a second look: soon */
    show(t);
    while (!t->ended) {
        const int key = terminal_key(t->choice.paused ? t->choice.interval_s * MS_PER_S : ms_until(t->due));
        act_on(t, key);
        if (look_if_due(t) || key != TERMINAL_NONE)
            show(t);
    }
    terminal_close();
    return CLI_OK;
}

/* ---- as plain text ---------------------------------------------------------------------------- */

static void pause_s(int seconds)
{
    struct timespec left = { .tv_sec = seconds };

    while (nanosleep(&left, &left) != 0)
        continue;
}

static int print_page(struct top *t, bool all)
{
    struct screen s;

    arena_reset(&t->page);
    if (!screen_init(&s, &t->page, PLAIN_LINES, PLAIN_COLUMNS))
        return CLI_FAILED;
    s.ascii = t->ascii;
    top_draw_plain(&s, &t->watch.model, &t->choice, all, &t->page);
    screen_print(&s, stdout);
    return cli_flush("top", stdout);
}

static int batch(struct top *t, int64_t count, bool all)
{
    int status = CLI_OK;

    top_watch_look(&t->watch);
    for (int64_t i = 0; i < count && status == CLI_OK; i++) {
        pause_s(t->choice.interval_s);
        top_watch_look(&t->watch);
        if (t->watch.model.gone) {
            fprintf(stderr, "sanad top: %s\n", t->watch.model.note);
            return CLI_FAILED;
        }
        if (all || t->choice.view == VIEW_CLIENTS)
            top_watch_clients(&t->watch);
        status = print_page(t, all);
    }
    return status;
}

/* ---- the command ------------------------------------------------------------------------------- */

struct task {
    bool batch, all;
    int64_t count, interval_s;
    enum top_view view;
};

static bool find_view(const char *name, enum top_view *ret_view)
{
    for (int v = 0; v < VIEW_COUNT; v++) {
        if (strcmp(name, top_view_name((enum top_view)v)) != 0)
            continue;
        *ret_view = (enum top_view)v;
        return true;
    }
    return false;
}

static int take_task(const char *interval, const char *count, const char *view, struct task *task)
{
    task->all = view == NULL;
    task->count = 1;
    task->interval_s = top_choice_default().interval_s;
    if (interval && str_to_int(str_of(interval), 1, INTERVAL_MAX_S, &task->interval_s) != OK)
        return cli_usage("top", "--interval %s: wants seconds from 1 to %d", interval, INTERVAL_MAX_S);
    if (count && str_to_int(str_of(count), 1, COUNT_MAX, &task->count) != OK)
        return cli_usage("top", "--count %s: wants a number from 1 to %d", count, COUNT_MAX);
    if (view && !find_view(view, &task->view))
        return cli_usage("top", "--view %s: wants overview, routes, statements, workers or clients", view);
    if (count && !task->batch)
        return cli_usage("top", "--count is of --batch");
    return CLI_OK;
}

static int watch(const struct settings *s, const struct task *task, const struct router *router)
{
    struct top t = { .choice = top_choice_default(), .ascii = !terminal_is_utf8() };
    char why[RUNNING_WHY_SIZE];
    int status;

    t.choice.view = task->view;
    t.choice.interval_s = (int)task->interval_s;
    if (!top_watch_open(&t.watch, s, router, why)) {
        fprintf(stderr, "sanad top: %s\n", why);
        return CLI_FAILED;
    }
    arena_init(&t.page, PAGE_BYTES);
    status = task->batch ? batch(&t, task->count, task->all) : live(&t);
    arena_done(&t.page);
    top_watch_close(&t.watch);
    return status;
}

/* Names of routes and statements stand in no shared memory: they are those of the
 * program, in the order of its tables. */
static int work(const struct settings *s, const struct task *task)
{
    const struct application *app;
    struct router *router = NULL;
    struct arena arena;
    int status = CLI_FAILED;

    arena_init(&arena, NAMES_BYTES);
    app = sanad_application(s, &arena);
    if (app) {
        db_register(app->statements, app->statement_count);
        router = router_new(app->routes, app->route_count);
    }
    if (router)
        status = watch(s, task, router);
    router_free(router);
    arena_done(&arena);
    return status;
}

static int run(int argc, char **argv)
{
    const char *interval = NULL, *count = NULL, *view = NULL;
    struct task task = { 0 };
    const struct cli_option own[] = { { "interval", .value = &interval },
                                      { "batch", .given = &task.batch },
                                      { "count", .value = &count },
                                      { "view", .value = &view },
                                      { NULL } };
    struct cli_options options;
    struct settings s;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = take_task(interval, count, view, &task);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    status = work(&s, &task);
    settings_done(&s);
    return status;
}

const struct command command_top = {
    .name = "top",
    .arguments = "[--interval S] [--view NAME] [--batch [--count N]] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Shows the running server live: rates, latencies, pool, cache, workers",
    .help = "Reads the memory that the server's processes share, and nothing else: the server\n"
            "is not asked and not disturbed. When it ends or is upgraded, the next one that\n"
            "has PID_FILE is shown. Run it as the user of the server, or root, in the\n"
            "server's folder. Keys: ? shows them, q quits.\n"
            "\n"
            "  --interval S     looks every S seconds (2)\n"
            "  --view NAME      overview, routes, statements, workers or clients\n"
            "  --batch          prints plain text, after one interval; all views, or --view\n"
            "  --count N        so many times (1)\n"
            "  --env FILE       read this file instead of ./.env\n"
            "  --set KEY=VALUE  override a setting; may be repeated\n"
            "\n"
            "Examples:\n"
            "  sanad top\n"
            "  sanad top --batch --view routes --interval 10\n",
    .run = run,
};
