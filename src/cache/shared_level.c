/* SPDX-License-Identifier: MIT */
#include "cache/shared_level.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "base/random.h"
#include "base/task.h"
#include "redis/subscription.h"

enum {
    GENERATION_LIFE_S = 86400, /* since it was last looked at           */
    LOCK_MS = 2000,            /* a node that died holds nobody up longer */
    WAIT_MS = 100,             /* for another node's response           */
    LOOK_EVERY_MS = 5,
    HASH_BYTES = 16,
    NAME_SIZE = 48,
    MESSAGE_SIZE = 48,
    GENERATION_SIZE = 17, /* with its NUL */
    LOOK_ARGS = 2 + CACHE_TAGS + 4,
};

static const struct str CHANNEL = { "cache:written", 13 };

/* KEYS: the response, its lock, the generations. ARGV: a new generation, its life,
 * the lock's life, the longest value. Answers the generations as one text, one of
 * the words below, and with "found" the value and the rest of its life. Whatever
 * was put under our keys is not copied before its type and its length are known. */
static const struct redis_script look_up = {
    "cache_look_up",
    "local stamp = ''\n"
    "for i = 3, #KEYS do\n"
    "  if redis.pcall('STRLEN', KEYS[i]) ~= #ARGV[1] then\n"
    "    redis.call('SET', KEYS[i], ARGV[1], 'EX', ARGV[2])\n"
    "  else\n"
    "    redis.call('EXPIRE', KEYS[i], ARGV[2])\n"
    "  end\n"
    "  stamp = stamp .. redis.call('GET', KEYS[i])\n"
    "end\n"
    "local size, word = redis.pcall('STRLEN', KEYS[1]), 'missing'\n"
    "if type(size) ~= 'number' or size > tonumber(ARGV[4]) then\n"
    "  word = 'odd'\n"
    "elseif size > 0 and redis.call('GETRANGE', KEYS[1], 0, #stamp - 1) == stamp then\n"
    "  return { stamp, 'found', redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }\n"
    "end\n"
    "if redis.pcall('GETRANGE', KEYS[2], 0, #stamp) == stamp then\n"
    "  return { stamp, 'locked' }\n"
    "end\n"
    "redis.call('SET', KEYS[2], stamp, 'PX', ARGV[3])\n"
    "return { stamp, word }\n",
};

/* KEYS: generations, and the channel. ARGV: the message. It is passed on even if
 * the server takes no writes now. */
static const struct redis_script tell = {
    "cache_tell",
    "local done = redis.pcall('DEL', unpack(KEYS, 1, #KEYS - 1))\n"
    "redis.call('PUBLISH', KEYS[#KEYS], ARGV[1])\n"
    "return done\n",
};

struct shared_level {
    struct shared_conf conf;
    struct redis_listener listener;
    struct redis_subscription *subscription;
    char tags[CACHE_TAGS][NAME_SIZE]; /* names of the generations */
};

/* ---- what other nodes say --------------------------------------------------------------- */

static void on_subscribed(void *arg)
{
    const struct shared_level *s = arg;

    cache_doubt(s->conf.generations);
}

/* "MESSAGE TAGS", two numbers. */
static void on_message(void *arg, struct str channel, struct str payload)
{
    const struct shared_level *s = arg;
    const struct str message = str_split(&payload, ' ');
    int64_t id, tags;

    (void)channel;
    if (str_to_int(message, 1, INT64_MAX, &id) == OK && str_to_int(payload, 1, UINT32_MAX, &tags) == OK)
        cache_hear(s->conf.generations, (uint32_t)tags, (uint64_t)id);
}

/* ---- its life ------------------------------------------------------------------------------ */

static bool make_known(const struct shared_level *s)
{
    return redis_add_script(s->conf.redis, &look_up) == OK && redis_add_script(s->conf.redis, &tell) == OK;
}

struct shared_level *shared_level_new(const struct shared_conf *conf)
{
    struct shared_level *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->conf = *conf;
    s->listener = (struct redis_listener){ .subscribed = on_subscribed, .message = on_message, .arg = s };
    for (int i = 0; i < CACHE_TAGS; i++)
        snprintf(s->tags[i], NAME_SIZE, "cache:tag:%d", i);
    if (make_known(s))
        s->subscription = redis_subscribe(conf->redis_conf, &CHANNEL, 1, &s->listener);
    if (s->subscription)
        return s;
    free(s);
    return NULL;
}

