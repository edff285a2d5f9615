/* SPDX-License-Identifier: MIT */
/* The table with a clock that is moved by hand: alone, against a list of all that
 * was let through; and with many processes and threads at once, some of which are
 * killed. Those stopped or killed at each single instruction are in
 * interrupted_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "limit/table.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR, PAGE = 4096 };

static const uint8_t secret[LIMIT_SECRET_SIZE] = "0123456789abcde";
static const struct limit_rate usual = { .per_minute = 60, .per_hour = 1000 };

static struct limit_table *table;
static char *map;
static size_t map_size;

/* The table ends where memory ends. */
static void make_table(size_t clients)
{
    const size_t bytes = limit_table_bytes(clients);

    map_size = (bytes + 2 * PAGE - 1) / PAGE * PAGE;
    map = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    mprotect(map + map_size - PAGE, PAGE, PROT_NONE);
    table = limit_table_init(map + (map_size - PAGE - bytes) / 64 * 64, clients, secret);
}

static int teardown(void **state)
{
    (void)state;
    munmap(map, map_size);
    return 0;
}

static struct limit_key key_of(uint64_t n)
{
    struct limit_key key = { .kind = 1 };

    memcpy(key.bytes, &n, sizeof(n));
    return key;
}

static struct limit_verdict check(uint64_t client, const struct limit_rate *rate, int64_t now_ms)
{
    const struct limit_key key = key_of(client);
    struct limit_verdict v;

    limit_table_check(table, &key, rate, now_ms, &v);
    return v;
}

static struct limit_verdict peek(uint64_t client, const struct limit_rate *rate, int64_t now_ms)
{
    const struct limit_key key = key_of(client);
    struct limit_verdict v;

    limit_table_peek(table, &key, rate, now_ms, &v);
    return v;
}

/* How many of `tries` are let through. */
static int count_allowed(uint64_t client, const struct limit_rate *rate, int64_t now_ms, int tries)
{
    int allowed = 0;

    for (int i = 0; i < tries; i++)
        allowed += check(client, rate, now_ms).allowed;
    return allowed;
}

/* ---- one client ---------------------------------------------------------------------- */

static void test_check__lets_exactly_the_limit_through_at_once(void **state)
{
    (void)state;
    make_table(1000);
    assert_int_equal(count_allowed(1, &usual, 5 * DAY + 123, 1000), 60);
    assert_int_equal(count_allowed(2, &usual, 5 * DAY + 123, 1000), 60);
}

static void test_check__frees_between_60_and_61_seconds_later(void **state)
{
    (void)state;
    make_table(1000);
    assert_int_equal(count_allowed(1, &usual, 1000 * SECOND + 999, 100), 60);
    assert_int_equal(count_allowed(1, &usual, 1060 * SECOND + 999, 100), 0);
    assert_int_equal(count_allowed(1, &usual, 1061 * SECOND, 100), 60);
    assert_int_equal(count_allowed(1, &usual, 1121 * SECOND + 999, 100), 0);
    assert_int_equal(count_allowed(1, &usual, 1122 * SECOND, 100), 60);
}

static void test_check__frees_the_hour_between_60_and_61_minutes_later(void **state)
{
    const struct limit_rate rate = { .per_hour = 10 };
    (void)state;

    make_table(1000);
    assert_int_equal(count_allowed(1, &rate, 100 * MINUTE + 59999, 100), 10);
    assert_int_equal(count_allowed(1, &rate, 160 * MINUTE + 59999, 100), 0);
    assert_int_equal(count_allowed(1, &rate, 161 * MINUTE, 100), 10);
}

static void test_check__says_what_remains(void **state)
{
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    v = check(1, &usual, 100 * MINUTE + 250);
    assert_true(v.allowed);
    assert_int_equal(v.minute.limit, 60);
    assert_int_equal(v.minute.remaining, 59);
    assert_int_equal(v.minute.reset_s, 61);
    assert_int_equal(v.hour.limit, 1000);
    assert_int_equal(v.hour.remaining, 999);
    assert_int_equal(v.hour.reset_s, 61 * 60);
    assert_int_equal(v.retry_after_s, 0);
    v = check(1, &usual, 100 * MINUTE + 7100);
    assert_int_equal(v.minute.remaining, 58);
    assert_int_equal(v.minute.reset_s, 54);
    assert_int_equal(v.hour.reset_s, 61 * 60 - 7);
}

