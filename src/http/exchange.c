/* SPDX-License-Identifier: MIT */
#include "http/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/task.h"
#include "http/compress.h"
#include "http/negotiate.h"
#include "http/server_state.h"

enum {
    EXCHANGES_KEPT = 256,
    REQUEST_ID_MAX = 64,
    FILE_PIECE = 128 * 1024,
    COMPRESS_LEAST = 1400, /* smaller bodies fit one packet anyway       */
    COMPRESS_LEVEL = 1,    /* on the way: fast; the cache takes its time */
};

static void respond(struct exchange *x, struct response *res);

/* ---- taking and giving back --------------------------------------------------- */

static struct exchange *exchange_take(struct conn *c)
{
    struct server *s = c->server;
    struct link *l = list_pop_front(&s->idle_exchanges);
    struct exchange *x;

    if (l) {
        s->idle_exchange_count--;
        x = container_of(l, struct exchange, link);
    } else {
        x = calloc(1, sizeof(*x));
        if (!x)
            return NULL;
        list_init(&x->link);
        arena_init(&x->req.arena, s->conf.request_arena_bytes);
    }
    x->conn = c;
    x->coro = NULL;
    x->next_step = 0;
    x->refusal = NULL;
    x->counted = x->parked = false;
    x->req.server = s;
    x->req.app = s->app;
    x->req.exchange = x;
    x->req.head = &x->head;
    x->req.route = NULL;
    x->req.peer = c->peer;
    x->req.client = client_of_peer(&c->peer);
    x->req.id = STR_EMPTY;
    x->req.cache = CACHE_NONE;
    x->req.lines = STR_EMPTY;
    x->req.local = NULL;
    x->req.on_response = NULL;
    x->req.started = clock_mono();
    return x;
}

static void exchange_give_back(struct exchange *x)
{
    struct server *s = x->req.server;

    exchange_body_done(x);
    if (x->counted) {
        list_remove(&x->link);
        s->active--;
        metric_gauge_set(M_ACTIVE_REQUESTS, (int64_t)s->active);
    }
    arena_reset(&x->req.arena);
    if (s->idle_exchange_count < EXCHANGES_KEPT) {
        s->idle_exchange_count++;
        list_push_front(&s->idle_exchanges, &x->link);
        return;
    }
    arena_done(&x->req.arena);
    free(x);
}

void exchange_free_idle(struct server *s)
{
    struct link *l;

    while ((l = list_pop_front(&s->idle_exchanges)) != NULL) {
        struct exchange *x = container_of(l, struct exchange, link);
        arena_done(&x->req.arena);
        free(x);
    }
}

/* The response has been handed over, or there is nobody to hand it to. */
static void exchange_end(struct exchange *x, bool keep)
{
    struct conn *c = x->conn;
    struct server *s = x->req.server;

    exchange_give_back(x);
    if (c)
        conn_exchange_over(c, keep);
    server_check_drained(s);
}

/* From now on the exchange outlasts this turn of the loop. */
static void outlast(struct exchange *x)
{
    struct server *s = x->req.server;

    if (x->counted)
        return;
    x->counted = true;
    list_push_back(&s->under_way, &x->link);
    s->active++;
    metric_gauge_set(M_ACTIVE_REQUESTS, (int64_t)s->active);
}

void exchange_abandon(struct exchange *x)
{
    x->conn = NULL;
    if (x->coro && !x->req.on_response) /* else others wait for this response too */
        coro_cancel(x->coro);
}

/* One may end, and take others along, while it is cancelled. */
void exchange_cancel_all(struct server *s)
{
    struct link todo, *l;

    list_init(&todo);
    list_splice(&todo, &s->under_way);
    while ((l = list_pop_front(&todo)) != NULL) {
        struct exchange *x = container_of(l, struct exchange, link);
        list_push_back(&s->under_way, l);
        if (x->coro)
            coro_cancel(x->coro);
    }
}

/* ---- the response --------------------------------------------------------------- */

/* Counted before the first byte leaves: who has the answer finds it counted. */
static void record(const struct exchange *x, const struct response *res, uint64_t bytes)
{
    const struct request *req = &x->req;
    const struct server *s = req->server;
    const struct exchange_record r = {
        .req = req,
        .peer = peer_text(&req->peer),
        .method = str_of(http_method_name(x->head.method)),
        .target = x->head.target,
        .status = x->conn ? res->status : err_http_status(E_CANCELLED),
        .bytes = bytes,
        .duration = clock_mono() - req->started,
        .cache = req->cache,
    };
    const size_t route = req->route ? router_index(s->router, req->route) : router_count(s->router);

    metric_series_observe(SERIES_HTTP, (unsigned)route, x->head.method, (unsigned)r.status, r.duration);
    if (s->hooks && s->hooks->finished)
        s->hooks->finished(s->hooks->ctx, &r);
}

