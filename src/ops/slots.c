/* SPDX-License-Identifier: MIT */
#include "ops/slots.h"

#include <assert.h>
#include <string.h>

struct state_row {
    const char *name;
    unsigned next;
};

static const struct state_row states[WORKER_STATE_COUNT] = {
#define X(name, text, next) [name] = { text, next },
    WORKER_STATES(X)
#undef X
};

void slots_init(struct worker_slots *slots, int count)
{
    memset(slots, 0, sizeof(*slots));
    atomic_init(&slots->count, count < WORKER_ROWS_MAX ? count : WORKER_ROWS_MAX);
}

/* Two masters may look at once. */
int slots_claim(struct worker_slots *slots, int master)
{
    for (int i = 0; i < WORKER_ROWS_MAX; i++) {
        int32_t state = WORKER_NONE, count = atomic_load(&slots->count);

        if (!atomic_compare_exchange_strong(&slots->rows[i].state, &state, WORKER_STARTING))
            continue;
        atomic_store(&slots->rows[i].master, master);
        while (count <= i && !atomic_compare_exchange_weak(&slots->count, &count, i + 1))
            continue;
        return i;
    }
    return -1;
}

enum worker_state slot_state(const struct worker_slot *slot)
{
    return (enum worker_state)atomic_load_explicit(&slot->state, memory_order_relaxed);
}

void slot_move(struct worker_slot *slot, enum worker_state to)
{
    const enum worker_state from = slot_state(slot);

    assert(from == to || states[from].next & 1u << to);
    (void)from;
    atomic_store_explicit(&slot->state, (int32_t)to, memory_order_relaxed);
}

const char *worker_state_name(enum worker_state state)
{
    return (size_t)state < WORKER_STATE_COUNT ? states[state].name : "unknown";
}

static const char *const end_names[WORKER_END_COUNT] = {
#define X(name, label) [name] = label,
    WORKER_ENDS(X)
#undef X
};

const char *worker_end_name(enum worker_end why) { return (size_t)why < WORKER_END_COUNT ? end_names[why] : "unknown"; }

void slots_count_end(struct worker_slots *slots, enum worker_end why)
{
    atomic_fetch_add_explicit(&slots->ends[why], 1, memory_order_relaxed);
}

void slot_beat(struct worker_slot *slot)
{
    atomic_store_explicit(&slot->heartbeat_ns, clock_mono(), memory_order_relaxed);
}

int64_t slot_silence_ms(const struct worker_slot *slot, mono_ns now)
{
    const mono_ns last = atomic_load_explicit(&slot->heartbeat_ns, memory_order_relaxed);

    if (last == 0)
        return -1;
    return now > last ? (now - last) / NS_PER_MS : 0;
}

static size_t put(char *to, size_t used, struct str text)
{
    const size_t room = SLOT_TEXT - 1 - used, n = text.len < room ? text.len : room;

    if (n > 0)
        memcpy(to + used, text.ptr, n);
    return used + n;
}

void slot_note_request(struct worker_slot *slot, struct str method, struct str route, struct str id)
{
    char *to = slot->last_request;
    size_t used = put(to, 0, method);

    used = put(to, used, STR(" "));
    used = put(to, used, route);
    used = put(to, used, STR(" "));
    to[put(to, used, id)] = '\0';
}

bool slots_all_ready(const struct worker_slots *slots)
{
    int ready = 0;

    for (int i = 0; i < slots->count; i++) {
        const enum worker_state state = slot_state(&slots->rows[i]);
        if (state != WORKER_READY && state != WORKER_NONE)
            return false;
        ready += state == WORKER_READY;
    }
    return ready > 0;
}
