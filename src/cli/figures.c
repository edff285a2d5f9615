/* SPDX-License-Identifier: MIT */
#include "cli/figures.h"

#include <math.h>
#include <stdio.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, KILO = 1000, KIBI = 1024 };

static struct figure write(int decimals, double n, const char *unit)
{
    struct figure f;

    snprintf(f.text, sizeof(f.text), "%.*f%s", decimals, n, unit);
    return f;
}

static double sane(double n) { return isfinite(n) && n > 0 ? fmin(n, 1e18) : 0; }

struct figure figure_rate(double n)
{
    static const char *const units[] = { "", "k", "M", "G", "T", "P" };
    size_t unit = 0;

    n = sane(n);
    if (n == 0 || (n >= 99.95 && n < 9999.5))
        return write(0, n, "");
    for (; n >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        n /= KILO;
    return write(n < 99.95 ? 1 : 0, n, units[unit]);
}

struct figure figure_count(double n) { return sane(n) < 99.95 ? write(0, sane(n), "") : figure_rate(n); }

struct figure figure_seconds(double seconds)
{
    const double ms = sane(seconds) * 1e3;

    if (ms >= 999.5)
        return write(ms < 99950 ? 2 : 0, ms / 1e3, " s");
    return write(ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0, ms, " ms");
}

struct figure figure_bytes(double bytes)
{
    static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB" };
    size_t unit = 0;

    bytes = sane(bytes);
    for (; bytes >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        bytes /= KIBI;
    return write(unit > 0 && bytes < 99.95 ? 1 : 0, bytes, units[unit]);
}

struct figure figure_share(double share) { return write(1, sane(share) * 100, " %"); }

struct figure figure_age(double seconds)
{
    const long long s = (long long)sane(seconds);
    struct figure f;

    if (s < MINUTE)
        snprintf(f.text, sizeof(f.text), "%lld s", s);
    else if (s < HOUR)
        snprintf(f.text, sizeof(f.text), "%lld min", s / MINUTE);
    else if (s < DAY)
        snprintf(f.text, sizeof(f.text), "%lld h %02lld min", s / HOUR, s % HOUR / MINUTE);
    else
        snprintf(f.text, sizeof(f.text), "%lld d %02lld h", s / DAY % 1000000, s % DAY / HOUR);
    return f;
}
