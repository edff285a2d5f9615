/* SPDX-License-Identifier: MIT */
/* Request heads: a scan for the end, then one pass over the bytes.
 *
 * The scan looks at line ends only (and for NUL), so that it can stop and go on
 * at any byte; the pass judges everything else. What the two say together does
 * not depend on how the bytes arrived: each limit is judged at a fixed position
 * (the fuzzer holds us to that).
 *
 * Fields that matter to framing or routing are rows of `rules`; each row's
 * function notes what it learns in `struct pass`, and settle() draws the
 * conclusions when all fields are known.
 */
#include "http/parser.h"

#include "http/chars.h"

static const struct str method_names[] = {
#define X(name, token) [name] = { token, sizeof(token) - 1 },
    HTTP_METHODS(X)
#undef X
};

const char *http_method_name(enum http_method m) { return (unsigned)m < HTTP_METHOD_COUNT ? method_names[m].ptr : "-"; }

/* ---- where the head ends ---- */

static enum http_parse refuse_scan(struct http_refusal *ret_refusal, int status, const char *reason)
{
    *ret_refusal = (struct http_refusal){ status, reason };
    return HTTP_PARSE_BAD;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* No line end in bytes[line_start, window): more to come, or too much already? */
static enum http_parse line_open(const struct http_scan *scan, size_t window, struct http_refusal *ret_refusal)
{
    if (window == scan->line_start + HTTP_LINE_MAX + 2)
        return scan->lines == 0 ? refuse_scan(ret_refusal, 414, "The request line is too long.")
                                : refuse_scan(ret_refusal, 431, "A header field is too long.");
    if (window == HTTP_HEAD_MAX)
        return refuse_scan(ret_refusal, 431, "The request header is too long.");
    return HTTP_PARSE_MORE;
}

/* A line ended with the LF at `at`. MORE: another line follows. */
static enum http_parse line_ended(struct http_scan *scan, const char *bytes, size_t at,
                                  struct http_refusal *ret_refusal)
{
    if (at == scan->line_start || bytes[at - 1] != '\r')
        return refuse_scan(ret_refusal, 400, "A line ends without carriage return.");
    const bool empty = at - 1 == scan->line_start;
    if (empty && scan->lines > 0)
        return HTTP_PARSE_DONE;
    if (empty && scan->line_start > 0)
        return refuse_scan(ret_refusal, 400, "The request line is empty.");
    scan->lines += !empty;
    scan->line_start = at + 1;
    if (scan->lines > 1 + HTTP_FIELDS_MAX)
        return refuse_scan(ret_refusal, 431, "The request has too many header fields.");
    return HTTP_PARSE_MORE;
}

static enum http_parse scan_lines(struct http_scan *scan, const char *bytes, size_t len,
                                  struct http_refusal *ret_refusal)
{
    for (;;) {
        const size_t window = least(len, least(scan->line_start + HTTP_LINE_MAX + 2, HTTP_HEAD_MAX));
        const char *lf = scan->pos < window ? memchr(bytes + scan->pos, '\n', window - scan->pos) : NULL;
        if (!lf) {
            scan->pos = window;
            return line_open(scan, window, ret_refusal);
        }
        scan->pos = (size_t)(lf - bytes) + 1;
        const enum http_parse verdict = line_ended(scan, bytes, scan->pos - 1, ret_refusal);
        if (verdict != HTTP_PARSE_MORE)
            return verdict;
    }
}

enum http_parse http_scan_head(struct http_scan *scan, const char *bytes, size_t len, size_t *ret_len,
                               struct http_refusal *ret_refusal)
{
    const size_t begin = scan->pos;
    const enum http_parse verdict = scan_lines(scan, bytes, len, ret_refusal);
    if (scan->pos > begin && memchr(bytes + begin, '\0', scan->pos - begin))
        return refuse_scan(ret_refusal, 400, "The request header holds a NUL byte.");
    if (verdict == HTTP_PARSE_DONE)
        *ret_len = scan->pos;
    return verdict;
}

/* ---- the head itself ---- */

enum seen {
    SEEN_HOST = 1 << 0,
    SEEN_LENGTH = 1 << 1,
    SEEN_CODING = 1 << 2,
    SEEN_CONTENT_TYPE = 1 << 3,
};

/* What is known half-way through a head. */
struct pass {
    struct http_head *head;
    struct http_refusal *refusal;
    struct str authority; /* of an absolute-form target; else NULL */
    unsigned seen;        /* enum seen                             */
    bool close, persist;  /* Connection: close, keep-alive         */
};

static bool refuse(struct pass *p, int status, const char *reason)
{
    *p->refusal = (struct http_refusal){ status, reason };
    return false;
}

/* HTTP-version, the last 8 bytes of the request line. */
static bool parse_version(struct pass *p, struct str v)
{
    if (memcmp(v.ptr, "HTTP/", 5) != 0 || !char_is(v.ptr[5], CHAR_DIGIT) || v.ptr[6] != '.' ||
        !char_is(v.ptr[7], CHAR_DIGIT))
        return refuse(p, 400, "The request line is not well formed.");
    if (v.ptr[5] != '1')
        return refuse(p, 505, "This server speaks HTTP/1.1 and HTTP/1.0.");
    p->head->minor = v.ptr[7] != '0';
    return true;
}

static bool parse_method(struct pass *p, struct str token)
{
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (str_eq(token, method_names[m])) {
            p->head->method = (enum http_method)m;
            return true;
        }
    }
    return refuse(p, 501, "This server does not know the request method.");
}

