/* SPDX-License-Identifier: MIT */
#include "settings/value.h"

#define MASK "********"

enum { NUMBER_DIGITS_MAX = 15 }; /* a double holds them exactly */

/* A word after a number and what it multiplies by; NULL name at the end. */
struct unit {
    const char *name;
    double factor;
};

static const struct unit byte_units[] = {
    { "G", 1024.0 * 1024 * 1024 }, { "M", 1024.0 * 1024 }, { "K", 1024.0 }, { "", 1 }, { NULL, 0 },
};
static const struct unit time_units[] = {
    { "", 1 }, { "s", 1 }, { "ms", 0.001 }, { "m", 60 }, { "h", 3600 }, { NULL, 0 },
};

static const struct {
    const char *word;
    bool value;
} bool_words[] = {
    { "true", true },   { "1", true },  { "yes", true }, { "on", true },
    { "false", false }, { "0", false }, { "no", false }, { "off", false },
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const void *member_of(const struct setting *row, const struct settings *s)
{
    return (const char *)s + row->offset;
}

static bool in_bounds(const struct setting *row, double value) { return value >= row->min && value <= row->max; }

static enum err read_bool(const struct setting *row, struct str text, struct settings *s, void *member)
{
    (void)row, (void)s;
    for (size_t i = 0; i < sizeof(bool_words) / sizeof(bool_words[0]); i++) {
        if (str_eq_nocase(text, str_of(bool_words[i].word))) {
            *(bool *)member = bool_words[i].value;
            return OK;
        }
    }
    return E_INVALID;
}

static enum err read_int(const struct setting *row, struct str text, struct settings *s, void *member)
{
    int64_t value;

    (void)s;
    if (str_to_int(text, (int64_t)row->min, (int64_t)row->max, &value) != OK)
        return E_INVALID;
    *(int *)member = (int)value;
    return OK;
}

static const struct unit *find_unit(const struct unit *units, struct str word)
{
    for (; units->name; units++) {
        if (str_eq_nocase(word, str_of(units->name)))
            return units;
    }
    return NULL;
}

/* Length of the digits at the front. */
static size_t digits(struct str text, size_t from)
{
    size_t n = 0;

    while (from + n < text.len && is_digit(text.ptr[from + n]))
        n++;
    return n;
}

/* Whole digits at the front as a number; the caller bounded their count. */
static double digits_value(struct str text, size_t from, size_t n, double start)
{
    for (size_t i = 0; i < n; i++)
        start = start * 10 + (text.ptr[from + i] - '0');
    return start;
}

/* "10M": digits and a unit. */
static enum err read_bytes(const struct setting *row, struct str text, struct settings *s, void *member)
{
    const size_t n = digits(text, 0);
    const struct unit *unit = find_unit(byte_units, str_trim(str_slice(text, n, text.len)));

    (void)s;
    if (n == 0 || n > NUMBER_DIGITS_MAX || !unit)
        return E_INVALID;
    const double value = digits_value(text, 0, n, 0) * unit->factor;
    if (!in_bounds(row, value))
        return E_INVALID;
    *(int64_t *)member = (int64_t)value;
    return OK;
}

/* "0.5", "30s": digits, perhaps a point and more digits, and a unit. The digits
 * are read as one whole number and divided once, so 0.1 is the nearest double. */
static enum err read_seconds(const struct setting *row, struct str text, struct settings *s, void *member)
{
    const size_t whole = digits(text, 0);
    const bool point = whole < text.len && text.ptr[whole] == '.';
    const size_t part = point ? digits(text, whole + 1) : 0;
    const struct unit *unit = find_unit(time_units, str_trim(str_slice(text, whole + point + part, text.len)));

    (void)s;
    if (whole == 0 || (point && part == 0) || whole + part > NUMBER_DIGITS_MAX || !unit)
        return E_INVALID;
    double scale = 1;
    for (size_t i = 0; i < part; i++)
        scale *= 10;
    const double number = digits_value(text, whole + 1, part, digits_value(text, 0, whole, 0)) / scale;
    if (!in_bounds(row, number * unit->factor))
        return E_INVALID;
    *(double *)member = number * unit->factor;
    return OK;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

static enum err keep(struct str text, struct settings *s, struct str *member)
{
    const struct str copy = arena_str(&s->arena, text);

    if (!copy.ptr)
        return E_NO_MEMORY;
    *member = copy;
    return OK;
}

static bool empty_is_fine(const struct setting *row, struct str text)
{
    return text.len == 0 && !(row->flags & NOT_EMPTY);
}

static enum err read_text(const struct setting *row, struct str text, struct settings *s, void *member)
{
    if (!empty_is_fine(row, text) && !in_bounds(row, (double)text.len))
        return E_INVALID;
    if (has_control(text))
        return E_INVALID;
    return keep(text, s, member);
}

static enum err read_address(const struct setting *row, struct str text, struct settings *s, void *member)
{
    const bool brackets = str_starts_with(text, STR("[")) && str_ends_with(text, STR("]"));
    const struct str name = brackets ? str_slice(text, 1, text.len - 1) : text; /* as a URL has it */
    struct address ignored;

    return empty_is_fine(row, text) || address_parse(name, &ignored) == OK ? keep(name, s, member) : E_INVALID;
}

static enum err read_mode(const struct setting *row, struct str text, struct settings *s, void *member)
{
    unsigned mode = 0;

    (void)s;
    if (text.len < 3 || text.len > 4)
        return E_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '7')
            return E_INVALID;
        mode = mode * 8 + (unsigned)(text.ptr[i] - '0');
    }
    if (!in_bounds(row, mode))
        return E_INVALID;
    *(unsigned *)member = mode;
    return OK;
}