void shared_level_close(struct shared_level *s)
{
    if (!s)
        return;
    redis_unsubscribe(s->subscription);
    s->subscription = NULL;
}

void shared_level_free(struct shared_level *s) { free(s); }

bool shared_level_serves(const struct shared_level *s, uint32_t tags)
{
    return tags != 0 && redis_is_up(s->conf.redis) && cache_untold(s->conf.generations, tags) == 0;
}

/* ---- names ------------------------------------------------------------------------------------ */

struct names {
    char value[NAME_SIZE], lock[NAME_SIZE];
};

/* With the secret: another installation's names are others. */
static struct names names_of(const struct shared_level *s, struct str key)
{
    unsigned char hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    struct names n;

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)key.ptr, key.len, s->conf.secret,
                       SHARED_SECRET_BYTES);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    snprintf(n.value, NAME_SIZE, "cache:%s", hex);
    snprintf(n.lock, NAME_SIZE, "cache:lock:%s", hex);
    return n;
}

static struct redis_arg key_arg(const char *name) { return (struct redis_arg)RA_KEY(str_of(name)); }

/* Appends the names of the tags' generations; returns how many. */
static size_t put_tags(const struct shared_level *s, uint32_t tags, struct redis_arg *args)
{
    size_t n = 0;

    for (; tags; tags &= tags - 1)
        args[n++] = key_arg(s->tags[__builtin_ctz(tags)]);
    return n;
}

/* ---- looking ------------------------------------------------------------------------------------ */

static struct shared_seal seal_of(const struct shared_level *s, const struct shared_claim *claim)
{
    return (struct shared_seal){ s->conf.secret, claim->key, claim->stamp };
}

/* One question. */
static enum err ask(struct shared_level *s, const struct shared_claim *claim, struct arena *arena,
                    struct redis_value *ret_answer)
{
    const struct names names = names_of(s, claim->key);
    struct redis_arg args[LOOK_ARGS] = { key_arg(names.value), key_arg(names.lock) };
    char generation[GENERATION_SIZE];
    size_t n = 2;

    snprintf(generation, sizeof(generation), "%016llx", (unsigned long long)random_fast());
    n += put_tags(s, claim->tags, &args[n]);
    args[n++] = (struct redis_arg)RA_STR(str_of(generation));
    args[n++] = (struct redis_arg)RA_INT(GENERATION_LIFE_S);
    args[n++] = (struct redis_arg)RA_INT(LOCK_MS);
    args[n++] = (struct redis_arg)RA_INT(SHARED_VALUE_MAX);
    return redis_call(s->conf.redis, &(struct redis_command){ .script = &look_up, .args = args, .count = n }, arena,
                      ret_answer);
}

/* Asks until nobody else is making it, or the patience is over. */
static enum err ask_patiently(struct shared_level *s, const struct shared_claim *claim, struct arena *arena,
                              struct redis_value *ret_answer)
{
    const mono_ns until = clock_mono() + (mono_ns)WAIT_MS * NS_PER_MS;
    enum err e = ask(s, claim, arena, ret_answer);

    while (e == OK && str_eq(redis_text(redis_item(ret_answer, 1)), STR("locked")) && clock_mono() < until) {
        e = task_sleep(LOOK_EVERY_MS);
        if (e == OK)
            e = ask(s, claim, arena, ret_answer);
    }
    return e;
}

/* Longer than we keep any is not of ours. */
static mono_ns life_of(const struct shared_level *s, const struct redis_value *left_ms)
{
    const int64_t most = (int64_t)(s->conf.ttl_s * MS_PER_S), left = redis_int(left_ms, 0);

    return (mono_ns)(left < most ? left : most) * NS_PER_MS;
}

static enum err judge(const struct shared_level *s, struct shared_claim *claim, const struct redis_value *answer,
                      struct arena *arena, struct response *ret_res)
{
    const struct str word = redis_text(redis_item(answer, 1));
    const bool found = str_eq(word, STR("found"));
    const struct shared_seal seal = seal_of(s, claim);

