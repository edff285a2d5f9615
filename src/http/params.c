/* SPDX-License-Identifier: MIT */
/* Query parameters: each declared one is found, judged by its kind and stored.
 * A judge returns NULL for a good value, else what it must be, for the client. */
#include "base/err.h"
#include "http/route.h"

static const char *const NO_MEMORY = ""; /* a judge's answer when the arena is full */

static const char *said(struct str message) { return message.ptr ? message.ptr : NO_MEMORY; }

static const char *judge_int(const struct param *p, struct str text, struct arena *arena, struct arg *arg)
{
    if (str_to_int(text, p->min, p->max, &arg->i) == OK)
        return NULL;
    if (p->max == INT64_MAX)
        return said(arena_printf(arena, "must be a whole number from %lld", (long long)p->min));
    return said(arena_printf(arena, "must be a whole number from %lld to %lld", (long long)p->min, (long long)p->max));
}

/* Characters, not bytes: what people count. The text is UTF-8 already. */
static int64_t characters(struct str text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

static const char *judge_text(const struct param *p, struct str text, struct arena *arena, struct arg *arg)
{
    (void)arg;
    const int64_t length = characters(text);
    if (length >= p->min && length <= p->max)
        return NULL;
    if (p->min == 0)
        return said(arena_printf(arena, "must have at most %lld characters", (long long)p->max));
    return said(arena_printf(arena, "must have %lld to %lld characters", (long long)p->min, (long long)p->max));
}

static const char *judge_choice(const struct param *p, struct str text, struct arena *arena, struct arg *arg)
{
    struct str names = { NULL, 0 };
    for (size_t i = 0; p->choices[i]; i++) {
        if (str_eq(text, str_of(p->choices[i]))) {
            arg->i = (int64_t)i;
            return NULL;
        }
        names = arena_printf(arena, "%.*s%s%s", (int)names.len, names.ptr ? names.ptr : "", i > 0 ? ", " : "",
                             p->choices[i]);
    }
    return said(arena_printf(arena, "must be one of: %.*s", (int)names.len, names.ptr ? names.ptr : ""));
}

typedef const char *judge_fn(const struct param *p, struct str text, struct arena *arena, struct arg *arg);
static judge_fn *const judges[] = {
    [PARAM_INT] = judge_int,
    [PARAM_TEXT] = judge_text,
    [PARAM_CHOICE] = judge_choice,
};

/* How often it is given; *ret_value is the first one's. */
static size_t find(const struct target *t, struct str name, struct str *ret_value)
{
    size_t found = 0;
    for (size_t i = 0; i < t->pair_count; i++)
        if (str_eq(t->pairs[i].name, name) && found++ == 0)
            *ret_value = t->pairs[i].value;
    return found;
}

static const char *check(const struct param *p, const struct target *t, struct arena *arena, struct arg *arg)
{
    *arg = (struct arg){ .i = p->fallback, .s = STR_EMPTY };
    struct str value;
    const size_t found = find(t, str_of(p->name), &value);
    if (found == 0)
        return NULL;
    if (found > 1)
        return found == 2 ? "is given twice" : "is given more than once";
    arg->given = true;
    arg->s = value;
    return judges[p->kind](p, value, arena, arg);
}

enum err params_check(const struct route *route, const struct target *t, struct arena *arena, struct arg *args,
                      struct field_errors *errors)
{
    enum err result = OK;
    for (size_t i = 0; route->params && i < PARAMS_MAX && route->params[i].name; i++) {
        const struct param *p = &route->params[i];
        const char *wrong = check(p, t, arena, &args[i]);
        if (!wrong)
            continue;
        if (wrong == NO_MEMORY)
            return E_NO_MEMORY;
        result = E_INVALID;
        if (errors->count < PARAMS_MAX)
            errors->rows[errors->count++] = (struct field_error){ str_of(p->name), str_of(wrong) };
    }
    return result;
}
