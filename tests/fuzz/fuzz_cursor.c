/* SPDX-License-Identifier: MIT */
/* Cursors and codes from outside: no text crashes; a text that is accepted is
 * the one that would be written. The input is tried as text, and as the bytes
 * of a position whose cursor must read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/code.h"
#include "app/cursor.h"

static const uint8_t key[CURSOR_KEY_BYTES] = { 42 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void try_as_text(struct str text)
{
    struct cursor c;
    char written[CURSOR_LEN], code[CODE_LEN], again[CODE_LEN];

    if (cursor_read(text, 1, key, &c) == OK) {
        cursor_write(&c, 1, key, written);
        check(str_eq(text, (struct str){ written, CURSOR_LEN }));
    }
    if (code_parse(text, code) == OK) {
        check(code_parse((struct str){ code, CODE_LEN }, again) == OK);
        check(memcmp(code, again, CODE_LEN) == 0);
    }
}

static void try_as_position(const uint8_t *data, size_t size)
{
    struct cursor c = { 0 }, back;
    char text[CURSOR_LEN];

    if (size < sizeof(c.at) + sizeof(c.category) + sizeof(c.id))
        return;
    memcpy(&c.at, data, sizeof(c.at));
    memcpy(&c.category, data + sizeof(c.at), sizeof(c.category));
    memcpy(&c.id, data + sizeof(c.at) + sizeof(c.category), sizeof(c.id));
    cursor_write(&c, 1, key, text);
    check(cursor_read((struct str){ text, CURSOR_LEN }, 1, key, &back) == OK);
    check(c.at == back.at && c.category == back.category && c.id == back.id);
    check(cursor_read((struct str){ text, CURSOR_LEN }, 2, key, &back) == E_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_as_text((struct str){ size > 0 ? (const char *)data : "", size });
    try_as_position(data, size);
    return 0;
}