struct gzip_job {
    struct str in;
    struct buf out;
};

static enum err gzip_work(void *arg)
{
    struct gzip_job *job = arg;

    return compress_gzip(job->in, COMPRESS_LEVEL, &job->out);
}

/* Replaces a large body by its compressed form, off the loop. */
static void compress_body(struct exchange *x, struct response *res)
{
    struct gzip_job job = { .in = res->body };
    struct str compressed;

    const bool room = res->field_count + 2 <= RESPONSE_FIELDS_MAX;

    if (!x->coro || res->kind != BODY_BYTES || !res->compressible || res->body.len < COMPRESS_LEAST || !room)
        return;
    response_field(res, "Vary", STR("Accept-Encoding"));
    if (!(accept_encoding(request_field(&x->req, "Accept-Encoding")) & CODING_GZIP))
        return;
    buf_init(&job.out, res->body.len);
    if (task_offload(gzip_work, &job) == OK && buf_ok(&job.out)) {
        compressed = arena_str(&x->req.arena, buf_view(&job.out));
        if (compressed.ptr) {
            res->body = compressed;
            response_field(res, "Content-Encoding", STR("gzip"));
        }
    }
    buf_done(&job.out);
}

struct read_job {
    int fd;
    char *to;
    size_t size;
    int64_t offset;
    ssize_t got;
};

static enum err read_work(void *arg)
{
    struct read_job *job = arg;

    job->got = pread(job->fd, job->to, job->size, job->offset);
    return job->got > 0 ? OK : E_IO;
}

/* Sends a part of a file piece by piece, as the client takes it. False when
 * the connection must end: the length that was announced cannot be kept. */
static bool send_file(struct exchange *x, const struct response *res)
{
    struct read_job job = { .fd = res->fd, .offset = res->offset };
    int64_t left = res->length;

    job.to = arena_alloc(&x->req.arena, FILE_PIECE);
    if (!job.to)
        return false;
    while (left > 0 && x->conn) {
        job.size = left < FILE_PIECE ? (size_t)left : FILE_PIECE;
        if (task_offload(read_work, &job) != OK || !x->conn)
            return false;
        conn_out(x->conn, (struct str){ job.to, (size_t)job.got });
        conn_flush(x->conn);
        if (!x->conn || conn_drained(x->conn) != OK)
            return false;
        job.offset += job.got;
        left -= job.got;
    }
    return x->conn != NULL;
}

static int64_t body_length(const struct response *res)
{
    if (res->status == 204 || res->status == 304 || res->status < 200)
        return -1;
    switch (res->kind) {
    case BODY_BYTES:
        return (int64_t)res->body.len;
    case BODY_BLOB:
        return (int64_t)res->blob->body.len;
    case BODY_FILE:
        return res->length;
    case BODY_NONE:
        break;
    }
    return 0;
}

/* Hands the body to the connection; false when it cannot be sent whole. */
static bool send_body(struct exchange *x, struct response *res)
{
    switch (res->kind) {
    case BODY_BYTES:
        conn_out(x->conn, res->body);
        return true;
    case BODY_FILE:
        return send_file(x, res);
    case BODY_BLOB: /* went with its head */
    case BODY_NONE:
        break;
    }
    return true;
}

static void response_done(struct response *res)
{
    if (res->kind == BODY_BLOB)
        blob_unref(res->blob);
    if (res->kind == BODY_FILE)
        close(res->fd);
}

/* Bytes in the arena must be on their way before the arena goes. */
static void flush_borrowed(struct exchange *x, const struct response *res)
{
    if (x->conn && res->kind == BODY_BYTES && res->body.len > 0)
        conn_flush(x->conn);
}

static void send_response(struct exchange *x, struct response *res, bool keep)
{
    const int64_t length = body_length(res);
    const bool with_body = length > 0 && x->head.method != HTTP_HEAD;

    record(x, res, with_body ? (uint64_t)length : 0);
    if (!x->conn)
        return;
    if (res->kind == BODY_BLOB) {
        response_write_blob(x, res, with_body, keep);
        return;
    }
    response_write_head(x, res, length, keep);
    if (with_body && x->conn && !send_body(x, res) && x->conn)
        conn_close(x->conn);
    flush_borrowed(x, res);
}

