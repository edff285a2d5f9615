/* SPDX-License-Identifier: MIT */
#include "limit/table.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "limit/set.h"
#include "limit/window.h"

enum { MINUTE, HOUR, WINDOWS };

static const int64_t unit_ms[WINDOWS] = { [MINUTE] = 1000, [HOUR] = 60000 };

enum {
    KEY_WORDS = (sizeof(struct limit_key) + 7) / 8,
    REFUSED_MAX = (1 << 24) - 1,
    RECENT_MS = 3600000,
};

/* A seat's client. The key is for limit_table_busiest() only, and may be another's
 * for an instant; the tag decides whose the row is. */
struct row {
    _Atomic uint64_t key[KEY_WORDS];
    _Atomic uint64_t refusals; /* life 16 | minute of the last 24 | count 24 */
    struct window windows[WINDOWS];
};

struct limit_table {
    uint32_t set_count;
    uint8_t secret[LIMIT_SECRET_SIZE];
    _Alignas(64) struct limit_seats seats;
    struct limit_set sets[]; /* and behind them a row for each seat */
};

static_assert(sizeof(struct row) == 576 && sizeof(struct limit_set) == 128, "592 bytes a client");
static_assert(crypto_shorthash_KEYBYTES == LIMIT_SECRET_SIZE && crypto_shorthash_BYTES == 8, "SipHash");

/* ---- the table --------------------------------------------------------------------- */

static size_t sets_for(size_t clients)
{
    const size_t bounded = clients < LIMIT_CLIENTS_MAX ? clients : LIMIT_CLIENTS_MAX;

    return bounded > 0 ? (bounded + SET_SEATS - 1) / SET_SEATS : 1;
}

size_t limit_table_bytes(size_t clients)
{
    return sizeof(struct limit_table) + sets_for(clients) * (sizeof(struct limit_set) + SET_SEATS * sizeof(struct row));
}

struct limit_table *limit_table_init(void *memory, size_t clients, const uint8_t secret[static LIMIT_SECRET_SIZE])
{
    struct limit_table *t = memory;

    t->set_count = (uint32_t)sets_for(clients);
    memcpy(t->secret, secret, LIMIT_SECRET_SIZE);
    return t;
}

static uint64_t hash_of(const struct limit_table *t, const struct limit_key *key)
{
    uint64_t hash;

    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, sizeof(*key), t->secret);
    return hash;
}

/* By those bits of the hash first that the seat's tag does not hold. */
static uint32_t set_of(const struct limit_table *t, uint64_t hash)
{
    const uint32_t mixed = (uint32_t)(hash << 15 | hash >> 49);

    return (uint32_t)((uint64_t)mixed * t->set_count >> 32);
}

static struct row *row_at(struct limit_table *t, uint32_t set, unsigned seat)
{
    struct row *rows = (struct row *)(void *)&t->sets[t->set_count];

    return &rows[(size_t)set * SET_SEATS + seat];
}

/* ---- a decision -------------------------------------------------------------------- */

/* A client at a moment. */
struct visit {
    int64_t now_ms;
    struct limit_set *set;
    struct limit_seat seat;
    struct row *row;
    uint32_t limits[WINDOWS];
    struct window_use uses[WINDOWS];
};

static struct visit visit_at(const struct limit_rate *rate, int64_t now_ms)
{
    return (struct visit){ .now_ms = now_ms, .limits = { [MINUTE] = rate->per_minute, [HOUR] = rate->per_hour } };
}

static uint64_t stamp_of(const struct visit *v, int i)
{
    return window_stamp(limit_seat_life(v->seat.tag), (uint64_t)(v->now_ms / unit_ms[i]));
}

static bool full(const struct visit *v, int i) { return v->limits[i] > 0 && v->uses[i].used >= v->limits[i]; }

/* Looks first, so that a full window costs nothing in the other. */
static bool look(struct visit *v)
{
    for (int i = 0; i < WINDOWS; i++) {
        if (v->limits[i] > 0)
            v->uses[i] = window_look(&v->row->windows[i], stamp_of(v, i));
    }
    return !full(v, MINUTE) && !full(v, HOUR);
}

static void give_back(struct visit *v, int count)
{
    for (int i = 0; i < count; i++) {
        if (v->limits[i] == 0)
            continue;
        window_give(&v->row->windows[i], &v->uses[i]);
        v->uses[i].used--;
    }
}