/* scheme "://" authority path-abempty [ "?" query ] */
static bool parse_absolute(struct pass *p, struct str target)
{
    static const struct str schemes[] = { STR("http://"), STR("https://") };
    size_t start = 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_eq_nocase(str_slice(target, 0, schemes[i].len), schemes[i]))
            start = schemes[i].len;
    if (start == 0)
        return refuse(p, 400, "The request target is not well formed.");
    size_t end = start;
    while (end < target.len && target.ptr[end] != '/' && target.ptr[end] != '?')
        end++;
    p->authority = str_slice(target, start, end);
    p->head->target = end < target.len ? str_slice(target, end, target.len) : STR("/");
    return true;
}

static bool parse_target(struct pass *p, struct str target)
{
    p->head->target = target;
    if (target.ptr[0] == '/')
        return true;
    if (str_eq(target, STR("*")))
        return p->head->method == HTTP_OPTIONS || refuse(p, 400, "The target * is for OPTIONS only.");
    return parse_absolute(p, target);
}

/* method SP target SP version; single spaces, nothing else. */
static bool parse_request_line(struct pass *p, struct str line)
{
    enum { VERSION_LEN = 8 };
    const size_t first = str_find(line, ' ', 0);
    if (first == 0 || line.len < first + 1 + 1 + 1 + VERSION_LEN || line.ptr[line.len - VERSION_LEN - 1] != ' ')
        return refuse(p, 400, "The request line is not well formed.");
    const struct str method = { line.ptr, first };
    const struct str target = { line.ptr + first + 1, line.len - first - 2 - VERSION_LEN };
    if (!chars_all(method, CHAR_TOKEN))
        return refuse(p, 400, "The request method is not well formed.");
    if (!chars_all(target, CHAR_TARGET))
        return refuse(p, 400, "The request target holds a character that must be percent-encoded.");
    return parse_version(p, (struct str){ line.ptr + line.len - VERSION_LEN, VERSION_LEN }) &&
           parse_method(p, method) && parse_target(p, target);
}

/* ---- fields with a meaning of their own ---- */

static bool port_valid(struct str port)
{
    int64_t number = 0;
    for (size_t i = 0; i < port.len; i++) {
        if (i == 5 || !char_is(port.ptr[i], CHAR_DIGIT))
            return false;
        number = number * 10 + (port.ptr[i] - '0');
    }
    return number <= 65535;
}

/* The end of "[...]", of which only hexadecimal digits, ':' and '.' are judged;
 * 0 when it is none. */
static size_t address_literal(struct str s)
{
    size_t i = 1;
    while (i < s.len && (char_is(s.ptr[i], CHAR_HEX) || s.ptr[i] == ':' || s.ptr[i] == '.'))
        i++;
    return i > 2 && i < s.len && s.ptr[i] == ']' ? i + 1 : 0;
}