/* The last act: the response goes out, the exchange goes back. */
static void respond(struct exchange *x, struct response *res)
{
    const struct server_hooks *hooks = x->req.server->hooks;
    bool keep;

    if (x->req.on_response)
        x->req.on_response(&x->req, res, x->req.on_response_ctx);
    compress_body(x, res);
    if (hooks && hooks->answering)
        hooks->answering(hooks->ctx, &x->req, res);
    keep = x->head.keep_alive && !res->close && !x->req.server->draining && x->body_done;
    send_response(x, res, keep);
    response_done(res);
    exchange_end(x, keep);
}

/* ---- towards the handler --------------------------------------------------------- */

static void handler_main(void *arg)
{
    struct exchange *x = arg;
    const struct server_hooks *hooks = x->req.server->hooks;
    struct response res = x->req.route->handler(&x->req);

    if (hooks && hooks->handled)
        hooks->handled(hooks->ctx, &x->req);
    if (x->body_error == E_TIMEOUT) {
        response_done(&res);
        res = problem(&x->req, 408, "The request's body came too slowly.");
    }
    respond(x, &res);
}

static void run_handler(struct exchange *x)
{
    const struct server_hooks *hooks = x->req.server->hooks;
    struct response res;

    if (hooks && hooks->handling)
        hooks->handling(hooks->ctx, &x->req);
    if (x->req.route->flags & ROUTE_INLINE) {
        res = x->req.route->handler(&x->req);
        respond(x, &res);
        return;
    }
    outlast(x);
    if (coro_start(x->req.server->coros, handler_main, x, &x->coro) == OK)
        return;
    res = problem_err(&x->req, E_NO_MEMORY);
    respond(x, &res);
}

static void run_steps(struct exchange *x)
{
    const struct server *s = x->req.server;
    struct response res;

    while (x->next_step < s->step_count) {
        const struct http_step *step = &s->steps[x->next_step++];
        if (x->refusal && !step->always)
            continue;
        switch (step->run(step->ctx, &x->req, &res)) {
        case STEP_NEXT:
            break;
        case STEP_ANSWERED:
            respond(x, &res);
            return;
        case STEP_PARKED:
            x->parked = true;
            outlast(x);
            return;
        }
    }
    if (x->refusal)
        respond(x, x->refusal);
    else
        run_handler(x);
}

void request_resume(struct request *req, const struct response *res)
{
    struct exchange *x = req->exchange;
    struct response answer;

    assert(x->parked);
    x->parked = false;
    if (res) {
        answer = *res;
        respond(x, &answer);
    } else if (!x->conn && !x->req.on_response) {
        exchange_end(x, false);
    } else {
        run_steps(x);
    }
}

/* ---- from head to steps ------------------------------------------------------------ */

static bool sane_id(struct str id)
{
    if (id.len == 0 || id.len > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        const char c = id.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
              c == '.'))
            return false;
    }
    return true;
}

static struct str new_id(struct arena *a)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t number = random_fast();
    char *id = arena_alloc(a, 16);

    if (!id)
        return STR_EMPTY;
    for (int i = 0; i < 16; i++, number >>= 4)
        id[i] = hex[number & 15];
    return (struct str){ id, 16 };
}

/* A request has one parent, or none that can be told. */
static void read_trace(struct request *req, const struct http_field *field, bool again)
{
    (void)trace_parse(again ? STR_EMPTY : field->value, &req->trace);
}

/* What the client calls it. One walk for both headers: it is on every request's path. */
static void name_request(struct exchange *x)
{
    struct str id = STR_EMPTY;
    bool traced = false;

    x->req.trace = (struct trace){ STR_EMPTY, STR_EMPTY };
    for (size_t i = 0; i < x->head.field_count; i++) {
        const struct http_field *field = &x->head.fields[i];
        if (field->name.len == 12 && id.len == 0 && str_eq_nocase(field->name, STR("x-request-id"))) {
            id = field->value;
        } else if (field->name.len == 11 && str_eq_nocase(field->name, STR("traceparent"))) {
            read_trace(&x->req, field, traced);
            traced = true;
        }
    }
    x->req.id = sane_id(id) ? id : new_id(&x->req.arena);
}

