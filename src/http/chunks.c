/* SPDX-License-Identifier: MIT */
/* Chunked bodies: a machine that takes framing byte by byte and data in bulk.
 *
 *   SIZE -> (EXTENSION) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                             | size 0
 *                             v
 *              TRAILER -> NAME -> VALUE -> VALUE_LF -> TRAILER ... -> LAST_LF -> END
 *
 * Each state is a row of `steps`: a function of one byte, that moves the machine
 * on or refuses. DATA is the exception, since data is not looked at.
 */
#include "http/parser.h"

#include "http/chars.h"

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, NAME, VALUE, VALUE_LF, LAST_LF, END };

/* A step's answer: NULL to go on, else why not. */
typedef const char *step_fn(struct http_chunks *c, char byte);

static const char *const TOO_MANY_TRAILERS = "The trailer section is too long.";

static const char *move(struct http_chunks *c, enum state next)
{
    c->state = (int)next;
    return NULL;
}

/* 1 to 16 hexadecimal digits: always fits, never signed, prefixed or spaced. */
static const char *on_size(struct http_chunks *c, char byte)
{
    enum { DIGITS_MAX = 16 };
    const int digit = hex_digit(byte);
    if (digit >= 0) {
        if (c->digits++ == DIGITS_MAX)
            return "A chunk size is too long.";
        c->left = c->left << 4 | (unsigned)digit;
        return NULL;
    }
    if (c->digits > 0 && byte == '\r')
        return move(c, SIZE_LF);
    if (c->digits > 0 && byte == ';')
        return move(c, EXTENSION);
    return "A chunk size is not a hexadecimal number.";
}

static const char *on_extension(struct http_chunks *c, char byte)
{
    if (byte == '\r')
        return move(c, SIZE_LF);
    if (!char_is(byte, CHAR_VALUE))
        return "A chunk extension holds a control character.";
    return ++c->extension > HTTP_EXTENSIONS_MAX ? "The chunk extensions are too long." : NULL;
}

static const char *on_size_lf(struct http_chunks *c, char byte)
{
    if (byte != '\n')
        return "A chunk size is not followed by a line end.";
    c->digits = 0;
    return move(c, c->left == 0 ? TRAILER : DATA);
}

static const char *on_data_cr(struct http_chunks *c, char byte)
{
    return byte == '\r' ? move(c, DATA_LF) : "A chunk is longer than its size says.";
}

static const char *on_data_lf(struct http_chunks *c, char byte)
{
    return byte == '\n' ? move(c, SIZE) : "A chunk is not followed by a line end.";
}

static const char *on_trailer(struct http_chunks *c, char byte);

static const char *on_name(struct http_chunks *c, char byte)
{
    /* What frames, routes or authorises a message must come before its body
     * (RFC 9110 §6.5.1). */
    static const struct str forbidden[] = {
        STR("content-length"),
        STR("transfer-encoding"),
        STR("host"),
        STR("authorization"),
        STR("connection"),
        STR("content-type"),
        STR("content-encoding"),
        STR("content-range"),
        STR("cookie"),
        STR("expect"),
        STR("te"),
        STR("trailer"),
        STR("upgrade"),
        STR("proxy-authorization"),
        STR("x-forwarded-for"),
        STR("forwarded"),
        STR("content_length"),
        STR("transfer_encoding"),
    };
    if (char_is(byte, CHAR_TOKEN)) {
        if (c->name_len < sizeof(c->name))
            c->name[c->name_len] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
        c->name_len++;
        return NULL;
    }
    if (byte != ':')
        return "A trailer field's name is not well formed.";
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (forbidden[i].len == c->name_len && memcmp(forbidden[i].ptr, c->name, c->name_len) == 0)
            return "A field that must not be a trailer is one.";
    return move(c, VALUE);
}

static const char *on_trailer(struct http_chunks *c, char byte)
{
    if (byte == '\r')
        return move(c, LAST_LF);
    if (!char_is(byte, CHAR_TOKEN))
        return "A trailer field's name is not well formed.";
    c->name_len = 0;
    c->state = NAME;
    return on_name(c, byte);
}

static const char *on_value(struct http_chunks *c, char byte)
{
    if (byte == '\r')
        return move(c, VALUE_LF);
    return char_is(byte, CHAR_VALUE) ? NULL : "A trailer field's value holds a control character.";
}

static const char *on_value_lf(struct http_chunks *c, char byte)
{
    return byte == '\n' ? move(c, TRAILER) : "A trailer field's value holds a control character.";
}

static const char *on_last_lf(struct http_chunks *c, char byte)
{
    return byte == '\n' ? move(c, END) : "The body is not followed by a line end.";
}

static step_fn *const steps[] = {
    [SIZE] = on_size,         [EXTENSION] = on_extension, [SIZE_LF] = on_size_lf, [DATA_CR] = on_data_cr,
    [DATA_LF] = on_data_lf,   [TRAILER] = on_trailer,     [NAME] = on_name,       [VALUE] = on_value,
    [VALUE_LF] = on_value_lf, [LAST_LF] = on_last_lf,
};

static const char *step(struct http_chunks *c, char byte)
{
    const bool in_trailers = c->state >= TRAILER;
    if (in_trailers && ++c->trailer > HTTP_TRAILERS_MAX + 2) /* the last line end is not counted */
        return TOO_MANY_TRAILERS;
    return steps[c->state](c, byte);
}

/* The data that bytes[0, len) starts with. */
static struct str take_data(struct http_chunks *c, const char *bytes, size_t len)
{
    const size_t n = c->left < len ? (size_t)c->left : len;
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return (struct str){ bytes, n };
}

enum http_parse http_chunks_feed(struct http_chunks *c, const char *bytes, size_t len, size_t *ret_used,
                                 struct str *ret_data, struct http_refusal *ret_refusal)
{
    size_t used = 0;
    struct str data = STR_EMPTY;
    while (used < len && c->state != END && data.len == 0) {
        if (c->state == DATA) {
            data = take_data(c, bytes + used, len - used);
            used += data.len;
            continue;
        }
        const char *reason = step(c, bytes[used++]);
        if (reason) {
            *ret_refusal = (struct http_refusal){ reason == TOO_MANY_TRAILERS ? 431 : 400, reason };
            return HTTP_PARSE_BAD;
        }
    }
    *ret_used = used;
    *ret_data = data;
    return c->state == END ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}
