/* SPDX-License-Identifier: MIT */
/* The server that runs here, for the commands that look at it: found by PID_FILE, and
 * read in the memory that its processes share.
 *
 * It is another process, perhaps another version, and it may end at any moment: what
 * is not as expected is refused with a sentence that says what to do.
 */
#pragma once

#include "base/shared.h"
#include "limit/table.h"
#include "ops/snapshot.h"
#include "settings/settings.h"

enum { RUNNING_WHY_SIZE = 512 };

enum running_access { RUNNING_READ, RUNNING_CHANGE };

struct running {
    pid_t         pid;       /* of the master */
    struct shared shared;
};

/* The master's process id; 0, with the reason, when there is none. */
pid_t running_pid(const struct settings *s, char why[static RUNNING_WHY_SIZE]);

/* Finds it; false, with the reason. Close it when true. */
MUSTCHECK bool running_open(const struct settings *s, enum running_access access, struct running *ret,
                            char why[static RUNNING_WHY_SIZE]);
void running_close(struct running *r);

/* Where its figures stand, all of it within the mapping; false when it is another build,
 * whose memory is laid out otherwise. Ask anew for each snapshot: rows are added. */
MUSTCHECK bool running_node(const struct running *r, struct node_source *ret);

/* The table of its limiter; NULL: as above. */
struct limit_table *running_limits(const struct running *r);
