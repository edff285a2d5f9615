/* SPDX-License-Identifier: MIT */
#include "cli/top_view.h"

#include "cli/top_list.h"

enum { LABEL_WIDTH = 12, CURVE_FROM = 28, CURVE_MAX = 60, FRAME_LINES = 3, BUSIEST_LEAST = 3 };

const char *top_view_name(enum top_view v)
{
    static const char *const names[VIEW_COUNT] = {
#define X(id, name) [id] = name,
        TOP_VIEWS(X)
#undef X
    };
    return names[v];
}

/* ---- choices --------------------------------------------------------------------------- */

struct top_choice top_choice_default(void)
{
    struct top_choice c = { .interval_s = 2 };

    for (int v = 0; v < VIEW_COUNT; v++) {
        const struct list *list = list_of((enum top_view)v);
        c.sort[v] = list ? list->first_sort : 0;
    }
    return c;
}

/* The overview's list is that of the routes. */
static enum top_view listed(enum top_view v) { return v == VIEW_OVERVIEW ? VIEW_ROUTES : v; }

void top_choice_sort_next(struct top_choice *c)
{
    const enum top_view v = listed(c->view);

    c->sort[v] = (c->sort[v] + 1) % (unsigned)list_of(v)->column_count;
    c->scroll = 0;
}

static const struct interval *chosen(const struct top_model *m, const struct top_choice *c)
{
    return c->since_start || !m->latest ? m->total : m->latest;
}

void top_choice_scroll(struct top_choice *c, const struct top_model *m, int lines)
{
    const struct list_view v = { m, chosen(m, c) };
    const int length = m->now ? (int)list_length(list_of(listed(c->view)), &v) : 0;

    c->scroll += lines;
    if (c->scroll >= length)
        c->scroll = length - 1;
    if (c->scroll < 0)
        c->scroll = 0;
}

/* ---- the overview ------------------------------------------------------------------------ */

/* What a line is written from. */
struct page {
    struct screen *s;
    const struct top_model *m;
    const struct interval *i;
};

static double rate(const struct page *p, enum metric_counter id) { return interval_rate(p->i, p->i->counters[id]); }

static int64_t gauge(const struct page *p, enum metric_gauge id) { return p->m->now->gauges[id]; }

static void label(const struct page *p, const char *text)
{
    screen_put(p->s, STYLE_LABEL, text);
    screen_to(p->s, STYLE_PLAIN, LABEL_WIDTH);
}

/* "name 12.3/s  " */
static void put_rate(const struct page *p, const char *name, double a_second, enum style if_any)
{
    screen_printf(p->s, a_second > 0 ? if_any : STYLE_PLAIN, "%s %s/s  ", name, figure_rate(a_second).text);
}

static void put_number(const struct page *p, const char *name, int64_t n, enum style if_any)
{
    screen_printf(p->s, n > 0 ? if_any : STYLE_PLAIN, "%s %s  ", name, figure_count((double)n).text);
}

static void put_time(const struct page *p, const char *name, double seconds)
{
    screen_printf(p->s, STYLE_PLAIN, "%s %s  ", name, figure_seconds(seconds).text);
}

static void put_quantiles(const struct page *p, const struct histogram_sum *h)
{
    if (h->count == 0) {
        screen_put(p->s, STYLE_PLAIN, "-");
        return;
    }
    put_time(p, "p50", histogram_quantile(h, 0.50));
    put_time(p, "p95", histogram_quantile(h, 0.95));
    put_time(p, "p99", histogram_quantile(h, 0.99));
    put_time(p, "mean", histogram_mean(h));
}

static void draw_requests(const struct page *p)
{
    const int room = p->s->columns - CURVE_FROM;
    double most = 0;

    for (size_t i = 0; i < p->m->rate_count; i++)
        most = p->m->rates[i] > most ? p->m->rates[i] : most;
    label(p, "requests");
    screen_printf(p->s, STYLE_HEAD, "%s/s", figure_rate(interval_rate(p->i, p->i->http.count)).text);
    screen_to(p->s, STYLE_PLAIN, CURVE_FROM);
    screen_curve(p->s, STYLE_GOOD, p->m->rates, p->m->rate_count, most, room < CURVE_MAX ? room : CURVE_MAX);
}

