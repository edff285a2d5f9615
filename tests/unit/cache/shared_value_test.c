/* SPDX-License-Identifier: MIT */
/* Whatever is not exactly what was written, for that key and that stamp, is no value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cache/shared_value.h"

static const uint8_t secret[SHARED_SECRET_BYTES] = "a secret", other_secret[SHARED_SECRET_BYTES] = "another one";

static struct shared_seal seal_with(const uint8_t *key_of_installation, const char *key, const char *stamp)
{
    return (struct shared_seal){ key_of_installation, str_of(key), str_of(stamp) };
}

struct fixture {
    struct arena arena;
    struct shared_seal seal;
    struct buf value;
};

static struct response example(void)
{
    struct response res = response_json(200, STR("{\"rows\":[1,2,3]}"));

    response_field(&res, "Link", STR("</next>; rel=\"next\""));
    response_field(&res, "X-Empty", STR_EMPTY);
    return res;
}

static int start(void **state)
{
    static struct fixture f;
    const struct response res = example();

    f = (struct fixture){ .seal = seal_with(secret, "/list", "0123456789abcdef") };
    arena_init(&f.arena, 8 << 20);
    buf_init(&f.value, SHARED_VALUE_MAX);
    shared_value_write(&f.value, &f.seal, &res);
    *state = &f;
    return buf_ok(&f.value) ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *f = *state;

    buf_done(&f->value);
    arena_done(&f->arena);
    return 0;
}

static bool reads(struct fixture *f, struct str value)
{
    struct response res;

    return shared_value_read(value, &f->seal, &f->arena, &res);
}

static void test_shared_value_read__gives_what_was_written(void **state)
{
    struct fixture *f = *state;
    const struct response wrote = example();
    struct response res;

    assert_true(shared_value_read(buf_view(&f->value), &f->seal, &f->arena, &res));
    assert_int_equal(res.status, 200);
    assert_int_equal(res.kind, BODY_BYTES);
    assert_true(str_eq(res.type, wrote.type) && str_eq(res.body, wrote.body));
    assert_int_equal(res.field_count, wrote.field_count);
    for (unsigned i = 0; i < res.field_count; i++) {
        assert_true(str_eq(res.fields[i].name, wrote.fields[i].name));
        assert_true(str_eq(res.fields[i].value, wrote.fields[i].value));
    }
}

static void test_shared_value_read__every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;

    for (size_t n = 0; n < f->value.len; n++) {
        char *cut = test_malloc(n + 1); /* so that a sanitizer sees a read beyond it */
        memcpy(cut, f->value.ptr, n);
        assert_false(reads(f, (struct str){ cut, n }));
        test_free(cut);
    }
}

static void test_shared_value_read__every_flipped_bit_is_refused(void **state)
{
    struct fixture *f = *state;

    for (size_t bit = 0; bit < 8 * f->value.len; bit++) {
        f->value.ptr[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(reads(f, buf_view(&f->value)));
        f->value.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(reads(f, buf_view(&f->value)));
}

static void test_shared_value_read__more_bytes_behind_are_refused(void **state)
{
    struct fixture *f = *state;

    buf_byte(&f->value, '\0');
    assert_false(reads(f, buf_view(&f->value)));
}

static void test_shared_value_read__another_key_stamp_or_secret_is_refused(void **state)
{
    struct fixture *f = *state;

    f->seal = seal_with(secret, "/lisu", "0123456789abcdef");
    assert_false(reads(f, buf_view(&f->value)));
    f->seal = seal_with(secret, "/list", "0123456789abcdee");
    assert_false(reads(f, buf_view(&f->value)));
    f->seal = seal_with(secret, "/list", "");
    assert_false(reads(f, buf_view(&f->value)));
    f->seal = seal_with(other_secret, "/list", "0123456789abcdef");
    assert_false(reads(f, buf_view(&f->value)));
    f->seal = seal_with(secret, "/list", "0123456789abcdef");
    assert_true(reads(f, buf_view(&f->value)));
}

/* The seal does not cover the place of the stamp's end alone: the same bytes, cut elsewhere. */
static void test_shared_value_read__no_bytes_of_the_stamp_may_move_into_the_value(void **state)
{
    struct fixture *f = *state;

    f->seal = seal_with(secret, "/list", "0123456789abcde");
    assert_false(reads(f, str_slice(buf_view(&f->value), 0, f->value.len)));
}

static void test_shared_value_write__too_large_a_body_is_an_error(void **state)
{
    struct fixture *f = *state;
    char *body = arena_zalloc(&f->arena, SHARED_VALUE_MAX);
    const struct response fits = response_bytes(200, "text/plain", (struct str){ body, SHARED_VALUE_MAX - 1000 });
    const struct response res = response_bytes(200, "text/plain", (struct str){ body, SHARED_VALUE_MAX - 10 });

    assert_non_null(body);
    buf_clear(&f->value);
    shared_value_write(&f->value, &f->seal, &fits);
    assert_true(buf_ok(&f->value) && reads(f, buf_view(&f->value)));
    buf_clear(&f->value);
    shared_value_write(&f->value, &f->seal, &res);
    assert_int_equal(f->value.err, E_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shared_value_read__gives_what_was_written, start, finish),
        cmocka_unit_test_setup_teardown(test_shared_value_read__every_truncation_is_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_shared_value_read__every_flipped_bit_is_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_shared_value_read__more_bytes_behind_are_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_shared_value_read__another_key_stamp_or_secret_is_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_shared_value_read__no_bytes_of_the_stamp_may_move_into_the_value, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_shared_value_write__too_large_a_body_is_an_error, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