static void test_check__says_when_to_come_again(void **state)
{
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    count_allowed(1, &usual, 100 * MINUTE + 250, 59);
    check(1, &usual, 100 * MINUTE + 9000);
    v = check(1, &usual, 100 * MINUTE + 10500);
    assert_false(v.allowed);
    assert_int_equal(v.minute.remaining, 0);
    assert_int_equal(v.hour.remaining, 940);
    assert_int_equal(v.retry_after_s, 51);
    assert_false(check(1, &usual, 100 * MINUTE + 10500 + 50 * SECOND).allowed);
    assert_true(check(1, &usual, 100 * MINUTE + 10500 + 51 * SECOND).allowed);
}

static void test_check__waits_for_the_window_that_takes_longer(void **state)
{
    const struct limit_rate rate = { .per_minute = 2, .per_hour = 3 };
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    check(1, &rate, 100 * MINUTE);
    assert_int_equal(count_allowed(1, &rate, 102 * MINUTE, 5), 2);
    v = check(1, &rate, 102 * MINUTE);
    assert_int_equal(v.minute.reset_s, 61);
    assert_int_equal(v.hour.reset_s, 59 * 60);
    assert_int_equal(v.retry_after_s, 59 * 60);
}

static void test_check__without_a_window_it_has_no_say(void **state)
{
    const struct limit_rate none = { 0 }, minute_only = { .per_minute = 5 };
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    assert_int_equal(count_allowed(1, &none, DAY, 5000), 5000);
    assert_int_equal(count_allowed(1, &minute_only, DAY, 10), 5);
    v = check(1, &minute_only, DAY);
    assert_int_equal(v.hour.limit, 0);
    assert_int_equal(v.hour.remaining, 0);
    assert_int_equal(v.hour.reset_s, 0);
}

static void test_check__follows_a_limit_that_is_changed(void **state)
{
    const struct limit_rate wide = { .per_minute = 100, .per_hour = 1000 },
                            narrow = { .per_minute = 3, .per_hour = 1000 };
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    for (int i = 0; i < 10; i++)
        check(1, &wide, DAY + i * SECOND);
    v = check(1, &narrow, DAY + 10 * SECOND);
    assert_false(v.allowed);
    assert_int_equal(v.minute.remaining, 0);
    assert_int_equal(v.retry_after_s, 58);
    assert_true(check(1, &wide, DAY + 10 * SECOND).allowed);
}

static void test_check__holds_the_widest_limits(void **state)
{
    const struct limit_rate rate = { .per_minute = LIMIT_PER_MINUTE_MAX, .per_hour = LIMIT_PER_MINUTE_MAX + 5 };
    (void)state;

    make_table(10);
    assert_int_equal(count_allowed(1, &rate, DAY, LIMIT_PER_MINUTE_MAX + 10), LIMIT_PER_MINUTE_MAX);
    assert_int_equal(count_allowed(1, &rate, DAY + 61 * SECOND, 10), 5);
}

static void test_check__tells_the_first_refusal_of_a_minute(void **state)
{
    const struct limit_rate rate = { .per_hour = 1 };
    (void)state;

    make_table(1000);
    assert_false(check(1, &rate, DAY).first_refusal);
    assert_true(check(1, &rate, DAY + 1).first_refusal);
    assert_false(check(1, &rate, DAY + 2).first_refusal);
    assert_false(check(1, &rate, DAY + 59999).first_refusal);
    assert_true(check(1, &rate, DAY + 60000).first_refusal);
    assert_false(check(1, &rate, DAY + 59999).first_refusal);
    assert_false(check(1, &rate, DAY + 60001).first_refusal);
}

