/* SPDX-License-Identifier: MIT */
#include "http/response.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"

enum { FIELD_VALUE_MAX = 2048 };

/* Registered statuses that this program sends (RFC 9110 §15; 431: RFC 6585;
 * 499 is nginx's, for the log only). */
static const struct {
    int status;
    const char *text;
} statuses[] = {
    { 100, "Continue" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 422, "Unprocessable Content" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 499, "Client Closed Request" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 507, "Insufficient Storage" },
};

const char *http_status_text(int status)
{
    if (status == 200)
        return "OK";
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Unknown";
}

const char *cache_outcome_name(enum cache_outcome o)
{
    static const char *const names[CACHE_OUTCOMES] = {
        [CACHE_NONE] = "-",    [CACHE_BYPASS] = "BYPASS", [CACHE_HIT] = "HIT",
        [CACHE_MISS] = "MISS", [CACHE_STALE] = "STALE",   [CACHE_SHARED] = "SHARED",
    };
    return names[o];
}

/* ---- blobs ------------------------------------------------------------------ */

struct blob *blob_new(size_t head_len, size_t body_len)
{
    struct blob *b;
    char *bytes;

    if (head_len > SIZE_MAX / 4 || body_len > SIZE_MAX / 4)
        return NULL;
    b = malloc(sizeof(*b) + BLOB_ROOM + head_len + body_len);
    if (!b)
        return NULL;
    bytes = (char *)(b + 1) + BLOB_ROOM;
    *b = (struct blob){ .refs = 1, .head = { bytes, head_len }, .body = { bytes + head_len, body_len } };
    return b;
}

struct str blob_enter(struct blob *b, struct str lines, size_t body_len)
{
    char *start;

    if (b->room_taken || lines.len > BLOB_ROOM)
        return (struct str){ NULL, 0 };
    b->room_taken = true;
    start = (char *)(uintptr_t)b->head.ptr - lines.len;
    memcpy(start, lines.ptr, lines.len);
    return (struct str){ start, lines.len + b->head.len + body_len };
}

void blob_leave(struct blob *b) { b->room_taken = false; }

struct blob *blob_ref(struct blob *b)
{
    b->refs++;
    return b;
}

void blob_unref(struct blob *b)
{
    if (b && --b->refs == 0)
        free(b);
}

/* ---- making responses ---------------------------------------------------------- */

struct response response_empty(int status) { return (struct response){ .status = status, .fd = -1 }; }

struct response response_bytes(int status, const char *type, struct str body)
{
    return (struct response){ .status = status, .kind = BODY_BYTES, .type = str_of(type), .body = body, .fd = -1 };
}

struct response response_json(int status, struct str body)
{
    struct response r = response_bytes(status, "application/json", body);

    r.compressible = true;
    return r;
}

static bool sane_value(struct str value)
{
    if (value.len > FIELD_VALUE_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return false;
    return true;
}

void response_field(struct response *r, const char *name, struct str value)
{
    if (!sane_value(value) || r->field_count == RESPONSE_FIELDS_MAX)
        return;
    r->fields[r->field_count++] = (struct response_field){ str_of(name), value };
}
