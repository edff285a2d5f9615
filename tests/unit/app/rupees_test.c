/* SPDX-License-Identifier: MIT */
#include "app/rupees.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_rupees_in_words__uses_indian_groups(void **state)
{
    static const struct {
        int64_t paise;
        const char *words;
    } rows[] = {
        { 0, "Rupees Zero Only" },
        { 5, "Rupees Zero and Five Paise Only" },
        { 100, "Rupees One Only" },
        { 1999, "Rupees Nineteen and Ninety Nine Paise Only" },
        { 2000, "Rupees Twenty Only" },
        { 10000, "Rupees One Hundred Only" },
        { 707764, "Rupees Seven Thousand Seventy Seven and Sixty Four Paise Only" },
        { 10500050, "Rupees One Lakh Five Thousand and Fifty Paise Only" },
        { 1000000000, "Rupees One Crore Only" },
        { 123456789000, "Rupees One Hundred Twenty Three Crore Forty Five Lakh Sixty Seven Thousand Eight Hundred"
                        " Ninety Only" },
        { 1000000000000000, "Rupees Ten Lakh Crore Only" },
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str words = rupees_in_words(&arena, rows[i].paise);
        if (!str_eq(words, str_of(rows[i].words)))
            fail_msg("%lld: \"" STR_FMT "\"", (long long)rows[i].paise, STR_ARG(words));
    }
    assert_true(rupees_in_words(&arena, INT64_MAX).len > 0);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rupees_in_words__uses_indian_groups) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
