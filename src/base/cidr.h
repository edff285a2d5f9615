/* SPDX-License-Identifier: MIT */
/* Internet addresses and ranges of them, as text and as bits.
 *
 * There is one form inside: sixteen bytes, an IPv4 address as the IPv6 one it
 * maps to (::ffff:a.b.c.d, RFC 4291 §2.5.5.2). So a client that reaches a
 * dual-stack socket over IPv4 is matched by an IPv4 range, and one comparison
 * serves both families.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct address { uint8_t bytes[16]; };

/* The address of four bytes as they stand in a packet. */
struct address address_of_v4(const void *bytes);
bool address_is_v4(const struct address *address);

/* Whoever comes by a Unix socket has no address. So that he can be counted and
 * named in a list all the same, he goes by one that nobody can have, 0.0.0.0,
 * whose text is "unix". Nobody's word is taken that he is it. */
struct address address_of_unix(void);
bool address_is_unix(const struct address *address);

/* Reads "10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3" or "fe80::1%eth0" (the
 * zone is ignored). E_INVALID for anything else: no ports, no brackets. */
MUSTCHECK enum err address_parse(struct str text, struct address *ret_address);

/* Writes "10.1.2.3" or "2001:db8::1", the one text that RFC 5952 has for each
 * address, or "unix", with a NUL; returns its length. */
enum { ADDRESS_TEXT_SIZE = 40 };
size_t address_print(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* All addresses whose first `bits` bits are those of `base`; the other bits of
 * base are zero. An IPv4 range has 96 bits more than its text says. */
struct cidr { struct address base; unsigned bits; };

/* Reads "10.0.0.0/8", "fd00::/8", a lone address (the range of just that), or "unix".
 * Bits of the address beyond the length are ignored. E_INVALID. */
MUSTCHECK enum err cidr_parse(struct str text, struct cidr *ret_range);

bool cidr_holds(const struct cidr *range, const struct address *address);

enum { CIDR_LIST_MAX = 64 };
struct cidr_list { size_t count; struct cidr rows[CIDR_LIST_MAX]; };

/* Reads a comma-separated list; spaces around the commas are fine, and so is
 * an empty text (no range). E_INVALID with the wrong piece in *ret_bad,
 * E_TOO_LARGE with the first piece too many. */
MUSTCHECK enum err cidr_list_parse(struct str text, struct cidr_list *ret_list, struct str *ret_bad);

/* Whether the address that `text` names lies in any range of the list. A text
 * that is no address lies in none. */
bool cidr_list_holds(const struct cidr_list *list, const struct address *address);
bool cidr_list_holds_text(const struct cidr_list *list, struct str text);
