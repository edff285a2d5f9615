/* SPDX-License-Identifier: MIT */
/* Responses: what a handler returns, by value.
 *
 * A body is bytes (in the request's arena, or constant), a blob (shared bytes
 * with a reference count: the cache's), or a part of an open file, which the
 * server closes. Everything else about the message (Date, Content-Length,
 * X-Request-Id, connection handling, HEAD) is the server's business.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/route.h"

struct request;

/* Bytes shared by the cache and any number of connections of one worker (not
 * atomic). `head` is the part of the header section that never changes, each
 * line with its CRLF; `body` follows it in the same memory.
 *
 *   | room ......... the changing lines | head | body |
 *
 * The lines that change with each response (status, Date, request id) are put
 * right before `head`, so that a whole response is one piece to write. One
 * response at a time has the room, until it is written. */
struct blob {
    unsigned   refs;
    bool       room_taken;
    struct str head, body;
};
enum { BLOB_ROOM = 512 };
struct blob *blob_new(size_t head_len, size_t body_len);   /* refs 1; NULL without memory; fill head/body memory */

/* Puts `lines` before the head: the view of lines, head and `body_len` bytes of
 * body. A view with a NULL pointer when there is no room for them. Who entered
 * leaves when the bytes have been written. */
struct str blob_enter(struct blob *b, struct str lines, size_t body_len);
void blob_leave(struct blob *b);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b);                           /* NULL is fine */

enum body_kind { BODY_NONE, BODY_BYTES, BODY_BLOB, BODY_FILE };

enum { RESPONSE_FIELDS_MAX = 12 };
struct response_field { struct str name, value; };   /* value without CR, LF, NUL: checked */

enum cache_outcome { CACHE_NONE, CACHE_BYPASS, CACHE_HIT, CACHE_MISS, CACHE_STALE, CACHE_SHARED, CACHE_OUTCOMES };
const char *cache_outcome_name(enum cache_outcome o);      /* "-", "BYPASS", "HIT", ... for the log */

struct response {
    int                   status;
    enum body_kind        kind;
    struct str            type;         /* Content-Type; empty: none           */
    struct str            body;         /* BYTES                               */
    struct blob          *blob;         /* BLOB: one reference, given away     */
    int                   fd;           /* FILE: given away                    */
    int64_t               offset, length;
    bool                  close;        /* close the connection afterwards     */
    bool                  compressible; /* BYTES: may be sent compressed       */
    unsigned              field_count;
    struct response_field fields[RESPONSE_FIELDS_MAX];
};

const char *http_status_text(int status);    /* "Not Found"; "Unknown" for others */

struct response response_empty(int status);
struct response response_bytes(int status, const char *type, struct str body);   /* body lives as long as the request */
struct response response_json(int status, struct str body);

/* Adds a field; name a literal, value living as long as the request. A value
 * with a control character, or over 2 KiB, is dropped: no header is ever split. */
void response_field(struct response *r, const char *name, struct str value);

/* application/problem+json (RFC 9457): status, title, detail. */
struct response problem(struct request *req, int status, const char *detail_format, ...) PRINTF(3, 4);
struct response problem_fields(struct request *req, int status, const char *detail, const struct field_errors *errors);
struct response problem_err(struct request *req, enum err e);   /* status and text of the error's row */
