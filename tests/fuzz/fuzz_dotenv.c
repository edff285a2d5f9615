/* SPDX-License-Identifier: MIT */
/* Any bytes as a .env file: the reader keeps its promises, and each value that
 * it gives can be read as its setting's kind or is refused. */
#include <stdint.h>
#include <stdlib.h>

#include "settings/dotenv.h"
#include "settings/table.h"
#include "settings/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_pair(const struct dotenv_line *line, struct settings *s)
{
    const struct setting *row = settings_find(line->key);

    require(line->key.len > 0 && !(line->key.ptr[0] >= '0' && line->key.ptr[0] <= '9'));
    require(line->value.len < DOTENV_LINE_MAX);
    require(str_find(line->value, '\0', 0) == line->value.len);
    if (row && value_read(row, line->value, s) == OK && row->kind == SET_TEXT)
        require((double)line->value.len <= row->max);
}

static void read_lines(struct str bytes, struct settings *s)
{
    struct dotenv d = dotenv_of(bytes, &s->arena);
    struct dotenv_line line;
    unsigned last = 0;

    for (;;) {
        const enum dotenv_result result = dotenv_next(&d, &line);
        if (result == DOTENV_END)
            return;
        require(line.number > last);
        last = line.number;
        require((result == DOTENV_BAD) == (line.wrong != NULL));
        if (result == DOTENV_PAIR)
            check_pair(&line, s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings s; /* large; one at a time */

    s = (struct settings){ 0 };
    arena_init(&s.arena, 16 * 1024 * 1024);
    read_lines((struct str){ (const char *)data, size }, &s);
    arena_done(&s.arena);
    return 0;
}
