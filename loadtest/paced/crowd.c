/* SPDX-License-Identifier: MIT */
#include "paced/crowd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, REQUEST_MAX = 512, USERS_A_SOURCE = 5000 };

static const mono_ns SWEEP = 250 * (mono_ns)NS_PER_MS;

/* A connection is AWAY, then CONNECTING, then IDLE between two requests; during
 * one it waits for the HEAD, then for the BODY. */
enum user_state { AWAY, CONNECTING, IDLE, HEAD, BODY };

struct user {
    mono_ns intended, sent; /* of the request under way, or of the next */
    char *kept;             /* of a head that came in pieces            */
    uint32_t kept_len;
    uint32_t missing; /* bytes of the body */
    int fd;
    uint16_t status;
    uint8_t state, route;
    bool close; /* the server said that it will    */
    bool held;  /* was waiting when its turn came  */
};

#define X(path, weight) path,
const char *const crowd_routes[CROWD_ROUTE_COUNT] = { CROWD_ROUTES(X) };
#undef X
#define X(path, weight) weight,
static const unsigned weights[CROWD_ROUTE_COUNT] = { CROWD_ROUTES(X) };
#undef X
#define X(path, weight) +weight
enum { WEIGHTS = CROWD_ROUTES(X) };
#undef X
#define X(name, text) text,
const char *const crowd_failures[CROWD_FAILURE_COUNT] = { CROWD_FAILURES(X) };
#undef X

static uint32_t index_of(const struct crowd *c, const struct user *u) { return (uint32_t)(u - c->users); }

/* --- timetables ----------------------------------------------------------------- */

static bool is_measured(const struct crowd *c, const struct user *u) { return u->intended >= c->plan->measured; }

static uint8_t draw_route(struct crowd *c)
{
    uint64_t drawn = random_below(&c->random, WEIGHTS);
    uint8_t route = 0;

    for (; drawn >= weights[route]; route++)
        drawn -= weights[route];
    return route;
}

/* The next turn, or none if the plan is over by then. */
static void plan_next(struct crowd *c, struct user *u)
{
    const struct plan *p = c->plan;

    u->intended += p->think_min + (mono_ns)random_below(&c->random, (uint64_t)(p->think_max - p->think_min) + 1);
    u->held = u->intended <= clock_mono();
    if (u->intended < p->end)
        schedule_add(&c->schedule, (struct due){ u->intended, index_of(c, u) });
    else
        c->left--;
}

static void count_failure(struct crowd *c, const struct user *u, enum crowd_failure failure)
{
    (is_measured(c, u) ? c->tally->failures : c->tally->warm_failures)[failure]++;
}

/* --- connections ------------------------------------------------------------------ */

static void drop(struct user *u)
{
    if (u->fd >= 0)
        close(u->fd);
    free(u->kept);
    u->kept = NULL;
    u->kept_len = 0;
    u->fd = -1;
    u->state = AWAY;
}

static void fail(struct crowd *c, struct user *u, enum crowd_failure failure)
{
    count_failure(c, u, failure);
    drop(u);
    plan_next(c, u);
}

/* Ports are per address, and the kernel finds a free one quickly only while most
 * are free: every 5,000 users on this machine have one more address. */
static bool bind_source(const struct crowd *c, int fd, const struct user *u)
{
    const uint32_t server = ntohl(c->plan->server.sin_addr.s_addr);
    const uint32_t source = INADDR_LOOPBACK + 1 + (c->first + index_of(c, u)) / USERS_A_SOURCE;
    const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(source) } };
    const int on = 1;

    if (server >> 24 != INADDR_LOOPBACK >> 24)
        return true;
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0 &&
           bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0;
}

