/* SPDX-License-Identifier: MIT */
#include "limit/limiter.h"

#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "limit/client_address.h"
#include "limit/cluster.h"

/* What is not set by settings. */
static const struct limit_rate LOGIN_RATE = { .per_minute = 5 };
static const struct limit_rate ACCOUNT_RATE = { .per_hour = 10 };

const char *limit_class_name(enum limit_class c)
{
    static const char *const names[] = {
#define X(id, name, help) name,
        LIMIT_CLASS_TABLE(X)
#undef X
    };

    return c < LIMIT_CLASSES ? names[c] : "?";
}

void limiter_init(struct limiter *l, const struct limiter_conf *conf, struct limit_table *table, struct redis *redis)
{
    *l = (struct limiter){ .conf = conf, .table = table, .redis = redis };
    l->rates[LIMIT_API] = conf->api;
    l->rates[LIMIT_LOGIN] = LOGIN_RATE;
    l->rates[LIMIT_ACCOUNT] = ACCOUNT_RATE;
    for (int c = 0; c < LIMIT_CLASSES; c++)
        limit_policy_init(&l->policies[c], &l->rates[c]);
}

void limiter_show(const struct limiter *l)
{
    const struct limit_stats stats = limit_table_stats(l->table);

    metric_gauge_set(M_LIMIT_CLIENTS, (int64_t)stats.clients);
    metric_gauge_set(M_LIMIT_CAPACITY, (int64_t)stats.capacity);
    metric_gauge_set(M_LIMIT_EVICTIONS, (int64_t)stats.evictions);
}

/* ---- who is counted ------------------------------------------------------------- */

static struct limit_key key_of_client(enum limit_class c, const struct request *req)
{
    const struct address address = client_key(&req->client.address);
    struct limit_key key = { .kind = (uint8_t)c };

    memcpy(key.bytes, address.bytes, sizeof(key.bytes));
    return key;
}

/* An account's name is not kept: its hash serves to count. */
static struct limit_key key_of_account(struct str account)
{
    struct limit_key key = { .kind = LIMIT_ACCOUNT };

    crypto_generichash(key.bytes, sizeof(key.bytes), (const unsigned char *)account.ptr, account.len, NULL, 0);
    return key;
}

static enum limit_class class_of(const struct request *req)
{
    return req->route ? (enum limit_class)req->route->limit_class : LIMIT_API;
}

/* ---- how it is told --------------------------------------------------------------- */

static const enum metric_counter refused[LIMIT_CLASSES] = {
    [LIMIT_API] = M_LIMIT_REFUSED_API,
    [LIMIT_LOGIN] = M_LIMIT_REFUSED_LOGIN,
    [LIMIT_ACCOUNT] = M_LIMIT_REFUSED_ACCOUNT,
};

static void tell_operator(const struct request *req, enum limit_class c, const struct limit_verdict *v)
{
    char text[ADDRESS_TEXT_SIZE];

    metric_add(refused[c], 1);
    if (!v->first_refusal)
        return;
    address_print(&req->client.address, text);
    log_event(LOG_WARNING, "client asks too often", LOG_C("client", text), LOG_C("class", limit_class_name(c)),
              LOG_I("retry_after_s", v->retry_after_s), LOG_S("request_id", req->id), LOG_TRACE(req->trace));
}

static struct response refusal(struct request *req, const struct limit_verdict *v)
{
    char text[16];
    struct buf b;
    struct response res = problem(req, 429, "There were too many requests; please try again in %u seconds.",
                                  v->retry_after_s);
    struct str seconds;

    buf_init_fixed(&b, text, sizeof(text));
    buf_uint(&b, v->retry_after_s);
    seconds = arena_str(&req->arena, buf_view(&b));
    if (seconds.ptr)
        response_field(&res, "Retry-After", seconds);
    response_field(&res, "Cache-Control", STR("no-store"));
    return res;
}

