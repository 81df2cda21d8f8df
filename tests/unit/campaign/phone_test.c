/* Phone numbers as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "phone.h"

#include <string.h>

static void check(const char *text, const char *region, enum phone_result result, const char *e164)
{
    char out[24] = "";

    assert_int_equal(phone_normalise(text, strlen(text), region, out), result);
    if (result == PHONE_RESULT_OK)
        assert_string_equal(out, e164);
}

static void test_international(void **state)
{
    (void)state;
    check("+1 201-555-0101", NULL, PHONE_RESULT_OK, "+12015550101");
    check("+44 (0)7700 900009", NULL, PHONE_RESULT_OK, "+447700900009");
    check("00 33 6 39 98 00 10", NULL, PHONE_RESULT_OK, "+33639980010");
    check("+49 30 901820", NULL, PHONE_RESULT_OK, "+4930901820");
    check("+61 491 570 009", NULL, PHONE_RESULT_OK, "+61491570009");
}

static void test_without_country_code(void **state)
{
    (void)state;
    check("1-201-555-0104", NULL, PHONE_RESULT_NO_COUNTRY, NULL);
    check("(201) 555-0104", "US", PHONE_RESULT_OK, "+12015550104");
    check("030 901820", "DE", PHONE_RESULT_OK, "+4930901820");
}

static void test_what_is_none(void **state)
{
    (void)state;
    check("not a phone", NULL, PHONE_RESULT_INVALID, NULL);
    check("+1", NULL, PHONE_RESULT_INVALID, NULL);
    check("+1201555010112345678", NULL, PHONE_RESULT_INVALID, NULL);
    check("+999 123456", NULL, PHONE_RESULT_INVALID, NULL);
    check("+1 201 555 0101 ext. 5", NULL, PHONE_RESULT_INVALID, NULL); /* nobody could dial it */
    check("", NULL, PHONE_RESULT_INVALID, NULL);
    assert_true(phone_region_is_known("DE"));
    assert_false(phone_region_is_known("XX"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_international),
        cmocka_unit_test(test_without_country_code),
        cmocka_unit_test(test_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
