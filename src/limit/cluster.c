/* SPDX-License-Identifier: MIT */
#include "limit/cluster.h"

#include <stdio.h>

/* The key's value: for each window a list of unit, count, unit, count, ... ARGV:
 * the limits, 0 for none. The answer: allowed, then of each window used and seconds
 * until less is, then seconds until one more would be let through. */
static const struct redis_script check = {
    .name = "limit",
    .text = "local UNITS, WINDOW, VALUE_MAX, LIFE = {1000, 60000}, 60, 8192, 3720000\n"
            "local time = redis.call('TIME')\n"
            "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
            "local limits = {tonumber(ARGV[1]), tonumber(ARGV[2])}\n"
            "\n"
            "local function seconds_until(at)\n"
            "    return at > now and math.ceil((at - now) / 1000) or 0\n"
            "end\n"
            "\n"
            "local function forgotten(i, unit)\n"
            "    return (unit + WINDOW + 1) * UNITS[i]\n"
            "end\n"
            "\n"
            "local function kept()\n"
            "    if redis.call('STRLEN', KEYS[1]) > VALUE_MAX then return {} end\n"
            "    local good, value = pcall(cmsgpack.unpack, redis.call('GET', KEYS[1]) or '')\n"
            "    return good and type(value) == 'table' and value or {}\n"
            "end\n"
            "\n"
            "local function inside(i, old)\n"
            "    local list, sum, unit = {}, 0, math.floor(now / UNITS[i])\n"
            "    if type(old) ~= 'table' then old = {} end\n"
            "    for at = 1, #old - 1, 2 do\n"
            "        local u, count = tonumber(old[at]), tonumber(old[at + 1])\n"
            "        if u and count and u >= unit - WINDOW and u <= unit + WINDOW and count > 0 then\n"
            "            list[#list + 1], list[#list + 2] = u, count\n"
            "            sum = sum + count\n"
            "        end\n"
            "    end\n"
            "    return list, sum\n"
            "end\n"
            "\n"
            "local function opens(i, list, sum)\n"
            "    for at = 1, #list - 1, 2 do\n"
            "        sum = sum - list[at + 1]\n"
            "        if sum < limits[i] then return forgotten(i, list[at]) end\n"
            "    end\n"
            "    return now\n"
            "end\n"
            "\n"
            "local function count(i, list)\n"
            "    local unit = math.floor(now / UNITS[i])\n"
            "    if #list > 0 and list[#list - 1] == unit then\n"
            "        list[#list] = list[#list] + 1\n"
            "    else\n"
            "        list[#list + 1], list[#list + 2] = unit, 1\n"
            "    end\n"
            "end\n"
            "\n"
            "local all, used, allowed, open = kept(), {}, true, now\n"
            "for i = 1, 2 do\n"
            "    all[i], used[i] = inside(i, all[i])\n"
            "    if limits[i] > 0 and used[i] >= limits[i] then\n"
            "        allowed, open = false, math.max(open, opens(i, all[i], used[i]))\n"
            "    end\n"
            "end\n"
            "if allowed then\n"
            "    for i = 1, 2 do\n"
            "        if limits[i] > 0 then\n"
            "            count(i, all[i])\n"
            "            used[i] = used[i] + 1\n"
            "        end\n"
            "    end\n"
            "    redis.call('SET', KEYS[1], cmsgpack.pack({all[1], all[2]}), 'PX', LIFE)\n"
            "end\n"
            "local answer = {allowed and 1 or 0}\n"
            "for i = 1, 2 do\n"
            "    answer[#answer + 1] = used[i]\n"
            "    answer[#answer + 1] = #all[i] > 0 and seconds_until(forgotten(i, all[i][1])) or 0\n"
            "end\n"
            "answer[#answer + 1] = seconds_until(open)\n"
            "return answer\n",
};

/* Where each number stands in the answer. */
enum { ALLOWED, MINUTE_USED, MINUTE_RESET, HOUR_USED, HOUR_RESET, OPENS, ANSWERS };

enum { NAME_SIZE = 64 };

enum err limit_cluster_init(struct redis *r) { return redis_add_script(r, &check); }

static struct str name_of(const struct limit_key *key, char out[static NAME_SIZE])
{
    size_t used = (size_t)snprintf(out, NAME_SIZE, "limit:%u:", key->kind);

    for (size_t i = 0; i < sizeof(key->bytes); i++)
        used += (size_t)snprintf(out + used, NAME_SIZE - used, "%02x", key->bytes[i]);
    return (struct str){ out, used };
}

enum err limit_cluster_check(struct redis *r, const struct limit_key *key, const struct limit_rate *rate,
                             redis_reply_fn *done, void *arg)
{
    char name[NAME_SIZE];

    return redis_send(
        r, REDIS_EVAL(&check, RA_KEY(name_of(key, name)), RA_INT(rate->per_minute), RA_INT(rate->per_hour)), done, arg);
}

enum err limit_cluster_call(struct redis *r, const struct limit_key *key, const struct limit_rate *rate,
                            struct arena *arena, struct limit_verdict *ret_verdict)
{
    char name[NAME_SIZE];
    struct redis_value v;
    const enum err e = redis_call(
        r, REDIS_EVAL(&check, RA_KEY(name_of(key, name)), RA_INT(rate->per_minute), RA_INT(rate->per_hour)), arena, &v);

    if (e != OK)
        return e;
    return limit_cluster_read(&v, rate, ret_verdict) ? OK : E_INTERNAL;
}

/* ---- the answer ------------------------------------------------------------------ */

static struct limit_quota quota_of(uint32_t limit, int64_t used, int64_t reset_s)
{
    const int64_t left = (int64_t)limit - used;

    if (limit == 0)
        return (struct limit_quota){ .limit = 0 };
    return (struct limit_quota){
        .limit = limit,
        .remaining = left > 0 ? (uint32_t)left : 0,
        .reset_s = (uint32_t)reset_s,
    };
}

bool limit_cluster_read(const struct redis_value *v, const struct limit_rate *rate, struct limit_verdict *ret_verdict)
{
    int64_t n[ANSWERS];

    if (v->kind != REDIS_ARRAY || v->count != ANSWERS)
        return false;
    for (size_t i = 0; i < ANSWERS; i++) {
        n[i] = redis_int(redis_item(v, i), -1);
        if (n[i] < 0 || n[i] > UINT32_MAX)
            return false;
    }
    *ret_verdict = (struct limit_verdict){
        .allowed = n[ALLOWED] == 1,
        .minute = quota_of(rate->per_minute, n[MINUTE_USED], n[MINUTE_RESET]),
        .hour = quota_of(rate->per_hour, n[HOUR_USED], n[HOUR_RESET]),
        .retry_after_s = n[ALLOWED] == 1 ? 0
                         : n[OPENS] > 0  ? (uint32_t)n[OPENS]
                                         : 1,
    };
    return true;
}
