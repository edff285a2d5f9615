/* SPDX-License-Identifier: MIT */
/* Civil dates by arithmetic, without time zones, locale or the C library's
 * static state: days_from_civil and civil_from_days after Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms". The year starts in March, so
 * that the leap day is its last; 400 years (an era) are 146097 days.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

enum { S_PER_DAY = 86400, DAYS_PER_ERA = 146097, DAYS_0000_03_01_TO_1970 = 719468 };

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: four digits a year. */
static const wall_ms earliest = INT64_C(-62167219200000);
static const wall_ms latest = INT64_C(253402300799999);

static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* Month 1..12, weekday 0 = Sunday. */
struct civil {
    unsigned year, month, day, hour, minute, second, ms, weekday;
};

static int64_t read_clock(clockid_t id, int64_t per_second, int64_t ns_per_unit)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * per_second + (int64_t)now.tv_nsec / ns_per_unit;
}

mono_ns clock_mono(void) { return read_clock(CLOCK_MONOTONIC, NS_PER_S, 1); }
wall_ms clock_wall(void) { return read_clock(CLOCK_REALTIME, MS_PER_S, NS_PER_MS); }

/* Days since 1970-01-01; year >= 0. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    const unsigned from_march = month > 2 ? month - 3 : month + 9;
    const int64_t y = (int64_t)year - (month <= 2) + 400; /* not negative in January of the year 0 */
    const int64_t era = y / 400, year_of_era = y % 400;
    const int64_t day_of_year = (153 * (int64_t)from_march + 2) / 5 + day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (era - 1) * DAYS_PER_ERA + day_of_era - DAYS_0000_03_01_TO_1970;
}

static void civil_from_days(int64_t days, struct civil *c)
{
    const int64_t z = days + DAYS_0000_03_01_TO_1970 + DAYS_PER_ERA;
    const int64_t era = z / DAYS_PER_ERA - 1, day_of_era = z % DAYS_PER_ERA;
    const int64_t leap_days = day_of_era / 1460 - day_of_era / 36524 + day_of_era / (DAYS_PER_ERA - 1);
    const int64_t year_of_era = (day_of_era - leap_days) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t from_march = (5 * day_of_year + 2) / 153;

    c->day = (unsigned)(day_of_year - (153 * from_march + 2) / 5 + 1);
    c->month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    c->year = (unsigned)(year_of_era + era * 400 + (c->month <= 2));
    c->weekday = (unsigned)((days + 4 + 7 * (int64_t)DAYS_PER_ERA) % 7); /* 1970-01-01 was a Thursday */
}

static struct civil civil_of(wall_ms at)
{
    const int64_t ms_per_day = (int64_t)S_PER_DAY * MS_PER_S;
    struct civil c = { 0 };
    int64_t days, of_day;

    at = at < earliest ? earliest : at > latest ? latest : at;
    days = at / ms_per_day - (at % ms_per_day < 0);
    of_day = at - days * ms_per_day;
    civil_from_days(days, &c);
    c.hour = (unsigned)(of_day / 3600000);
    c.minute = (unsigned)(of_day / 60000 % 60);
    c.second = (unsigned)(of_day / 1000 % 60);
    c.ms = (unsigned)(of_day % 1000);
    return c;
}

/* ---- writing: each put_ returns the place behind what it wrote ----------- */

static char *put_number(char *p, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        p[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return p + digits;
}

static char *put_text(char *p, const char *text)
{
    while (*text)
        *p++ = *text++;
    return p;
}

static char *put_time(char *p, const struct civil *c)
{
    p = put_number(p, c->hour, 2);
    *p++ = ':';
    p = put_number(p, c->minute, 2);
    *p++ = ':';
    return put_number(p, c->second, 2);
}

/* Day, month name and year, with `gap` between. */
static char *put_date(char *p, const struct civil *c, char gap)
{
    p = put_number(p, c->day, 2);
    *p++ = gap;
    p = put_text(p, month_names[c->month - 1]);
    *p++ = gap;
    return put_number(p, c->year, 4);
}

static size_t finish(char *end, const char *start)
{
    *end = '\0';
    return (size_t)(end - start);
}

size_t clock_iso(wall_ms at, char out[static ISO_TIME_SIZE])
{
    const struct civil c = civil_of(at);
    char *p = put_number(out, c.year, 4);

    *p++ = '-';
    p = put_number(p, c.month, 2);
    *p++ = '-';
    p = put_number(p, c.day, 2);
    *p++ = 'T';
    p = put_time(p, &c);
    if (c.ms > 0) {
        *p++ = '.';
        p = put_number(p, c.ms, 3);
    }
    *p++ = 'Z';
    return finish(p, out);
}

size_t clock_http_date(wall_ms at, char out[static HTTP_DATE_SIZE])
{
    const struct civil c = civil_of(at);
    char *p = put_text(out, day_names[c.weekday]);

    p = put_text(p, ", ");
    p = put_date(p, &c, ' ');
    *p++ = ' ';
    p = put_time(p, &c);
    return finish(put_text(p, " GMT"), out);
}

size_t clock_clf(wall_ms at, char out[static CLF_TIME_SIZE])
{
    const struct civil c = civil_of(at);
    char *p = put_date(out, &c, '/');

    *p++ = ':';
    p = put_time(p, &c);
    return finish(put_text(p, " +0000"), out);
}

/* ---- reading ---------------------------------------------------------------
 * What the text says is taken from its fixed places and bounded, then written
 * again: it is well formed if the same text comes out. That checks separators,
 * names, the weekday and the length of the month in one comparison. */

/* Wrong digits give a wrong number, which the comparison finds. */
static unsigned number_at(const char *p, unsigned digits)
{
    unsigned value = 0;

    for (unsigned i = 0; i < digits; i++)
        value = value * 10 + ((unsigned)(unsigned char)p[i] - '0') % 10;
    return value;
}

/* 1..12, or 0. */
static unsigned month_at(const char *p)
{
    for (unsigned i = 0; i < 12; i++)
        if (memcmp(p, month_names[i], 3) == 0)
            return i + 1;
    return 0;
}

wall_ms clock_parse_http_date(const char *text, size_t len)
{
    char again[HTTP_DATE_SIZE];
    unsigned month;
    int64_t days, seconds;
    wall_ms at;

    if (len != HTTP_DATE_SIZE - 1)
        return -1;
    month = month_at(text + 8);
    if (month == 0)
        return -1;
    days = days_from_civil(number_at(text + 12, 4), month, number_at(text + 5, 2));
    seconds = number_at(text + 17, 2) * 3600 + number_at(text + 20, 2) * 60 + number_at(text + 23, 2);
    at = (days * S_PER_DAY + seconds) * MS_PER_S;
    clock_http_date(at, again);
    return memcmp(text, again, len) == 0 ? at : -1;
}
