/* SPDX-License-Identifier: MIT */
#include "limit/limiter.h"

#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "limit/client_address.h"

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

void limiter_init(struct limiter *l, const struct limiter_conf *conf, struct limit_table *table)
{
    *l = (struct limiter){ .conf = conf, .table = table };
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
              LOG_I("retry_after_s", v->retry_after_s), LOG_S("request_id", req->id));
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

/* Counts it; false, with the answer in *res, when it is one too many. */
static bool admit(struct limiter *l, struct request *req, enum limit_class c, const struct limit_key *key,
                  struct response *res)
{
    struct limit_verdict v;

    limit_table_check(l->table, key, &l->rates[c], clock_mono() / NS_PER_MS, &v);
    req->lines = limit_lines(&l->policies[c], &v, &req->arena);
    if (v.allowed) {
        metric_add(M_LIMIT_ALLOWED, 1);
        return true;
    }
    tell_operator(req, c, &v);
    *res = refusal(req, &v);
    return false;
}

/* ---- the step ---------------------------------------------------------------------- */

enum step_result limit_step(void *ctx, struct request *req, struct response *res)
{
    struct limiter *l = ctx;
    const enum limit_class c = class_of(req);
    struct limit_key key;

    if (!l->conf->enabled || c == LIMIT_NONE || client_in(&req->client, l->conf->allow))
        return STEP_NEXT;
    key = key_of_client(c, req);
    return admit(l, req, c, &key, res) ? STEP_NEXT : STEP_ANSWERED;
}

bool limiter_account(struct limiter *l, struct request *req, struct str account, struct response *res)
{
    const struct limit_key key = key_of_account(account);

    return !l->conf->enabled || admit(l, req, LIMIT_ACCOUNT, &key, res);
}
