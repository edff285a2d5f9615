/* SPDX-License-Identifier: MIT */
#include "redis/session.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"

enum {
    DIAL_LIMIT_MS = 2000, /* for an address, and again for the greeting       */
    MUTE_LIMIT_MS = 5000, /* silence after which the connection ends          */
    PAUSE_MOST_MS = 2000,
    SETTLED_S = 10, /* ready for so long: the next loss is a first one  */
    GREETING_BYTES = 4096,
};

static void dial(struct session *s);

/* ---- what is told --------------------------------------------------------------- */

static void tell_away(struct session *s, const char *why, bool refused)
{
    const bool news = !s->told_away || strcmp(s->reason, why) != 0;

    if (!s->told_away)
        s->away_since = clock_mono();
    if (!news)
        return;
    s->told_away = true;
    s->told_low = s->conf.aside && !refused;
    snprintf(s->reason, sizeof(s->reason), "%s", why);
    log_event(s->told_low ? LOG_DEBUG : LOG_WARNING, s->conf.aside ? "redis is away for messages" : "redis is away",
              LOG_C("redis", s->place), LOG_C("why", s->reason));
}

static void tell_back(struct session *s)
{
    const double seconds = (double)(clock_mono() - s->away_since) / NS_PER_S;

    if (s->told_away)
        log_event(s->told_low ? LOG_DEBUG : LOG_INFO, s->conf.aside ? "redis is back for messages" : "redis is back",
                  LOG_C("redis", s->place), LOG_D("away_seconds", seconds));
    s->told_away = false;
    s->reason[0] = '\0';
}

/* ---- moving ----------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void set_timer(struct session *s, int64_t ms)
{
    uv_update_time(task_loop());
    uv_timer_start(&s->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

/* The pause before the next attempt, or the next PING. */
static void wait_a_while(struct session *s)
{
    const mono_ns now = clock_mono();

    retry_failed(&s->retry, now);
    set_timer(s, (s->retry.at - now) / NS_PER_MS + 1);
}

static void settle(struct session *s)
{
    if (s->state == SESSION_READY && clock_mono() - s->ready_since > (mono_ns)SETTLED_S * NS_PER_S)
        s->retry.failures = 0;
}

static void become_ready(struct session *s)
{
    if (s->was_ready && s->state == SESSION_GREETING)
        metric_add(M_REDIS_RECONNECTS, 1);
    uv_timer_stop(&s->timer);
    s->state = SESSION_READY;
    s->ready_since = clock_mono();
    s->pulse_sent = 0;
    s->was_ready = true;
    tell_back(s);
    s->conf.events->ready(s->conf.owner);
}

/* The state moves first: what is answered by the end of the connection must not
 * ask anew. */
static void end(struct session *s, const char *why, bool refused)
{
    const bool was_up = s->state == SESSION_READY || s->state == SESSION_MUTE;
    struct wire *w = s->wire;

    settle(s);
    tell_away(s, why, refused);
    s->state = SESSION_AWAY;
    s->wire = NULL;
    s->pulse_sent = 0;
    wait_a_while(s);
    wire_close(w);
    if (was_up && s->state != SESSION_CLOSED)
        s->conf.events->lost(s->conf.owner);
}

void session_fail(struct session *s, const char *why)
{
    if (s->state != SESSION_AWAY && s->state != SESSION_CLOSED)
        end(s, why, false);
}

void session_refused(struct session *s, const char *why)
{
    if (s->state != SESSION_AWAY && s->state != SESSION_CLOSED)
        end(s, why, true);
}

/* ---- asking ------------------------------------------------------------------------- */

enum err session_ask(struct session *s, struct str bytes, struct ask *a)
{
    if (s->state != SESSION_READY && s->state != SESSION_GREETING)
        return E_UNAVAILABLE;
    return wire_ask(s->wire, bytes, a);
}

static enum err ask_for(struct session *s, const struct redis_command *c, struct ask *a)
{
    char memory[GREETING_BYTES];
    struct buf out;

    buf_init_fixed(&out, memory, sizeof(memory));
    command_write(&out, c, s->conf.redis->prefix, NULL);
    return buf_ok(&out) ? wire_ask(s->wire, buf_view(&out), a) : E_TOO_LARGE;
}

enum err session_ask_for(struct session *s, const struct redis_command *c, struct ask *a)
{
    return s->state == SESSION_READY || s->state == SESSION_GREETING ? ask_for(s, c, a) : E_UNAVAILABLE;
}