static void test_check__kinds_are_apart(void **state)
{
    struct limit_key a = key_of(1), b = key_of(1);
    struct limit_verdict v;
    (void)state;

    b.kind = 2;
    make_table(1000);
    limit_table_check(table, &a, &usual, DAY, &v);
    limit_table_check(table, &b, &usual, DAY, &v);
    assert_int_equal(v.minute.remaining, 59);
}

static void test_check__nothing_comes_back_after_a_long_time(void **state)
{
    static const int64_t gaps[] = { HOUR + MINUTE,
                                    4 * HOUR,
                                    273 * MINUTE,
                                    DAY,
                                    3 * (int64_t)DAY,
                                    7 * (int64_t)DAY,
                                    16384 * (int64_t)MINUTE,
                                    45 * (int64_t)DAY,
                                    65536 * (int64_t)MINUTE,
                                    194 * (int64_t)DAY,
                                    16777216 * (int64_t)SECOND,
                                    4000 * (int64_t)DAY,
                                    16777216 * (int64_t)MINUTE };
    (void)state;

    make_table(1000);
    for (uint64_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
        for (int64_t at = DAY; at < DAY + 61 * MINUTE; at += MINUTE / 2)
            assert_true(check(g, &usual, at).allowed);
        for (int64_t more = 0; more < 2 * MINUTE; more += 777)
            assert_int_equal(peek(g, &usual, DAY + 61 * MINUTE + gaps[g] + more).hour.remaining, 1000);
        assert_int_equal(count_allowed(g, &usual, DAY + 61 * MINUTE + gaps[g], 70), 60);
    }
}

/* ---- against a list --------------------------------------------------------------------- */

enum { LISTED = 6000 };

struct list {
    int64_t at[LISTED];
    size_t n;
    int64_t latest; /* time as the client's windows know it */
};

static uint32_t listed_since(const struct list *l, int64_t since)
{
    uint32_t count = 0;

    for (size_t i = l->n; i > 0 && l->at[i - 1] >= since; i--)
        count++;
    return count;
}

/* By the granularity that the header states. */
static uint32_t listed_used(const struct list *l, int64_t now, int64_t unit)
{
    return listed_since(l, (now / unit - 60) * unit);
}

static bool listed_room(const struct list *l, const struct limit_rate *rate, int64_t now)
{
    return listed_used(l, now, SECOND) < rate->per_minute && listed_used(l, now, MINUTE) < rate->per_hour;
}

static void assert_agrees(const struct list *l, const struct limit_rate *rate, int64_t now,
                          const struct limit_verdict *v)
{
    const uint32_t minute = listed_used(l, now, SECOND), hour = listed_used(l, now, MINUTE);

    assert_int_equal(v->minute.remaining, minute < rate->per_minute ? rate->per_minute - minute : 0);
    assert_int_equal(v->hour.remaining, hour < rate->per_hour ? rate->per_hour - hour : 0);
    assert_int_equal(v->minute.reset_s == 0, minute == 0);
    if (minute > 0) {
        assert_true(listed_used(l, now + v->minute.reset_s * SECOND, SECOND) < minute);
        assert_int_equal(listed_used(l, now + (v->minute.reset_s - 1) * SECOND, SECOND), minute);
    }
    if (v->allowed)
        return;
    assert_true(listed_room(l, rate, now + v->retry_after_s * SECOND));
    assert_false(listed_room(l, rate, now + (v->retry_after_s - 1) * SECOND));
}

static int64_t pause_ms(struct random *r)
{
    switch (random_below(r, 40)) {
    case 0:
        return (int64_t)random_below(r, 5 * MINUTE);
    case 1:
        return random_below(r, 20) == 0 ? (int64_t)random_below(r, 3 * HOUR) : 0;
    default:
        return (int64_t)random_below(r, 1500);
    }
}

