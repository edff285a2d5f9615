/* SPDX-License-Identifier: MIT */
/* Cursors: packed big endian, so that the text is the same on any machine. */
#include "app/cursor.h"

#include <sodium.h>
#include <string.h>

enum { POSITION_BYTES = 20, MAC_BYTES = 16, PACKED_BYTES = POSITION_BYTES + MAC_BYTES };

/* Part of what is signed: a cursor of another layout is none. */
static const unsigned char layout[] = "sanad cursor 1";

static void put_be(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

static void sign(const uint8_t position[static POSITION_BYTES], uint32_t list, const uint8_t *key,
                 uint8_t mac[static MAC_BYTES])
{
    uint8_t list_bytes[4];
    crypto_generichash_state state;

    put_be(list_bytes, list, sizeof(list_bytes));
    crypto_generichash_init(&state, key, CURSOR_KEY_BYTES, MAC_BYTES);
    crypto_generichash_update(&state, layout, sizeof(layout));
    crypto_generichash_update(&state, list_bytes, sizeof(list_bytes));
    crypto_generichash_update(&state, position, POSITION_BYTES);
    crypto_generichash_final(&state, mac, MAC_BYTES);
}

void cursor_write(const struct cursor *c, uint32_t list, const uint8_t key[static CURSOR_KEY_BYTES],
                  char out[static CURSOR_LEN])
{
    uint8_t packed[PACKED_BYTES];
    char text[CURSOR_LEN + 1];

    put_be(packed, (uint64_t)c->at, 8);
    put_be(packed + 8, c->category, 4);
    put_be(packed + 12, (uint64_t)c->id, 8);
    sign(packed, list, key, packed + POSITION_BYTES);
    sodium_bin2base64(text, sizeof(text), packed, sizeof(packed), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    memcpy(out, text, CURSOR_LEN);
}

/* The text must be, to the bit, what cursor_write() makes of the position that
 * it claims: that covers the signature, and decoders are lenient. */
enum err cursor_read(struct str text, uint32_t list, const uint8_t key[static CURSOR_KEY_BYTES],
                     struct cursor *ret_cursor)
{
    uint8_t packed[PACKED_BYTES];
    char genuine[CURSOR_LEN];
    size_t len;

    if (text.len != CURSOR_LEN)
        return E_INVALID;
    if (sodium_base642bin(packed, sizeof(packed), text.ptr, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        len != sizeof(packed))
        return E_INVALID;
    const struct cursor claimed = {
        .at = (int64_t)get_be(packed, 8),
        .category = (uint32_t)get_be(packed + 8, 4),
        .id = (int64_t)get_be(packed + 12, 8),
    };
    cursor_write(&claimed, list, key, genuine);
    if (sodium_memcmp(genuine, text.ptr, CURSOR_LEN) != 0)
        return E_INVALID;
    *ret_cursor = claimed;
    return OK;
}
