/* SPDX-License-Identifier: MIT */
/* The head of a response, as far as a load test must read it: status, length of
 * the body, and whether the connection ends. Only bodies with a Content-Length
 * are understood; the measured routes have no others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { ANSWER_HEAD_MAX = 16 * 1024, ANSWER_STATUS_MAX = 600 };

struct answer {
    int    status;              /* 100..599              */
    size_t head, body;          /* bytes of each         */
    bool   close;               /* the server closes     */
};

enum answer_state { ANSWER_WHOLE, ANSWER_INCOMPLETE, ANSWER_MALFORMED };

/* Of what has come so far; *ret only when the head is whole. */
enum answer_state answer_read(struct str bytes, struct answer *ret);
