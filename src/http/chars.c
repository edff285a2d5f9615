/* SPDX-License-Identifier: MIT */
#include "http/chars.h"

enum {
    T = CHAR_TOKEN,
    V = CHAR_VALUE,
    G = CHAR_TARGET,
    H = CHAR_HOST,
    D = CHAR_DIGIT,
    X = CHAR_HEX,
    SYMBOL = T | V | G, /* "!#$%&'*+-.^_`|~" of RFC 9110's tchar, '#' apart */
    DELIMITER = V | G,
    DIGIT = T | V | G | H | D | X,
    LETTER = T | V | G | H,
};

/* clang-format off */
const uint8_t http_chars[256] = {
    ['\t'] = V, [' '] = V,
    ['!'] = SYMBOL, ['"'] = DELIMITER, ['#'] = T | V, ['$' ... '\''] = SYMBOL,
    ['(' ... ')'] = DELIMITER, ['*' ... '+'] = SYMBOL, [','] = DELIMITER, ['-' ... '.'] = SYMBOL | H, ['/'] = DELIMITER,
    ['0' ... '9'] = DIGIT,
    [':' ... '@'] = DELIMITER,
    ['A' ... 'F'] = LETTER | X, ['G' ... 'Z'] = LETTER,
    ['[' ... ']'] = DELIMITER, ['^'] = SYMBOL, ['_'] = SYMBOL | H, ['`'] = SYMBOL,
    ['a' ... 'f'] = LETTER | X, ['g' ... 'z'] = LETTER,
    ['{'] = DELIMITER, ['|'] = SYMBOL, ['}'] = DELIMITER, ['~'] = SYMBOL | H,
    [0x80 ... 0xff] = V,
};
/* clang-format on */
