/* SPDX-License-Identifier: MIT */
/* A page has one writer, so an update is a load, an addition and a store, all
 * relaxed: no locked instruction, and a writer that is killed between them
 * loses one event at most. Readers see each number whole, and all of them
 * nearly at the same time, which is all that a scrape asks for.
 */
#include "base/metrics.h"

#include <assert.h>
#include <stdbool.h>

#define ROW(id, name, help) [id] = { name, help },
const struct metric_info metric_counter_info[METRIC_COUNTER_COUNT] = { METRIC_COUNTERS(ROW) };
const struct metric_info metric_gauge_info[METRIC_GAUGE_COUNT] = { METRIC_GAUGES(ROW) };
const struct metric_info metric_histogram_info[METRIC_HISTOGRAM_COUNT] = { METRIC_HISTOGRAMS(ROW) };
#undef ROW

#define ROW(seconds) seconds,
const double metric_bounds[METRIC_BUCKETS - 1] = { METRIC_BOUNDS(ROW) };
#undef ROW

#define ROW(seconds) (mono_ns)((seconds)*1e9 + 0.5),
static const mono_ns bounds_ns[METRIC_BUCKETS - 1] = { METRIC_BOUNDS(ROW) };
#undef ROW

enum { OTHER_SLOT = METRIC_SERIES_MAX - 1 }; /* the last one; the others are hashed */

static struct metrics_page private_page;
static struct metrics_page *current = &private_page;

void metrics_use_page(struct metrics_page *page) { current = page; }
struct metrics_page *metrics_page(void) { return current; }

static uint64_t load(const _Atomic uint64_t *n) { return atomic_load_explicit(n, memory_order_relaxed); }

static void add(_Atomic uint64_t *n, uint64_t by) { atomic_store_explicit(n, load(n) + by, memory_order_relaxed); }

/* ---- writing -------------------------------------------------------------- */

void metric_add(enum metric_counter id, uint64_t n) { add(&current->counters[id], n); }

void metric_gauge_set(enum metric_gauge id, int64_t value)
{
    atomic_store_explicit(&current->gauges[id], value, memory_order_relaxed);
}

void metric_gauge_add(enum metric_gauge id, int64_t n)
{
    metric_gauge_set(id, atomic_load_explicit(&current->gauges[id], memory_order_relaxed) + n);
}

/* Most durations are short: from the front is faster than by halves. */
static size_t bucket_of(mono_ns duration)
{
    size_t i = 0;

    while (i < METRIC_BUCKETS - 1 && duration > bounds_ns[i])
        i++;
    return i;
}

static void observe(struct histogram *h, mono_ns duration)
{
    add(&h->buckets[bucket_of(duration)], 1);
    add(&h->sum_ns, duration > 0 ? (uint64_t)duration : 0);
}

void metric_observe(enum metric_histogram id, mono_ns duration) { observe(&current->histograms[id], duration); }

/* ---- series --------------------------------------------------------------- */

static uint32_t key_of(enum series_kind kind, unsigned a, unsigned b, unsigned c)
{
    assert(a < 4096 && b < 16 && c < 4096);
    return (uint32_t)kind << 28 | (a & 0xFFF) << 16 | (b & 0xF) << 12 | (c & 0xFFF);
}

static enum series_kind kind_of(uint32_t key) { return (enum series_kind)(key >> 28); }

static uint32_t slot_key(const struct series *s) { return atomic_load_explicit(&s->key, memory_order_relaxed); }

/* Where the probing for a key starts: Fibonacci hashing (Knuth, TAOCP 6.4). */
static size_t home_of(uint32_t key) { return (uint32_t)(key * UINT32_C(2654435769)) % OTHER_SLOT; }

/* The slot that holds `key`, or else the free one where it belongs; the other
 * slot when there is none. */
static size_t slot_of(const struct metrics_page *page, uint32_t key)
{
    const size_t home = home_of(key);

    if (kind_of(key) == SERIES_OTHER)
        return OTHER_SLOT;
    for (size_t i = 0; i < OTHER_SLOT; i++) {
        const size_t at = (home + i) % OTHER_SLOT;
        const uint32_t found = slot_key(&page->series[at]);
        if (found == key || found == 0)
            return at;
    }
    return OTHER_SLOT;
}

void metric_series_observe(enum series_kind kind, unsigned a, unsigned b, unsigned c, mono_ns duration)
{
    const uint32_t key = key_of(kind, a, b, c);
    const size_t at = slot_of(current, key);
    struct series *s = &current->series[at];

    if (slot_key(s) == 0)
        atomic_store_explicit(&s->key, at == OTHER_SLOT ? key_of(SERIES_OTHER, 0, 0, 0) : key, memory_order_relaxed);
    observe(&s->time, duration);
}

/* ---- reading -------------------------------------------------------------- */

uint64_t metric_sum_counter(const struct metrics_page *pages, size_t count, enum metric_counter id)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += load(&pages[i].counters[id]);
    return sum;
}

int64_t metric_sum_gauge(const struct metrics_page *pages, size_t count, enum metric_gauge id)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += atomic_load_explicit(&pages[i].gauges[id], memory_order_relaxed);
    return sum;
}

static void add_histogram(struct histogram_sum *sum, const struct histogram *h)
{
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        const uint64_t n = load(&h->buckets[i]);
        sum->buckets[i] += n;
        sum->count += n;
    }
    sum->sum_ns += load(&h->sum_ns);
}

void metric_sum_histogram(const struct metrics_page *pages, size_t count, enum metric_histogram id,
                          struct histogram_sum *ret_sum)
{
    *ret_sum = (struct histogram_sum){ 0 };
    for (size_t i = 0; i < count; i++)
        add_histogram(ret_sum, &pages[i].histograms[id]);
}

/* NULL when the page has none of that key. */
static const struct series *find(const struct metrics_page *page, uint32_t key)
{
    const struct series *s = &page->series[slot_of(page, key)];

    return slot_key(s) == key ? s : NULL;
}

static bool on_any(const struct metrics_page *pages, size_t count, uint32_t key)
{
    for (size_t i = 0; i < count; i++)
        if (find(&pages[i], key))
            return true;
    return false;
}

static void report(const struct metrics_page *pages, size_t count, uint32_t key, metric_series_fn *each, void *arg)
{
    struct histogram_sum sum = { 0 };

    for (size_t i = 0; i < count; i++) {
        const struct series *s = find(&pages[i], key);
        if (s)
            add_histogram(&sum, &s->time);
    }
    each(arg, kind_of(key), key >> 16 & 0xFFF, key >> 12 & 0xF, key & 0xFFF, &sum);
}

/* Each key is reported by the first page that has it. */
void metric_sum_series(const struct metrics_page *pages, size_t count, metric_series_fn *each, void *arg)
{
    for (size_t page = 0; page < count; page++) {
        for (size_t slot = 0; slot < METRIC_SERIES_MAX; slot++) {
            const uint32_t key = slot_key(&pages[page].series[slot]);
            if (key != 0 && !on_any(pages, page, key))
                report(pages + page, count - page, key, each, arg);
        }
    }
}

void metrics_clear_gauges(struct metrics_page *page)
{
    for (size_t i = 0; i < METRIC_GAUGE_COUNT; i++)
        atomic_store_explicit(&page->gauges[i], 0, memory_order_relaxed);
}