static void draw_answered(const struct page *p)
{
    label(p, "answered");
    screen_printf(p->s, STYLE_PLAIN, "%llu since the start, %llu errors  ", (unsigned long long)p->m->total->http.count,
                  (unsigned long long)p->m->total->statuses[5]);
    put_number(p, "under way", gauge(p, M_ACTIVE_REQUESTS), STYLE_PLAIN);
}

static void draw_latency(const struct page *p)
{
    label(p, "latency");
    put_quantiles(p, &p->i->http);
}

static void draw_statuses(const struct page *p)
{
    static const char *const names[STATUS_CLASSES] = { "other", "1xx", "2xx", "3xx", "4xx", "5xx" };
    static const enum style styles[STATUS_CLASSES] = { [2] = STYLE_GOOD, [4] = STYLE_WARN, [5] = STYLE_BAD };

    label(p, "statuses");
    for (int class = 2; class < STATUS_CLASSES; class ++)
        put_rate(p, names[class], interval_rate(p->i, p->i->statuses[class]), styles[class]);
}

static void draw_troubles(const struct page *p)
{
    label(p, "troubles");
    put_rate(p, "shed", rate(p, M_SHED), STYLE_BAD);
    put_rate(p, "malformed", rate(p, M_BAD_REQUESTS), STYLE_WARN);
    put_rate(p, "too slow", rate(p, M_TIMEOUTS), STYLE_WARN);
    put_rate(p, "gone", rate(p, M_CANCELLED), STYLE_PLAIN);
}

static void draw_connections(const struct page *p)
{
    label(p, "connections");
    put_number(p, "open", gauge(p, M_CONNECTIONS), STYLE_PLAIN);
    put_rate(p, "accepted", rate(p, M_ACCEPTED), STYLE_PLAIN);
    screen_printf(p->s, STYLE_PLAIN, "in %s/s  ", figure_bytes(rate(p, M_BYTES_IN)).text);
    screen_printf(p->s, STYLE_PLAIN, "out %s/s", figure_bytes(rate(p, M_BYTES_OUT)).text);
}

static void draw_pool(const struct page *p)
{
    label(p, "pool");
    screen_printf(p->s, STYLE_PLAIN, "used %lld of %lld  ", (long long)gauge(p, M_POOL_USED),
                  (long long)gauge(p, M_POOL_MAX));
    put_number(p, "idle", gauge(p, M_POOL_IDLE), STYLE_PLAIN);
    put_number(p, "waiting", gauge(p, M_POOL_WAITING), STYLE_WARN);
    put_rate(p, "timed out", rate(p, M_POOL_TIMEOUTS), STYLE_BAD);
    put_rate(p, "broken", rate(p, M_POOL_INVALID), STYLE_WARN);
}

static void draw_pool_wait(const struct page *p)
{
    label(p, "  waited");
    put_quantiles(p, &p->i->histograms[M_POOL_WAIT]);
}

static void put_found(const struct page *p, enum metric_counter hit, enum metric_counter miss)
{
    const uint64_t hits = p->i->counters[hit], all = hits + p->i->counters[miss];

    screen_printf(p->s, STYLE_PLAIN, "found %s of %s/s  ", all > 0 ? figure_share(interval_share(hits, all)).text : "-",
                  figure_rate(interval_rate(p->i, all)).text);
}

static void draw_cache(const struct page *p)
{
    label(p, "cache");
    put_found(p, M_CACHE_HIT, M_CACHE_MISS);
    screen_printf(p->s, STYLE_PLAIN, "%s kept, %s  ", figure_count((double)gauge(p, M_CACHE_ENTRIES)).text,
                  figure_bytes((double)gauge(p, M_CACHE_BYTES)).text);
    put_rate(p, "evicted", rate(p, M_CACHE_EVICTED), STYLE_PLAIN);
    put_rate(p, "stale", rate(p, M_CACHE_STALE), STYLE_BAD);
}

static void draw_shared_cache(const struct page *p)
{
    label(p, "  in Redis");
    put_found(p, M_CACHE_SHARED_HIT, M_CACHE_SHARED_MISS);
    put_rate(p, "stored", rate(p, M_CACHE_SHARED_STORED), STYLE_PLAIN);
    put_rate(p, "joined", rate(p, M_CACHE_COALESCED), STYLE_PLAIN);
}

