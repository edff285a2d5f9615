/* SPDX-License-Identifier: MIT */
/* Compression of whole bodies. It takes time: for large inputs call it through
 * task_offload(). */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Appends the compressed form of `in` to *out. E_TOO_LARGE when it would exceed
 * the buffer's maximum, E_NO_MEMORY; then *out is as before, but for its sticky
 * error. Level 1 (fast) to 9; quality 0 (fast) to 11. */
MUSTCHECK enum err compress_gzip(struct str in, int level, struct buf *out);
MUSTCHECK enum err compress_brotli(struct str in, int quality, struct buf *out);
