/* SPDX-License-Identifier: MIT */
#include "ops/exposition.h"

#include "http/forwarded.h"
#include "http/negotiate.h"
#include "ops/worker.h"

enum {
    BODY_MAX = 4 * 1024 * 1024,
    BODY_FIXED = 24 * 1024, /* room for what is always there, and for a series as text: */
    BODY_SERIES = 2800,     /* taken at once, since an arena keeps what a buffer outgrows */
};

enum format { FORMAT_JSON, FORMAT_PROMETHEUS, FORMAT_OPENMETRICS, FORMATS };

/* Rows in the order of preference among those that a client wants equally. */
static const struct format_row {
    const char *name, *media_type, *content_type;
} formats[FORMATS] = {
    [FORMAT_JSON] = { "json", "application/json", "application/json" },
    [FORMAT_PROMETHEUS] = { "prometheus", "text/plain", "text/plain; version=0.0.4; charset=utf-8" },
    [FORMAT_OPENMETRICS] = { "openmetrics", "application/openmetrics-text",
                             "application/openmetrics-text; version=1.0.0; charset=utf-8" },
};

static const char *const format_choices[] = { "json", "prometheus", "openmetrics", NULL };

const struct param metrics_params[] = {
    { .name = "format", .kind = PARAM_CHOICE, .choices = format_choices, .help = "Instead of what Accept asks for" },
    { .name = NULL },
};

const char *exposition_route(const struct router *router, unsigned index)
{
    return index < router_count(router) ? router_row(router, index)->path : "unmatched";
}

const char *exposition_method(unsigned method)
{
    return method < HTTP_METHOD_COUNT ? http_method_name((enum http_method)method) : "_OTHER";
}

static enum format choose_format(const struct request *req)
{
    const struct str accept = request_field(req, "Accept");
    enum format best = FORMAT_JSON;
    int most = -1;

    if (req->route && req->route->params == metrics_params && req->args[0].given)
        return (enum format)req->args[0].i;
    for (int i = 0; i < FORMATS; i++) {
        const int wanted = accepts(accept, str_of(formats[i].media_type));
        if (wanted > most) {
            most = wanted;
            best = (enum format)i;
        }
    }
    return best;
}

/* Whether all whom a header names may read. */
static bool all_allowed(const struct cidr_list *allow, struct forwarded named)
{
    enum forwarded_next next;
    struct address a;

    while ((next = forwarded_next(&named, &a)) == FORWARDED_ADDRESS) {
        if (!cidr_list_holds(allow, &a))
            return false;
    }
    return next == FORWARDED_END;
}

static bool may_read(const struct request *req, const struct cidr_list *allow)
{
    if (!client_in(&req->client, allow))
        return false;
    for (int h = 0; h < FORWARDED_HEADERS; h++) {
        if (!all_allowed(allow, forwarded_begin(req->head, (enum forwarded_header)h)))
            return false;
    }
    return true;
}

static void render(const struct snapshot *s, const struct router *router, enum format format, struct buf *out)
{
    if (format == FORMAT_JSON)
        exposition_json(s, router, out);
    else if (buf_room(out, BODY_FIXED + s->series_count * BODY_SERIES))
        exposition_text(s, router, format == FORMAT_OPENMETRICS ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS, out);
}

struct response metrics_show(struct request *req)
{
    const struct worker *w = req->app;
    const struct node_source node = { w->pages, w->page_count, w->slots, w->conf.files, w->conf.file_count };
    const enum format format = choose_format(req);
    struct buf body;

    if (!may_read(req, &w->conf.metrics_allow))
        return problem(req, 403, "Metrics are not shown to this address; see the setting METRICS_ALLOW.");
    const struct snapshot *s = snapshot_take(&node, &req->arena);
    if (!s)
        return problem_err(req, E_NO_MEMORY);
    buf_init_arena(&body, &req->arena, BODY_MAX);
    render(s, server_router(req->server), format, &body);
    if (!buf_ok(&body))
        return problem_err(req, body.err == E_TOO_LARGE ? E_INTERNAL : body.err);
    struct response res = response_bytes(200, formats[format].content_type, buf_view(&body));
    res.compressible = true;
    response_field(&res, "Cache-Control", STR("no-store"));
    response_field(&res, "Vary", STR("Accept"));
    return res;
}
