/* SPDX-License-Identifier: MIT */
#include "cache/entry.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/random.h"

enum { BUCKETS = 4096 };

static uint64_t hash_of(const struct cache_table *t, struct str key)
{
    uint64_t hash;

    _Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash gives 64 bits");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key.ptr, key.len, t->hash_key);
    return hash;
}

static struct cache_entry **bucket_of(struct cache_table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->bucket_count - 1)];
}

bool cache_table_init(struct cache_table *t, size_t max_bytes)
{
    *t = (struct cache_table){ .bucket_count = BUCKETS, .max_bytes = max_bytes };
    list_init(&t->lru);
    random_secret(t->hash_key, sizeof(t->hash_key));
    t->buckets = calloc(BUCKETS, sizeof(struct cache_entry *));
    return t->buckets != NULL;
}

static void unlink_entry(struct cache_table *t, struct cache_entry *e)
{
    struct cache_entry **at = bucket_of(t, e->hash);

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    list_remove(&e->lru);
    t->entries--;
    t->bytes -= e->bytes;
}

static void entry_free(struct cache_entry *e)
{
    if (e->watcher)
        *e->watcher = NULL;
    for (int i = 0; i < ENCODED_COUNT; i++)
        blob_unref(e->variants[i].blob);
    free(e);
}

void cache_table_done(struct cache_table *t)
{
    while (!list_empty(&t->lru)) {
        struct cache_entry *e = container_of(t->lru.next, struct cache_entry, lru);
        unlink_entry(t, e);
        entry_free(e);
    }
    free(t->buckets);
    t->buckets = NULL;
}

struct cache_entry *cache_table_find(struct cache_table *t, struct str key)
{
    const uint64_t hash = hash_of(t, key);

    for (struct cache_entry *e = *bucket_of(t, hash); e; e = e->next) {
        if (e->hash != hash || !str_eq(e->key, key))
            continue;
        list_remove(&e->lru);
        list_push_front(&t->lru, &e->lru);
        return e;
    }
    return NULL;
}

static size_t weight(const struct cache_entry *e)
{
    size_t n = sizeof(*e) + e->key.len;

    for (int i = 0; i < ENCODED_COUNT; i++)
        if (e->variants[i].blob)
            n += sizeof(struct blob) + e->variants[i].blob->head.len + e->variants[i].blob->body.len;
    return n;
}

static void publish(const struct cache_table *t)
{
    metric_gauge_set(M_CACHE_ENTRIES, (int64_t)t->entries);
    metric_gauge_set(M_CACHE_BYTES, (int64_t)t->bytes);
}

static void evict(struct cache_table *t, const struct cache_entry *keep)
{
    struct link *l = t->lru.prev;

    while (t->bytes > t->max_bytes && l != &t->lru) {
        struct cache_entry *e = container_of(l, struct cache_entry, lru);
        l = l->prev;
        if (e == keep || e->pins > 0)
            continue;
        unlink_entry(t, e);
        entry_free(e);
        metric_add(M_CACHE_EVICTED, 1);
    }
}

void cache_table_weigh(struct cache_table *t, struct cache_entry *e)
{
    t->bytes -= e->bytes;
    e->bytes = weight(e);
    t->bytes += e->bytes;
    evict(t, e);
    publish(t);
}

struct cache_entry *cache_table_add(struct cache_table *t, struct str key)
{
    struct cache_entry *e = calloc(1, sizeof(*e) + key.len), **bucket;

    if (!e)
        return NULL;
    memcpy(e + 1, key.ptr, key.len);
    e->key = (struct str){ (const char *)(e + 1), key.len };
    e->hash = hash_of(t, key);
    list_init(&e->lru);
    bucket = bucket_of(t, e->hash);
    e->next = *bucket;
    *bucket = e;
    list_push_front(&t->lru, &e->lru);
    t->entries++;
    cache_table_weigh(t, e);
    return e;
}
