/* SPDX-License-Identifier: MIT */
/* The table of cached responses of one worker: found by key, dropped least
 * recently used first when their memory exceeds the budget.
 *
 * An entry outlives its freshness: the last good copy is what a client gets
 * when the database fails. Entries that are being filled or compressed are
 * pinned and never dropped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/str.h"
#include "http/response.h"

struct fill;

enum cache_encoding { ENCODED_PLAIN, ENCODED_GZIP, ENCODED_BROTLI, ENCODED_COUNT };

enum { CACHE_KEY_MAX = 1024, CACHE_ETAG_SIZE = 40 };

/* One representation, ready to send. */
struct cache_variant {
    struct blob *blob;                   /* NULL: not made             */
    char         etag[CACHE_ETAG_SIZE];  /* with its quotes            */
};

struct cache_entry {
    struct link          lru;            /* table->lru, most recent first        */
    struct cache_entry  *next;           /* in its bucket                        */
    uint64_t             hash;
    struct str           key;            /* in the entry's own memory            */
    struct cache_variant variants[ENCODED_COUNT];
    uint64_t             content[2];     /* hash of the handler's response       */
    uint64_t             stamp;          /* generations from before it was read  */
    mono_ns              made, expires;
    struct fill         *fill;           /* the newest fetch under way; NULL: none */
    struct cache_entry **watcher;        /* a compression's pointer to it: NULL when it goes; may be NULL */
    unsigned             pins;
    size_t               bytes;          /* as counted in the table              */
};

struct cache_table {
    struct cache_entry **buckets;
    size_t               bucket_count, entries, bytes, max_bytes;
    struct link          lru;
    uint8_t              hash_key[16];   /* so that nobody can aim at one bucket */
};

/* False without memory. */
bool cache_table_init(struct cache_table *t, size_t max_bytes);
void cache_table_done(struct cache_table *t);

/* The entry of a key, made most recent; NULL when there is none. */
struct cache_entry *cache_table_find(struct cache_table *t, struct str key);

/* A new, empty entry; the key is copied. NULL without memory. */
struct cache_entry *cache_table_add(struct cache_table *t, struct str key);

/* Counts the entry's memory anew and drops others until the budget is kept. */
void cache_table_weigh(struct cache_table *t, struct cache_entry *e);
