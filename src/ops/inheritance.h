/* SPDX-License-Identifier: MIT */
/* Listening descriptors that this process was born with: from the program that it
 * replaces at an upgrade, or from systemd (socket activation).
 *
 *   SANAD_LISTENERS  "o5,o6,u8": one letter and number each (enum heirloom_kind)
 *   LISTEN_FDS       how many, from descriptor 3 on, as sd_listen_fds(3) has it;
 *                    they count only when LISTEN_PID names this process
 *
 * The first goes before the second. Both are taken out of the environment, so
 * that no child believes them to be its own.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "ops/endpoint.h"
#include "ops/slots.h"

#define INHERITANCE_VARIABLE "SANAD_LISTENERS"

enum heirloom_kind {
    HEIRLOOM_OWN,    /* o: of HOST and PORT, for one worker                        */
    HEIRLOOM_UNIX,   /* u: of UNIX_SOCKET                                          */
    HEIRLOOM_LENT    /* l: of systemd, which keeps it open and chooses its address */
};

enum { LENT_MAX = 32, HEIRLOOMS_MAX = WORKERS_MAX + 1 + LENT_MAX, INHERITANCE_TEXT = HEIRLOOMS_MAX * 12 };

struct heirloom {
    int                fd;     /* does not block, closes at exec */
    enum heirloom_kind kind;
    struct endpoint    place;
};

struct inheritance {
    int             count;
    struct heirloom rows[HEIRLOOMS_MAX];
};

/* Takes what there is; nothing is fine. E_INVALID, with a sentence: a descriptor
 * named is none that listens; E_TOO_LARGE: there are too many. */
MUSTCHECK enum err inheritance_take(struct inheritance *ret_inheritance, char *error, size_t size);

/* Process id of the program that it is from (SANAD_UPGRADE_FROM); 0: of none. */
pid_t inheritance_giver(void);

/* The other end: adds ",o5" (or "o5", the first) to a text that exec passes on,
 * and lets the descriptor pass. E_TOO_LARGE, E_IO. */
MUSTCHECK enum err inheritance_add(char *text, size_t size, enum heirloom_kind kind, int fd);