static void one_request(struct list *l, const struct limit_rate *rate, int64_t now)
{
    const struct limit_verdict v = check(7, rate, now);

    l->latest = now > l->latest ? now : l->latest;
    if (v.allowed) {
        l->at[l->n++] = l->latest;
        assert_true(listed_since(l, l->latest - MINUTE + 1) <= rate->per_minute);
        assert_true(listed_since(l, l->latest - HOUR + 1) <= rate->per_hour);
    } else {
        assert_true(listed_since(l, l->latest - MINUTE - SECOND + 1) >= rate->per_minute ||
                    listed_since(l, l->latest - HOUR - MINUTE + 1) >= rate->per_hour);
    }
    if (now == l->latest)
        assert_agrees(l, rate, now, &v);
}

static void test_check__agrees_with_a_list_of_all_that_were_let_through(void **state)
{
    static const struct limit_rate rates[] = { { 60, 1000 }, { 10, 30 }, { 1, 1000 }, { 20, 20 }, { 37, 211 } };
    static struct list l;
    struct random r;
    (void)state;

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        make_table(8);
        l = (struct list){ .latest = 300 * (int64_t)DAY };
        random_seed(&r, i + 1);
        one_request(&l, &rates[i], l.latest);
        for (int turn = 0; turn < LISTED - 1; turn++) {
            const int64_t early = random_below(&r, 5) == 0 ? (int64_t)random_below(&r, 5) : 0;

            one_request(&l, &rates[i], l.latest + (early > 0 ? -early : pause_ms(&r)));
        }
        assert_true(l.n > 100);
        if (i + 1 < sizeof(rates) / sizeof(rates[0]))
            teardown(NULL);
    }
}

/* ---- what others decide ------------------------------------------------------------------ */

static void test_peek__counts_nothing(void **state)
{
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    v = peek(1, &usual, DAY);
    assert_true(v.allowed);
    assert_int_equal(v.minute.remaining, 60);
    assert_int_equal(limit_table_stats(table).clients, 0);
    check(1, &usual, DAY);
    for (int i = 0; i < 100; i++)
        v = peek(1, &usual, DAY);
    assert_int_equal(v.minute.remaining, 59);
    count_allowed(1, &usual, DAY, 59);
    v = peek(1, &usual, DAY);
    assert_false(v.allowed);
    assert_false(v.first_refusal);
    assert_int_equal(v.retry_after_s, 61);
}

static void test_note__counts_beyond_the_limits_too(void **state)
{
    const struct limit_key key = key_of(1);
    struct limit_verdict v;
    (void)state;

    make_table(1000);
    for (int i = 0; i < 50; i++)
        limit_table_note(table, &key, &usual, DAY);
    assert_int_equal(peek(1, &usual, DAY).minute.remaining, 10);
    for (int i = 0; i < 50; i++)
        limit_table_note(table, &key, &usual, DAY + 2 * SECOND);
    v = check(1, &usual, DAY + 2 * SECOND);
    assert_false(v.allowed);
    assert_int_equal(v.hour.remaining, 900);
    assert_int_equal(v.retry_after_s, 59);
}

static void test_note_refusal__tells_the_first_of_a_minute(void **state)
{
    const struct limit_key key = key_of(1);
    (void)state;

    make_table(1000);
    assert_true(limit_table_note_refusal(table, &key, DAY));
    assert_false(limit_table_note_refusal(table, &key, DAY + 1));
    assert_true(limit_table_note_refusal(table, &key, DAY + MINUTE));
}

static void test_forget__lets_a_client_begin_anew(void **state)
{
    const struct limit_key key = key_of(1);
    (void)state;

    make_table(1000);
    assert_false(limit_table_forget(table, &key));
    assert_int_equal(count_allowed(1, &usual, DAY, 100), 60);
    assert_int_equal(count_allowed(2, &usual, DAY, 100), 60);
    assert_true(limit_table_forget(table, &key));
    assert_false(limit_table_forget(table, &key));
    assert_int_equal(limit_table_stats(table).clients, 1);
    assert_int_equal(count_allowed(1, &usual, DAY, 100), 60);
    assert_int_equal(count_allowed(2, &usual, DAY, 100), 0);
    assert_true(limit_table_forget(table, &key));
    assert_true(check(1, &usual, DAY + 1).allowed);
}

/* ---- many clients ------------------------------------------------------------------------ */