static bool take(struct visit *v)
{
    for (int i = 0; i < WINDOWS; i++) {
        if (v->limits[i] > 0 && !window_take(&v->row->windows[i], stamp_of(v, i), v->limits[i], &v->uses[i])) {
            give_back(v, i);
            return false;
        }
    }
    return true;
}

/* Whether the row was the client's all the time. If not, what was taken there goes
 * back, and all is to be done again elsewhere. */
static bool leave(struct visit *v, bool allowed)
{
    if (limit_seat_kept(v->set, &v->seat))
        return true;
    if (allowed)
        give_back(v, WINDOWS);
    return false;
}

/* ---- who comes --------------------------------------------------------------------- */

static void name_row(struct row *row, const struct limit_key *key)
{
    uint64_t words[KEY_WORDS] = { 0 };

    memcpy(words, key, sizeof(*key));
    for (size_t i = 0; i < KEY_WORDS; i++) {
        if (atomic_load_explicit(&row->key[i], memory_order_relaxed) != words[i])
            atomic_store_explicit(&row->key[i], words[i], memory_order_relaxed);
    }
}

static void enter(struct limit_table *t, const struct limit_key *key, struct visit *v)
{
    const uint64_t hash = hash_of(t, key);
    const uint32_t set = set_of(t, hash);

    v->set = &t->sets[set];
    v->seat = limit_set_claim(v->set, hash, v->now_ms, &t->seats);
    v->row = row_at(t, set, v->seat.index);
    name_row(v->row, key);
}

static bool find(struct limit_table *t, const struct limit_key *key, struct visit *v)
{
    const uint64_t hash = hash_of(t, key);
    const uint32_t set = set_of(t, hash);

    v->set = &t->sets[set];
    if (!limit_set_find(v->set, hash, &v->seat))
        return false;
    v->row = row_at(t, set, v->seat.index);
    return true;
}

/* ---- what is said ------------------------------------------------------------------ */

/* From now until so many units on, rounded up. */
static uint32_t seconds(const struct visit *v, int i, uint32_t units)
{
    const int64_t ms = units * unit_ms[i] - v->now_ms % unit_ms[i];

    return (uint32_t)((ms + 999) / 1000);
}

static uint32_t wait_s(const struct visit *v, int i, uint32_t limit)
{
    return seconds(v, i, window_wait(&v->row->windows[i], &v->uses[i], limit));
}

static struct limit_quota quota(const struct visit *v, int i)
{
    const uint32_t limit = v->limits[i], used = limit > 0 ? v->uses[i].used : 0;

    return (struct limit_quota){
        .limit = limit,
        .remaining = used < limit ? limit - used : 0,
        .reset_s = used > 0 ? wait_s(v, i, used) : 0,
    };
}

static struct limit_verdict verdict(const struct visit *v, bool allowed)
{
    uint32_t retry_after_s = 0;

    for (int i = 0; !allowed && i < WINDOWS; i++) {
        const uint32_t wait = full(v, i) ? wait_s(v, i, v->limits[i]) : 0;

        retry_after_s = wait > retry_after_s ? wait : retry_after_s;
    }
    return (struct limit_verdict){
        .allowed = allowed,
        .minute = quota(v, MINUTE),
        .hour = quota(v, HOUR),
        .retry_after_s = retry_after_s,
    };
}

/* Whether it is the client's first in this minute. */
static bool count_refusal(struct visit *v)
{
    const uint64_t life = limit_seat_life(v->seat.tag), minute = (uint64_t)(v->now_ms / unit_ms[HOUR]) & REFUSED_MAX;
    uint64_t before = atomic_load_explicit(&v->row->refusals, memory_order_relaxed), name, count;

    do {
        const bool same_life = before >> 48 == life;

        name = life << 24 | minute;
        if (same_life && before >> 24 > name)
            name = before >> 24;
        count = same_life ? before & REFUSED_MAX : 0;
        count += count < REFUSED_MAX;
    } while (!atomic_compare_exchange_weak(&v->row->refusals, &before, name << 24 | count));
    return count == 1 || before >> 24 != name;
}

/* ---- the calls --------------------------------------------------------------------- */

void limit_table_check(struct limit_table *t, const struct limit_key *key, const struct limit_rate *rate,
                       int64_t now_ms, struct limit_verdict *ret_verdict)
{
    struct visit v = visit_at(rate, now_ms);
    bool allowed;

    do {
        enter(t, key, &v);
        allowed = look(&v) && take(&v);
    } while (!leave(&v, allowed));
    *ret_verdict = verdict(&v, allowed);
    ret_verdict->first_refusal = !allowed && count_refusal(&v);
}

