/* SPDX-License-Identifier: MIT */
/* Commands and their time limits.
 *
 * A command is in two lists: the connection's, by the order of answers, until it
 * is answered; and ours, by deadlines, while somebody waits. One timer watches the
 * first deadline, for the limit is the same for all.
 */
#include "redis/redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/task.h"
#include "redis/redis_parts.h"

enum { LATE_MAX = 3 };

static mono_ns time_limit(const struct redis *r) { return (mono_ns)r->conf->time_limit_ms * NS_PER_MS; }

/* ---- time limits ------------------------------------------------------------------- */

static void on_limit(uv_timer_t *timer);

/* Sets the timer for the first deadline; it may ring early, but never in vain twice. */
static void watch_limit(struct redis *r)
{
    const struct link *first = r->waiting.next;
    const struct sent *s = container_of(first, struct sent, waiting);
    mono_ns left;

    if (list_empty(&r->waiting) || uv_is_active((const uv_handle_t *)&r->limit))
        return;
    left = s->deadline - clock_mono();
    uv_update_time(task_loop());
    uv_timer_start(&r->limit, on_limit, left > 0 ? (uint64_t)(left / NS_PER_MS) + 1 : 0, 0);
}

/* Takes the command from whoever waits for it, who hears this. */
static void finish(struct sent *s, enum err e, const struct redis_value *v)
{
    redis_reply_fn *done = s->done;

    s->done = NULL;
    list_remove(&s->waiting);
    if (done)
        done(s->arg, e, v);
}

/* A loop that is late itself says nothing of the server. */
static void note_late(struct redis *r, mono_ns now, mono_ns deadline)
{
    metric_add(M_REDIS_TIMEOUTS, 1);
    if (now - deadline > time_limit(r) / 2)
        return;
    if (r->late++ == 0)
        r->late_since = now;
}

/* Under load a short pause of the server is many timeouts: it must last, too. */
static bool is_mute(const struct redis *r, mono_ns now)
{
    return r->late >= LATE_MAX && now - r->late_since >= time_limit(r);
}

/* The first in line if its time is over; else NULL. */
static struct sent *overdue(const struct redis *r, mono_ns now)
{
    struct sent *s = container_of(r->waiting.next, struct sent, waiting);

    return !list_empty(&r->waiting) && s->deadline <= now ? s : NULL;
}

/* Timers come before sockets in a turn of the loop: its answer may be here. A
 * callback may send more commands (whose deadlines are later), and may free us. */
static void on_limit(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    const mono_ns now = clock_mono();
    struct sent *s;

    if (overdue(r, now))
        session_hear(&r->session);
    while ((s = overdue(r, now)) != NULL) {
        note_late(r, now, s->deadline);
        finish(s, E_TIMEOUT, NULL);
    }
    if (is_mute(r, now))
        session_mute(&r->session);
    if (r->session.state != SESSION_CLOSED)
        watch_limit(r);
}

/* ---- answers -------------------------------------------------------------------------- */

static void account(struct sent *s)
{
    const mono_ns took = clock_mono() - s->at;

    metric_observe(M_REDIS_TIME, took);
    if (took <= time_limit(s->r))
        s->r->late = 0;
}

/* The server has lost the function: it is loaded, and called again behind that. */
static bool repeat(struct sent *s)
{
    struct redis *r = s->r;

    if (!s->script || s->repeated || !s->done)
        return false;
    s->repeated = true;
    return script_load(s->script) == OK && session_ask(&r->session, (struct str){ s->bytes, s->length }, &s->ask) == OK;
}

static void on_refused(struct sent *s, const struct redis_value *v)
{
    if (str_starts_with(v->s, STR("NOSCRIPT ")) && repeat(s))
        return;
    redis_note_refusal(s->r, s->script ? s->script->script->name : "", v->s);
    finish(s, refusal_of(v->s), v);
    free(s);
}

static void on_answered(struct ask *a, enum err e, const struct redis_value *v)
{
    struct sent *s = container_of(a, struct sent, ask);

    if (e != E_CLOSED)
        account(s);
    if (e == OK && v->kind == REDIS_ERROR) {
        on_refused(s, v);
        return;
    }
    if (e != OK)
        metric_add(M_REDIS_ERRORS, 1);
    finish(s, e == E_CLOSED ? E_UNAVAILABLE : e, v);
    free(s);
}

/* ---- sending ---------------------------------------------------------------------------- */

/* Writes the command into the scratch buffer. */
static enum err write_command(struct redis *r, const struct redis_command *c, const struct script_slot *script)
{
    if (c->count > REDIS_ARGS_MAX)
        return E_TOO_LARGE;
    buf_clear(&r->scratch);
    command_write(&r->scratch, c, r->conf->prefix, script ? script->sha : NULL);
    return r->scratch.err;
}

