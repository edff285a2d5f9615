/* SPDX-License-Identifier: MIT */
#include "ops/access_line.h"

#include "http/request.h"

#include <assert.h>

/* Most bytes of each text in a line, after escaping. */
enum {
    PEER_MAX = 64,
    METHOD_MAX = 32,
    TARGET_MAX = 1536,
    REFERER_MAX = 768,
    AGENT_MAX = 512,
    ID_MAX = 160,
    ROUTE_MAX = 160,
    TRACE_MAX = TRACE_ID_LEN + 3, /* 3: put_escaped() leaves room for its dots */
    PARENT_MAX = TRACE_PARENT_LEN + 3,
    TEXTS_MAX = 2 * PEER_MAX + METHOD_MAX + TARGET_MAX + REFERER_MAX + AGENT_MAX + ID_MAX + ROUTE_MAX + TRACE_MAX +
                PARENT_MAX,
    FIXED_MAX = 512, /* numbers, names, punctuation */
};
_Static_assert((int)TEXTS_MAX + (int)FIXED_MAX <= (int)ACCESS_LINE_MAX, "a line must hold all its parts");

/* --- putting bytes --------------------------------------------------------- */

/* Where the next byte goes. */
struct cursor {
    char *at;
};

static inline void put(struct cursor *c, const char *bytes, size_t n)
{
    memcpy(c->at, bytes, n);
    c->at += n;
}

#define PUT(c, literal) put((c), (literal), sizeof(literal) - 1)

static void put_uint(struct cursor *c, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(c, digits + n, sizeof(digits) - n);
}

static void put_3_digits(struct cursor *c, unsigned value)
{
    const char digits[3] = { (char)('0' + value / 100 % 10), (char)('0' + value / 10 % 10), (char)('0' + value % 10) };
    put(c, digits, sizeof(digits));
}

static const char hex[] = "0123456789abcdef";

/* The two ways of writing a byte that must not stand as it is. */
static size_t escape_text(unsigned char byte, char out[static 6])
{
    if (byte == '"' || byte == '\\') {
        out[0] = '\\';
        out[1] = (char)byte;
        return 2;
    }
    memcpy(out, (char[]){ '\\', 'x', hex[byte >> 4], hex[byte & 15] }, 4);
    return 4;
}

static size_t escape_json(unsigned char byte, char out[static 6])
{
    if (byte == '"' || byte == '\\')
        return escape_text(byte, out);
    if (byte >= 0x80)
        memcpy(out, "\\ufffd", 6);
    else
        memcpy(out, (char[]){ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] }, 6);
    return 6;
}

