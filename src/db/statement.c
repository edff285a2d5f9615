/* SPDX-License-Identifier: MIT */
/* The registry that gives each statement its index: an open-addressed table
 * over the statements' addresses. Written once before the fork, so all workers
 * of a node agree on the indices; only read afterwards. */
#include "db/statement.h"

enum { SLOTS = 2 * DB_STATEMENTS_MAX }; /* a power of two, at most half full */

static struct {
    const struct db_statement *list[DB_STATEMENTS_MAX]; /* [0]: "other"                  */
    size_t count;                                       /* with [0]; 0: none registered  */
    uint16_t slots[SLOTS];                              /* index into the list; 0: free  */
} registry;

/* The slot that holds the statement, or the free one where it belongs. */
static size_t slot_of(const struct db_statement *st)
{
    size_t at = ((uintptr_t)st / sizeof(void *) * UINT64_C(0x9e3779b97f4a7c15) >> 32) % SLOTS;

    while (registry.slots[at] != 0 && registry.list[registry.slots[at]] != st)
        at = (at + 1) % SLOTS;
    return at;
}

void db_register(const struct db_statement *const *list, size_t count)
{
    if (registry.count == 0)
        registry.count = 1;
    for (size_t i = 0; i < count && registry.count < DB_STATEMENTS_MAX; i++) {
        const size_t at = slot_of(list[i]);

        if (registry.slots[at] != 0)
            continue;
        registry.slots[at] = (uint16_t)registry.count;
        registry.list[registry.count++] = list[i];
    }
}

unsigned db_statement_index(const struct db_statement *st) { return registry.slots[slot_of(st)]; }

const char *db_statement_name(size_t index)
{
    return index > 0 && index < registry.count ? registry.list[index]->name : "other";
}
