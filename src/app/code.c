/* SPDX-License-Identifier: MIT */
/* Crockford's base 32: no I, L, O, U among the digits; the check character is
 * the number modulo 37, with five more characters for 32 to 36. */
#include "app/code.h"

#include "base/random.h"

enum { DIGITS = CODE_LEN - 1, CHECK_MODULUS = 37, TYPED_MAX = 80 };

static const char alphabet[CHECK_MODULUS + 1] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";

/* 128 bits fill 26 digits but for the two highest bits, which are 0. */
static char check_character(const char digits[static DIGITS])
{
    unsigned rest = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        const char *at = memchr(alphabet, digits[i], sizeof(alphabet) - 1);
        rest = (rest * 32 + (unsigned)(at - alphabet)) % CHECK_MODULUS;
    }
    return alphabet[rest];
}

void code_format(const uint8_t bits[static CODE_BYTES], char out[static CODE_LEN])
{
    unsigned held = 0; /* bits read and not yet written, `count` of them */
    unsigned count = 2;
    size_t n = 0;

    for (size_t i = 0; i < CODE_BYTES; i++) {
        held = (held << 8 | bits[i]) & 0xFFFF;
        for (count += 8; count >= 5; count -= 5)
            out[n++] = alphabet[held >> (count - 5) & 31];
    }
    out[DIGITS] = check_character(out);
}

void code_new(char out[static CODE_LEN])
{
    uint8_t bits[CODE_BYTES];
    random_secret(bits, sizeof(bits));
    code_format(bits, out);
}

/* The character that a typed one stands for; 0 for none. */
static char canonical(char typed)
{
    char c = typed >= 'a' && typed <= 'z' ? (char)(typed - 'a' + 'A') : typed;
    if (c == 'O')
        c = '0';
    if (c == 'I' || c == 'L')
        c = '1';
    return c != '\0' && memchr(alphabet, c, sizeof(alphabet) - 1) ? c : '\0';
}

enum err code_parse(struct str text, char ret_code[static CODE_LEN])
{
    char code[CODE_LEN];
    size_t n = 0;

    if (text.len > TYPED_MAX)
        return E_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '-' || text.ptr[i] == ' ')
            continue;
        char c = canonical(text.ptr[i]);
        if (c == '\0' || n == CODE_LEN)
            return E_INVALID;
        if (n < DIGITS && memchr(alphabet + 32, c, CHECK_MODULUS - 32))
            return E_INVALID; /* a check character among the digits */
        code[n++] = c;
    }
    if (n != CODE_LEN || code[0] > '7' || code[DIGITS] != check_character(code))
        return E_INVALID;
    memcpy(ret_code, code, CODE_LEN);
    return OK;
}
