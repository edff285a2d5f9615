/* SPDX-License-Identifier: MIT */
#include "cache/shared_value.h"

#include <string.h>

#include "cache/hash_text.h"

enum { SEAL_BYTES = 16, NUMBER_BYTES = 4, TEXT_MAX = 64 * 1024 };

static const struct str MAGIC = { "SRC\1", 4 };

/* ---- the seal ---------------------------------------------------------------- */

static void seal_of(const struct shared_seal *seal, struct str content, unsigned char ret_hash[static SEAL_BYTES])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, seal->secret, SHARED_SECRET_BYTES, SEAL_BYTES);
    hash_text(&state, seal->key);
    hash_text(&state, seal->stamp);
    hash_text(&state, content);
    crypto_generichash_final(&state, ret_hash, SEAL_BYTES);
}

/* ---- writing ------------------------------------------------------------------- */

static void put_number(struct buf *out, size_t n)
{
    for (int i = 0; i < NUMBER_BYTES; i++)
        buf_byte(out, (char)(n >> (8 * i) & 0xff));
}

static void put_text(struct buf *out, struct str s)
{
    put_number(out, s.len);
    buf_str(out, s);
}

static void put_content(struct buf *out, const struct response *res)
{
    put_text(out, res->type);
    put_number(out, res->field_count);
    for (unsigned i = 0; i < res->field_count; i++) {
        put_text(out, res->fields[i].name);
        put_text(out, res->fields[i].value);
    }
    buf_str(out, res->body);
}

void shared_value_write(struct buf *out, const struct shared_seal *seal, const struct response *res)
{
    static const char no_seal[SEAL_BYTES];
    const size_t at = out->len + seal->stamp.len + MAGIC.len;
    unsigned char hash[SEAL_BYTES];

    buf_str(out, seal->stamp);
    buf_str(out, MAGIC);
    buf_append(out, no_seal, SEAL_BYTES);
    put_content(out, res);
    if (!buf_ok(out))
        return;
    seal_of(seal, str_slice(buf_view(out), at + SEAL_BYTES, out->len), hash);
    memcpy(out->ptr + at, hash, SEAL_BYTES);
}

/* ---- reading -------------------------------------------------------------------- */

static bool take(struct str *rest, size_t n, struct str *ret_piece)
{
    if (rest->len < n)
        return false;
    *ret_piece = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->len);
    return true;
}

static bool take_exactly(struct str *rest, struct str what)
{
    struct str piece;

    return take(rest, what.len, &piece) && str_eq(piece, what);
}

static bool take_number(struct str *rest, size_t max, size_t *ret_number)
{
    struct str bytes;
    size_t n = 0;

    if (!take(rest, NUMBER_BYTES, &bytes))
        return false;
    for (int i = 0; i < NUMBER_BYTES; i++)
        n |= (size_t)(unsigned char)bytes.ptr[i] << (8 * i);
    *ret_number = n;
    return n <= max;
}

static bool take_text(struct str *rest, struct str *ret_text)
{
    size_t n;

    return take_number(rest, TEXT_MAX, &n) && take(rest, n, ret_text);
}

static bool take_field(struct str *rest, struct arena *arena, struct response *res)
{
    struct str name, value;

    if (!take_text(rest, &name) || !take_text(rest, &value))
        return false;
    name = arena_str(arena, name); /* ends with a NUL now */
    if (!name.ptr)
        return false;
    response_field(res, name.ptr, value);
    return true;
}

static bool take_content(struct str rest, struct arena *arena, struct response *ret_res)
{
    struct response res = response_empty(200);
    size_t fields;

    if (!take_text(&rest, &res.type) || !take_number(&rest, RESPONSE_FIELDS_MAX, &fields))
        return false;
    for (size_t i = 0; i < fields; i++)
        if (!take_field(&rest, arena, &res))
            return false;
    res.kind = BODY_BYTES;
    res.body = rest;
    *ret_res = res;
    return true;
}

bool shared_value_read(struct str value, const struct shared_seal *seal, struct arena *arena, struct response *ret_res)
{
    unsigned char hash[SEAL_BYTES];
    struct str rest = value, sealed;

    if (value.len > SHARED_VALUE_MAX || !take_exactly(&rest, seal->stamp) || !take_exactly(&rest, MAGIC) ||
        !take(&rest, SEAL_BYTES, &sealed))
        return false;
    seal_of(seal, rest, hash);
    return sodium_memcmp(hash, sealed.ptr, SEAL_BYTES) == 0 && take_content(rest, arena, ret_res);
}