void session_hear(struct session *s)
{
    if (s->wire)
        wire_hear(s->wire);
}

/* ---- the greeting --------------------------------------------------------------------- */

/* A server may quote what it does not understand, and AUTH may be renamed there. */
static const char *without_secret(const struct session *s, struct str error)
{
    const struct str secret = str_of(s->conf.redis->password);

    if (secret.len > 0 && memmem(error.ptr, error.len, secret.ptr, secret.len))
        return "it does not accept the password";
    return error.ptr;
}

/* Whether the answer lets the greeting go on. */
static bool accepted(struct session *s, enum err e, const struct redis_value *v)
{
    if (e == E_CLOSED)
        return false; /* that has been dealt with */
    if (e == OK && v->kind != REDIS_ERROR)
        return true;
    session_refused(s, e == OK ? without_secret(s, v->s) : "an answer is too large");
    return false;
}

static void on_auth(struct ask *a, enum err e, const struct redis_value *v)
{
    (void)accepted(container_of(a, struct session, auth), e, v);
}

static void on_select(struct ask *a, enum err e, const struct redis_value *v)
{
    (void)accepted(container_of(a, struct session, select), e, v);
}

/* A name is a courtesy: an access list may forbid it. */
static void on_name(struct ask *a, enum err e, const struct redis_value *v) { (void)a, (void)e, (void)v; }

/* Any answer to PING is a sign of life, but one that says why it serves nobody. */
static bool lives(struct session *s, enum err e, const struct redis_value *v)
{
    return (e == OK && v->kind == REDIS_ERROR && str_starts_with(v->s, STR("NOPERM"))) || accepted(s, e, v);
}

/* The last answer of the greeting. */
static void on_greeted(struct ask *a, enum err e, const struct redis_value *v)
{
    struct session *s = container_of(a, struct session, pulse);

    if (lives(s, e, v))
        become_ready(s);
}

static enum err ask_auth(struct session *s)
{
    const struct redis_conf *c = s->conf.redis;
    const struct redis_arg args[] = { RA_TEXT("AUTH"), RA_STR(str_of(c->user)), RA_STR(str_of(c->password)) };
    const struct redis_arg old[] = { args[0], args[2] };

    s->auth.answered = on_auth;
    if (!c->password)
        return OK;
    return c->user ? ask_for(s, &(struct redis_command){ .args = args, .count = 3 }, &s->auth)
                   : ask_for(s, &(struct redis_command){ .args = old, .count = 2 }, &s->auth);
}

static enum err ask_select(struct session *s)
{
    s->select.answered = on_select;
    if (s->conf.redis->database == 0)
        return OK;
    return ask_for(s, REDIS_COMMAND(RA_TEXT("SELECT"), RA_INT(s->conf.redis->database)), &s->select);
}

static enum err ask_name(struct session *s)
{
    const struct str name = str_of(s->conf.redis->client_name);

    s->name.answered = on_name;
    if (name.len == 0)
        return OK;
    return ask_for(s, REDIS_COMMAND(RA_TEXT("CLIENT"), RA_TEXT("SETNAME"), RA_STR(name)), &s->name);
}

static enum err ask_pulse(struct session *s, void (*answered)(struct ask *, enum err, const struct redis_value *))
{
    s->pulse.answered = answered;
    s->pulse_sent = clock_mono();
    return ask_for(s, REDIS_COMMAND(RA_TEXT("PING")), &s->pulse);
}

static void on_opened(void *owner)
{
    struct session *s = owner;
    enum err e;

    s->state = SESSION_GREETING;
    set_timer(s, DIAL_LIMIT_MS);
    e = ask_auth(s);
    if (e == OK)
        e = ask_select(s);
    if (e == OK)
        e = ask_name(s);
    if (e == OK && s->conf.events->greet)
        s->conf.events->greet(s->conf.owner);
    if (e == OK && s->state == SESSION_GREETING)
        e = ask_pulse(s, on_greeted);
    if (e != OK)
        session_fail(s, err_name(e));
}

/* ---- a server that is mute ---------------------------------------------------------------- */

static void on_pulse(struct ask *a, enum err e, const struct redis_value *v)
{
    struct session *s = container_of(a, struct session, pulse);
    const mono_ns took = clock_mono() - s->pulse_sent;

    if (!lives(s, e, v))
        return;
    s->pulse_sent = 0;
    if (took <= (mono_ns)s->conf.redis->time_limit_ms * NS_PER_MS)
        become_ready(s);
    else
        wait_a_while(s);
}