/* Index of the word among the choices; -1 when it is none. */
static int choice_of(const struct setting *row, struct str word)
{
    for (int i = 0; row->choices[i]; i++) {
        if (str_eq_nocase(word, str_of(row->choices[i])))
            return i;
    }
    return -1;
}

/* A URL of these has a path and no host. */
static bool names_socket(struct str scheme)
{
    return str_eq_nocase(scheme, STR("unix")) || str_eq_nocase(scheme, STR("redis+unix"));
}

static bool is_url(const struct setting *row, struct str text)
{
    const size_t colon = str_find(text, ':', 0);
    const struct str scheme = str_slice(text, 0, colon), rest = str_slice(text, colon, text.len);

    return choice_of(row, scheme) >= 0 && str_starts_with(rest, STR("://")) && rest.len > STR("://").len &&
           (rest.ptr[STR("://").len] != '/' || names_socket(scheme)) && str_find(text, ' ', 0) == text.len;
}

static enum err read_url(const struct setting *row, struct str text, struct settings *s, void *member)
{
    if (!empty_is_fine(row, text) && !is_url(row, text))
        return E_INVALID;
    return read_text(row, text, s, member);
}

static enum err read_choice(const struct setting *row, struct str text, struct settings *s, void *member)
{
    const int i = choice_of(row, text);

    (void)s;
    if (i < 0)
        return E_INVALID;
    *(unsigned *)member = (unsigned)i;
    return OK;
}

/* How many pieces the commas make; 0 when one of them is empty or too many. */
static size_t count_pieces(const struct setting *row, struct str text)
{
    size_t n = 0;

    for (struct str rest = text; rest.ptr; n++) {
        if (str_trim(str_split(&rest, ',')).len == 0 || (double)n >= row->max)
            return 0;
    }
    return n;
}

static enum err read_list(const struct setting *row, struct str text, struct settings *s, void *member)
{
    const size_t count = count_pieces(row, text);
    struct str rest;