static bool host_valid(struct str s)
{
    size_t end = 0;
    if (s.len > 0 && s.ptr[0] == '[')
        end = address_literal(s);
    else
        while (end < s.len && char_is(s.ptr[end], CHAR_HOST))
            end++;
    if (end == 0 || s.len > 255 + 6)
        return false;
    return end == s.len || (s.ptr[end] == ':' && port_valid(str_slice(s, end + 1, s.len)));
}

static bool on_host(struct pass *p, struct str value)
{
    p->head->host = value;
    return host_valid(value) || refuse(p, 400, "The Host field is not a host name with an optional port.");
}

static bool on_content_length(struct pass *p, struct str value)
{
    enum { DIGITS_MAX = 18 }; /* fits int64_t whatever the digits */
    if (value.len == 0 || !chars_all(value, CHAR_DIGIT) || (value.len > 1 && value.ptr[0] == '0'))
        return refuse(p, 400, "The Content-Length field is not a plain number.");
    if (value.len > DIGITS_MAX)
        return refuse(p, 400, "The Content-Length field is out of range.");
    int64_t length = 0;
    for (size_t i = 0; i < value.len; i++)
        length = length * 10 + (value.ptr[i] - '0');
    p->head->content_length = length;
    return true;
}

/* "chunked" alone. Another single coding is one we lack (501); a list, or what
 * is no coding at all, is malformed to us, since "chunked" must come once and
 * last and nothing else is known to come before it. */
static bool on_transfer_encoding(struct pass *p, struct str value)
{
    if (str_eq_nocase(value, STR("chunked"))) {
        p->head->chunked = true;
        return true;
    }
    if (value.len == 0 || !chars_all(value, CHAR_TOKEN) || str_eq_nocase(value, STR("identity")))
        return refuse(p, 400, "The Transfer-Encoding field is not well formed.");
    return refuse(p, 501, "This server knows no transfer coding but chunked.");
}

static bool on_connection(struct pass *p, struct str value)
{
    for (struct str rest = value; rest.ptr;) {
        const struct str option = str_trim(str_split(&rest, ','));
        p->close |= str_eq_nocase(option, STR("close"));
        p->persist |= str_eq_nocase(option, STR("keep-alive"));
    }
    return true;
}

/* An HTTP/1.0 client cannot know of 100 (Continue): ignored (RFC 9110 §10.1.1). */
static bool on_expect(struct pass *p, struct str value)
{
    if (p->head->minor == 0)
        return true;
    p->head->expect_continue = true;
    return str_eq_nocase(value, STR("100-continue")) || refuse(p, 417, "This server cannot meet that expectation.");
}

static bool on_content_type(struct pass *p, struct str value)
{
    (void)p, (void)value; /* only its number matters here */
    return true;
}

/* Some servers read "_" as "-": these two must not pass through us to them. */
static bool on_lookalike(struct pass *p, struct str value)
{
    (void)value;
    return refuse(p, 400, "A framing field is spelled with an underscore.");
}

static const struct rule {
    struct str name;
    unsigned once; /* enum seen: may be given once only; 0: as often as one likes */
    bool (*note)(struct pass *p, struct str value);
} rules[] = {
    { STR("host"), SEEN_HOST, on_host },
    { STR("content-length"), SEEN_LENGTH, on_content_length },
    { STR("transfer-encoding"), SEEN_CODING, on_transfer_encoding },
    { STR("content-type"), SEEN_CONTENT_TYPE, on_content_type },
    { STR("connection"), 0, on_connection },
    { STR("expect"), 0, on_expect },
    { STR("transfer_encoding"), 0, on_lookalike },
    { STR("content_length"), 0, on_lookalike },
};

static bool note_field(struct pass *p, struct http_field field)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];
        if (rule->name.len != field.name.len || !str_eq_nocase(rule->name, field.name))
            continue;
        if (p->seen & rule->once)
            return refuse(p, 400, "A field that may stand once is repeated.");
        p->seen |= rule->once;
        return rule->note(p, field.value);
    }
    return true;
}

