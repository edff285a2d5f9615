/* SPDX-License-Identifier: MIT */
/* Indian grouping: hundreds, then thousands, lakhs and crores of two digits
 * each; what is above a crore is counted in crores. */
#include "app/rupees.h"

#include <assert.h>

#include "base/buf.h"

enum { WORDS_MAX_BYTES = 1024, PAISE = 100, CRORE = 10000000 };

static const char *const small[] = {
    "Zero", "One",    "Two",    "Three",    "Four",     "Five",    "Six",     "Seven",     "Eight",    "Nine",
    "Ten",  "Eleven", "Twelve", "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen",
};
static const char *const tens[] = {
    "", "", "Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety",
};

static const struct {
    int64_t size;
    const char *name;
} groups[] = {
    { 100000, "Lakh" },
    { 1000, "Thousand" },
    { 100, "Hundred" },
};

static void word(struct buf *b, const char *text)
{
    if (b->len)
        buf_byte(b, ' ');
    buf_cstr(b, text);
}

/* 1 .. 99; nothing for 0. */
static void below_hundred(struct buf *b, int64_t n)
{
    if (n >= 20) {
        word(b, tens[n / 10]);
        n %= 10;
    }
    if (n)
        word(b, small[n]);
}

/* 1 .. a crore less one; nothing for 0. */
static void below_crore(struct buf *b, int64_t n)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (n < groups[i].size)
            continue;
        below_hundred(b, n / groups[i].size);
        word(b, groups[i].name);
        n %= groups[i].size;
    }
    below_hundred(b, n);
}

/* At most a crore of crores: more than all there are. */
static void whole(struct buf *b, int64_t n)
{
    int64_t crores = n / CRORE;

    if (crores) {
        if (crores >= CRORE) {
            below_crore(b, crores / CRORE);
            word(b, "Crore");
        }
        below_crore(b, crores % CRORE);
        word(b, "Crore");
    }
    below_crore(b, n % CRORE);
    if (n == 0)
        word(b, small[0]);
}

struct str rupees_in_words(struct arena *a, int64_t paise)
{
    assert(paise >= 0);
    struct buf b;

    buf_init_arena(&b, a, WORDS_MAX_BYTES);
    word(&b, "Rupees");
    whole(&b, paise / PAISE);
    if (paise % PAISE) {
        word(&b, "and");
        below_hundred(&b, paise % PAISE);
        word(&b, "Paise");
    }
    word(&b, "Only");
    return buf_view(&b);
}