    if (text.len == 0) {
        *(struct str_list *)member = (struct str_list){ 0 };
        return OK;
    }
    if (count == 0 || has_control(text))
        return E_INVALID;
    struct str *rows = arena_array(&s->arena, struct str, count);
    if (!rows)
        return E_NO_MEMORY;
    rest = text;
    for (size_t i = 0; i < count; i++) {
        if (keep(str_trim(str_split(&rest, ',')), s, &rows[i]) != OK)
            return E_NO_MEMORY;
    }
    *(struct str_list *)member = (struct str_list){ count, rows };
    return OK;
}

static enum err read_cidrs(const struct setting *row, struct str text, struct settings *s, void *member)
{
    struct str ignored;

    (void)row, (void)s;
    return cidr_list_parse(text, member, &ignored) == OK ? OK : E_INVALID;
}

static void allowed_bool(const struct setting *row, struct buf *out)
{
    (void)row;
    buf_cstr(out, "True or False (or 1/0, yes/no, on/off)");
}

static void allowed_int(const struct setting *row, struct buf *out)
{
    buf_printf(out, "a whole number from %.0f to %.0f", row->min, row->max);
}

static void bytes_text(double bytes, struct buf *out)
{
    const struct unit *unit = byte_units;

    while (unit->factor > 1 &&
           (bytes < unit->factor || (double)(int64_t)(bytes / unit->factor) * unit->factor != bytes))
        unit++;
    buf_printf(out, "%.0f%s", bytes / unit->factor, unit->name);
}

static void allowed_bytes(const struct setting *row, struct buf *out)
{
    buf_cstr(out, "a size from ");
    bytes_text(row->min, out);
    buf_cstr(out, " to ");
    bytes_text(row->max, out);
    buf_cstr(out, ", such as 4096, 64K, 10M or 1G");
}

static void allowed_seconds(const struct setting *row, struct buf *out)
{
    buf_printf(out, "seconds from %.10g to %.10g, or with a unit: 500ms, 30s, 5m, 1h", row->min, row->max);
}

static void allowed_text(const struct setting *row, struct buf *out)
{
    const char *empty = row->min > 1 && !(row->flags & NOT_EMPTY) ? ", or nothing" : "";

    if (row->min > 0)
        buf_printf(out, "text of %.0f to %.0f bytes%s", row->min, row->max, empty);
    else
        buf_printf(out, "text of at most %.0f bytes", row->max);
    buf_cstr(out, ", without control characters");
}

static void allowed_address(const struct setting *row, struct buf *out)
{
    buf_cstr(out, "an IPv4 or IPv6 address, such as 0.0.0.0, 127.0.0.1 or ::1");
    if (!(row->flags & NOT_EMPTY))
        buf_cstr(out, ", or nothing");
}

static void allowed_mode(const struct setting *row, struct buf *out)
{
    buf_printf(out, "the mode of a file in octal, at most %04o, such as 0660", (unsigned)row->max);
}

/* "a", "a or b", "a, b or c" */
static void alternatives(const struct setting *row, const char *after, struct buf *out)
{
    for (size_t i = 0; row->choices[i]; i++) {
        if (i > 0)
            buf_cstr(out, row->choices[i + 1] ? ", " : " or ");
        buf_cstr(out, row->choices[i]);
        buf_cstr(out, after);
    }
}

static void allowed_url(const struct setting *row, struct buf *out)
{
    buf_cstr(out, "a URL that begins with ");
    alternatives(row, "://", out);
    if (!(row->flags & NOT_EMPTY))
        buf_cstr(out, ", or nothing");
}

static void allowed_choice(const struct setting *row, struct buf *out) { alternatives(row, "", out); }

static void allowed_list(const struct setting *row, struct buf *out)
{
    buf_printf(out, "a list with commas between, of at most %.0f, none of them empty", row->max);
}

static void allowed_cidrs(const struct setting *row, struct buf *out)
{
    buf_printf(out, "at most %.0f address ranges with commas between, such as 10.0.0.0/8,fd00::/8,192.0.2.1, or unix",
               row->max);
}

