/* SPDX-License-Identifier: MIT */
/* The result as JSON on standard output. */
#pragma once

#include "paced/crowd.h"

/* `total` is the sum of all processes; `cpu_seconds` this program's own, of the measured time. */
MUSTCHECK enum err report_print(const struct plan *plan, const struct tally *total, uint64_t processes,
                                double cpu_seconds);

/* Adds one process' counts. */
void report_merge(struct tally *into, const struct tally *from);
