/* SPDX-License-Identifier: MIT */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/coro.h"
#include "base/metrics.h"
#include "base/task.h"
#include "cache/entry.h"
#include "cache/variant.h"
#include "http/compress.h"
#include "http/conditional.h"
#include "http/negotiate.h"

enum {
    COMPRESSORS_STACK = 64 * 1024,
    SEARCHERS_STACK = 256 * 1024, /* a found response is sent on it */
    SEARCHERS_KEPT = 4,
    COMPRESS_LEAST = 1024, /* smaller bodies are sent as they are */
    GZIP_LEVEL = 6,
    BROTLI_QUALITY = 5,
    SHARED_KEY_MAX = 2 * CACHE_KEY_MAX,
    SHARE_MAX = 4, /* no copy may take more than 1/SHARE_MAX of the budget */
};

struct cache {
    struct cache_conf conf;
    struct cache_generations *generations;
    struct cache_table table;
    struct coro_pool *compressors;
    struct coro_pool *searchers; /* of the shared level; NULL: there is none */
    bool telling;                /* what the other nodes do not know yet     */
};

/* A request that waits for another one's response; in its own arena. */
struct parked {
    struct link link;
    struct request *req;
};

/* A fetch under way, in the arena of the request that does it. A request may
 * wait for it only if no write came between: else it would get rows from before
 * a write that its client knows of. Then it fetches anew, and its fetch is the
 * one that later requests wait for. */
struct fill {
    struct cache *cache;
    struct cache_entry *entry; /* pinned                              */
    uint64_t stamp;            /* generations before rows were read   */
    struct link waiters;       /* parked requests                     */
    struct request *req;       /* that does it                        */
    mono_ns life;              /* of the copy                         */
    struct shared_claim claim; /* at the shared level                 */
    bool parked;               /* while that is searched              */
    bool searched, found;      /* to its end; with success            */
};

struct cache *cache_new(const struct cache_conf *conf, struct cache_generations *generations)
{
    struct cache *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->conf = *conf;
    c->generations = generations;
    c->compressors = coro_pool_new(COMPRESSORS_STACK, 2);
    c->searchers = conf->shared ? coro_pool_new(SEARCHERS_STACK, SEARCHERS_KEPT) : NULL;
    if (c->compressors && (c->searchers || !conf->shared) && cache_table_init(&c->table, conf->max_bytes))
        return c;
    coro_pool_free(c->searchers);
    coro_pool_free(c->compressors);
    free(c);
    return NULL;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    cache_table_done(&c->table);
    coro_pool_free(c->searchers);
    coro_pool_free(c->compressors);
    free(c);
}

/* ---- keys ------------------------------------------------------------------- */

static void put_text(struct buf *key, struct str s)
{
    buf_append(key, &s.len, sizeof(s.len));
    buf_str(key, s);
}

static void put_arg(struct buf *key, const struct param *p, const struct arg *a)
{
    buf_byte(key, p->kind == PARAM_INT || a->given ? '+' : '-');
    if (p->kind == PARAM_TEXT)
        put_text(key, a->s);
    else
        buf_append(key, &a->i, sizeof(a->i));
}

/* False: not to be cached, since the key would be too long. */
static bool key_of(const struct request *req, struct buf *key)
{
    const struct route *route = req->route;

    buf_append(key, &route, sizeof(route));
    for (size_t i = 0; i < PATH_ARGS_MAX && req->path_args[i].ptr; i++)
        put_text(key, req->path_args[i]);
    for (size_t i = 0; route->params && route->params[i].name; i++)
        put_arg(key, &route->params[i], &req->args[i]);
    return buf_ok(key);
}

/* The same without what is of this process only. Empty: no memory. */
static struct str shared_key_of(struct request *req, struct str key)
{
    const struct route *route = req->route;
    struct buf shared;

    buf_init_arena(&shared, &req->arena, SHARED_KEY_MAX);
    put_text(&shared, STR(SANAD_VERSION));
    put_text(&shared, str_of(route->path));
    buf_append(&shared, &route->method, sizeof(route->method));
    buf_str(&shared, str_slice(key, sizeof(route), key.len));
    return buf_ok(&shared) ? buf_view(&shared) : STR_EMPTY;
}

