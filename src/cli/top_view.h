/* SPDX-License-Identifier: MIT */
/* What `sanad top` shows: a page drawn from a model. Pure: it neither reads the server's
 * memory nor knows the terminal, so the same page is shown, printed and tested. */
#pragma once

#include "cli/screen.h"
#include "limit/table.h"
#include "ops/interval.h"

struct router;

/* X(id, key and name) */
#define TOP_VIEWS(X)                   \
    X(VIEW_OVERVIEW,   "overview")     \
    X(VIEW_ROUTES,     "routes")       \
    X(VIEW_STATEMENTS, "statements")   \
    X(VIEW_WORKERS,    "workers")      \
    X(VIEW_CLIENTS,    "clients")

enum top_view {
#define X(id, name) id,
    TOP_VIEWS(X)
#undef X
    VIEW_COUNT
};
const char *top_view_name(enum top_view v);

enum { TOP_HISTORY = 240, TOP_CLIENTS = 200, TOP_TEXT = 200 };

/* What is known of the server. */
struct top_model {
    const struct snapshot *now;              /* NULL: nothing was seen yet                   */
    const struct interval *latest, *total;   /* between the last two looks; since the start. */
                                             /* latest is NULL after the first look          */
    const struct router   *router;           /* names the routes                             */
    long                   pid;              /* of the master                                */
    char                   place[TOP_TEXT];  /* where it listens; "" when that is not known  */
    bool                   gone;             /* the figures are the last that were seen      */
    char                   note[TOP_TEXT];   /* why it is gone, or what has happened         */

    double                 rates[TOP_HISTORY];   /* requests a second, the latest last       */
    size_t                 rate_count;

    struct limit_client    clients[TOP_CLIENTS];
    size_t                 client_count;
    struct limit_stats     limits;
};

/* What the person who looks has chosen. */
struct top_choice {
    enum top_view view;
    unsigned      sort[VIEW_COUNT];   /* column that the list is ordered by                */
    int           scroll;             /* lines of the list that are above the page         */
    bool          paused, since_start, help;
    int           interval_s;
};

/* The columns that each list is ordered by at first. */
struct top_choice top_choice_default(void);

/* Orders a view's list by its next column. */
void top_choice_sort_next(struct top_choice *c);

/* Moves the list by so many lines, within its length. */
void top_choice_scroll(struct top_choice *c, const struct top_model *m, int lines);

/* Draws the whole page. `scratch` holds what drawing needs. */
void top_draw(struct screen *s, const struct top_model *m, const struct top_choice *c, struct arena *scratch);

/* All views one below the other, or one, without keys: for printing. */
void top_draw_plain(struct screen *s, const struct top_model *m, const struct top_choice *c, bool all,
                    struct arena *scratch);