static void test_check__evicts_the_least_recently_seen_of_a_set(void **state)
{
    struct limit_stats stats;
    (void)state;

    make_table(8);
    for (uint64_t c = 0; c < 8; c++)
        assert_int_equal(count_allowed(c, &usual, DAY + (int64_t)c, 30), 30);
    check(0, &usual, DAY + 10);
    check(8, &usual, DAY + 11);
    stats = limit_table_stats(table);
    assert_int_equal(stats.capacity, 8);
    assert_int_equal(stats.clients, 8);
    assert_int_equal(stats.evictions, 1);
    assert_int_equal(peek(0, &usual, DAY + 12).minute.remaining, 29);
    assert_int_equal(peek(1, &usual, DAY + 12).minute.remaining, 60);
    assert_int_equal(peek(8, &usual, DAY + 12).minute.remaining, 59);
    for (uint64_t c = 2; c < 8; c++)
        assert_int_equal(peek(c, &usual, DAY + 12).minute.remaining, 30);
}

static void test_check__an_evicted_seat_begins_anew(void **state)
{
    (void)state;
    make_table(8);
    for (uint64_t c = 0; c < 5000; c++)
        assert_int_equal(count_allowed(c, &usual, DAY + (int64_t)c * 100, 61), 60);
    assert_int_equal(limit_table_stats(table).evictions, 5000 - 8);
}

static size_t resident_pages(void)
{
    const size_t pages = map_size / PAGE;
    unsigned char *resident = calloc(pages, 1);
    size_t count = 0;

    assert_non_null(resident);
    assert_int_equal(mincore(map, map_size, resident), 0);
    for (size_t i = 0; i < pages; i++)
        count += resident[i] & 1;
    free(resident);
    return count;
}

static void test_table__costs_nothing_where_nobody_was(void **state)
{
    struct limit_client busiest[4];
    (void)state;

    make_table(100000);
    assert_int_equal(limit_table_stats(table).capacity, 100000);
    assert_true(map_size / 100000 <= 592);
    assert_true(resident_pages() <= 1);
    for (uint64_t c = 0; c < 100; c++) {
        check(c, &usual, DAY);
        peek(c + 1000, &usual, DAY);
    }
    assert_true(resident_pages() < 600);
    assert_int_equal(limit_table_busiest(table, DAY, busiest, 4), 4);
    assert_true(resident_pages() < 1100);
}

static void test_table__memory_is_the_same_after_a_million_clients(void **state)
{
    struct limit_stats stats;
    size_t pages = 0;
    int new_ones = 0;
    (void)state;

    make_table(10000);
    for (uint64_t c = 0; c < 1000000; c++) {
        new_ones += check(c, &usual, DAY + (int64_t)c / 100).minute.remaining == 59;
        if (c == 100000)
            pages = resident_pages();
    }
    stats = limit_table_stats(table);
    assert_int_equal(new_ones, 1000000);
    assert_int_equal(stats.clients, 10000);
    assert_int_equal(stats.evictions, 990000);
    assert_int_equal(resident_pages(), pages);
    assert_true(pages <= 10000 * 592 / PAGE + 2);
}

/* Keys as an attacker would choose them: near each other, alike, in steps. Half as
 * many as there is room for; chance alone leaves one in a hundred without a seat. */
static void test_table__nobody_can_aim_at_a_set(void **state)
{
    static const uint64_t steps[] = {
        1, 8, 256, 4096, 12500, 65536, UINT64_C(1) << 32, UINT64_C(1) << 45, UINT64_C(1) << 48
    };
    (void)state;

    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        make_table(40000);
        for (uint64_t c = 0; c < 20000; c++)
            check(c * steps[s], &usual, DAY);
        assert_in_range(limit_table_stats(table).evictions, 60, 300);
        if (s + 1 < sizeof(steps) / sizeof(steps[0]))
            teardown(NULL);
    }
}

