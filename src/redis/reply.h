/* SPDX-License-Identifier: MIT */
/* From hiredis' parser to our values: instead of its own objects, each a malloc
 * and of any size, the parser fills values in one arena with a maximum.
 *
 * An answer that is beyond a bound is read to its end and thrown away, so that
 * the connection stays in step with its commands; only what the parser cannot
 * even hold costs the connection (redis/wire.h).
 */
#pragma once

#include <stdbool.h>

#include <hiredis/hiredis.h>

#include "redis/value.h"

struct reply {
    struct arena       arena;
    struct redis_value root;
    struct redis_value spill;       /* takes what is beyond a bound         */
    bool               too_large;   /* so it did                            */
};

void reply_init(struct reply *r);
void reply_done(struct reply *r);

/* Has the parser fill this reply. */
void reply_attach(struct reply *r, redisReader *reader);

/* Forgets the answer; the next one may come. */
void reply_clear(struct reply *r);