/* Resets instead of ports that wait a minute in TIME_WAIT; no waiting for more to send. */
static bool set_up(int fd)
{
    const struct linger reset = { .l_onoff = 1 };
    const int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

static void open_connection(struct crowd *c, struct user *u)
{
    const struct sockaddr *server = (const struct sockaddr *)&c->plan->server;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.u32 = index_of(c, u) };

    u->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0 || !bind_source(c, u->fd, u) || !set_up(u->fd)) {
        fail(c, u, FAILED_LOCAL);
        return;
    }
    u->sent = clock_mono();
    if (connect(u->fd, server, sizeof(c->plan->server)) < 0 && errno != EINPROGRESS) {
        fail(c, u, errno == EADDRNOTAVAIL ? FAILED_LOCAL : FAILED_CONNECT);
        return;
    }
    if (epoll_ctl(c->loop, EPOLL_CTL_ADD, u->fd, &event) < 0) {
        fail(c, u, FAILED_LOCAL);
        return;
    }
    c->tally->opened++;
    u->state = CONNECTING;
}

/* --- requests ---------------------------------------------------------------------- */

static void send_request(struct crowd *c, struct user *u)
{
    const uint32_t number = c->first + index_of(c, u) + 1;
    char request[REQUEST_MAX];

    u->route = draw_route(c);
    const int len = snprintf(request, sizeof(request),
                             "GET %s HTTP/1.1\r\nHost: localhost:%u\r\nUser-Agent: paced\r\nAccept: */*\r\n"
                             "Accept-Encoding: gzip, deflate\r\nX-Forwarded-For: 10.%u.%u.%u\r\n\r\n",
                             crowd_routes[u->route], ntohs(c->plan->server.sin_port), number >> 16 & 255,
                             number >> 8 & 255, number & 255);
    u->sent = clock_mono();
    u->state = HEAD;
    if (send(u->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        fail(c, u, FAILED_BROKEN);
}

static void take_turn(struct crowd *c, struct user *u)
{
    if (!u->held && is_measured(c, u))
        latencies_add(&c->tally->late, clock_mono() - u->intended);
    if (u->state == IDLE)
        send_request(c, u);
    else
        open_connection(c, u);
}

static void finish(struct crowd *c, struct user *u)
{
    const mono_ns now = clock_mono();

    u->state = IDLE;
    if (u->close)
        drop(u);
    if (u->status != 200)
        count_failure(c, u, FAILED_STATUS);
    if (is_measured(c, u)) {
        c->tally->statuses[u->status]++;
        if (u->status == 200) {
            latencies_add(&c->tally->intended[u->route], now - u->intended);
            latencies_add(&c->tally->sent[u->route], now - u->sent);
        }
    } else {
        c->tally->warm++;
    }
    plan_next(c, u);
}

/* --- answers ----------------------------------------------------------------------- */

static void take_body(struct crowd *c, struct user *u, size_t got)
{
    if (got > u->missing) {
        fail(c, u, FAILED_MALFORMED);
        return;
    }
    u->missing -= (uint32_t)got;
    if (u->missing == 0)
        finish(c, u);
}

/* What is there of a head goes before what comes next. */
static void keep(struct crowd *c, struct user *u, struct str bytes)
{
    char *kept = malloc(bytes.len);

    if (!kept) {
        fail(c, u, FAILED_LOCAL);
        return;
    }
    memcpy(kept, bytes.ptr, bytes.len);
    free(u->kept);
    u->kept = kept;
    u->kept_len = (uint32_t)bytes.len;
}

static void take_head(struct crowd *c, struct user *u, struct str bytes)
{
    struct answer answer;

    switch (answer_read(bytes, &answer)) {
    case ANSWER_INCOMPLETE:
        keep(c, u, bytes);
        return;
    case ANSWER_MALFORMED:
        fail(c, u, FAILED_MALFORMED);
        return;
    case ANSWER_WHOLE:
        u->kept_len = 0;
        u->status = (uint16_t)answer.status;
        u->close = answer.close;
        u->missing = (uint32_t)answer.body;
        u->state = BODY;
        take_body(c, u, bytes.len - answer.head);
    }
}

/* Nothing is awaited: the server has closed, or said what nobody asked. */
static void end_idle(struct crowd *c, struct user *u, ssize_t got)
{
    if (got > 0)
        count_failure(c, u, FAILED_MALFORMED);
    else
        c->tally->closed_by_server++;
    drop(u);
}

static void receive(struct crowd *c, struct user *u)
{
    const size_t kept = u->state == HEAD ? u->kept_len : 0;
    const ssize_t got = recv(u->fd, c->received + kept, sizeof(c->received) - kept, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (u->state == IDLE) {
        end_idle(c, u, got);
        return;
    }
    if (got <= 0) {
        fail(c, u, FAILED_BROKEN);
        return;
    }
    if (is_measured(c, u))
        c->tally->bytes += (uint64_t)got;
    if (u->state == BODY) {
        take_body(c, u, (size_t)got);
        return;
    }
    if (kept > 0)
        memcpy(c->received, u->kept, kept);
    take_head(c, u, (struct str){ c->received, kept + (size_t)got });
}

static void on_connected(struct crowd *c, struct user *u)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = index_of(c, u) };
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0)
        fail(c, u, FAILED_CONNECT);
    else if (epoll_ctl(c->loop, EPOLL_CTL_MOD, u->fd, &event) < 0)
        fail(c, u, FAILED_LOCAL);
    else
        send_request(c, u);
}