static void test_table__another_secret_is_another_order(void **state)
{
    static const uint8_t other[LIMIT_SECRET_SIZE] = "another secret!";
    struct limit_key key = key_of(1);
    struct limit_verdict v;
    char *first;
    (void)state;

    make_table(10000);
    first = calloc(1, map_size);
    assert_non_null(first);
    check(1, &usual, DAY);
    memcpy(first, map, map_size - PAGE);
    memset(map, 0, map_size - PAGE);
    table = limit_table_init(table, 10000, other);
    limit_table_check(table, &key, &usual, DAY, &v);
    assert_memory_not_equal(first + PAGE, map + PAGE, map_size - 2 * PAGE);
    free(first);
}

static void test_busiest__are_those_who_asked_most(void **state)
{
    struct limit_client out[3];
    (void)state;

    make_table(1000);
    check(99, &usual, DAY - 2 * HOUR);
    for (uint64_t c = 1; c <= 50; c++)
        count_allowed(c, &usual, DAY, (int)c * 3);
    for (int i = 0; i < 5; i++)
        check(17, &usual, DAY + 90 * SECOND);
    assert_int_equal(limit_table_busiest(table, DAY + 91 * SECOND, out, 3), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct limit_key key = key_of(50 - i);

        assert_memory_equal(&out[i].key, &key, sizeof(key));
        assert_int_equal(out[i].minute, 0);
        assert_int_equal(out[i].hour, 60);
        assert_int_equal(out[i].refused, 90 - 3 * i);
        assert_int_equal(out[i].seen_ms, DAY);
    }
    assert_int_equal(limit_table_busiest(table, DAY, out, 0), 0);
}

static void test_busiest__are_none_after_an_hour(void **state)
{
    struct limit_client out[60];
    (void)state;

    make_table(1000);
    for (uint64_t c = 1; c <= 50; c++)
        check(c, &usual, DAY);
    assert_int_equal(limit_table_busiest(table, DAY + SECOND, out, 60), 50);
    assert_int_equal(limit_table_busiest(table, DAY + 61 * MINUTE, out, 60), 0);
}

/* ---- many workers ------------------------------------------------------------------------ */

enum { WORKERS = 8, ROUNDS = 30, LOG_SIZE = 4000 };

/* What the processes of a test share, beside the table. */
struct scene {
    _Atomic int go, allowed[WORKERS];
    _Atomic int64_t now_ms;
    _Atomic uint64_t client;
    struct limit_rate rate;
    struct {
        int64_t before, after;
    } let_through[WORKERS][LOG_SIZE]; /* the clock around each */
};

static struct scene *scene;

static void make_scene(struct limit_rate rate, int64_t now_ms)
{
    scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(scene, MAP_FAILED);
    scene->rate = rate;
    scene->now_ms = now_ms;
}

static int end_scene(void **state)
{
    munmap(scene, sizeof(*scene));
    return teardown(state);
}

static int total_allowed(void)
{
    int total = 0;

    for (int i = 0; i < WORKERS; i++)
        total += scene->allowed[i];
    return total;
}

