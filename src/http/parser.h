/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 request heads and chunked bodies (RFC 9112), strictly.
 *
 * A head is parsed in place: all views point into the bytes given. What request
 * smuggling lives on is refused, never repaired: a bare CR or LF, NUL or other
 * control characters, obs-fold, space before a colon, both Content-Length and
 * Transfer-Encoding, repeated, signed, listed or padded lengths, unknown
 * codings, a missing or second Host, an absolute target that contradicts Host.
 * Pure: no clock, no memory of its own, no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    HTTP_LINE_MAX   = 8190,       /* request line: over it 414              */
    HTTP_HEAD_MAX   = 16 * 1024,  /* whole head: over it 431                */
    HTTP_FIELDS_MAX = 100,        /* field lines: over it 431               */
};

/* X(name, token): the methods this server knows; others are 501. */
#define HTTP_METHODS(X) \
    X(HTTP_GET, "GET") X(HTTP_HEAD, "HEAD") X(HTTP_POST, "POST") X(HTTP_PUT, "PUT") \
    X(HTTP_PATCH, "PATCH") X(HTTP_DELETE, "DELETE") X(HTTP_OPTIONS, "OPTIONS")

enum http_method {
#define X(name, token) name,
    HTTP_METHODS(X)
#undef X
    HTTP_METHOD_COUNT
};
const char *http_method_name(enum http_method m);   /* "-" for any other number */

struct http_field { struct str name, value; };

struct http_head {
    enum http_method  method;
    struct str        target;          /* as sent, origin-form ("/a?b"), or "*" with OPTIONS;
                                          an absolute-form target is reduced to its path and query */
    struct str        host;            /* value of Host                                     */
    int               minor;           /* HTTP/1.minor: 0 or 1                              */
    bool              keep_alive;      /* may the connection be used again                  */
    bool              chunked;         /* body framing: chunked, or                         */
    int64_t           content_length;  /* that many bytes; 0 without a body                 */
    bool              expect_continue;
    size_t            field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

enum http_parse { HTTP_PARSE_MORE, HTTP_PARSE_DONE, HTTP_PARSE_BAD };

/* Why a request was refused: status (400, 414, 417, 431, 501, 505) and a
 * sentence for the client. */
struct http_refusal { int status; const char *reason; };

/* Where scanning for the end of the head stands; zeroed for each request. */
struct http_scan { size_t pos, line_start, lines; };

/* Looks for the end of the head in bytes[0, len), from where it last stood, so
 * that a client that sends byte by byte costs no more than one that does not.
 * MORE: wait for more bytes. BAD: refuse now (a bare LF, an over-long line,
 * NUL...). DONE: bytes[0, *ret_len) is the head, with its empty line. One empty
 * line (CRLF) before the request line is skipped (RFC 9112 §2.2). */
enum http_parse http_scan_head(struct http_scan *scan, const char *bytes, size_t len, size_t *ret_len,
                               struct http_refusal *ret_refusal);

/* Parses a head that http_scan_head() found. False: refused; then
 * method and target are still set if the request line got that far (if not,
 * method is HTTP_METHOD_COUNT and target empty). */
bool http_parse_head(const char *bytes, size_t len, struct http_head *ret_head, struct http_refusal *ret_refusal);

/* First field of that name (case-insensitive); NULL when absent. */
const struct http_field *http_find(const struct http_head *head, struct str name);

/* Chunked body decoder (RFC 9112 §7.1), fed piece by piece. */
struct http_chunks {
    int      state;          /* private, all of it; zeroed for each body          */
    uint64_t left;           /* bytes left of the present chunk                   */
    size_t   extension;      /* bytes of chunk extensions so far, bounded         */
    size_t   trailer;        /* bytes of trailers so far, bounded                 */
    size_t   digits;         /* of the present chunk's size                       */
    size_t   name_len;       /* of the present trailer's name                     */
    char     name[24];       /* its start, lower case: as much as can be forbidden */
};

enum {
    HTTP_EXTENSIONS_MAX = 4096,   /* bytes of chunk extensions in one body: over it 400 */
    HTTP_TRAILERS_MAX   = 4096,   /* bytes of trailer fields: over it 431               */
};

/* Decodes from bytes[0, len): *ret_used were consumed; *ret_data views the
 * next piece of body within them (may be empty). DONE: the body has ended
 * right after the used bytes; trailers were checked and dropped. MORE: call
 * again with what follows (at once if *ret_used < len). BAD: refuse. */
enum http_parse http_chunks_feed(struct http_chunks *c, const char *bytes, size_t len, size_t *ret_used,
                                 struct str *ret_data, struct http_refusal *ret_refusal);
