/* SPDX-License-Identifier: MIT */
/* Growable byte buffer with a stated maximum and a sticky error.
 *
 * Append freely; ask buf_ok() once at the end. After a failed append (over the
 * maximum, or no memory) the buffer keeps what it had and refuses the rest.
 * Its memory is the heap's (then buf_done frees it), an arena's (then it goes
 * with the arena and buf_done frees nothing), or the caller's, which never grows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct buf {
    char         *ptr;
    size_t        len, cap, max;
    struct arena *arena;     /* NULL: heap                        */
    bool          fixed;     /* the memory is the caller's        */
    enum err      err;       /* sticky: E_TOO_LARGE, E_NO_MEMORY  */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_init_arena(struct buf *b, struct arena *a, size_t max_bytes);
void buf_init_fixed(struct buf *b, char *memory, size_t size);
void buf_done(struct buf *b);

/* Forgets content and error, keeps the memory. */
void buf_clear(struct buf *b);

/* Room for n more bytes at the end; NULL (and the sticky error) if impossible.
 * Write up to n bytes there, then buf_added(b, written). */
char *buf_room(struct buf *b, size_t n);
static inline void buf_added(struct buf *b, size_t n) { b->len += n; }

void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_byte(struct buf *b, char c);
void buf_str(struct buf *b, struct str s);
void buf_cstr(struct buf *b, const char *s);
void buf_uint(struct buf *b, uint64_t value);
void buf_int(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);

/* Drops the first n bytes, moving the rest to the front. */
void buf_drop(struct buf *b, size_t n);

static inline bool buf_ok(const struct buf *b) { return b->err == OK; }
static inline struct str buf_view(const struct buf *b) { return (struct str){ b->ptr ? b->ptr : "", b->len }; }
