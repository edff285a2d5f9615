/* SPDX-License-Identifier: MIT */
/* Redis, as the settings have it. */
#include "app/service.h"

/* A shared Redis has other keys, too. */
static const struct str PREFIX = { "sanad:", 6 };

enum { TIME_LIMIT_MS = 50 };

enum err service_redis_conf(const struct settings *s, struct arena *a, struct redis_conf *ret_conf,
                            const char **ret_why)
{
    const enum err e = redis_conf_read(s->redis_url, a, ret_conf, ret_why);

    if (e != OK)
        return e;
    ret_conf->prefix = PREFIX;
    ret_conf->time_limit_ms = TIME_LIMIT_MS;
    ret_conf->client_name = "sanad";
    return OK;
}
