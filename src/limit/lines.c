/* SPDX-License-Identifier: MIT */
#include "limit/lines.h"

#include "base/buf.h"

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

static void add_state(struct buf *b, const struct window_text *w, const struct limit_quota *s, bool *first)
{
    if (s->limit == 0)
        return;
    if (!*first)
        buf_str(b, STR(", "));
    *first = false;
    buf_str(b, w->state);
    buf_uint(b, s->remaining);
    buf_str(b, STR(";t="));
    buf_uint(b, s->reset_s);
}

/* The window in which less is left; the one that is there. */
static const struct limit_quota *nearer(const struct limit_verdict *v)
{
    if (v->minute.limit == 0)
        return &v->hour;
    if (v->hour.limit == 0)
        return &v->minute;
    return v->hour.remaining < v->minute.remaining ? &v->hour : &v->minute;
}

struct str limit_lines(const struct limit_policy *p, const struct limit_verdict *v, struct arena *arena)
{
    const struct limit_quota *near = nearer(v);
    char *room = arena_alloc(arena, LIMIT_LINES_SIZE);
    bool first = true;
    struct buf b;

    if (!room)
        return STR_EMPTY;
    buf_init_fixed(&b, room, LIMIT_LINES_SIZE);
    buf_str(&b, (struct str){ p->text, p->len });
    add_state(&b, &MINUTE, &v->minute, &first);
    add_state(&b, &HOUR, &v->hour, &first);
    buf_str(&b, STR("\r\nX-RateLimit-Limit: "));
    buf_uint(&b, near->limit);
    buf_str(&b, STR("\r\nX-RateLimit-Remaining: "));
    buf_uint(&b, near->remaining);
    buf_str(&b, STR("\r\nX-RateLimit-Reset: "));
    buf_uint(&b, near->reset_s);
    buf_str(&b, STR("\r\n"));
    return buf_ok(&b) ? buf_view(&b) : STR_EMPTY;
}