static void draw_limiter(const struct page *p)
{
    const double refused = rate(p, M_LIMIT_REFUSED_API) + rate(p, M_LIMIT_REFUSED_LOGIN) +
                           rate(p, M_LIMIT_REFUSED_ACCOUNT);

    label(p, "limiter");
    put_rate(p, "allowed", rate(p, M_LIMIT_ALLOWED), STYLE_PLAIN);
    put_rate(p, "refused", refused, STYLE_WARN);
    screen_printf(p->s, STYLE_PLAIN, "%s of %s clients known", figure_count((double)p->m->limits.clients).text,
                  figure_count((double)p->m->limits.capacity).text);
}

static void draw_redis(const struct page *p)
{
    const struct histogram_sum *time = &p->i->histograms[M_REDIS_TIME];

    label(p, "redis");
    put_number(p, "workers that reach it", gauge(p, M_REDIS_UP), STYLE_PLAIN);
    put_rate(p, "asked", interval_rate(p->i, time->count), STYLE_PLAIN);
    put_time(p, "p95", histogram_quantile(time, 0.95));
    put_rate(p, "failed", rate(p, M_REDIS_ERRORS) + rate(p, M_REDIS_TIMEOUTS), STYLE_WARN);
}

static void draw_processes(const struct page *p)
{
    size_t ready = 0, living = 0;

    for (size_t w = 0; w < p->i->worker_count; w++) {
        ready += p->i->workers[w].view->state == WORKER_READY;
        living += p->i->workers[w].view->known;
    }
    label(p, "workers");
    screen_printf(p->s, ready < living || ready == 0 ? STYLE_WARN : STYLE_GOOD, "%zu of %zu ready  ", ready, living);
    screen_printf(p->s, STYLE_PLAIN, "cpu %s  memory %s  files %lld", figure_share(p->i->cpu).text,
                  figure_bytes((double)p->m->now->processes.rss_bytes).text, (long long)p->m->now->processes.open_fds);
}

/* The most important first: a low screen shows what fits. */
static void (*const overview_lines[])(const struct page *p) = {
    draw_requests, draw_latency,   draw_statuses, draw_troubles,     draw_answered, draw_processes, draw_connections,
    draw_pool,     draw_pool_wait, draw_cache,    draw_shared_cache, draw_limiter,  draw_redis,
};
enum { OVERVIEW_LINES = sizeof(overview_lines) / sizeof(overview_lines[0]) };

/* ---- one view ------------------------------------------------------------------------------ */

static void draw_list(const struct page *p, enum top_view view, const struct top_choice *c, int lines,
                      struct arena *scratch)
{
    const struct list_view v = { p->m, p->i };
    const struct list_place place = { c->sort[view], c->scroll, lines };

    list_draw(p->s, list_of(view), &v, place, scratch);
}

static void draw_overview(const struct page *p, const struct top_choice *c, int end, struct arena *scratch)
{
    for (size_t i = 0; i < OVERVIEW_LINES && p->s->line < end; i++) {
        overview_lines[i](p);
        screen_next(p->s);
    }
    if (end - p->s->line < BUSIEST_LEAST)
        return;
    screen_next(p->s);
    draw_list(p, VIEW_ROUTES, c, end - p->s->line - 1, scratch);
}

/* Up to the line before `end`. */
static void draw_view(const struct page *p, const struct top_choice *c, int end, struct arena *scratch)
{
    if (c->view == VIEW_OVERVIEW)
        draw_overview(p, c, end, scratch);
    else
        draw_list(p, c->view, c, end - p->s->line - 1, scratch);
}

/* ---- the frame -------------------------------------------------------------------------------- */

static double uptime_s(const struct snapshot *now)
{
    return now->started > 0 && now->taken > now->started ? (double)(now->taken - now->started) / MS_PER_S : 0;
}

static void draw_head(struct screen *s, const struct top_model *m)
{
    screen_printf(s, STYLE_BAR, " sanad %s  process %ld  up %s  %s", SANAD_VERSION, m->pid,
                  m->now ? figure_age(uptime_s(m->now)).text : "-", m->place);
    screen_to(s, STYLE_BAR, s->columns);
    screen_next(s);
}

