/* SPDX-License-Identifier: MIT */
/* What a server says no with: the first word of its sentence says which. */
#include "base/log.h"
#include "base/metrics.h"
#include "redis/redis_parts.h"

enum { COMPLAIN_EVERY_S = 60 };

static const struct refusal {
    const char *word;
    enum err err;
} refusals[] = {
    { "OOM", E_DISK_FULL },          /* maxmemory, and nothing may be evicted      */
    { "READONLY", E_READ_ONLY },     /* a replica                                  */
    { "MISCONF", E_READ_ONLY },      /* it cannot save, and so takes nothing       */
    { "NOREPLICAS", E_READ_ONLY },   /* too few replicas to be sure of a write     */
    { "WRONGTYPE", E_CONFLICT },     /* the key holds something else               */
    { "BUSY", E_BUSY },              /* somebody's script does not end             */
    { "LOADING", E_UNAVAILABLE },    /* it has just started                        */
    { "MASTERDOWN", E_UNAVAILABLE }, /* a replica that has nothing to say          */
    { "CLUSTERDOWN", E_UNAVAILABLE },
    { "NOAUTH", E_UNAVAILABLE },
    { "NOPERM", E_UNAVAILABLE },
};

static struct str first_word(struct str error) { return str_slice(error, 0, str_find(error, ' ', 0)); }

enum err refusal_of(struct str error)
{
    const struct str word = first_word(error);

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (str_eq(word, str_of(refusals[i].word)))
            return refusals[i].err;
    return E_INTERNAL;
}

/* What follows a quotation mark may be a key or a value. */
static struct str without_values(struct str error)
{
    size_t end = str_find(error, '\'', 0);

    end = str_find(str_slice(error, 0, end), '`', 0);
    return str_slice(error, 0, end);
}

void redis_note_refusal(struct redis *r, const char *what, struct str error)
{
    const mono_ns now = clock_mono();

    metric_add(M_REDIS_ERRORS, 1);
    if (now < r->complain_due)
        return;
    r->complain_due = now + (mono_ns)COMPLAIN_EVERY_S * NS_PER_S;
    log_event(LOG_WARNING, "redis refuses a command", LOG_C("redis", redis_place(r)), LOG_C("function", what),
              LOG_S("why", without_values(error)));
}
