/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cache/variant.h"

static struct response page(const char *body, const char *link)
{
    struct response res = response_json(200, str_of(body));

    if (link)
        response_field(&res, "Link", str_of(link));
    return res;
}

static void tag_of(const struct response *res, char etag[static CACHE_ETAG_SIZE])
{
    uint64_t content[2];
    struct blob *blob;

    variant_hash(res, content);
    blob = variant_plain(res, content, etag);
    assert_non_null(blob);
    blob_unref(blob);
}

/* Whether the head has exactly one line that is, or starts with, the text. */
static bool has_line(const struct blob *blob, const char *start)
{
    struct str rest = blob->head;
    int found = 0;

    while (rest.ptr && rest.len > 0)
        found += str_starts_with(str_split(&rest, '\n'), str_of(start));
    return found == 1;
}

static void test_variant_plain__is_head_and_body(void **state)
{
    struct response res = page("[1,2]", "</next>; rel=\"next\"");
    char etag[CACHE_ETAG_SIZE];
    uint64_t content[2];
    struct blob *blob;

    (void)state;
    variant_hash(&res, content);
    blob = variant_plain(&res, content, etag);
    assert_non_null(blob);
    assert_true(str_eq(blob->body, STR("[1,2]")));
    assert_true(has_line(blob, "Content-Length: 5\r"));
    assert_true(has_line(blob, "Content-Type: application/json\r"));
    assert_true(has_line(blob, "Link: </next>; rel=\"next\"\r"));
    assert_true(has_line(blob, "Vary: Accept-Encoding\r"));
    assert_true(has_line(blob, "ETag: \""));
    assert_false(has_line(blob, "Content-Encoding"));
    assert_true(str_ends_with(blob->head, STR("\r\n\r\n")));
    assert_int_equal(strlen(etag), 34);
    blob_unref(blob);
}

static void test_variant_plain__an_empty_body_is_one(void **state)
{
    struct response res = page("", NULL);
    char etag[CACHE_ETAG_SIZE];
    uint64_t content[2];
    struct blob *blob;

    (void)state;
    variant_hash(&res, content);
    blob = variant_plain(&res, content, etag);
    assert_non_null(blob);
    assert_int_equal(blob->body.len, 0);
    assert_true(has_line(blob, "Content-Length: 0\r"));
    blob_unref(blob);
}

static void test_variant_encoded__changes_length_tag_and_encoding_only(void **state)
{
    struct response res = page("a body of some length", "</next>; rel=\"next\"");
    char plain_etag[CACHE_ETAG_SIZE], etag[CACHE_ETAG_SIZE];
    uint64_t content[2];
    struct blob *plain, *encoded;

    (void)state;
    variant_hash(&res, content);
    plain = variant_plain(&res, content, plain_etag);
    assert_non_null(plain);
    encoded = variant_encoded(plain, ENCODED_GZIP, STR("\x1f\x8b..."), plain_etag, etag);
    assert_non_null(encoded);
    assert_true(str_eq(encoded->body, STR("\x1f\x8b...")));
    assert_true(has_line(encoded, "Content-Encoding: gzip\r"));
    assert_true(has_line(encoded, "Content-Length: 5\r"));
    assert_true(has_line(encoded, "Content-Type: application/json\r"));
    assert_true(has_line(encoded, "Link: </next>; rel=\"next\"\r"));
    assert_true(has_line(encoded, "Vary: Accept-Encoding\r"));
    assert_memory_equal(etag, plain_etag, 33);
    assert_string_equal(etag + 33, "-gzip\"");
    blob_unref(plain);
    blob_unref(encoded);
}

static void test_variant_hash__equal_responses_have_equal_tags(void **state)
{
    const struct response a = page("[1]", "</a>"), b = page("[1]", "</a>");
    char one[CACHE_ETAG_SIZE], two[CACHE_ETAG_SIZE];

    (void)state;
    tag_of(&a, one);
    tag_of(&b, two);
    assert_string_equal(one, two);
}

static void test_variant_hash__body_type_and_fields_count(void **state)
{
    struct response all[] = { page("[1]", NULL), page("[2]", NULL), page("[1]", "</a>"), page("[1]", "</b>"),
                              page("[1]", NULL) };
    const size_t count = sizeof(all) / sizeof(all[0]);
    char tags[sizeof(all) / sizeof(all[0])][CACHE_ETAG_SIZE];

    (void)state;
    all[count - 1].type = STR("text/plain");
    for (size_t i = 0; i < count; i++) {
        tag_of(&all[i], tags[i]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tags[i], tags[k]);
    }
}

static void test_variant_hash__text_moved_from_one_field_to_another_counts(void **state)
{
    struct response a = page("[]", NULL), b = page("[]", NULL);
    char one[CACHE_ETAG_SIZE], two[CACHE_ETAG_SIZE];

    (void)state;
    response_field(&a, "A", STR("bC"));
    response_field(&b, "Ab", STR("C"));
    tag_of(&a, one);
    tag_of(&b, two);
    assert_string_not_equal(one, two);
}

static void test_variant_not_modified__has_the_tag_and_no_body(void **state)
{
    const struct response res = variant_not_modified("\"tag\"");
    bool tagged = false, varies = false;

    (void)state;
    assert_int_equal(res.status, 304);
    assert_int_equal(res.kind, BODY_NONE);
    for (unsigned i = 0; i < res.field_count; i++) {
        tagged |= str_eq(res.fields[i].name, STR("ETag")) && str_eq(res.fields[i].value, STR("\"tag\""));
        varies |= str_eq(res.fields[i].name, STR("Vary"));
    }
    assert_true(tagged && varies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variant_plain__is_head_and_body),
        cmocka_unit_test(test_variant_plain__an_empty_body_is_one),
        cmocka_unit_test(test_variant_encoded__changes_length_tag_and_encoding_only),
        cmocka_unit_test(test_variant_hash__equal_responses_have_equal_tags),
        cmocka_unit_test(test_variant_hash__body_type_and_fields_count),
        cmocka_unit_test(test_variant_hash__text_moved_from_one_field_to_another_counts),
        cmocka_unit_test(test_variant_not_modified__has_the_tag_and_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