/* First byte of [p, end) that no field value may hold. Eight at a time: a word
 * with a byte below 0x20 or equal to 0x7f is then looked at closely. */
static const char *value_end(const char *p, const char *end)
{
    const uint64_t ones = UINT64_MAX / 255, high = ones << 7;
    for (;;) {
        uint64_t word;
        while ((size_t)(end - p) >= sizeof(word)) {
            memcpy(&word, p, sizeof(word));
            const uint64_t del = word ^ (ones * 0x7f);
            if ((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & high)
                break;
            p += sizeof(word);
        }
        while (p < end && char_is(*p, CHAR_VALUE) && *p != '\t')
            p++;
        if (p == end || *p != '\t')
            return p;
        p++;
    }
}

/* The field line at *at; moves behind its line end. */
static bool parse_field(struct pass *p, const char **at, const char *end)
{
    const char *name = *at, *colon = name;
    while (colon < end && char_is(*colon, CHAR_TOKEN))
        colon++;
    if (colon == name || colon == end || *colon != ':')
        return refuse(p, 400,
                      *name == ' ' || *name == '\t' ? "A header field is folded over two lines."
                                                    : "A header field's name is not well formed.");
    const char *value = colon + 1, *stop = value_end(value, end);
    if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
        return refuse(p, 400, "A header field's value holds a control character.");
    if (p->head->field_count == HTTP_FIELDS_MAX)
        return refuse(p, 431, "The request has too many header fields.");
    const struct http_field field = {
        .name = { name, (size_t)(colon - name) },
        .value = str_trim((struct str){ value, (size_t)(stop - value) }),
    };
    p->head->fields[p->head->field_count++] = field;
    *at = stop + 2;
    return note_field(p, field);
}

/* What the fields mean together. */
static bool settle(struct pass *p)
{
    struct http_head *head = p->head;
    if (!(p->seen & SEEN_HOST) && (head->minor == 1 || p->authority.ptr))
        return refuse(p, 400, "The Host field is missing.");
    if (p->authority.ptr && !str_eq_nocase(p->authority, head->host))
        return refuse(p, 400, "The request target and the Host field name different hosts.");
    if ((p->seen & SEEN_CODING) && (p->seen & SEEN_LENGTH))
        return refuse(p, 400, "The request has both Content-Length and Transfer-Encoding.");
    if ((p->seen & SEEN_CODING) && head->minor == 0)
        return refuse(p, 400, "Transfer-Encoding is not part of HTTP/1.0.");
    head->keep_alive = !p->close && (head->minor == 1 || p->persist);
    head->expect_continue = head->expect_continue && (head->chunked || head->content_length > 0);
    return true;
}

/* Member by member: clearing `fields` would cost more than a whole parse. */
static void begin(struct http_head *head)
{
    head->method = HTTP_METHOD_COUNT;
    head->target = head->host = STR_EMPTY;
    head->minor = 1;
    head->keep_alive = head->chunked = head->expect_continue = false;
    head->content_length = 0;
    head->field_count = 0;
}

bool http_parse_head(const char *bytes, size_t len, struct http_head *ret_head, struct http_refusal *ret_refusal)
{
    struct pass p = { .head = ret_head, .refusal = ret_refusal };
    begin(ret_head);
    const char *at = bytes, *end = bytes + len;
    if (len >= 2 && memcmp(at, "\r\n", 2) == 0)
        at += 2;
    const char *lf = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (!lf || lf == at || lf[-1] != '\r')
        return refuse(&p, 400, "The request line is not well formed.");
    if (!parse_request_line(&p, (struct str){ at, (size_t)(lf - 1 - at) }))
        return false;
    at = lf + 1;
    while (end - at >= 2 && memcmp(at, "\r\n", 2) != 0)
        if (!parse_field(&p, &at, end))
            return false;
    if (end - at != 2)
        return refuse(&p, 400, "The request header is not well formed.");
    return settle(&p);
}

const struct http_field *http_find(const struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (head->fields[i].name.len == name.len && str_eq_nocase(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}