/* ---- answering ---------------------------------------------------------------- */

static const struct cache_variant *choose(const struct cache_entry *e, const struct request *req)
{
    const unsigned accepted = accept_encoding(request_field(req, "Accept-Encoding"));

    if ((accepted & CODING_BR) && e->variants[ENCODED_BROTLI].blob)
        return &e->variants[ENCODED_BROTLI];
    if ((accepted & CODING_GZIP) && e->variants[ENCODED_GZIP].blob)
        return &e->variants[ENCODED_GZIP];
    return &e->variants[ENCODED_PLAIN];
}

static struct response answer(const struct cache_entry *e, const struct request *req)
{
    const struct cache_variant *v = choose(e, req);
    const struct http_field *condition = http_find(req->head, STR("If-None-Match"));
    struct response res;

    if (condition && etag_matches(condition->value, str_of(v->etag)))
        return variant_not_modified(v->etag);
    res = response_empty(200);
    res.kind = BODY_BLOB;
    res.blob = blob_ref(v->blob);
    return res;
}

/* The last good copy, said to be old. */
static struct response stale_answer(const struct cache_entry *e, struct request *req)
{
    struct response res = answer(e, req);

    response_field(&res, "Age", arena_printf(&req->arena, "%lld", (long long)((clock_mono() - e->made) / NS_PER_S)));
    req->cache = CACHE_STALE;
    metric_add(M_CACHE_STALE, 1);
    return res;
}

/* ---- compressing ----------------------------------------------------------------
 * A coroutine of its own, after the plain copy is in use. The entry may be dropped
 * meanwhile, or get another response: then the work was in vain. */

struct compression {
    struct cache *cache;
    struct cache_entry *entry; /* NULL: it is gone */
    struct blob *plain;        /* referenced      */
    char etag[CACHE_ETAG_SIZE];
    struct buf out[ENCODED_COUNT];
};

/* A body that does not get smaller leaves its buffer in error: not attached. */
static enum err compress_both(void *arg)
{
    struct compression *job = arg;

    (void)!compress_gzip(job->plain->body, GZIP_LEVEL, &job->out[ENCODED_GZIP]);
    (void)!compress_brotli(job->plain->body, BROTLI_QUALITY, &job->out[ENCODED_BROTLI]);
    return OK;
}

static void attach(struct compression *job, enum cache_encoding encoding)
{
    struct cache_variant *v = &job->entry->variants[encoding];
    const struct buf *out = &job->out[encoding];

    if (buf_ok(out) && out->len > 0)
        v->blob = variant_encoded(job->plain, encoding, buf_view(out), job->etag, v->etag);
}

static void compressor(void *arg)
{
    struct compression *job = arg;
    struct cache_entry *e;
    enum err result;

    for (int i = ENCODED_GZIP; i < ENCODED_COUNT; i++)
        buf_init(&job->out[i], job->plain->body.len);
    result = task_offload(compress_both, job);
    e = job->entry;
    if (e)
        e->watcher = NULL;
    if (result == OK && e && e->variants[ENCODED_PLAIN].blob == job->plain) {
        attach(job, ENCODED_GZIP);
        attach(job, ENCODED_BROTLI);
        cache_table_weigh(&job->cache->table, e);
    }
    for (int i = ENCODED_GZIP; i < ENCODED_COUNT; i++)
        buf_done(&job->out[i]);
    blob_unref(job->plain);
    free(job);
}

static void start_compression(struct cache *c, struct cache_entry *e)
{
    const struct cache_variant *plain = &e->variants[ENCODED_PLAIN];
    struct compression *job;

    if (plain->blob->body.len < COMPRESS_LEAST)
        return;
    job = calloc(1, sizeof(*job));
    if (!job)
        return;
    *job = (struct compression){ .cache = c, .entry = e, .plain = blob_ref(plain->blob) };
    memcpy(job->etag, plain->etag, sizeof(job->etag));
    if (e->watcher)
        *e->watcher = NULL; /* the one before works on an older response */
    e->watcher = &job->entry;
    if (coro_start(c->compressors, compressor, job, NULL) != OK) {
        e->watcher = NULL;
        blob_unref(job->plain);
        free(job);
    }
}

