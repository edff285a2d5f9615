/* SPDX-License-Identifier: MIT */
#include "http/compress.h"

#define ZLIB_CONST /* next_in is const */
#include <brotli/encode.h>
#include <limits.h>
#include <zlib.h>

/* Room for a result of at most `bound` bytes, or for as much of it as the
 * buffer may still take (a result is mostly far smaller than its bound). */
static char *room_for(struct buf *out, size_t bound, size_t *ret_room)
{
    const size_t left = out->max - out->len;
    const size_t room = bound < left ? bound : left;
    char *at = room > 0 ? buf_room(out, room) : NULL;
    if (at)
        *ret_room = room;
    return at;
}

static enum err overflow(struct buf *out)
{
    out->err = E_TOO_LARGE;
    return E_TOO_LARGE;
}

enum err compress_gzip(struct str in, int level, struct buf *out)
{
    enum { WINDOW_BITS = 15, GZIP_FRAME = 16, MEMORY_LEVEL = 8 };
    if (in.len > INT_MAX) /* zlib counts in unsigned int */
        return overflow(out);
    z_stream z = { .next_in = (const Bytef *)in.ptr, .avail_in = (uInt)in.len };
    if (deflateInit2(&z, level, Z_DEFLATED, WINDOW_BITS | GZIP_FRAME, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return E_NO_MEMORY;
    size_t room = 0;
    char *at = room_for(out, deflateBound(&z, (uLong)in.len), &room);
    enum err e = at ? OK : buf_ok(out) ? overflow(out) : out->err;
    if (e == OK) {
        z.next_out = (Bytef *)at;
        z.avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        if (deflate(&z, Z_FINISH) == Z_STREAM_END)
            buf_added(out, (size_t)z.total_out);
        else
            e = overflow(out);
    }
    deflateEnd(&z);
    return e;
}

enum err compress_brotli(struct str in, int quality, struct buf *out)
{
    if (in.len > INT_MAX) /* the bound below is 0 for what cannot be had */
        return overflow(out);
    size_t room = 0;
    char *at = room_for(out, BrotliEncoderMaxCompressedSize(in.len), &room);
    if (!at)
        return buf_ok(out) ? overflow(out) : out->err;
    if (!BrotliEncoderCompress(quality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, in.len, (const uint8_t *)in.ptr, &room,
                               (uint8_t *)at))
        return overflow(out);
    buf_added(out, room);
    return OK;
}