static inline bool is_plain(unsigned char byte) { return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\'; }

enum { WORD = sizeof(uint64_t) };

/* Whether all bytes of a word are plain: the sum, difference or equality that
 * would betray one that is not shows in the byte's top bit. A wrong "no" is
 * possible, a wrong "yes" is not. */
static inline bool all_plain(const char *bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t w;

    memcpy(&w, bytes, WORD);
    const uint64_t quote = w ^ ones * '"', backslash = w ^ ones * '\\';
    return ((w | (w - ones * 0x20) | (w + ones) | (quote - ones) | (backslash - ones)) & tops) == 0;
}

/* Copies plain bytes up to the first that is none, or the limit. */
static const char *put_plain(struct cursor *c, const char *from, const char *end, const char *limit)
{
    char *at = c->at;

    for (; end - from >= WORD && limit - at >= WORD && all_plain(from); from += WORD, at += WORD)
        memcpy(at, from, WORD);
    while (from < end && at < limit && is_plain((unsigned char)*from))
        *at++ = *from++;
    c->at = at;
    return from;
}

/* Writes what stands at `from` and is not plain: a UTF-8 sequence as it is (in
 * JSON), any other byte escaped. NULL when it does not fit. */
static const char *put_special(struct cursor *c, enum log_format format, const char *from, const char *end,
                               const char *limit)
{
    const size_t sequence = format == LOG_JSON && (unsigned char)*from >= 0x80 ? utf8_sequence(from, end) : 0;
    char escaped[6];
    const char *bytes = from;
    size_t n = sequence;

    if (n == 0) {
        n = (format == LOG_JSON ? escape_json : escape_text)((unsigned char)*from, escaped);
        bytes = escaped;
    }
    if ((size_t)(limit - c->at) < n)
        return NULL;
    put(c, bytes, n);
    return from + (sequence ? sequence : 1);
}

/* Writes s escaped, at most `max` bytes of it; a text that was cut ends in "...". */
static void put_escaped(struct cursor *c, enum log_format format, struct str s, size_t max)
{
    const char *from = s.ptr, *const end = s.ptr + s.len, *const limit = c->at + max - 3;

    for (;;) {
        from = put_plain(c, from, end, limit);
        if (from == end)
            return;
        from = is_plain((unsigned char)*from) ? NULL : put_special(c, format, from, end, limit);
        if (!from) {
            PUT(c, "...");
            return;
        }
    }
}

/* --- what the line says ------------------------------------------------------ */

/* The record, with what it leaves out found or empty. */
struct facts {
    struct str client, method, target, protocol, referer, agent, id, route;
    struct trace trace;
    struct str proxy;                    /* the peer, when that is not the client */
    char client_text[ADDRESS_TEXT_SIZE]; /* `client` then                         */
};

static void find_fields(const struct http_head *head, struct facts *f)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->name.len == 7 && str_eq_nocase(field->name, STR("referer")))
            f->referer = field->value;
        else if (field->name.len == 10 && str_eq_nocase(field->name, STR("user-agent")))
            f->agent = field->value;
    }
}

/* Behind a proxy, the client is who asked, and the peer who passed it on. */
static void find_client(const struct request *req, struct facts *f)
{
    if (!req->client.via_proxy)
        return;
    f->proxy = f->client;
    f->client = (struct str){ f->client_text, address_print(&req->client.address, f->client_text) };
}

static void find_facts(const struct exchange_record *record, struct facts *f)
{
    const struct request *req = record->req;

    *f = (struct facts){
        .client = record->peer,
        .method = record->method,
        .target = record->target,
        .protocol = STR("HTTP/1.1"),
    };
    if (!req)
        return;
    f->id = req->id;
    f->trace = req->trace;
    find_client(req, f);
    if (req->route)
        f->route = str_of(req->route->path);
    if (!req->head)
        return;
    if (req->head->minor == 0)
        f->protocol = STR("HTTP/1.0");
    find_fields(req->head, f);
}

static uint64_t microseconds(mono_ns duration) { return duration > 0 ? (uint64_t)duration / 1000 : 0; }

static void refresh_time(struct access_line *line, wall_ms now)
{
    const int64_t second = now / MS_PER_S;

    if (second == line->second)
        return;
    line->second = second;
    line->time_len = line->format == LOG_JSON ? clock_iso(second * MS_PER_S, line->time) - 1 /* without the Z */
                                              : clock_clf(second * MS_PER_S, line->time);
}

/* --- the two formats ----------------------------------------------------------- */

static void put_or_dash(struct cursor *c, struct str s, size_t max)
{
    if (s.len == 0)
        PUT(c, "-");
    else
        put_escaped(c, LOG_TEXT, s, max);
}

static void put_request_line(struct cursor *c, const struct facts *f)
{
    if (f->method.len == 0 && f->target.len == 0) {
        PUT(c, "-");
        return;
    }
    put_or_dash(c, f->method, METHOD_MAX);
    PUT(c, " ");
    put_or_dash(c, f->target, TARGET_MAX);
    PUT(c, " ");
    put(c, f->protocol.ptr, f->protocol.len);
}