/* A call of a function keeps its bytes: it may have to be repeated. */
static struct sent *sent_new(struct redis *r, struct script_slot *script)
{
    const struct str bytes = script ? buf_view(&r->scratch) : STR_EMPTY;
    struct sent *s = malloc(sizeof(*s) + bytes.len);
    const mono_ns now = clock_mono();

    if (!s)
        return NULL;
    *s = (struct sent){
        .ask = { .answered = on_answered },
        .r = r,
        .at = now,
        .deadline = now + time_limit(r),
        .script = script,
        .length = bytes.len,
    };
    if (bytes.len > 0)
        memcpy(s->bytes, bytes.ptr, bytes.len);
    return s;
}

/* Puts it on its way; nobody waits for it yet. */
static enum err dispatch(struct redis *r, const struct redis_command *c, struct sent **ret_sent)
{
    struct script_slot *script = c->script ? script_find(r, c->script) : NULL;
    struct sent *s;
    enum err e;

    if (!session_is_ready(&r->session) || (c->script && (!script || script->sha[0] == '\0')))
        return E_UNAVAILABLE;
    e = write_command(r, c, script);
    if (e != OK)
        return e;
    s = sent_new(r, script);
    e = s ? session_ask(&r->session, buf_view(&r->scratch), &s->ask) : E_NO_MEMORY;
    if (e == OK)
        *ret_sent = s;
    else
        free(s);
    return e;
}

enum err redis_start(struct redis *r, const struct redis_command *c, redis_reply_fn *done, void *arg,
                     struct sent **ret_sent)
{
    struct sent *s = NULL;
    const enum err e = dispatch(r, c, &s);

    if (e != OK) {
        metric_add(e == E_UNAVAILABLE ? M_REDIS_UNAVAILABLE : M_REDIS_ERRORS, 1);
        return e;
    }
    s->done = done;
    s->arg = arg;
    list_push_back(&r->waiting, &s->waiting);
    watch_limit(r);
    *ret_sent = s;
    return OK;
}

enum err redis_send(struct redis *r, const struct redis_command *c, redis_reply_fn *done, void *arg)
{
    struct sent *s = NULL;

    return redis_start(r, c, done, arg, &s);
}

void redis_abandon(struct sent *s)
{
    s->done = NULL;
    list_remove(&s->waiting);
}

/* ---- its life ------------------------------------------------------------------------------ */

static void on_greet(void *owner)
{
    struct redis *r = owner;

    for (size_t i = 0; i < r->script_count; i++) {
        r->scripts[i].sha[0] = '\0';
        if (script_load(&r->scripts[i]) != OK)
            return; /* the session will hear of that, too */
    }
}

static void show(bool up, bool away)
{
    metric_gauge_set(M_REDIS_UP, up);
    metric_gauge_set(M_REDIS_AWAY, away);
}

static void on_ready(void *owner)
{
    struct redis *r = owner;

    r->late = 0;
    show(true, false);
}

/* Who still waits for a server that has fallen silent waits no longer. */
static void on_lost(void *owner)
{
    struct redis *r = owner;

    show(false, true);
    while (r->session.state == SESSION_MUTE && !list_empty(&r->waiting)) {
        metric_add(M_REDIS_TIMEOUTS, 1);
        finish(container_of(r->waiting.next, struct sent, waiting), E_TIMEOUT, NULL);
    }
}

static void free_when_closed(struct redis *r)
{
    if (--r->open_handles > 0)
        return;
    buf_done(&r->scratch);
    free(r);
}

static void on_session_closed(void *owner) { free_when_closed(owner); }
static void on_timer_closed(uv_handle_t *timer) { free_when_closed(timer->data); }

static const struct session_events events = {
    .greet = on_greet,
    .ready = on_ready,
    .lost = on_lost,
    .closed = on_session_closed,
};

struct redis *redis_new(const struct redis_conf *conf)
{
    struct redis *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->conf = conf;
    r->open_handles = 2;
    list_init(&r->waiting);
    buf_init(&r->scratch, REDIS_COMMAND_BYTES);
    uv_timer_init(task_loop(), &r->limit);
    r->limit.data = r;
    show(false, true);
    session_open(&r->session, &(struct session_conf){ .redis = conf, .events = &events, .owner = r });
    return r;
}

void redis_free(struct redis *r)
{
    if (!r || r->session.state == SESSION_CLOSED)
        return;
    show(false, false);
    uv_close((uv_handle_t *)&r->limit, on_timer_closed);
    session_close(&r->session);
}

bool redis_is_up(const struct redis *r) { return session_is_ready(&r->session); }
const char *redis_why_away(const struct redis *r) { return r->session.reason; }
const char *redis_place(const struct redis *r) { return r->session.place; }

int64_t redis_away_ms(const struct redis *r)
{
    return r->session.told_away ? (clock_mono() - r->session.away_since) / NS_PER_MS : 0;
}