static pid_t fork_worker(void (*work)(int index), int index)
{
    const pid_t pid = fork();

    if (pid == 0) {
        work(index);
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static void join_worker(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void request(int index)
{
    const int64_t before = scene->now_ms;

    if (check(scene->client, &scene->rate, before).allowed) {
        const int n = atomic_fetch_add(&scene->allowed[index], 1);

        if (n < LOG_SIZE) {
            scene->let_through[index][n].before = before;
            scene->let_through[index][n].after = scene->now_ms;
        }
    }
}

static void ask_125_times(int index)
{
    for (int round = 1; round <= ROUNDS; round++) {
        atomic_fetch_add(&scene->go, 1);
        while (scene->go < round * WORKERS)
            sched_yield();
        for (int i = 0; i < 125; i++) {
            if (check((uint64_t)round, &scene->rate, scene->now_ms).allowed)
                atomic_fetch_add(&scene->allowed[index], 1);
        }
    }
}

/* A thousand at once, again and again. */
static void test_processes__let_exactly_the_limit_through_together(void **state)
{
    static const struct limit_rate rates[] = {
        { 60, 1000 }, { 60, 60 }, { 60, 61 }, { 100, 60 }, { 0, 60 }, { 60, 0 }
    };
    pid_t pids[WORKERS];
    (void)state;

    make_table(1000);
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        make_scene(rates[r], DAY + (int64_t)r * DAY);
        for (int i = 0; i < WORKERS; i++)
            pids[i] = fork_worker(ask_125_times, i);
        for (int i = 0; i < WORKERS; i++)
            join_worker(pids[i]);
        assert_int_equal(total_allowed(), 60 * ROUNDS);
        if (r + 1 < sizeof(rates) / sizeof(rates[0]))
            munmap(scene, sizeof(*scene));
    }
}

static void *thread_asks(void *arg)
{
    for (int i = 0; i < 5000; i++)
        request((int)(intptr_t)arg);
    return NULL;
}

static void test_threads__let_exactly_the_limit_through_together(void **state)
{
    pthread_t threads[WORKERS];
    (void)state;

    make_table(8);
    make_scene((struct limit_rate){ 600, 1000 }, DAY);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_asks, (void *)(intptr_t)i), 0);
    for (uint64_t i = 0; i < 50; i++) {
        scene->now_ms += 100;
        usleep(200);
        check(1 + i % 6, &usual, scene->now_ms);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(total_allowed(), 600);
}

/* The clock runs, a quarter of a second at a time, while all ask without a pause. */
static void ask_until_told(int index)
{
    while (scene->go == 0)
        request(index);
}

/* Those that were surely let through inside of the interval. */
static uint32_t inside(int64_t from, int64_t until)
{
    uint32_t count = 0;

    for (int i = 0; i < WORKERS; i++) {
        const int n = scene->allowed[i] < LOG_SIZE ? scene->allowed[i] : LOG_SIZE;

        for (int k = 0; k < n; k++)
            count += scene->let_through[i][k].before >= from && scene->let_through[i][k].after < until;
    }
    return count;
}

static void run_clock(int64_t until, int64_t step)
{
    while (scene->now_ms < until) {
        atomic_fetch_add(&scene->now_ms, step);
        usleep(100);
    }
}

static void test_processes__hold_the_limit_while_time_goes_on(void **state)
{
    pid_t pids[4];
    (void)state;

    make_table(8);
    make_scene((struct limit_rate){ 40, 150 }, DAY);
    for (int i = 0; i < 4; i++)
        pids[i] = fork_worker(ask_until_told, i);
    run_clock(DAY + 10 * MINUTE, 250);
    run_clock(DAY + 3 * HOUR, 10 * SECOND);
    scene->go = 1;
    for (int i = 0; i < 4; i++)
        join_worker(pids[i]);
    for (int64_t from = DAY; from < DAY + 10 * MINUTE; from += 250)
        assert_true(inside(from, from + MINUTE) <= 40);
    for (int64_t from = DAY; from < DAY + 2 * HOUR; from += 5 * SECOND)
        assert_true(inside(from, from + HOUR) <= 150);
    assert_in_range(total_allowed(), 150 + 1, 150 * 3);
}

/* More clients than seats, each of whom is thrown out again and again: what a
 * client had in its seat is never more than its limit. */
static bool ask_for_many(int index)
{
    bool right = true;
    struct random r;

    random_seed(&r, (uint64_t)index + 1);
    for (int i = 0; i < 20000; i++) {
        const struct limit_verdict v = check(random_below(&r, 24), &scene->rate, scene->now_ms + i);

        right &= v.allowed ? v.minute.remaining <= 4 && v.hour.remaining <= 6 : v.retry_after_s > 0;
    }
    return right;
}

static void contend(int index)
{
    if (!ask_for_many(index))
        _exit(1);
}

static void test_processes__contend_for_seats(void **state)
{
    pid_t pids[WORKERS];
    uint64_t sum = 0;
    struct limit_client out[16];
    (void)state;

    make_table(16);
    make_scene((struct limit_rate){ 5, 7 }, DAY);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fork_worker(contend, i);
    for (int i = 0; i < WORKERS; i++)
        join_worker(pids[i]);
    for (size_t i = limit_table_busiest(table, DAY + 20000, out, 16); i > 0; i--) {
        assert_true(out[i - 1].minute <= 5 && out[i - 1].hour <= 7);
        sum++;
    }
    assert_true(sum >= 8 && sum <= limit_table_stats(table).clients);
    assert_true(limit_table_stats(table).clients <= 16);
}

static void *thread_contends(void *arg) { return ask_for_many((int)(intptr_t)arg) ? NULL : arg; }

static void test_threads__contend_for_seats(void **state)
{
    pthread_t threads[WORKERS];
    void *wrong = NULL;
    (void)state;

    make_table(16);
    make_scene((struct limit_rate){ 5, 7 }, DAY);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_contends, (void *)(intptr_t)(i + 1)), 0);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_in_range(limit_table_stats(table).clients, 10, 16);
}