static void on_event(struct crowd *c, struct user *u)
{
    if (u->state == CONNECTING)
        on_connected(c, u);
    else if (u->state != AWAY)
        receive(c, u);
}

/* --- the loop ---------------------------------------------------------------------- */

static void take_turns(struct crowd *c)
{
    while (c->schedule.count > 0 && schedule_first(&c->schedule).at <= clock_mono())
        take_turn(c, &c->users[schedule_take(&c->schedule).user]);
}

static bool is_busy(const struct user *u) { return u->state == CONNECTING || u->state == HEAD || u->state == BODY; }

/* Of each user who still waits, or has not had a turn. */
static void give_up(struct crowd *c)
{
    for (struct user *u = c->users; u < c->users + c->count; u++) {
        enum crowd_failure failure = is_busy(u) ? FAILED_TIMEOUT : FAILED_UNSENT;
        for (; u->intended < c->plan->end; u->intended += (c->plan->think_min + c->plan->think_max) / 2) {
            count_failure(c, u, failure);
            failure = FAILED_UNSENT;
        }
    }
}

static void sweep(struct crowd *c)
{
    const mono_ns oldest = clock_mono() - c->plan->timeout;

    for (struct user *u = c->users; u < c->users + c->count; u++)
        if (is_busy(u) && u->sent < oldest)
            fail(c, u, FAILED_TIMEOUT);
}

static void await(struct crowd *c, mono_ns until)
{
    struct epoll_event events[EVENTS];

    if (c->schedule.count > 0 && schedule_first(&c->schedule).at < until)
        until = schedule_first(&c->schedule).at;
    const mono_ns now = clock_mono(), wait = until > now ? until - now : 0;
    const struct timespec patience = { .tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S };
    const int count = epoll_pwait2(c->loop, events, EVENTS, &patience, NULL);
    for (int i = 0; i < count; i++)
        on_event(c, &c->users[events[i].data.u32]);
}

void crowd_run(struct crowd *c)
{
    const mono_ns last = c->plan->end + c->plan->timeout;
    mono_ns next_sweep = c->plan->start + SWEEP;

    while (c->left > 0 && clock_mono() < last) {
        await(c, next_sweep);
        take_turns(c);
        if (clock_mono() >= next_sweep) {
            sweep(c);
            next_sweep = clock_mono() + SWEEP;
        }
    }
    give_up(c);
}

/* --- life --------------------------------------------------------------------------- */

enum err crowd_init(struct crowd *c, const struct plan *plan, struct tally *tally, uint32_t first, uint32_t count)
{
    c->plan = plan;
    c->tally = tally;
    c->first = first;
    c->count = c->left = count;
    random_seed(&c->random, plan->seed + first);
    c->loop = epoll_create1(EPOLL_CLOEXEC);
    c->users = calloc(count, sizeof(*c->users));
    if (c->loop < 0 || !c->users || schedule_init(&c->schedule, count) != OK)
        return E_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        c->users[i] = (struct user){ .fd = -1, .intended = plan->start + plan->ramp * i / count };
        schedule_add(&c->schedule, (struct due){ c->users[i].intended, i });
    }
    return OK;
}

void crowd_done(struct crowd *c)
{
    for (uint32_t i = 0; c->users && i < c->count; i++)
        drop(&c->users[i]);
    free(c->users);
    schedule_done(&c->schedule);
    close(c->loop);
}