static void json_of_bool(const struct setting *row, const struct settings *s, struct json *out)
{
    json_bool(out, *(const bool *)member_of(row, s));
}

static void json_of_int(const struct setting *row, const struct settings *s, struct json *out)
{
    json_int(out, *(const int *)member_of(row, s));
}

static void json_of_bytes(const struct setting *row, const struct settings *s, struct json *out)
{
    json_int(out, *(const int64_t *)member_of(row, s));
}

static void json_of_seconds(const struct setting *row, const struct settings *s, struct json *out)
{
    json_double(out, *(const double *)member_of(row, s));
}

static void json_of_choice(const struct setting *row, const struct settings *s, struct json *out)
{
    json_str(out, str_of(row->choices[*(const unsigned *)member_of(row, s)]));
}

static void json_of_text(const struct setting *row, const struct settings *s, struct json *out)
{
    const struct str text = settings_origin(s, row)->text;
    struct buf shown;

    buf_init(&shown, text.len + sizeof(MASK) + 1);
    value_shown(row, text, &shown);
    json_str(out, buf_view(&shown));
    buf_done(&shown);
}

static void json_of_pieces(const struct setting *row, const struct settings *s, struct json *out)
{
    const struct str text = str_trim(settings_origin(s, row)->text);
    struct str rest = text.len > 0 ? text : (struct str){ NULL, 0 };

    json_array(out);
    while (rest.ptr)
        json_str(out, str_trim(str_split(&rest, ',')));
    json_array_end(out);
}

static const struct {
    enum err (*read)(const struct setting *row, struct str text, struct settings *s, void *member);
    void (*allowed)(const struct setting *row, struct buf *out);
    void (*json)(const struct setting *row, const struct settings *s, struct json *out);
} kinds[SET_KIND_COUNT] = {
    [SET_BOOL] = { read_bool, allowed_bool, json_of_bool },
    [SET_INT] = { read_int, allowed_int, json_of_int },
    [SET_BYTES] = { read_bytes, allowed_bytes, json_of_bytes },
    [SET_SECONDS] = { read_seconds, allowed_seconds, json_of_seconds },
    [SET_TEXT] = { read_text, allowed_text, json_of_text },
    [SET_ADDRESS] = { read_address, allowed_address, json_of_text },
    [SET_MODE] = { read_mode, allowed_mode, json_of_text },
    [SET_URL] = { read_url, allowed_url, json_of_text },
    [SET_CHOICE] = { read_choice, allowed_choice, json_of_choice },
    [SET_LIST] = { read_list, allowed_list, json_of_pieces },
    [SET_CIDRS] = { read_cidrs, allowed_cidrs, json_of_pieces },
};

enum err value_read(const struct setting *row, struct str text, struct settings *s)
{
    return kinds[row->kind].read(row, text, s, (char *)s + row->offset);
}

void value_allowed(const struct setting *row, struct buf *out) { kinds[row->kind].allowed(row, out); }

void value_json(const struct setting *row, const struct settings *s, struct json *out)
{
    kinds[row->kind].json(row, s, out);
}

/* All up to the last '@' but the scheme is masked: a password may hold one. */
static void url_without_user(struct str url, struct buf *out)
{
    size_t at = url.len;

    while (at > 0 && url.ptr[at - 1] != '@')
        at--;
    if (at == 0) {
        buf_str(out, url);
        return;
    }
    const size_t colon = str_find(url, ':', 0);
    const struct str scheme = str_slice(url, 0, colon + 3);
    if (str_ends_with(scheme, STR("://")))
        buf_str(out, scheme);
    buf_cstr(out, MASK "@");
    buf_str(out, str_slice(url, at, url.len));
}

void value_shown(const struct setting *row, struct str text, struct buf *out)
{
    if (row->flags & SECRET_INSIDE)
        url_without_user(text, out);
    else if (!(row->flags & SECRET))
        buf_str(out, text);
    else if (text.len > 0)
        buf_cstr(out, MASK);
}