static void listen_for_pulse(struct session *s)
{
    if (s->pulse_sent != 0)
        session_fail(s, "it does not answer");
    else if (ask_pulse(s, on_pulse) != OK)
        session_fail(s, "it takes no commands");
    else
        set_timer(s, MUTE_LIMIT_MS);
}

void session_mute(struct session *s)
{
    if (s->state != SESSION_READY)
        return;
    settle(s);
    s->state = SESSION_MUTE;
    tell_away(s, "it does not answer in time", false);
    wait_a_while(s);
    s->conf.events->lost(s->conf.owner);
}

/* ---- dialling -------------------------------------------------------------------------------- */

static void on_failed(void *owner, const char *why)
{
    struct session *s = owner;
    struct wire *w = s->wire;

    if (s->state != SESSION_DIALLING || s->next_address >= s->address_count) {
        session_fail(s, why);
        return;
    }
    s->wire = NULL;
    wire_close(w);
    dial(s);
}

static void on_pushed(void *owner, const struct redis_value *v)
{
    struct session *s = owner;

    s->conf.events->pushed(s->conf.owner, v);
}

static const struct wire_events speaking = { .opened = on_opened, .failed = on_failed };
static const struct wire_events listening = { .opened = on_opened, .failed = on_failed, .pushed = on_pushed };

/* The next address; the last one's failure is the attempt's. */
static void dial(struct session *s)
{
    const struct redis_conf *c = s->conf.redis;
    char why[WIRE_REASON_SIZE] = "";

    s->state = SESSION_DIALLING;
    while (s->next_address < s->address_count) {
        const struct wire_place place = { c->path, s->addresses[s->next_address++], c->port };

        s->wire = wire_open(&place, s->conf.events->pushed ? &listening : &speaking, s, why);
        if (s->wire) {
            set_timer(s, DIAL_LIMIT_MS);
            return;
        }
    }
    session_fail(s, why);
}

static void note_address(struct session *s, const struct addrinfo *a)
{
    char *text = s->addresses[s->address_count];

    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, SESSION_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) == 0)
        s->address_count++;
}

static void free_if_done(struct session *s)
{
    if (s->state == SESSION_CLOSED && s->timer_closed && !s->looking)
        s->conf.events->closed(s->conf.owner);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct session *s = lookup->data;

    s->looking = false;
    if (s->state == SESSION_LOOKUP) {
        for (const struct addrinfo *a = found; a && s->address_count < SESSION_ADDRESSES_MAX; a = a->ai_next)
            note_address(s, a);
        if (s->address_count > 0)
            dial(s);
        else
            session_fail(s, status != 0 ? uv_strerror(status) : "the host has no address");
    }
    uv_freeaddrinfo(found);
    free_if_done(s);
}

static void look_up(struct session *s)
{
    static const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    int failure;

    s->state = SESSION_LOOKUP;
    s->lookup.data = s;
    failure = uv_getaddrinfo(task_loop(), &s->lookup, on_looked_up, s->conf.redis->host, NULL, &hints);
    s->looking = failure == 0;
    if (failure != 0)
        session_fail(s, uv_strerror(failure));
}

static void attempt(struct session *s)
{
    s->next_address = 0;
    s->address_count = s->conf.redis->path ? 1 : 0;
    if (s->conf.redis->path)
        dial(s);
    else
        look_up(s);
}

/* ---- its life ------------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer)
{
    struct session *s = timer->data;

    switch (s->state) {
    case SESSION_AWAY:
        attempt(s);
        break;
    case SESSION_DIALLING:
        on_failed(s, "it does not answer");
        break;
    case SESSION_GREETING:
        session_fail(s, "it does not answer");
        break;
    case SESSION_MUTE:
        listen_for_pulse(s);
        break;
    default:
        break;
    }
}

void session_open(struct session *s, const struct session_conf *conf)
{
    *s = (struct session){ .conf = *conf, .retry = { .most_ms = PAUSE_MOST_MS } };
    redis_conf_place(conf->redis, s->place, sizeof(s->place));
    uv_timer_init(task_loop(), &s->timer);
    s->timer.data = s;
    attempt(s);
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct session *s = timer->data;

    s->timer_closed = true;
    free_if_done(s);
}

void session_close(struct session *s)
{
    struct wire *w = s->wire;

    if (s->state == SESSION_CLOSED)
        return;
    s->state = SESSION_CLOSED;
    s->wire = NULL;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    if (s->looking)
        uv_cancel((uv_req_t *)&s->lookup);
    wire_close(w);
}
