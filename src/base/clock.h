/* SPDX-License-Identifier: MIT */
/* Two clocks, kept apart by name: monotonic for how long, wall for when. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef int64_t mono_ns;    /* CLOCK_MONOTONIC, nanoseconds             */
typedef int64_t wall_ms;    /* milliseconds since 1970-01-01T00:00:00Z  */

enum { NS_PER_MS = 1000000, MS_PER_S = 1000, NS_PER_S = 1000000000 };

mono_ns clock_mono(void);
wall_ms clock_wall(void);

/* "2026-01-31T12:00:00Z", with ".123" before the Z when the milliseconds are
 * not zero. `out` holds at least ISO_TIME_SIZE bytes; returns the length. */
enum { ISO_TIME_SIZE = 32 };
size_t clock_iso(wall_ms at, char out[static ISO_TIME_SIZE]);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7). Returns the length, 29. */
enum { HTTP_DATE_SIZE = 30 };
size_t clock_http_date(wall_ms at, char out[static HTTP_DATE_SIZE]);

/* Reads the IMF-fixdate form of the above; -1 when it is none. */
wall_ms clock_parse_http_date(const char *text, size_t len);

/* "06/Nov/1994:08:49:37 +0000", the access log's form. Returns the length, 26. */
enum { CLF_TIME_SIZE = 28 };
size_t clock_clf(wall_ms at, char out[static CLF_TIME_SIZE]);