    claim->left = life_of(s, redis_item(answer, 3));
    if (found && claim->left > 0 && shared_value_read(redis_text(redis_item(answer, 2)), &seal, arena, ret_res)) {
        metric_add(M_CACHE_SHARED_HIT, 1);
        return OK;
    }
    metric_add(M_CACHE_SHARED_MISS, 1);
    if (found || str_eq(word, STR("odd")))
        metric_add(M_CACHE_SHARED_REJECTED, 1);
    return E_NOT_FOUND;
}

enum err shared_level_find(struct shared_level *s, struct shared_claim *claim, struct arena *arena,
                           struct response *ret_res)
{
    struct redis_value answer;
    const enum err e = ask_patiently(s, claim, arena, &answer);

    claim->stamp = STR_EMPTY;
    if (e != OK)
        return e == E_NOT_FOUND ? E_INTERNAL : e;
    claim->stamp = redis_text(redis_item(&answer, 0));
    return claim->stamp.len > 0 ? judge(s, claim, &answer, arena, ret_res) : E_INTERNAL;
}

/* ---- storing ---------------------------------------------------------------------------------------- */

static void on_stored(void *arg, enum err e, const struct redis_value *v)
{
    (void)arg;
    (void)v;
    if (e == OK)
        metric_add(M_CACHE_SHARED_STORED, 1);
}

static void on_unlocked(void *arg, enum err e, const struct redis_value *v)
{
    (void)arg;
    (void)e; /* it ends by itself */
    (void)v;
}

static void unlock(struct shared_level *s, const struct names *names)
{
    (void)!redis_send(s->conf.redis, REDIS_COMMAND(RA_TEXT("DEL"), RA_KEY(str_of(names->lock))), on_unlocked, NULL);
}

void shared_level_store(struct shared_level *s, const struct shared_claim *claim, const struct response *res)
{
    const struct names names = names_of(s, claim->key);
    const struct shared_seal seal = seal_of(s, claim);
    const int64_t life_ms = (int64_t)(s->conf.ttl_s * MS_PER_S);
    struct buf value;

    buf_init(&value, SHARED_VALUE_MAX);
    shared_value_write(&value, &seal, res);
    if (buf_ok(&value) && life_ms > 0)
        (void)!redis_send(s->conf.redis,
                          REDIS_COMMAND(RA_TEXT("SET"), RA_KEY(str_of(names.value)), RA_STR(buf_view(&value)),
                                        RA_TEXT("PX"), RA_INT(life_ms)),
                          on_stored, NULL);
    buf_done(&value);
    unlock(s, &names);
}

void shared_level_give_up(struct shared_level *s, const struct shared_claim *claim)
{
    const struct names names = names_of(s, claim->key);

    unlock(s, &names);
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static enum err send_message(struct shared_level *s, uint32_t tags, uint64_t message)
{
    struct redis_arg args[CACHE_TAGS + 2];
    size_t n = put_tags(s, tags, args);
    char text[MESSAGE_SIZE];
    struct redis_value answer;
    struct arena arena;
    enum err e;

    snprintf(text, sizeof(text), "%llu %lu", (unsigned long long)message, (unsigned long)tags);
    args[n++] = (struct redis_arg)RA_KEY(CHANNEL);
    args[n++] = (struct redis_arg)RA_STR(str_of(text));
    arena_init(&arena, MESSAGE_SIZE);
    e = redis_call(s->conf.redis, &(struct redis_command){ .script = &tell, .args = args, .count = n }, &arena,
                   &answer);
    arena_done(&arena);
    return e;
}

void shared_level_tell(struct shared_level *s, uint32_t tags)
{
    const uint64_t message = random_fast() >> 1 | 1;
    struct cache_writes writes;

    if (tags == 0)
        return;
    cache_telling(s->conf.generations, tags, message, &writes);
    if (send_message(s, tags, message) == OK)
        cache_told(s->conf.generations, tags, &writes);
}

uint32_t shared_level_owes(const struct shared_level *s)
{
    return redis_is_up(s->conf.redis) ? cache_untold(s->conf.generations, CACHE_ALL_TAGS) : 0;
}