static void put_text(struct cursor *c, const struct access_line *line, const struct exchange_record *record)
{
    const struct str cache = str_of(cache_outcome_name(record->cache));
    struct facts f;

    find_facts(record, &f);
    put_or_dash(c, f.client, PEER_MAX);
    PUT(c, " ");
    put_or_dash(c, f.proxy, PEER_MAX);
    PUT(c, " - [");
    put(c, line->time, line->time_len);
    PUT(c, "] \"");
    put_request_line(c, &f);
    PUT(c, "\" ");
    put_uint(c, (uint64_t)record->status);
    PUT(c, " ");
    put_uint(c, record->bytes);
    PUT(c, " \"");
    put_or_dash(c, f.referer, REFERER_MAX);
    PUT(c, "\" \"");
    put_or_dash(c, f.agent, AGENT_MAX);
    PUT(c, "\" ");
    put_uint(c, microseconds(record->duration));
    PUT(c, " ");
    put(c, cache.ptr, cache.len);
    PUT(c, " ");
    put_or_dash(c, f.id, ID_MAX);
    PUT(c, " ");
    put_uint(c, (uint64_t)line->worker);
    if (f.trace.id.len > 0) {
        PUT(c, " ");
        put_escaped(c, LOG_TEXT, f.trace.id, TRACE_MAX);
        PUT(c, "-");
        put_escaped(c, LOG_TEXT, f.trace.parent, PARENT_MAX);
    }
    PUT(c, "\n");
}

/* ,"name":"value" where `key` is everything before the value; nothing for an
 * empty one. */
static void put_member(struct cursor *c, struct str key, struct str value, size_t max)
{
    if (value.len == 0)
        return;
    put(c, key.ptr, key.len);
    put_escaped(c, LOG_JSON, value, max);
    PUT(c, "\"");
}

static void put_json(struct cursor *c, const struct access_line *line, const struct exchange_record *record,
                     wall_ms now)
{
    const struct str cache = str_of(cache_outcome_name(record->cache));
    struct facts f;

    find_facts(record, &f);
    PUT(c, "{\"time\":\"");
    put(c, line->time, line->time_len);
    PUT(c, ".");
    put_3_digits(c, (unsigned)(now % MS_PER_S));
    PUT(c, "Z\"");
    put_member(c, STR(",\"remote\":\""), f.client, PEER_MAX);
    put_member(c, STR(",\"proxy\":\""), f.proxy, PEER_MAX);
    put_member(c, STR(",\"method\":\""), f.method, METHOD_MAX);
    put_member(c, STR(",\"target\":\""), f.target, TARGET_MAX);
    put_member(c, STR(",\"protocol\":\""), f.protocol, f.protocol.len + 3);
    put_member(c, STR(",\"route\":\""), f.route, ROUTE_MAX);
    PUT(c, ",\"status\":");
    put_uint(c, (uint64_t)record->status);
    PUT(c, ",\"bytes\":");
    put_uint(c, record->bytes);
    PUT(c, ",\"duration_us\":");
    put_uint(c, microseconds(record->duration));
    put_member(c, STR(",\"cache\":\""), record->cache == CACHE_NONE ? STR_EMPTY : cache, cache.len + 3);
    put_member(c, STR(",\"referer\":\""), f.referer, REFERER_MAX);
    put_member(c, STR(",\"user_agent\":\""), f.agent, AGENT_MAX);
    put_member(c, STR(",\"request_id\":\""), f.id, ID_MAX);
    put_member(c, STR(",\"trace_id\":\""), f.trace.id, TRACE_MAX);
    put_member(c, STR(",\"parent_id\":\""), f.trace.parent, PARENT_MAX);
    PUT(c, ",\"worker\":");
    put_uint(c, (uint64_t)line->worker);
    PUT(c, "}\n");
}

size_t access_line_format(struct access_line *line, const struct exchange_record *record, char *out)
{
    struct cursor c = { out };
    const wall_ms now = clock_wall();

    refresh_time(line, now);
    if (line->format == LOG_JSON)
        put_json(&c, line, record, now);
    else
        put_text(&c, line, record);
    assert((size_t)(c.at - out) <= ACCESS_LINE_MAX);
    return (size_t)(c.at - out);
}
