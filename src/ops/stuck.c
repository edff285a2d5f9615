/* SPDX-License-Identifier: MIT */
/* Workers whose loop turns no more: in an endless loop, a deadlock, a disk that does
 * not answer, or stopped by hand.
 *
 * First SIGABRT, at which a worker tells where it is stuck (backtrace.h), then, if it
 * is still there a moment later, SIGKILL. */
#include "ops/master_parts.h"

static const mono_ns TO_TELL = (mono_ns)1 * NS_PER_S;
static const mono_ns OVERSLEPT = (mono_ns)3 * NS_PER_S; /* beyond the usual second, the master stood still, too */

static mono_ns last_sign(const struct master *m, int row)
{
    const mono_ns beat = atomic_load_explicit(&m->slots->rows[row].heartbeat_ns, memory_order_relaxed);
    mono_ns last = beat > m->charges[row].forked ? beat : m->charges[row].forked;

    return last > m->awake_since ? last : m->awake_since;
}

static void end_stuck(struct master *m, int row, mono_ns now)
{
    struct worker_slot *slot = &m->slots->rows[row];
    struct charge *charge = &m->charges[row];
    char request[SLOT_TEXT];

    memcpy(request, slot->last_request, sizeof(request));
    request[sizeof(request) - 1] = '\0';
    log_event(LOG_ERROR, "worker gives no sign of life for TIMEOUT; killing it", LOG_I("index", charge->position),
              LOG_I("pid", charge->pid), LOG_I("silent_ms", (now - last_sign(m, row)) / NS_PER_MS),
              LOG_C("last_request", request[0] ? request : "none"));
    charge->stuck = true;
    charge->kill_at = now + TO_TELL;
    (void)kill(charge->pid, SIGABRT);
}

bool stuck_look(struct master *m, mono_ns now)
{
    const mono_ns limit = (mono_ns)(m->conf.timeout_s * NS_PER_S);
    bool well = true;

    if (now - m->look_at > OVERSLEPT)
        m->awake_since = now;
    for (int i = 0; i < m->slots->count && limit > 0; i++) {
        if (m->charges[i].pid == 0 || now - last_sign(m, i) < limit)
            continue;
        well = false;
        if (!m->charges[i].stuck)
            end_stuck(m, i, now);
    }
    return well;
}
