/* Phone numbers masked: alone, inside text, and what is none. */
#include "base/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check(void (*mask)(struct buf *, struct str), const char *given, const char *expected)
{
    struct buf out;

    buf_init(&out, 0);
    mask(&out, str_from(given));
    buf_put_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    buf_done(&out);
}

static void test_phones(void **state)
{
    static const char *const table[][2] = {
        {"+12015550100", "+1•••0100"},
        {"+79161234567", "+7•••4567"},
        {"+4915112345678", "+49•••5678"},
        {"+380441234567", "+380•••4567"},
        {"+6834000", "+683•••"},        /* four digits behind the code: none is shown */
        {"+35812345678", "+358•••678"}, /* five are hidden at least */
        {"+4712345678", "+47•••678"},
        {"2015550100", "•••0100"},
        {"8 (916) 123-45-67", "•••4567"},
        {"1234567", "•••67"},
        {"112", "•••"},
        {"sip:ann@example.com", "•••"},
        {"+1", "•••"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check(mask_phone, table[i][0], table[i][1]);
}

static void test_text(void **state)
{
    static const char *const table[][2] = {
        {"call +12015550100 or 2015550101.", "call +1•••0100 or •••0101."},
        {"(201) 555-0100", "(•••0100"},
        {"mine: 8 (916) 123-45-67, thanks", "mine: •••4567, thanks"},
        {"+1 (201) 555‑0100", "+1•••0100"}, /* a no-break hyphen */
        {"2 0 1 5 5 5 0 1 0 0", "•••0100"},
        {"+12015550100+12015550101", "+1•••0100+1•••0101"},
        {"tel:+12015550100;ext=5", "tel:+1•••0100;ext=5"},
        {"Row 1000000: phone_number is empty", "Row 1000000: phone_number is empty"},
        {"Row 12: 2015550100 is in row 1000001 already",
         "Row 12: •••0100 is in row 1000001 already"},
        {"born 1990-12-31, called 2026-01-17 09:30", "born 1990-12-31, called 2026-01-17 09:30"},
        {"17.01.2026 12/31/2025", "17.01.2026 12/31/2025"},
        {"2026-13-17 00", "•••1700"}, /* no date */
        {"2026-01-17T09:30:00.123456Z", "2026-01-17T09:30:00.123456Z"},
        {"01a2043d-5154-77cc-a011-546d5e6b3be0", "01a2043d-5154-77cc-a011-546d5e6b3be0"},
        {"order A1234567", "order A1234567"},
        {"2015550100 5551234a", "•••0100 5551234a"},
        {"a1 2015550100", "a1 •••0100"},
        {"room 12, floor 3, 45 people", "room 12, floor 3, 45 people"},
        {"123456", "123456"},
        {"+", "+"},
        {"+ +( +()", "+ +( +()"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check(mask_phones_in_text, table[i][0], table[i][1]);
}

/* What a mask lets through holds no number that could be dialed, and masking again changes no
 * length of it. */
static void test_every_length(void **state)
{
    char text[64] = "+";

    (void)state;
    for (size_t digits = 7; digits <= 15; digits++) {
        for (size_t i = 0; i < digits; i++)
            text[1 + i] = (char)('1' + i % 9);
        text[1 + digits] = '\0';
        struct buf out;

        buf_init(&out, 0);
        mask_phone(&out, str_from(text));
        size_t shown = 0;
        for (size_t i = 0; i < out.length; i++)
            shown += out.data[i] >= '0' && out.data[i] <= '9';
        assert_true(shown + 5 <= digits ||
                    shown <= 3); /* at most the country code, or five hidden */
        buf_done(&out);
    }
}

static void test_has_phone(void **state)
{
    const struct str phone = STR_LITERAL("+79161234567");

    (void)state;
    assert_true(mask_text_has_phone(str_from("[\"Ann\",\"8 (916) 123-45-67\"]"), phone));
    assert_true(mask_text_has_phone(str_from("7.9161234567, +79161234567"), phone));
    assert_true(mask_text_has_phone(str_from("1234567"), phone));
    assert_false(mask_text_has_phone(str_from("+79161234568"), phone));
    assert_false(mask_text_has_phone(str_from("234567"), phone));
    assert_false(mask_text_has_phone(str_from(""), phone));
    assert_false(mask_text_has_phone(str_from("nothing"), phone));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phones),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_has_phone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
