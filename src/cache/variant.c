/* SPDX-License-Identifier: MIT */
#include "cache/variant.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cache/hash_text.h"

enum { HEAD_MAX = 32 * 1024 };

/* Clients must ask again each time (a write is seen at once), may get 304, and
 * may use what they have when the server fails (RFC 5861). */
#define CACHE_CONTROL "public, no-cache, stale-if-error=86400"

static const char *const encoding_names[ENCODED_COUNT] = {
    [ENCODED_PLAIN] = "", [ENCODED_GZIP] = "gzip", [ENCODED_BROTLI] = "br"
};

void variant_hash(const struct response *res, uint64_t ret_content[2])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, 2 * sizeof(*ret_content));
    hash_text(&state, res->body);
    hash_text(&state, res->type);
    for (unsigned i = 0; i < res->field_count; i++) {
        hash_text(&state, res->fields[i].name);
        hash_text(&state, res->fields[i].value);
    }
    crypto_generichash_final(&state, (unsigned char *)ret_content, 2 * sizeof(*ret_content));
}

static void put_field(struct buf *b, struct str name, struct str value)
{
    buf_str(b, name);
    buf_cstr(b, ": ");
    buf_str(b, value);
    buf_cstr(b, "\r\n");
}

static struct blob *blob_of(struct buf *head, struct str body)
{
    struct blob *blob = buf_ok(head) ? blob_new(head->len, body.len) : NULL;

    if (blob) {
        memcpy((char *)(uintptr_t)blob->head.ptr, head->ptr, head->len);
        if (body.len > 0)
            memcpy((char *)(uintptr_t)blob->body.ptr, body.ptr, body.len);
    }
    buf_done(head);
    return blob;
}

/* Lines that depend on the encoding come first, so that those behind them can
 * be taken over by the next encoding. */
static void put_own_lines(struct buf *head, enum cache_encoding encoding, size_t length, const char *etag)
{
    if (encoding != ENCODED_PLAIN)
        put_field(head, STR("Content-Encoding"), str_of(encoding_names[encoding]));
    buf_printf(head, "Content-Length: %zu\r\nETag: %s\r\n", length, etag);
}

static void put_common_lines(struct buf *head, const struct response *res)
{
    for (unsigned i = 0; i < res->field_count; i++)
        put_field(head, res->fields[i].name, res->fields[i].value);
    put_field(head, STR("Content-Type"), res->type);
    buf_cstr(head, "Cache-Control: " CACHE_CONTROL "\r\n"
                   "Vary: Accept-Encoding\r\n"
                   "X-Content-Type-Options: nosniff\r\n\r\n");
}

struct blob *variant_plain(const struct response *res, const uint64_t content[2], char etag[static CACHE_ETAG_SIZE])
{
    struct buf head;

    snprintf(etag, CACHE_ETAG_SIZE, "\"%016llx%016llx\"", (unsigned long long)content[0],
             (unsigned long long)content[1]);
    buf_init(&head, HEAD_MAX);
    put_own_lines(&head, ENCODED_PLAIN, res->body.len, etag);
    put_common_lines(&head, res);
    return blob_of(&head, res->body);
}

struct blob *variant_encoded(const struct blob *plain, enum cache_encoding encoding, struct str body,
                             const char *plain_etag, char etag[static CACHE_ETAG_SIZE])
{
    const size_t own_lines = 2; /* Content-Length and ETag of the plain one */
    struct str rest = plain->head;
    struct buf head;

    for (size_t i = 0; i < own_lines; i++)
        rest = str_slice(rest, str_find(rest, '\n', 0) + 1, rest.len);
    snprintf(etag, CACHE_ETAG_SIZE, "%.33s-%s\"", plain_etag, encoding_names[encoding]);
    buf_init(&head, HEAD_MAX);
    put_own_lines(&head, encoding, body.len, etag);
    buf_str(&head, rest);
    return blob_of(&head, body);
}

struct response variant_not_modified(const char *etag)
{
    struct response res = response_empty(304);

    response_field(&res, "ETag", str_of(etag));
    response_field(&res, "Cache-Control", STR(CACHE_CONTROL));
    response_field(&res, "Vary", STR("Accept-Encoding"));
    return res;
}
