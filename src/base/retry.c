/* SPDX-License-Identifier: MIT */
#include "base/retry.h"

#include "base/random.h"

enum { FIRST_MS = 100, MOST_MS = 30000, DOUBLINGS_MAX = 10 };

double retry_jitter(double value)
{
    const double unit = (double)(random_fast() >> 11) * 0x1p-53;

    return value * (0.9 + 0.2 * unit);
}

bool retry_failed(struct retry *r, mono_ns now)
{
    const unsigned doublings = r->failures < DOUBLINGS_MAX ? r->failures : DOUBLINGS_MAX;
    const int64_t ms = (int64_t)FIRST_MS << doublings, most = r->most_ms > 0 ? r->most_ms : MOST_MS;

    if (!retry_due(r, now))
        return false;
    r->failures++;
    r->at = now + (mono_ns)(retry_jitter((double)(ms < most ? ms : most)) * NS_PER_MS);
    return r->failures == 1;
}