/* "last 2.0 s", at the right end of the line. */
static void draw_span(struct screen *s, const struct top_model *m, const struct top_choice *c)
{
    char text[48];
    int width;

    if (c->since_start || !m->latest)
        width = snprintf(text, sizeof(text), "since the start");
    else
        width = snprintf(text, sizeof(text), "last %.1f s", m->latest->seconds);
    if (s->column + width + 1 < s->columns)
        screen_to(s, STYLE_PLAIN, s->columns - width - 1);
    screen_printf(s, STYLE_LABEL, " %s", text);
}

static void draw_tabs(struct screen *s, const struct top_model *m, const struct top_choice *c)
{
    for (int v = 0; v < VIEW_COUNT; v++) {
        screen_put(s, STYLE_PLAIN, " ");
        screen_printf(s, v == (int)c->view ? STYLE_BAR : STYLE_PLAIN, "%d %s", v + 1, top_view_name((enum top_view)v));
    }
    draw_span(s, m, c);
    screen_next(s);
}

static void draw_foot(struct screen *s, const struct top_model *m, const struct top_choice *c)
{
    screen_go(s, s->lines - 1);
    if (m->gone)
        screen_printf(s, STYLE_BAD, "GONE  %s", m->note);
    else if (c->paused)
        screen_put(s, STYLE_WARN, "PAUSED  space goes on");
    else if (m->note[0])
        screen_put(s, STYLE_WARN, m->note);
    else
        screen_printf(s, STYLE_LABEL, "q quit  space pause  1-5 views  s sort  a since start  +/- every %d s  ? help",
                      c->interval_s);
}

/* clang-format off */
static const char *const help_lines[] = {
    "1 to 5, Tab    views: overview, routes, statements, workers, clients",
    "left, right    the same",
    "up, down, ...  moves the list",
    "s              orders the list by the next column (underlined)",
    "a              figures since the start, or since the last look",
    "+, -           looks less, or more often",
    "space          pauses, goes on",
    "?, h           this help",
    "q              quits",
    "",
    "LOAD: 100 % is one such statement under way at any time. BEAT: how long ago a",
    "worker was last heard of. Times are estimates from histograms, as in /metrics.",
    "The server is only looked at: nothing here changes or slows it.",
};
/* clang-format on */

static void draw_help(struct screen *s, int end)
{
    for (size_t i = 0; i < sizeof(help_lines) / sizeof(help_lines[0]) && s->line < end; i++) {
        screen_put(s, STYLE_PLAIN, help_lines[i]);
        screen_next(s);
    }
}

void top_draw(struct screen *s, const struct top_model *m, const struct top_choice *c, struct arena *scratch)
{
    const struct page page = { s, m, chosen(m, c) };
    const int end = s->lines - 1;

    draw_head(s, m);
    draw_tabs(s, m, c);
    if (s->lines > FRAME_LINES + BUSIEST_LEAST)
        screen_next(s);
    if (c->help)
        draw_help(s, end);
    else if (m->now)
        draw_view(&page, c, end, scratch);
    draw_foot(s, m, c);
}

/* ---- printing ------------------------------------------------------------------------------------ */

static void draw_plain_view(const struct page *p, const struct top_choice *c, struct arena *scratch)
{
    screen_printf(p->s, STYLE_HEAD, "-- %s", top_view_name(c->view));
    screen_next(p->s);
    draw_view(p, c, c->view == VIEW_OVERVIEW ? p->s->line + OVERVIEW_LINES : p->s->lines, scratch);
    screen_next(p->s);
}

void top_draw_plain(struct screen *s, const struct top_model *m, const struct top_choice *c, bool all,
                    struct arena *scratch)
{
    const struct page page = { s, m, chosen(m, c) };
    struct top_choice one = *c;

    screen_printf(s, STYLE_PLAIN, "sanad %s  process %ld  up %s  %s  last %.1f s", SANAD_VERSION, m->pid,
                  figure_age(uptime_s(m->now)).text, m->place, page.i->seconds);
    screen_next(s);
    for (int v = 0; v < VIEW_COUNT; v++) {
        one.view = (enum top_view)v;
        if (all || one.view == c->view)
            draw_plain_view(&page, &one, scratch);
    }
}