/* ---- the decision ------------------------------------------------------------------- */

/* A request that is decided; in its arena, as it may have to wait for Redis. */
struct decision {
    struct limiter *limiter;
    struct request *req;
    enum limit_class class;
    struct limit_key key;
};

static int64_t now_ms(void) { return clock_mono() / NS_PER_MS; }

/* It came just now: its own time is that of the decision. */
static int64_t came_ms(const struct decision *d) { return d->req->started / NS_PER_MS; }

/* By what this node knows. */
static void decide_here(const struct decision *d, int64_t at_ms, struct limit_verdict *v)
{
    limit_table_check(d->limiter->table, &d->key, &d->limiter->rates[d->class], at_ms, v);
}

/* All nodes have decided: this one's table takes note, to be able to go on alone. */
static void take_note(const struct decision *d, struct limit_verdict *v)
{
    if (v->allowed)
        limit_table_note(d->limiter->table, &d->key, &d->limiter->rates[d->class], now_ms());
    else
        v->first_refusal = limit_table_note_refusal(d->limiter->table, &d->key, now_ms());
}

/* False, with the answer in *res, when it is one too many. */
static bool conclude(const struct decision *d, const struct limit_verdict *v, struct response *res)
{
    d->req->lines = limit_lines(&d->limiter->policies[d->class], v, &d->req->arena);
    if (v->allowed) {
        metric_add(M_LIMIT_ALLOWED, 1);
        return true;
    }
    tell_operator(d->req, d->class, v);
    *res = refusal(d->req, v);
    return false;
}

static void on_cluster(void *arg, enum err e, const struct redis_value *answer)
{
    const struct decision *d = arg;
    struct limit_verdict v;
    struct response res;

    if (e == OK && limit_cluster_read(answer, &d->limiter->rates[d->class], &v)) {
        take_note(d, &v);
    } else {
        metric_add(M_LIMIT_ALONE, 1);
        decide_here(d, now_ms(), &v);
    }
    request_resume(d->req, conclude(d, &v, &res) ? NULL : &res);
}

/* Whether Redis will decide; then on_cluster() goes on. */
static bool ask_cluster(const struct decision *d)
{
    struct redis *r = d->limiter->redis;
    struct decision *kept;

    if (!r || !redis_is_up(r))
        return false;
    kept = arena_new(&d->req->arena, struct decision);
    if (!kept)
        return false;
    *kept = *d;
    return limit_cluster_check(r, &d->key, &d->limiter->rates[d->class], on_cluster, kept) == OK;
}

/* ---- the step ---------------------------------------------------------------------- */

enum step_result limit_step(void *ctx, struct request *req, struct response *res)
{
    struct limiter *l = ctx;
    struct decision d = { .limiter = l, .req = req, .class = class_of(req) };
    struct limit_verdict v;

    if (!l->conf->enabled || d.class == LIMIT_NONE || client_in(&req->client, l->conf->allow))
        return STEP_NEXT;
    d.key = key_of_client(d.class, req);
    if (ask_cluster(&d))
        return STEP_PARKED;
    if (l->redis)
        metric_add(M_LIMIT_ALONE, 1);
    decide_here(&d, came_ms(&d), &v);
    return conclude(&d, &v, res) ? STEP_NEXT : STEP_ANSWERED;
}

bool limiter_account(struct limiter *l, struct request *req, struct str account, struct response *res)
{
    const struct decision d = { .limiter = l, .req = req, .class = LIMIT_ACCOUNT, .key = key_of_account(account) };
    const struct limit_rate *rate = &l->rates[LIMIT_ACCOUNT];
    struct limit_verdict v;

    if (!l->conf->enabled)
        return true;
    if (l->redis && limit_cluster_call(l->redis, &d.key, rate, &req->arena, &v) == OK)
        take_note(&d, &v);
    else
        decide_here(&d, now_ms(), &v);
    return conclude(&d, &v, res);
}
