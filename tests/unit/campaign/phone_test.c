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

static void check_digits(const char *digits, const char *region, enum phone_result result,
                         const char *e164)
{
    char out[24] = "", other[24] = "";

    assert_int_equal(phone_read_digits(digits, strlen(digits), region, out, other), result);
    if (result == PHONE_RESULT_OK)
        assert_string_equal(out, e164);
}

static void test_lost_plus(void **state)
{
    (void)state;
    check_digits("79161234567", "RU", PHONE_RESULT_OK, "+79161234567");
    check_digits("79161234567", NULL, PHONE_RESULT_OK, "+79161234567");
    check_digits("12015550101", NULL, PHONE_RESULT_OK, "+12015550101");
    check_digits("12015550101", "US", PHONE_RESULT_OK, "+12015550101");
    check_digits("79161234567", "US", PHONE_RESULT_OK, "+79161234567");
    check_digits("2015550101", "US", PHONE_RESULT_OK, "+12015550101");
    check_digits("89161234567", "RU", PHONE_RESULT_OK, "+79161234567");
    /* The region goes first where the number is one of its own: in China, and not in Illinois. */
    check_digits("13312345678", "CN", PHONE_RESULT_OK, "+8613312345678");
    /* Possible at home, valid abroad. */
    check_digits("79161234567", "AT", PHONE_RESULT_AMBIGUOUS, NULL);
    check_digits("2015550101", NULL, PHONE_RESULT_NO_COUNTRY, NULL);
    check_digits("10000000000", NULL, PHONE_RESULT_NO_COUNTRY, NULL);
    check_digits("1234567890123456", NULL, PHONE_RESULT_NO_COUNTRY, NULL);
}

static void test_reasons(void **state)
{
    (void)state;
    assert_string_equal(phone_reason("+1", 2, NULL), "these are not the digits of one");
    assert_string_equal(phone_reason("+1 201", 6, NULL), "it is too short");
    assert_string_equal(phone_reason("+1 201 555 0101 99", 18, NULL), "it is too long");
    assert_string_equal(phone_reason("+1 201 555 0101 x5", 18, NULL),
                        "it has an extension, which cannot be dialled");
    assert_string_equal(phone_reason("+999 123456", 11, NULL), "its country code is not known");
}

/* The short way and the whole way give the same, for every code that has one. A letter at the front
 * makes the whole way of it: it is stripped there. */
static void test_short_way(void **state)
{
    static const char *const codes[] = {
        "1",   "7",   "20",  "27",  "30",  "31",  "32",  "33",  "34",  "40",  "41",  "44",
        "45",  "46",  "47",  "48",  "49",  "61",  "90",  "91",  "351", "353", "371", "372",
        "373", "374", "375", "380", "420", "971", "972", "992", "994", "995", "996", "998"};
    uint64_t seed = 42;

    (void)state;
    for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
        for (int i = 0; i < 600; i++) {
            char text[40] = "~+", quick[24] = "", slow[24] = "";
            size_t used = 2 + strlen(codes[c]);

            strcpy(text + 2, codes[c]);
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            /* every first three digits come up; lengths from 5 to 12 */
            uint64_t digits = seed >> 20;

            for (int d = 0; d < 5 + (int)((seed >> 8) % 8); d++, digits /= 10)
                text[used++] = (char)('0' + digits % 10);
            text[used] = 0;
            enum phone_result expected = phone_normalise(text, used, NULL, slow);

            assert_int_equal(phone_normalise(text + 1, used - 1, NULL, quick), expected);
            if (expected == PHONE_RESULT_OK)
                assert_string_equal(quick, slow);
        }
}

/* The same for what is read in a region. */
static void test_short_way_at_home(void **state)
{
    static const struct {
        const char *region, *beginning;
        int digits;
    } cases[] = {{"RU", "79", 9}, {"RU", "89", 9}, {"US", "1", 10}, {"CA", "1", 10}};
    uint64_t seed = 7;

    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
        for (int i = 0; i < 500; i++) {
            char text[40] = "~", quick[24] = "", slow[24] = "";
            size_t used = 1 + strlen(cases[c].beginning);

            strcpy(text + 1, cases[c].beginning);
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            uint64_t digits = seed >> 20;

            for (int d = 0; d < cases[c].digits; d++, digits /= 10)
                text[used++] = (char)('0' + digits % 10);
            text[used] = 0;
            enum phone_result expected = phone_normalise(text, used, cases[c].region, slow);

            assert_int_equal(phone_normalise(text + 1, used - 1, cases[c].region, quick), expected);
            if (expected == PHONE_RESULT_OK)
                assert_string_equal(quick, slow);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_international),     cmocka_unit_test(test_without_country_code),
        cmocka_unit_test(test_what_is_none),      cmocka_unit_test(test_lost_plus),
        cmocka_unit_test(test_reasons),           cmocka_unit_test(test_short_way),
        cmocka_unit_test(test_short_way_at_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
