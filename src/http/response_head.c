/* SPDX-License-Identifier: MIT */
/* The head of a response as bytes: on the way of every answer, so it is copied
 * together without formatting functions. */
#include <string.h>

#include "http/exchange.h"
#include "http/server_state.h"

enum { HEAD_FIXED = 512 }; /* room for everything but the response's own fields */

/* Where the next byte goes; the room was measured before. */
struct pen {
    char *at, *start;
};

static struct str written(const struct pen *p) { return (struct str){ p->start, (size_t)(p->at - p->start) }; }

static void put(struct pen *p, struct str s)
{
    if (s.len > 0)
        memcpy(p->at, s.ptr, s.len);
    p->at += s.len;
}

static void put_number(struct pen *p, int64_t value)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *p->at++ = digits[--n];
}

static void put_field(struct pen *p, struct str name, struct str value)
{
    put(p, name);
    put(p, STR(": "));
    put(p, value);
    put(p, STR("\r\n"));
}

static void put_status(struct pen *p, int status)
{
    put(p, STR("HTTP/1.1 "));
    put_number(p, status);
    put(p, STR(" "));
    put(p, str_of(http_status_text(status)));
    put(p, STR("\r\n"));
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
        put(p, STR("Connection: close\r\n"));
    else if (head->minor == 0)
        put(p, STR("Connection: keep-alive\r\n"));
}

static void put_body_fields(struct pen *p, const struct response *res, int64_t body_length)
{
    if (res->type.len > 0)
        put_field(p, STR("Content-Type"), res->type);
    if (body_length < 0)
        return;
    put(p, STR("Content-Length: "));
    put_number(p, body_length);
    put(p, STR("\r\n"));
}

/* The lines that every response has, and its own; without the empty line. */
static struct pen put_lines(struct exchange *x, const struct response *res, bool keep)
{
    char *start = conn_scratch(x->conn, fields_size(x, res));
    struct pen p = { start, start };

    put_status(&p, res->status);
    put_field(&p, STR("Date"), server_date(x->req.server));
    put_field(&p, STR("X-Request-Id"), x->req.id);
    put(&p, x->req.lines);
    put_connection(&p, &x->head, keep);
    for (unsigned i = 0; i < res->field_count; i++)
        put_field(&p, res->fields[i].name, res->fields[i].value);
    return p;
}

void response_write_head(struct exchange *x, const struct response *res, int64_t body_length, bool keep)
{
    struct conn *c = x->conn; /* any write may close it */
    struct pen p = put_lines(x, res, keep);

    put(&p, STR("X-Content-Type-Options: nosniff\r\n"));
    put_body_fields(&p, res, body_length);
    put(&p, STR("\r\n"));
    conn_out(c, written(&p));
}

/* The blob brings its own fields, the empty line and the body. */
void response_write_blob(struct exchange *x, const struct response *res, bool with_body, bool keep)
{
    struct conn *c = x->conn; /* any write may close it */
    const struct pen p = put_lines(x, res, keep);
    struct blob *blob = blob_ref(res->blob);
    const size_t body_len = with_body ? blob->body.len : 0;
    const struct str whole = blob_enter(blob, written(&p), body_len);

    if (whole.ptr) {
        conn_out_blob(c, (struct hold){ blob, true }, whole);
        return;
    }
    conn_out(c, written(&p));
    conn_out_blob(c, (struct hold){ blob, false }, (struct str){ blob->head.ptr, blob->head.len + body_len });
}
