/* SPDX-License-Identifier: MIT */
/* What `sanad limits` and `sanad top` say of a client. */
#pragma once

#include "limit/table.h"

enum { LIMITS_NAME_SIZE = 64 };

/* Its address, or what is left of an account's name. */
void limits_name_client(const struct limit_key *key, char out[static LIMITS_NAME_SIZE]);