/* ---- killed ------------------------------------------------------------------------------ */

/* Each that is killed may have taken one that nobody heard of. */
static void test_processes__killed_at_any_moment_cost_one_admission_each_at_most(void **state)
{
    enum { KILLED = 4, DEATHS = 80 };
    pid_t pids[KILLED];
    struct random r;
    int status;
    (void)state;

    make_table(8);
    make_scene((struct limit_rate){ 3000, 100000 }, DAY);
    random_seed(&r, 42);
    for (int round = 0; round < DEATHS; round++) {
        int rest;

        scene->client = (uint64_t)round % 20;
        scene->now_ms += 2 * HOUR;
        memset(scene->allowed, 0, sizeof(scene->allowed));
        for (int i = 0; i < KILLED; i++)
            pids[i] = fork_worker(ask_until_told, i);
        for (int i = 0; i < KILLED; i++) {
            usleep((useconds_t)random_below(&r, 300));
            atomic_fetch_add(&scene->now_ms, SECOND);
            kill(pids[i], SIGKILL);
        }
        for (int i = 0; i < KILLED; i++)
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        rest = count_allowed(scene->client, &scene->rate, scene->now_ms, 3001);
        assert_in_range(total_allowed() + rest, 3000 - KILLED, 3000);
        assert_int_equal(count_allowed(scene->client, &scene->rate, scene->now_ms + 61 * SECOND, 3001), 3000);
    }
}

#define T(name) cmocka_unit_test_teardown(name, teardown)
#define S(name) cmocka_unit_test_teardown(name, end_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_check__lets_exactly_the_limit_through_at_once),
        T(test_check__frees_between_60_and_61_seconds_later),
        T(test_check__frees_the_hour_between_60_and_61_minutes_later),
        T(test_check__says_what_remains),
        T(test_check__says_when_to_come_again),
        T(test_check__waits_for_the_window_that_takes_longer),
        T(test_check__without_a_window_it_has_no_say),
        T(test_check__follows_a_limit_that_is_changed),
        T(test_check__holds_the_widest_limits),
        T(test_check__tells_the_first_refusal_of_a_minute),
        T(test_check__kinds_are_apart),
        T(test_check__nothing_comes_back_after_a_long_time),
        T(test_check__agrees_with_a_list_of_all_that_were_let_through),
        T(test_peek__counts_nothing),
        T(test_note__counts_beyond_the_limits_too),
        T(test_note_refusal__tells_the_first_of_a_minute),
        T(test_forget__lets_a_client_begin_anew),
        T(test_check__evicts_the_least_recently_seen_of_a_set),
        T(test_check__an_evicted_seat_begins_anew),
        T(test_table__costs_nothing_where_nobody_was),
        T(test_table__memory_is_the_same_after_a_million_clients),
        T(test_table__nobody_can_aim_at_a_set),
        T(test_table__another_secret_is_another_order),
        T(test_busiest__are_those_who_asked_most),
        T(test_busiest__are_none_after_an_hour),
        S(test_processes__let_exactly_the_limit_through_together),
        S(test_threads__let_exactly_the_limit_through_together),
        S(test_processes__hold_the_limit_while_time_goes_on),
        S(test_processes__contend_for_seats),
        S(test_threads__contend_for_seats),
        S(test_processes__killed_at_any_moment_cost_one_admission_each_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
