/* SPDX-License-Identifier: MIT */
/* Each throw goes into a variable of its own: C leaves open in which order the
 * values of one initialiser or call are computed, and the data must not depend
 * on the compiler. */
#include "app/demo_dice.h"

#include <time.h>

#include "app/code.h"

enum { SECONDS_PER_DAY = 86400, PAISE = 100, PAY_STEP = 500 };

int dice_between(struct demo_dice *d, int least, int most)
{
    return least + (int)random_below(&d->random, (uint64_t)(most - least) + 1);
}

bool dice_percent(struct demo_dice *d, int percent) { return dice_between(d, 0, 99) < percent; }

struct str dice_word(struct demo_dice *d, const struct demo_list *list)
{
    return str_of(list->words[random_below(&d->random, list->count)]);
}

/* ---- people ---- */

struct demo_person dice_person(struct demo_dice *d, const struct demo_place *place)
{
    bool local = dice_percent(d, 70);
    enum demo_region_id region = local ? place->region : (enum demo_region_id)random_below(&d->random, REGION_COUNT);
    const struct demo_region *names = &demo_regions[region];
    bool female = dice_percent(d, 60);
    uint64_t given = random_below(&d->random, DEMO_GIVEN), family = random_below(&d->random, DEMO_FAMILY);

    return (struct demo_person){
        .given = female ? names->female[given] : names->male[given],
        .family = names->family[family],
        .female = female,
    };
}

struct str person_name(struct arena *a, const struct demo_person *p)
{
    size_t given = strlen(p->given), family = strlen(p->family);
    char *out = arena_alloc(a, given + family + 2);

    if (!out)
        return STR_EMPTY;
    memcpy(out, p->given, given);
    out[given] = ' ';
    memcpy(out + given + 1, p->family, family + 1);
    return (struct str){ out, given + 1 + family };
}

struct str dice_full_name(struct demo_dice *d, const struct demo_place *place)
{
    struct demo_person person = dice_person(d, place);
    return person_name(d->arena, &person);
}

/* The name's letters in lower case; whatever else is in it is left out. */
static struct str mail_word(struct arena *a, const char *name)
{
    size_t n = 0, len = strlen(name);
    char *out = arena_alloc(a, len + 1);

    if (!out)
        return STR_EMPTY;
    for (size_t i = 0; i < len; i++) {
        char lower = (char)(name[i] | 0x20);
        if (lower >= 'a' && lower <= 'z')
            out[n++] = lower;
    }
    return (struct str){ out, n };
}

struct str person_email(struct arena *a, const struct demo_person *p, int number, const char *domain)
{
    struct str given = mail_word(a, p->given), family = mail_word(a, p->family);
    return arena_printf(a, STR_FMT "." STR_FMT "%d@%s", STR_ARG(given), STR_ARG(family), number, domain);
}

/* ---- places ---- */

const struct demo_place *dice_place(struct demo_dice *d)
{
    return &demo_places[random_below(&d->random, demo_place_count)];
}

struct demo_home dice_home(struct demo_dice *d, const struct demo_place *place)
{
    int house = dice_between(d, 1, 240);
    struct str name = dice_word(d, &demo_house_names), street = dice_word(d, &demo_streets);
    uint64_t locality = random_below(&d->random, DEMO_LOCALITIES);
    int office = dice_between(d, 1, 99);

    return (struct demo_home){
        .place = place,
        .locality = place->localities[locality],
        .address = arena_printf(d->arena, "%d, " STR_FMT ", " STR_FMT, house, STR_ARG(name), STR_ARG(street)),
        .pincode = arena_printf(d->arena, "%s%03d", place->pin, office),
    };
}

/* Looks like a number of India and is none: mobile numbers begin with 6 to 9,
 * and wherever an area code might end here, 0 would follow, with which no
 * subscriber's number begins. */
struct str dice_phone(struct demo_dice *d) { return arena_printf(d->arena, "+9155500%05d", dice_between(d, 0, 99999)); }

/* ---- money and codes ---- */

int64_t dice_pay(struct demo_dice *d, const struct demo_job *job)
{
    int rupees = dice_between(d, job->least / PAY_STEP, job->most / PAY_STEP) * PAY_STEP;
    return (int64_t)rupees * PAISE;
}

struct str dice_code(struct demo_dice *d)
{
    uint64_t words[2] = { random_next(&d->random), 0 };
    uint8_t bits[CODE_BYTES];
    char *out = arena_alloc(d->arena, CODE_LEN);

    words[1] = random_next(&d->random);
    if (!out)
        return STR_EMPTY;
    for (size_t i = 0; i < CODE_BYTES; i++)
        bits[i] = (uint8_t)(words[i / 8] >> (56 - i % 8 * 8));
    code_format(bits, out);
    return (struct str){ out, CODE_LEN };
}

/* ---- days ---- */

static struct tm calendar(demo_day day)
{
    time_t at = (time_t)day * SECONDS_PER_DAY;
    struct tm tm = { 0 };
    gmtime_r(&at, &tm);
    return tm;
}

static void two_digits(char *out, int value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

struct str day_text(struct arena *a, demo_day day)
{
    enum { LEN = 10 };
    struct tm tm = calendar(day);
    char *out = arena_alloc(a, LEN);

    if (!out)
        return STR_EMPTY;
    two_digits(out, (tm.tm_year + 1900) / 100);
    two_digits(out + 2, tm.tm_year + 1900);
    out[4] = out[7] = '-';
    two_digits(out + 5, tm.tm_mon + 1);
    two_digits(out + 8, tm.tm_mday);
    return (struct str){ out, LEN };
}

struct str day_month_name(struct arena *a, demo_day day, int months)
{
    static const char *const names[] = { "January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December" };
    struct tm tm = calendar(day);
    int month = (tm.tm_year + 1900) * 12 + tm.tm_mon - months;
    return arena_printf(a, "%s %d", names[month % 12], month / 12);
}

demo_day day_add_months(demo_day day, int months)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct tm tm = calendar(day);
    int month = (tm.tm_year + 1900) * 12 + tm.tm_mon + months, year = month / 12;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int last = days[month % 12] + (month % 12 == 1 && leap);
    struct tm then = { .tm_year = year - 1900, .tm_mon = month % 12, .tm_mday = tm.tm_mday < last ? tm.tm_mday : last };

    return (demo_day)(timegm(&then) / SECONDS_PER_DAY);
}
