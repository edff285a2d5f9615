/* SPDX-License-Identifier: MIT */
/* Values of settings: from text, to JSON, and in words what is allowed. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "settings/table.h"

/* Reads a text as the row's kind into its member of *s; what it points to goes
 * to the struct's arena. E_INVALID when the row does not allow it (then the
 * member is untouched), E_NO_MEMORY. */
MUSTCHECK enum err value_read(const struct setting *row, struct str text, struct settings *s);

/* "a whole number from 0 to 65535" */
void value_allowed(const struct setting *row, struct buf *out);

/* The member's value with its JSON type, masked where it is secret. */
void value_json(const struct setting *row, const struct settings *s, struct json *out);

/* The text as it may be shown: secrets masked ("********", nothing for an empty
 * one), a URL without its user and password. */
void value_shown(const struct setting *row, struct str text, struct buf *out);
