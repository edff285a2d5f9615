/* SPDX-License-Identifier: MIT */
/* How handlers answer: bodies, links to the next page, and what went wrong. */
#include "app/app.h"

enum { RETRY_BUSY_S = 1, POOL_TEXT_BYTES = 160, LINK_MAX_BYTES = 4096 };

void body_init(struct request *req, struct buf *body, struct json *j)
{
    buf_init_arena(body, &req->arena, BODY_MAX_BYTES);
    json_init(j, body);
}

struct response body_response(struct request *req, const struct buf *body)
{
    /* Too much of our own making is not the client's 413. */
    if (!buf_ok(body))
        return problem_err(req, body->err == E_TOO_LARGE ? E_INTERNAL : body->err);
    return response_json(200, buf_view(body));
}

static void retry_after(struct request *req, struct response *res, int64_t seconds)
{
    struct str text = arena_printf(&req->arena, "%lld", (long long)seconds);
    if (text.ptr)
        response_field(res, "Retry-After", text);
}

struct response app_db_problem(struct request *req, enum err e)
{
    const struct db *db = request_db(req)->db;

    if (e == E_BUSY) {
        char pool[POOL_TEXT_BYTES];
        size_t len = db_describe(db, pool, sizeof(pool));
        struct response res = problem(req, err_http_status(e), "%s (" STR_FMT ")", err_text(e),
                                      STR_ARG(((struct str){ pool, len })));
        retry_after(req, &res, RETRY_BUSY_S);
        return res;
    }
    struct response res = problem_err(req, e);
    if (err_http_status(e) == 503) {
        const int64_t ms = db_retry_after_ms(db);
        retry_after(req, &res, ms > MS_PER_S ? (ms + MS_PER_S - 1) / MS_PER_S : RETRY_BUSY_S);
    }
    return res;
}

struct response app_param_problem(struct request *req, const char *param, const char *message)
{
    const struct field_errors errors = { .count = 1, .rows = { { str_of(param), str_of(message) } } };
    return problem_fields(req, err_http_status(E_INVALID), err_text(E_INVALID), &errors);
}

struct response app_not_found(struct request *req) { return problem_err(req, E_NOT_FOUND); }

/* RFC 3986: all but the unreserved characters are escaped. */
static void percent_encode(struct buf *out, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        const unsigned char letter = c | 0x20;
        if ((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c))) {
            buf_byte(out, (char)c);
        } else {
            const char escape[3] = { '%', hex[c >> 4], hex[c & 15] };
            buf_append(out, escape, sizeof(escape));
        }
    }
}

void link_next(struct request *req, struct response *res, const struct link_param *params, size_t count)
{
    struct buf b;
    char before = '?';

    buf_init_arena(&b, &req->arena, LINK_MAX_BYTES);
    buf_byte(&b, '<');
    buf_cstr(&b, req->route->path);
    for (size_t i = 0; i < count; i++) {
        if (params[i].value.len == 0)
            continue;
        buf_byte(&b, before);
        buf_cstr(&b, params[i].name);
        buf_byte(&b, '=');
        percent_encode(&b, params[i].value);
        before = '&';
    }
    buf_cstr(&b, ">; rel=\"next\"");
    if (buf_ok(&b))
        response_field(res, "Link", buf_view(&b));
}