static void find_client(struct exchange *x)
{
    const struct server_hooks *hooks = x->req.server->hooks;

    if (x->req.peer.trusted && hooks && hooks->proxied)
        hooks->proxied(hooks->ctx, &x->req);
}

static struct str methods_list(struct arena *a, uint32_t allowed)
{
    struct buf b;

    buf_init_arena(&b, a, 256);
    for (int m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (!(allowed & (1u << m)))
            continue;
        if (b.len > 0)
            buf_cstr(&b, ", ");
        buf_cstr(&b, http_method_name((enum http_method)m));
    }
    return buf_view(&b);
}

/* No row for this path and method. */
static struct response no_route(struct exchange *x, uint32_t allowed)
{
    struct response res;

    if (allowed == 0)
        return problem(&x->req, 404, "There is nothing at this path.");
    res = x->head.method == HTTP_OPTIONS
              ? response_empty(204)
              : problem(&x->req, 405, "This path does not answer %s.", http_method_name(x->head.method));
    response_field(&res, "Allow", methods_list(&x->req.arena, allowed));
    return res;
}

/* Finds the route and checks the parameters. False: *res says why not. */
static bool route_request(struct exchange *x, struct response *res)
{
    struct request *req = &x->req;
    const char *reason = NULL, *bad_query = NULL;
    struct field_errors errors = { 0 };
    struct route_match match;

    if (str_eq(x->head.target, STR("*"))) {
        *res = no_route(x, (1u << HTTP_METHOD_COUNT) - 1);
        return false;
    }
    if (target_parse(x->head.target, &req->arena, &req->target, &reason, &bad_query) != OK) {
        *res = problem(req, 400, "%s", reason ? reason : "The request's target is not well formed.");
        res->close = true;
        return false;
    }
    match = router_find(req->server->router, x->head.method, &req->target);
    req->route = match.route;
    req->rest = match.rest;
    memcpy(req->path_args, match.path_args, sizeof(req->path_args));
    if (!match.route) {
        *res = no_route(x, match.allowed);
        return false;
    }
    if (bad_query) {
        *res = problem(req, 400, "%s", bad_query);
        return false;
    }
    if (params_check(match.route, &req->target, &req->arena, req->args, &errors) != OK) {
        *res = problem_fields(req, 422, "A query parameter is not allowed.", &errors);
        return false;
    }
    return true;
}

/* Answers without a handler, after the steps that want to see it. */
static void refuse(struct exchange *x, struct response *res)
{
    x->refusal = arena_new(&x->req.arena, struct response);
    if (!x->refusal) {
        respond(x, res);
        return;
    }
    *x->refusal = *res;
    run_steps(x);
}

static struct response too_large(struct exchange *x)
{
    return problem(&x->req, 413, "The body is larger than the %lld bytes that this server accepts.",
                   (long long)x->req.server->conf.max_body_bytes);
}

static void dispatch(struct exchange *x)
{
    struct response res;
    const bool routed = route_request(x, &res);

    if (x->head.content_length > x->req.server->conf.max_body_bytes) {
        res = too_large(x);
        refuse(x, &res);
    } else if (!routed) {
        refuse(x, &res);
    } else {
        run_steps(x);
    }
}

void exchange_begin(struct conn *c, const char *head, size_t len)
{
    struct exchange *x = exchange_take(c);
    struct http_refusal why;
    char *copy;

    if (!x) {
        conn_close(c);
        return;
    }
    copy = arena_alloc(&x->req.arena, len);
    if (!copy) {
        exchange_give_back(x);
        conn_close(c);
        return;
    }
    memcpy(copy, head, len);
    if (!http_parse_head(copy, len, &x->head, &why)) {
        metric_add(M_BAD_REQUESTS, 1);
        exchange_body_init(x);
        exchange_give_back(x);
        exchange_refuse(c, &why);
        return;
    }
    c->exchange = x;
    exchange_body_init(x);
    name_request(x);
    find_client(x);
    dispatch(x);
}

void exchange_refuse(struct conn *c, const struct http_refusal *why)
{
    struct exchange *x = exchange_take(c);
    struct response res;

    c->closing = true;
    if (!x) {
        conn_close(c);
        return;
    }
    x->head = (struct http_head){ .method = HTTP_METHOD_COUNT, .target = STR("-") };
    exchange_body_init(x);
    name_request(x);
    c->exchange = x;
    res = problem(&x->req, why->status, "%s", why->reason);
    respond(x, &res);
}
