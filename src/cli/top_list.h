/* SPDX-License-Identifier: MIT */
/* The lists of `sanad top`: columns of figures, ordered by one of them, and a name.
 *
 * A list is a table of columns; each says how its value is got from an item, and how
 * it is written. NaN is "nothing to say": written "-", and last in any order.
 */
#pragma once

#include "cli/figures.h"
#include "cli/top_view.h"

/* What the values are computed with. */
struct list_view {
    const struct top_model *model;
    const struct interval  *interval;
};

struct list_column {
    const char   *head;
    int           width;
    double      (*value)(const struct list_view *v, const void *item);
    struct figure (*write)(double value);
    bool          ascending;                 /* the smallest first                  */
    double        bad_from;                  /* red from there on; 0: never         */
};

enum { LIST_NAME_SIZE = 160 };

struct list {
    const struct list_column *columns;
    size_t                    column_count;
    const char               *name_head;
    void                    (*name)(const struct list_view *v, const void *item, char out[static LIST_NAME_SIZE]);
    const char               *(*items)(const struct list_view *v, size_t *ret_count);   /* the first item's bytes */
    size_t                    item_size;
    unsigned                  first_sort;
};

/* NULL for a view that is no list. */
const struct list *list_of(enum top_view view);

size_t list_length(const struct list *list, const struct list_view *v);

/* Draws heads and at most `lines` items from `scroll` on. */
struct list_place { unsigned sort; int scroll, lines; };
void list_draw(struct screen *s, const struct list *list, const struct list_view *v, struct list_place place,
               struct arena *scratch);
