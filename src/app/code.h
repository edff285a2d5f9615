/* SPDX-License-Identifier: MIT */
/* Public codes of certificates: 128 random bits as Crockford's base 32, and a
 * check character, so that a code read aloud or typed wrong is known as such
 * before the database is asked.
 *
 *   26 digits (the first at most 7), most significant first | check character
 *
 * Stored and compared in upper case, ungrouped. Pure but for code_new().
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { CODE_BYTES = 16, CODE_LEN = 27 };

/* The code of these bits (big endian); CODE_LEN characters, no NUL. */
void code_format(const uint8_t bits[static CODE_BYTES], char out[static CODE_LEN]);

/* A new code that nobody can guess. */
void code_new(char out[static CODE_LEN]);

/* Reads what people type: any case, hyphens and spaces anywhere, O for 0, I and
 * L for 1. E_INVALID for anything else, and for a wrong check character. */
MUSTCHECK enum err code_parse(struct str text, char ret_code[static CODE_LEN]);
