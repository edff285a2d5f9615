/* SPDX-License-Identifier: MIT */
#include "limit/lines.h"

#include <assert.h>

#include "base/buf.h"
#include "base/pen.h"

/* A window by its name, as the two draft fields write it. */
struct window_text {
    struct str policy, state; /* before its number */
    const char *seconds;
};
static const struct window_text MINUTE = { STR("\"minute\";q="), STR("\"minute\";r="), ";w=60" };
static const struct window_text HOUR = { STR("\"hour\";q="), STR("\"hour\";r="), ";w=3600" };

static void add_policy(struct buf *b, const struct window_text *w, uint32_t quota, bool *first)
{
    if (quota == 0)
        return;
    if (!*first)
        buf_cstr(b, ", ");
    *first = false;
    buf_str(b, w->policy);
    buf_uint(b, quota);
    buf_cstr(b, w->seconds);
}

void limit_policy_init(struct limit_policy *p, const struct limit_rate *rate)
{
    struct buf b;
    bool first = true;

    *p = (struct limit_policy){ .rate = *rate };
    buf_init_fixed(&b, p->text, sizeof(p->text));
    buf_cstr(&b, "RateLimit-Policy: ");
    add_policy(&b, &MINUTE, rate->per_minute, &first);
    add_policy(&b, &HOUR, rate->per_hour, &first);
    buf_cstr(&b, "\r\nRateLimit: ");
    p->len = b.len;
}

static void put_state(struct pen *p, const struct window_text *w, const struct limit_quota *q)
{
    pen_str(p, w->state);
    pen_uint(p, q->remaining);
    pen_str(p, STR(";t="));
    pen_uint(p, q->reset_s);
}

/* Everything, with the largest numbers: seven of them. */
static_assert(LIMIT_POLICY_SIZE + 7 * 10 + 120 <= LIMIT_LINES_SIZE, "the lines fit");

/* The window in which less is left; the one that is there. */
static const struct limit_quota *nearer(const struct limit_verdict *v)
{
    if (v->minute.limit == 0)
        return &v->hour;
    if (v->hour.limit == 0)
        return &v->minute;
    return v->hour.remaining < v->minute.remaining ? &v->hour : &v->minute;
}

struct str limit_lines(const struct limit_policy *policy, const struct limit_verdict *v, struct arena *arena)
{
    const struct limit_quota *near = nearer(v);
    struct pen p = pen_on(arena_alloc(arena, LIMIT_LINES_SIZE));

    if (!p.start)
        return STR_EMPTY;
    pen_str(&p, (struct str){ policy->text, policy->len });
    if (v->minute.limit > 0)
        put_state(&p, &MINUTE, &v->minute);
    if (v->minute.limit > 0 && v->hour.limit > 0)
        pen_str(&p, STR(", "));
    if (v->hour.limit > 0)
        put_state(&p, &HOUR, &v->hour);
    pen_str(&p, STR("\r\nX-RateLimit-Limit: "));
    pen_uint(&p, near->limit);
    pen_str(&p, STR("\r\nX-RateLimit-Remaining: "));
    pen_uint(&p, near->remaining);
    pen_str(&p, STR("\r\nX-RateLimit-Reset: "));
    pen_uint(&p, near->reset_s);
    pen_str(&p, STR("\r\n"));
    return pen_written(&p);
}