/* ---- filling ---------------------------------------------------------------------- */

static void drop_variants(struct cache_entry *e)
{
    for (int i = 0; i < ENCODED_COUNT; i++) {
        blob_unref(e->variants[i].blob);
        e->variants[i].blob = NULL;
    }
}

/* Keeps a new response; false when it cannot be kept. */
static bool keep_new(struct cache *c, struct cache_entry *e, const struct response *res, const uint64_t content[2])
{
    char etag[CACHE_ETAG_SIZE];
    struct blob *blob;

    if (res->body.len > c->conf.max_bytes / SHARE_MAX)
        return false;
    blob = variant_plain(res, content, etag);
    if (!blob)
        return false;
    drop_variants(e);
    e->variants[ENCODED_PLAIN].blob = blob;
    memcpy(e->variants[ENCODED_PLAIN].etag, etag, sizeof(etag));
    memcpy(e->content, content, sizeof(e->content));
    start_compression(c, e);
    return true;
}

/* Takes a handler's 200 into the entry; false when it cannot be kept, or a
 * fetch that began later was sooner. */
static bool keep(const struct fill *f, const struct response *res)
{
    struct cache *c = f->cache;
    struct cache_entry *e = f->entry;
    const bool known = e->variants[ENCODED_PLAIN].blob != NULL;
    uint64_t content[2];

    if (known && f->stamp < e->stamp)
        return false;
    variant_hash(res, content);
    if (!(known && memcmp(content, e->content, sizeof(content)) == 0) && !keep_new(c, e, res, content))
        return false;
    e->stamp = f->stamp;
    e->made = clock_mono();
    e->expires = e->made + f->life;
    cache_table_weigh(&c->table, e);
    return true;
}

/* A waiting request gets the same as the one it waited for, where that can be
 * shared: a text in memory. Anything else it fetches for itself. */
static void resume(struct request *req, const struct cache_entry *e, bool good, const struct response *failure)
{
    struct response res;

    if (good)
        res = answer(e, req);
    else if (failure->status >= 500 && e->variants[ENCODED_PLAIN].blob)
        res = stale_answer(e, req);
    else if (failure->kind == BODY_BLOB || failure->kind == BODY_FILE) {
        request_resume(req, NULL);
        return;
    } else {
        res = *failure;
        res.body = arena_str(&req->arena, failure->body);
    }
    request_resume(req, &res);
}

static void resume_all(struct link *waiters, const struct cache_entry *e, bool good, const struct response *failure)
{
    struct link *l;

    while ((l = list_pop_front(waiters)) != NULL)
        resume(container_of(l, struct parked, link)->req, e, good, failure);
}

/* What this node has made, the others need not make. */
static void share(const struct fill *f, const struct response *res, bool good)
{
    if (f->found || f->claim.stamp.len == 0)
        return;
    if (good)
        shared_level_store(f->cache->conf.shared, &f->claim, res);
    else
        shared_level_give_up(f->cache->conf.shared, &f->claim);
}

/* The fetching request's response, before it is sent. */
static void on_fetched(struct request *req, struct response *res, void *ctx)
{
    struct fill *f = ctx;
    struct cache_entry *e = f->entry;
    const struct response failure = *res;
    bool good = false;

    if (e->fill == f)
        e->fill = NULL;
    if (res->kind == BODY_BYTES && res->status == 200)
        good = keep(f, res);
    share(f, res, good);
    if (good)
        *res = answer(e, req);
    else if (res->status >= 500 && e->variants[ENCODED_PLAIN].blob)
        *res = stale_answer(e, req);
    resume_all(&f->waiters, e, good, &failure);
    e->pins--;
}

/* ---- the step ----------------------------------------------------------------------- */

static bool fresh(const struct cache_entry *e, uint64_t stamp)
{
    return e->variants[ENCODED_PLAIN].blob && e->stamp == stamp && clock_mono() < e->expires;
}

static enum step_result park(struct fill *f, struct request *req)
{
    struct parked *p = arena_new(&req->arena, struct parked);

