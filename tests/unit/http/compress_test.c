/* SPDX-License-Identifier: MIT */
#include "http/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <zlib.h>

#include "base/random.h"

enum { SIZE = 100 * 1000 };
static char text[SIZE], noise[SIZE], back[SIZE + 1];

static int set_up(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 7);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = "certificate "[i % 12];
        noise[i] = (char)random_next(&r);
    }
    return 0;
}

static size_t gunzip(struct str packed)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.ptr,
                   .avail_in = (uInt)packed.len,
                   .next_out = (Bytef *)back,
                   .avail_out = sizeof(back) };
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t len = z.total_out;
    inflateEnd(&z);
    return len;
}

static void check_gzip(struct str in, int level)
{
    struct buf out;
    buf_init(&out, 2 * SIZE);
    buf_cstr(&out, "before");
    assert_int_equal(compress_gzip(in, level, &out), OK);
    assert_int_equal(gunzip(str_slice(buf_view(&out), 6, out.len)), in.len);
    assert_memory_equal(back, in.ptr, in.len);
    buf_done(&out);
}

static void test_compress_gzip__can_be_undone(void **state)
{
    (void)state;
    check_gzip((struct str){ text, SIZE }, 1);
    check_gzip((struct str){ text, SIZE }, 9);
    check_gzip((struct str){ noise, SIZE }, 6);
    check_gzip(STR_EMPTY, 6);
}

static void test_compress__makes_text_small(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, SIZE / 50);
    assert_int_equal(compress_gzip((struct str){ text, SIZE }, 6, &out), OK);
    buf_clear(&out);
    assert_int_equal(compress_brotli((struct str){ text, SIZE }, 5, &out), OK);
    assert_true(out.len > 0 && out.len < SIZE / 50);
    buf_done(&out);
}

typedef enum err compress_fn(struct str in, int level, struct buf *out);

static void check_bounded(compress_fn *compress)
{
    struct buf out;
    buf_init(&out, SIZE / 2);
    buf_cstr(&out, "before");
    assert_int_equal(compress((struct str){ noise, SIZE }, 5, &out), E_TOO_LARGE);
    assert_int_equal(out.len, 6);
    assert_false(buf_ok(&out));
    buf_done(&out);
}

static void test_compress__respects_the_maximum(void **state)
{
    (void)state;
    check_bounded(compress_gzip);
    check_bounded(compress_brotli);
}

static void test_compress_brotli__is_not_the_plain_text(void **state)
{
    (void)state;
    struct buf a, b;
    buf_init(&a, 2 * SIZE);
    buf_init(&b, 2 * SIZE);
    assert_int_equal(compress_brotli((struct str){ noise, SIZE }, 0, &a), OK);
    assert_true(a.len >= SIZE);
    assert_int_equal(compress_brotli(STR_EMPTY, 11, &b), OK);
    assert_int_equal(b.len, 1);
    buf_done(&a);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compress_gzip__can_be_undone),
        cmocka_unit_test(test_compress__makes_text_small),
        cmocka_unit_test(test_compress__respects_the_maximum),
        cmocka_unit_test(test_compress_brotli__is_not_the_plain_text),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
