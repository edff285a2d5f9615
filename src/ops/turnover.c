/* SPDX-License-Identifier: MIT */
/* Who is replaced, and when: positions, and the workers that come and go at them. */
#include "ops/master_parts.h"

static const mono_ns READY_POLL = (mono_ns)10 * NS_PER_MS; /* while somebody starts */

static bool is_alive(const struct master *m, int row) { return row >= 0 && m->charges[row].pid != 0; }

static bool is_ready(const struct master *m, int row)
{
    return is_alive(m, row) && slot_state(&m->slots->rows[row]) == WORKER_READY;
}

/* --- replacing --------------------------------------------------------------------- */

static bool is_due(const struct master *m, int row) { return m->charges[row].epoch < m->epoch || row == m->recycled; }

/* A worker that has just begun is let become ready first. */
static void tend(struct master *m, int position, mono_ns now)
{
    struct place *place = &m->places[position];

    if (place->fork_at > now || place->next >= 0)
        return;
    if (!is_alive(m, place->row)) {
        const int row = charge_start(m, position);
        if (row >= 0)
            place->row = row;
    } else if (is_ready(m, place->row) && is_due(m, place->row)) {
        place->next = charge_start(m, position);
    }
}

void turnover_tend(struct master *m, mono_ns now)
{
    for (int i = 0; i < m->positions && !m->stopping && !m->asleep; i++)
        tend(m, i, now);
}

/* The new one serves: the old one stops accepting, and drains. */
static void hand_over(struct master *m, struct place *place)
{
    const int old = place->row;

    place->row = place->next;
    place->next = -1;
    charge_dismiss(m, old, old == m->recycled ? WORKER_END_RECYCLED : WORKER_END_RELOADED, 0);
}

static bool all_up_to_date(const struct master *m)
{
    for (int i = 0; i < m->positions; i++) {
        const struct place *place = &m->places[i];
        if (!is_ready(m, place->row) || m->charges[place->row].epoch < m->epoch)
            return false;
    }
    return !m->asleep;
}

void turnover_note_ready(struct master *m)
{
    for (int i = 0; i < m->positions && !m->stopping; i++) {
        struct place *place = &m->places[i];

        if (place->next >= 0 && is_ready(m, place->next))
            hand_over(m, place);
        if (is_ready(m, place->row)) {
            m->any_ready = true;
            place->refused = false;
        }
    }
    if (m->announced || m->stopping || !all_up_to_date(m))
        return;
    m->announced = true;
    if (m->conf.ready)
        m->conf.ready(m->arg);
}

mono_ns turnover_next(const struct master *m, mono_ns now)
{
    mono_ns due = earlier(m->look_at, m->close_at);

    for (int i = 0; i < m->slots->count; i++) {
        if (m->charges[i].pid != 0)
            due = earlier(due, earlier(m->charges[i].tell_at, m->charges[i].kill_at));
    }
    for (int i = 0; i < m->positions && !m->stopping && !m->asleep; i++) {
        const struct place *place = &m->places[i];
        if (place->next >= 0 || (is_alive(m, place->row) && !is_ready(m, place->row)))
            due = earlier(due, now + READY_POLL);
        else if (!is_alive(m, place->row) || is_due(m, place->row))
            due = earlier(due, place->fork_at > now ? place->fork_at : now + READY_POLL);
    }
    return due;
}

/* --- more of them, or fewer ----------------------------------------------------------- */

/* Its sockets are nobody's after it: the door is shut, and a moment later, when
 * handshakes under way are over, the worker empties the queue; the master's own copies
 * go before, so that the queue is closed when the worker closes it. */
static bool is_shut(const struct master *m, int index) { return m->shut_of > 0 && index % m->shut_of >= m->positions; }

static void shut_doors(struct master *m)
{
    struct listeners *l = m->conf.listeners;

    for (int i = 0; l && i < l->own_count; i++) {
        if (is_shut(m, i) && !upgrade_is_under_way(m))
            listeners_shut_door(l, i);
    }
}

void turnover_close_shut(struct master *m)
{
    struct listeners *l = m->conf.listeners;

    for (int i = l ? l->own_count - 1 : -1; i >= 0; i--) {
        if (is_shut(m, i))
            listeners_close_one(l, i);
    }
    m->shut_of = 0;
    m->close_at = NEVER;
}

static void remove_position(struct master *m, int position, mono_ns now)
{
    struct place *place = &m->places[position];

    for (int i = 0; i < 2; i++) {
        const int row = i == 0 ? place->row : place->next;
        if (!is_alive(m, row))
            continue;
        charge_dismiss(m, row, WORKER_END_REMOVED, now + DOOR_TIME);
        if (m->conf.seated)
            m->conf.seated(m->arg, row, position % m->positions);
    }
    if (place->row >= 0 && !is_alive(m, place->row))
        slot_move(&m->slots->rows[place->row], WORKER_NONE);
    *place = (struct place){ .row = -1, .next = -1, .forks = place->forks };
}

static void add_position(struct master *m, int position)
{
    struct listeners *l = m->conf.listeners;

    m->places[position].fork_at = 0;
    if (l && l->own_count <= position && listeners_add(l) != OK)
        log_event(LOG_INFO, "no socket of its own for one worker more; it shares another's", LOG_I("index", position));
}

static void grow(struct master *m, int positions)
{
    const int before = m->positions;

    m->positions = positions;
    for (int i = before; i < positions; i++)
        add_position(m, i);
}

/* Where there were more sockets than workers, some are others' now: they begin anew. */
static void shrink(struct master *m, int positions)
{
    const int before = m->positions;
    const mono_ns now = clock_mono();

    m->positions = positions;
    m->shut_of = before;
    m->close_at = now + DOOR_TIME;
    shut_doors(m);
    for (int i = positions; i < before; i++)
        remove_position(m, i, now);
    if (m->conf.listeners && m->conf.listeners->own_count > before)
        turnover_reload(m);
}

void turnover_resize(struct master *m, int positions)
{
    charges_tell_due(m, m->close_at < NEVER ? m->close_at : 0);
    if (m->close_at < NEVER)
        turnover_close_shut(m);
    (positions > m->positions ? grow : shrink)(m, positions);
    atomic_store(&m->slots->positions, positions);
    if (m->conf.share)
        m->conf.share(m->arg, positions);
}

/* --- all anew ---------------------------------------------------------------------------- */

void turnover_reload(struct master *m)
{
    m->asleep = false;
    m->epoch++;
    atomic_store(&m->slots->epoch, m->epoch);
    m->announced = false;
    for (int i = 0; i < m->positions; i++)
        m->places[i].fork_at = 0;
}

void turnover_sleep(struct master *m)
{
    m->asleep = true;
    for (int i = 0; i < m->positions; i++) {
        struct place *place = &m->places[i];

        if (is_alive(m, place->row))
            charge_dismiss(m, place->row, WORKER_END_REMOVED, 0);
        if (is_alive(m, place->next))
            charge_dismiss(m, place->next, WORKER_END_REMOVED, 0);
    }
}

/* --- one after the other -------------------------------------------------------------------- */

void turnover_recycle(struct master *m)
{
    if (m->recycled >= 0 || !all_up_to_date(m))
        return;
    for (int i = 0; i < m->positions; i++) {
        const int row = m->places[i].row;

        if (!atomic_load_explicit(&m->slots->rows[row].spent, memory_order_relaxed))
            continue;
        m->recycled = row;
        log_event(LOG_INFO, "worker has answered MAX_REQUESTS; replacing it", LOG_I("index", i),
                  LOG_I("pid", m->charges[row].pid));
        return;
    }
}
