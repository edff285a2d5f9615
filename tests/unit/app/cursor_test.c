/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/cursor.h"

static const uint8_t key[CURSOR_KEY_BYTES] = { 1, 2, 3 };
static const uint8_t other_key[CURSOR_KEY_BYTES] = { 1, 2, 4 };
static const struct cursor place = { .at = 1700000000123, .category = 7, .id = 4711 };

static struct str text_of(const char text[static CURSOR_LEN]) { return (struct str){ text, CURSOR_LEN }; }

static void assert_reads_back(const struct cursor *c)
{
    char text[CURSOR_LEN];
    struct cursor back;

    cursor_write(c, 3, key, text);
    assert_int_equal(cursor_read(text_of(text), 3, key, &back), OK);
    assert_int_equal(back.at, c->at);
    assert_int_equal(back.category, c->category);
    assert_int_equal(back.id, c->id);
}

static void test_cursor_read__returns_what_was_written(void **state)
{
    (void)state;
    assert_reads_back(&place);
    assert_reads_back(&(struct cursor){ INT64_MAX, 0, 0 });
    assert_reads_back(&(struct cursor){ .at = -1, .category = UINT32_MAX, .id = INT64_MAX });
}

static void test_cursor_write__needs_no_escaping_in_a_url(void **state)
{
    (void)state;
    char text[CURSOR_LEN];
    for (int64_t id = 0; id < 200; id++) {
        cursor_write(&(struct cursor){ .at = id * 7919, .id = id }, 0, key, text);
        for (size_t i = 0; i < CURSOR_LEN; i++)
            assert_non_null(memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text[i], 64));
    }
}

/* With each of the other 255 bytes: libsodium's decoder reads some bytes above
 * 0x7F as letters. */
static void test_cursor_read__refuses_every_changed_character(void **state)
{
    (void)state;
    char text[CURSOR_LEN];
    struct cursor back = place;

    cursor_write(&place, 3, key, text);
    for (size_t i = 0; i < CURSOR_LEN; i++) {
        for (int change = 1; change < 256; change++) {
            text[i] = (char)(text[i] ^ change);
            assert_int_equal(cursor_read(text_of(text), 3, key, &back), E_INVALID);
            text[i] = (char)(text[i] ^ change);
        }
    }
    assert_int_equal(back.id, place.id);
}

static void test_cursor_read__refuses_a_cut_or_longer_text(void **state)
{
    (void)state;
    char text[CURSOR_LEN + 1];
    struct cursor back;

    cursor_write(&place, 3, key, text);
    text[CURSOR_LEN] = 'A';
    for (size_t len = 0; len <= CURSOR_LEN + 1; len++)
        assert_int_equal(cursor_read((struct str){ text, len }, 3, key, &back), len == CURSOR_LEN ? OK : E_INVALID);
}

static void test_cursor_read__refuses_another_list_or_key(void **state)
{
    (void)state;
    char text[CURSOR_LEN];
    struct cursor back;

    cursor_write(&place, 3, key, text);
    assert_int_equal(cursor_read(text_of(text), 4, key, &back), E_INVALID);
    assert_int_equal(cursor_read(text_of(text), 3, other_key, &back), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor_read__returns_what_was_written),
        cmocka_unit_test(test_cursor_write__needs_no_escaping_in_a_url),
        cmocka_unit_test(test_cursor_read__refuses_every_changed_character),
        cmocka_unit_test(test_cursor_read__refuses_a_cut_or_longer_text),
        cmocka_unit_test(test_cursor_read__refuses_another_list_or_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
