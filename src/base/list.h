/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: a ring through a head. A link that is in no
 * list points to itself; removing it again does nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct link { struct link *next, *prev; };

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct link *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct link *head) { return head->next == head; }

static inline void list_insert_before(struct link *at, struct link *l)
{
    l->next = at;
    l->prev = at->prev;
    at->prev->next = l;
    at->prev = l;
}

static inline void list_push_back(struct link *head, struct link *l) { list_insert_before(head, l); }
static inline void list_push_front(struct link *head, struct link *l) { list_insert_before(head->next, l); }

static inline void list_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

/* The first link, taken out; NULL when the list is empty. */
static inline struct link *list_pop_front(struct link *head)
{
    struct link *first = head->next;
    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

/* Moves all links of `from` to the end of `to`. */
static inline void list_splice(struct link *to, struct link *from)
{
    while (!list_empty(from))
        list_push_back(to, list_pop_front(from));
}
