/* SPDX-License-Identifier: MIT */
/* The clients of a node and what each was let through: a table of fixed size in
 * shared memory, without locks, that every worker reads and writes.
 *
 * Each client has two windows (limit/window.h), a minute in seconds and an hour in
 * minutes, and is let through when both have room. In no 60 seconds are more than
 * `per_minute` let through, in no hour more than `per_hour`; an admission leaves
 * its minute after 60 to 61 seconds, its hour after 60 to 61 minutes. A refused
 * request costs nothing. A worker killed in the middle of a decision costs its
 * client that one admission, at most.
 *
 * A client sits in one of the eight seats of its set (limit/set.h), which its keyed
 * hash chooses, so that nobody can aim at a set. When all eight are taken, the one
 * least recently seen goes and is forgotten: an approximation to the least
 * recently seen of the whole table. With half as many clients as the table holds,
 * one in a hundred finds its set full.
 *
 * Time is the caller's, milliseconds of CLOCK_MONOTONIC, the same clock for all. A
 * client's time never goes back: whoever brings an earlier one than another worker
 * before is counted at that later time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LIMIT_CLIENTS_MAX = 10000000,
    LIMIT_PER_MINUTE_MAX = 1000000,
    LIMIT_PER_HOUR_MAX = 10000000,
    LIMIT_SECRET_SIZE = 16,
};

/* Who asks. What does not fit is hashed by the caller. */
struct limit_key {
    uint8_t kind;        /* the caller's: address, user, account, ... */
    uint8_t bytes[16];
};

struct limit_rate { uint32_t per_minute, per_hour; };   /* 0: no such window */

struct limit_quota {
    uint32_t limit, remaining;   /* all 0 without such a window              */
    uint32_t reset_s;            /* until more remains; 0 when nothing is used */
};

struct limit_verdict {
    bool               allowed;
    bool               first_refusal;   /* of this client in this minute      */
    struct limit_quota minute, hour;
    uint32_t           retry_after_s;   /* until one more is let through; 0 if allowed */
};

struct limit_table;

/* Memory for a table; what is not used of it is never touched. */
size_t limit_table_bytes(size_t clients);

/* Makes one, in memory of limit_table_bytes() that is all zero and aligned to a
 * cache line. The secret keys the hash. */
struct limit_table *limit_table_init(void *memory, size_t clients, const uint8_t secret[static LIMIT_SECRET_SIZE]);

/* Lets one through or does not. */
void limit_table_check(struct limit_table *t, const struct limit_key *key, const struct limit_rate *rate,
                       int64_t now_ms, struct limit_verdict *ret_verdict);

/* What limit_table_check would say; nothing is counted. */
void limit_table_peek(struct limit_table *t, const struct limit_key *key, const struct limit_rate *rate,
                      int64_t now_ms, struct limit_verdict *ret_verdict);

/* Counts what somebody else decided: an admission, whatever the limits; or a
 * refusal, and whether it is the client's first in this minute. */
void limit_table_note(struct limit_table *t, const struct limit_key *key, const struct limit_rate *rate, int64_t now_ms);
bool limit_table_note_refusal(struct limit_table *t, const struct limit_key *key, int64_t now_ms);

/* The client begins anew; false when it was not known. */
bool limit_table_forget(struct limit_table *t, const struct limit_key *key);

/* The clients that asked most, of those seen in the last hour: let through in it,
 * plus refused since they are known. Returns how many, at most `room`. Walks the
 * whole table: milliseconds for each 10,000 clients. Only reads. */
struct limit_client {
    struct limit_key key;
    uint32_t         minute, hour;   /* let through, in the windows as they are now */
    uint32_t         refused;
    int64_t          seen_ms;
};
size_t limit_table_busiest(struct limit_table *t, int64_t now_ms, struct limit_client *out, size_t room);

struct limit_stats { uint64_t capacity, clients, evictions; };
struct limit_stats limit_table_stats(const struct limit_table *t);