void limit_table_peek(struct limit_table *t, const struct limit_key *key, const struct limit_rate *rate, int64_t now_ms,
                      struct limit_verdict *ret_verdict)
{
    struct visit v = visit_at(rate, now_ms);
    bool allowed = true;

    if (find(t, key, &v))
        allowed = look(&v);
    *ret_verdict = verdict(&v, allowed);
}

void limit_table_note(struct limit_table *t, const struct limit_key *key, const struct limit_rate *rate, int64_t now_ms)
{
    const struct limit_rate boundless = {
        .per_minute = rate->per_minute > 0 ? WINDOW_COUNT_MAX : 0,
        .per_hour = rate->per_hour > 0 ? WINDOW_COUNT_MAX : 0,
    };
    struct visit v = visit_at(&boundless, now_ms);
    bool taken;

    do {
        enter(t, key, &v);
        taken = take(&v);
    } while (!leave(&v, taken));
}

bool limit_table_note_refusal(struct limit_table *t, const struct limit_key *key, int64_t now_ms)
{
    struct visit v = { .now_ms = now_ms };

    enter(t, key, &v);
    return count_refusal(&v);
}

bool limit_table_forget(struct limit_table *t, const struct limit_key *key)
{
    const uint64_t hash = hash_of(t, key);

    return limit_set_leave(&t->sets[set_of(t, hash)], hash, &t->seats);
}

struct limit_stats limit_table_stats(const struct limit_table *t)
{
    return (struct limit_stats){
        .capacity = (uint64_t)t->set_count * SET_SEATS,
        .clients = atomic_load_explicit(&t->seats.taken, memory_order_relaxed),
        .evictions = atomic_load_explicit(&t->seats.evictions, memory_order_relaxed),
    };
}

/* ---- the busiest ------------------------------------------------------------------- */

/* What is known of who sits there; false when that is nobody to speak of. */
static bool read_seat(struct limit_table *t, uint32_t set, unsigned i, int64_t now_ms, struct limit_client *ret_client)
{
    struct visit v = { .now_ms = now_ms };
    uint64_t words[KEY_WORDS], refusals;
    struct limit_client c;

    v.set = &t->sets[set];
    v.seat = (struct limit_seat){ i, atomic_load(&v.set->tags[i]) };
    v.row = row_at(t, set, i);
    c.seen_ms = atomic_load_explicit(&v.set->seen_ms[i], memory_order_relaxed);
    if (!limit_seat_settled(v.seat.tag) || now_ms - c.seen_ms > RECENT_MS)
        return false;
    for (size_t k = 0; k < KEY_WORDS; k++)
        words[k] = atomic_load_explicit(&v.row->key[k], memory_order_relaxed);
    memcpy(&c.key, words, sizeof(c.key));
    refusals = atomic_load_explicit(&v.row->refusals, memory_order_relaxed);
    c.refused = refusals >> 48 == limit_seat_life(v.seat.tag) ? (uint32_t)(refusals & REFUSED_MAX) : 0;
    c.minute = window_peek(&v.row->windows[MINUTE], stamp_of(&v, MINUTE)).used;
    c.hour = window_peek(&v.row->windows[HOUR], stamp_of(&v, HOUR)).used;
    *ret_client = c;
    return limit_seat_is(v.seat.tag, hash_of(t, &c.key)) && limit_seat_kept(v.set, &v.seat);
}

static uint64_t asked(const struct limit_client *c) { return (uint64_t)c->hour + c->refused; }

/* Into its place by how much it asked; the last one falls out of a full list. */
static size_t insert(struct limit_client *out, size_t n, size_t room, const struct limit_client *c)
{
    size_t at = n < room ? n : room - 1;

    if (n == room && asked(c) <= asked(&out[at]))
        return n;
    for (; at > 0 && asked(&out[at - 1]) < asked(c); at--)
        out[at] = out[at - 1];
    out[at] = *c;
    return n < room ? n + 1 : n;
}

size_t limit_table_busiest(struct limit_table *t, int64_t now_ms, struct limit_client *out, size_t room)
{
    struct limit_client c;
    size_t n = 0;

    for (uint32_t set = 0; room > 0 && set < t->set_count; set++) {
        for (unsigned i = 0; i < SET_SEATS; i++) {
            if (read_seat(t, set, i, now_ms, &c))
                n = insert(out, n, room, &c);
        }
    }
    return n;
}
