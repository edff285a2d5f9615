/* SPDX-License-Identifier: MIT */
/* The head of a response as bytes: on the way of every answer, so it is copied
 * together without formatting functions. */
#include "base/pen.h"
#include "http/exchange.h"
#include "http/server_state.h"

enum { HEAD_FIXED = 512 }; /* room for everything but the response's own fields */

static void put_field(struct pen *p, struct str name, struct str value)
{
    pen_str(p, name);
    pen_str(p, STR(": "));
    pen_str(p, value);
    pen_str(p, STR("\r\n"));
}

static void put_status(struct pen *p, int status)
{
    pen_str(p, STR("HTTP/1.1 "));
    pen_uint(p, (uint64_t)status);
    pen_str(p, STR(" "));
    pen_str(p, str_of(http_status_text(status)));
    pen_str(p, STR("\r\n"));
}

static size_t fields_size(const struct exchange *x, const struct response *res)
{
    size_t n = HEAD_FIXED + x->req.id.len + x->req.lines.len + res->type.len;

    for (unsigned i = 0; i < res->field_count; i++)
        n += res->fields[i].name.len + res->fields[i].value.len + 4;
    return n;
}

static void put_connection(struct pen *p, const struct http_head *head, bool keep)
{
    if (!keep)
        pen_str(p, STR("Connection: close\r\n"));
    else if (head->minor == 0)
        pen_str(p, STR("Connection: keep-alive\r\n"));
}

static void put_body_fields(struct pen *p, const struct response *res, int64_t body_length)
{
    if (res->type.len > 0)
        put_field(p, STR("Content-Type"), res->type);
    if (body_length < 0)
        return;
    pen_str(p, STR("Content-Length: "));
    pen_uint(p, (uint64_t)body_length);
    pen_str(p, STR("\r\n"));
}

/* The lines that every response has, and its own; without the empty line. */
static struct pen put_lines(struct exchange *x, const struct response *res, bool keep)
{
    struct pen p = pen_on(conn_scratch(x->conn, fields_size(x, res)));

    put_status(&p, res->status);
    put_field(&p, STR("Date"), server_date(x->req.server));
    put_field(&p, STR("X-Request-Id"), x->req.id);
    pen_str(&p, x->req.lines);
    put_connection(&p, &x->head, keep);
    for (unsigned i = 0; i < res->field_count; i++)
        put_field(&p, res->fields[i].name, res->fields[i].value);
    return p;
}

void response_write_head(struct exchange *x, const struct response *res, int64_t body_length, bool keep)
{
    struct conn *c = x->conn; /* any write may close it */
    struct pen p = put_lines(x, res, keep);

    pen_str(&p, STR("X-Content-Type-Options: nosniff\r\n"));
    put_body_fields(&p, res, body_length);
    pen_str(&p, STR("\r\n"));
    conn_out(c, pen_written(&p));
}

/* The blob brings its own fields, the empty line and the body. */
void response_write_blob(struct exchange *x, const struct response *res, bool with_body, bool keep)
{
    struct conn *c = x->conn; /* any write may close it */
    const struct pen p = put_lines(x, res, keep);
    struct blob *blob = blob_ref(res->blob);
    const size_t body_len = with_body ? blob->body.len : 0;
    const struct str whole = blob_enter(blob, pen_written(&p), body_len);

    if (whole.ptr) {
        conn_out_blob(c, (struct hold){ blob, true }, whole);
        return;
    }
    conn_out(c, pen_written(&p));
    conn_out_blob(c, (struct hold){ blob, false }, (struct str){ blob->head.ptr, blob->head.len + body_len });
}