    if (!p)
        return STEP_NEXT;
    p->req = req;
    list_push_back(&f->waiters, &p->link);
    req->cache = CACHE_SHARED;
    metric_add(M_CACHE_COALESCED, 1);
    return STEP_PARKED;
}

/* The handler is to make it. */
static enum step_result make(struct request *req)
{
    req->cache = CACHE_MISS;
    metric_add(M_CACHE_MISS, 1);
    return STEP_NEXT;
}

/* What is found goes the way of a response that was made: on_fetched() keeps it. */
static void search(void *arg)
{
    struct fill *f = arg;
    struct request *req = f->req;
    struct response res;
    const enum err e = shared_level_find(f->cache->conf.shared, &f->claim, &req->arena, &res);

    f->searched = true;
    f->found = e == OK;
    if (!f->parked)
        return;
    if (f->found) {
        f->life = f->claim.left;
        req->cache = CACHE_SHARED;
        request_resume(req, &res);
    } else {
        (void)make(req);
        request_resume(req, NULL);
    }
}

/* Parks the request while the shared level is searched; false when it is not. */
static bool begin_search(struct fill *f, struct str key)
{
    struct cache *c = f->cache;

    f->claim = (struct shared_claim){ .tags = f->req->route->cache_tags };
    if (!c->conf.shared || !shared_level_serves(c->conf.shared, f->claim.tags))
        return false;
    f->claim.key = shared_key_of(f->req, key);
    if (f->claim.key.len == 0 || coro_start(c->searchers, search, f, NULL) != OK || f->searched)
        return false;
    f->parked = true;
    return true;
}

static enum step_result fetch(struct cache *c, struct cache_entry *e, struct request *req, uint64_t stamp)
{
    struct fill *f = arena_new(&req->arena, struct fill);

    if (!f)
        return make(req);
    *f = (struct fill){
        .cache = c,
        .entry = e,
        .stamp = stamp,
        .req = req,
        .life = (mono_ns)(c->conf.ttl_s * NS_PER_S),
    };
    list_init(&f->waiters);
    e->fill = f;
    e->pins++;
    req->on_response = on_fetched;
    req->on_response_ctx = f;
    return begin_search(f, e->key) ? STEP_PARKED : make(req);
}

enum step_result cache_step(void *ctx, struct request *req, struct response *res)
{
    struct cache *c = ctx;
    char room[CACHE_KEY_MAX];
    struct buf key = { .ptr = room, .cap = sizeof(room), .max = sizeof(room) };
    struct cache_entry *e;
    uint64_t stamp;

    if (!(req->route->flags & ROUTE_CACHED))
        return STEP_NEXT;
    req->cache = CACHE_BYPASS;
    if (!c->conf.enabled || !key_of(req, &key))
        return STEP_NEXT;
    stamp = cache_stamp(c->generations, req->route->cache_tags);
    e = cache_table_find(&c->table, buf_view(&key));
    if (e && fresh(e, stamp)) {
        req->cache = CACHE_HIT;
        metric_add(M_CACHE_HIT, 1);
        *res = answer(e, req);
        return STEP_ANSWERED;
    }
    if (e && e->fill && e->fill->stamp == stamp)
        return park(e->fill, req);
    if (!e)
        e = cache_table_add(&c->table, buf_view(&key));
    return e ? fetch(c, e, req, stamp) : STEP_NEXT;
}

/* ---- writes --------------------------------------------------------------------------- */

void cache_written(struct cache *c, uint32_t tags)
{
    cache_invalidate(c->generations, tags);
    if (c->conf.shared)
        shared_level_tell(c->conf.shared, tags);
}

static void teller(void *arg)
{
    struct cache *c = arg;

    shared_level_tell(c->conf.shared, shared_level_owes(c->conf.shared));
    c->telling = false;
}

void cache_tick(struct cache *c)
{
    if (!c->conf.shared || c->telling || shared_level_owes(c->conf.shared) == 0)
        return;
    c->telling = true;
    if (coro_start(c->searchers, teller, c, NULL) != OK)
        c->telling = false;
}
