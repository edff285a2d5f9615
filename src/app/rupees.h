/* SPDX-License-Identifier: MIT */
/* Sums of money in words, as bills in India show them. Pure. */
#pragma once

#include <stdint.h>

#include "base/arena.h"

/* "Rupees One Lakh Five Thousand and Fifty Paise Only"; 0 <= paise. On a full
 * arena: {NULL, 0} or less than all. */
struct str rupees_in_words(struct arena *a, int64_t paise);
