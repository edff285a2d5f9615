/* SPDX-License-Identifier: MIT */
/* A command for a coroutine, which waits for its answer. */
#include "base/coro.h"
#include "redis/redis_parts.h"

/* On the coroutine's own stack. */
struct call {
    struct coro *coro;
    struct arena *arena;
    struct sent *sent; /* NULL: answered */
    enum err result;
    struct redis_value value;
};

/* One that was cancelled has perhaps had no turn to leave. */
static void on_done(void *arg, enum err e, const struct redis_value *v)
{
    struct call *c = arg;

    c->sent = NULL;
    if (!coro_waiting(c->coro))
        return;
    c->result = e == OK ? redis_value_copy(v, c->arena, &c->value) : e;
    coro_wake(c->coro, c->result);
}

enum err redis_call(struct redis *r, const struct redis_command *cmd, struct arena *arena,
                    struct redis_value *ret_value)
{
    struct call c = { .coro = coro_self(), .arena = arena };
    enum err e = redis_start(r, cmd, on_done, &c, &c.sent);

    if (e != OK)
        return e;
    e = coro_wait();
    if (c.sent)
        redis_abandon(c.sent);
    if (e == OK)
        *ret_value = c.value;
    return e;
}
