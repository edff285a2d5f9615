/* SPDX-License-Identifier: MIT */
#include "http/negotiate.h"

#include "http/chars.h"

/* Cuts the text before the first `separator` outside of quotes off the front of
 * *rest, trimmed; after the last piece *rest has a NULL pointer. */
static struct str cut(struct str *rest, char separator)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->len && (quoted || rest->ptr[i] != separator); i++) {
        if (rest->ptr[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->ptr[i] == '\\')
            i++;
    }
    const struct str piece = str_slice(*rest, 0, i);
    *rest = i < rest->len ? str_slice(*rest, i + 1, rest->len) : (struct str){ NULL, 0 };
    return str_trim(piece);
}

/* "1", "0.25", "0.250", "1.000" in thousandths; -1 for what is no weight. */
static int weight(struct str s)
{
    if (s.len == 0 || s.len > 5 || (s.ptr[0] != '0' && s.ptr[0] != '1') || (s.len > 1 && s.ptr[1] != '.'))
        return -1;
    int value = s.ptr[0] - '0';
    for (size_t i = 2; i < 5; i++) {
        const char c = i < s.len ? s.ptr[i] : '0';
        if (!char_is(c, CHAR_DIGIT))
            return -1;
        value = value * 10 + (c - '0');
    }
    return value <= 1000 ? value : -1;
}

/* An element of the list: name *(;parameter) of which one may be q. */
struct choice {
    struct str name;
    int q;
};

static struct choice next_choice(struct str *rest)
{
    struct str element = cut(rest, ',');
    struct choice choice = { .name = cut(&element, ';'), .q = 1000 };
    while (element.ptr) {
        const struct str parameter = cut(&element, ';');
        if (parameter.len >= 2 && (parameter.ptr[0] | 0x20) == 'q' && parameter.ptr[1] == '=')
            choice.q = weight(str_slice(parameter, 2, parameter.len));
    }
    return choice;
}

unsigned accept_encoding(struct str value)
{
    static const struct {
        struct str name;
        unsigned coding;
    } known[] = {
        { STR("gzip"), CODING_GZIP },
        { STR("x-gzip"), CODING_GZIP },
        { STR("br"), CODING_BR },
        { STR("identity"), CODING_NO_IDENTITY },
    };
    unsigned accepted = 0, named = 0;
    int others = -1; /* the weight of "*" */
    for (struct str rest = value; rest.ptr;) {
        const struct choice choice = next_choice(&rest);
        if (choice.q < 0)
            continue;
        if (str_eq(choice.name, STR("*")))
            others = choice.q;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (!str_eq_nocase(choice.name, known[i].name))
                continue;
            named |= known[i].coding;
            accepted |= choice.q > 0 ? known[i].coding : 0;
        }
    }
    if (others > 0)
        accepted |= (CODING_GZIP | CODING_BR) & ~named;
    const bool refused = named & CODING_NO_IDENTITY ? !(accepted & CODING_NO_IDENTITY) : others == 0;
    return (accepted & (CODING_GZIP | CODING_BR)) | (refused ? CODING_NO_IDENTITY : 0);
}

/* How closely a range fits: 0 not at all, 1 any, 2 the same type, 3 exactly. */
static int closeness(struct str range, struct str type)
{
    if (str_eq_nocase(range, type))
        return 3;
    if (str_eq(range, STR("*/*")))
        return 1;
    const size_t slash = str_find(range, '/', 0);
    const bool same = str_eq(str_slice(range, slash, range.len), STR("/*")) &&
                      str_eq_nocase(str_slice(range, 0, slash + 1), str_slice(type, 0, slash + 1));
    return same ? 2 : 0;
}

int accepts(struct str accept, struct str type)
{
    if (str_trim(accept).len == 0)
        return 1000;
    int best = 0, q = 0;
    for (struct str rest = accept; rest.ptr;) {
        const struct choice choice = next_choice(&rest);
        const int fit = choice.q < 0 ? 0 : closeness(choice.name, type);
        if (fit > best || (fit == best && fit > 0 && choice.q > q)) {
            best = fit;
            q = choice.q;
        }
    }
    return q;
}
