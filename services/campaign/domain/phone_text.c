#include "domain/phone_text.h"

#include <stdio.h>

#define EXPONENT_MOST 18

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(struct str text, size_t at)
{
    size_t count = 0;

    while (at + count < text.length && is_digit(text.data[at + count]))
        count++;
    return count;
}

/* ="+7916…" is how a CSV keeps Excel from reading a number; '+7916… is the same inside a sheet. */
static struct str unwrap(struct str text)
{
    if (text.length > 3 && !memcmp(text.data, "=\"", 2) && text.data[text.length - 1] == '"')
        text = (struct str){text.data + 2, text.length - 3};
    if (text.length > 1 && text.data[0] == '\'')
        text = (struct str){text.data + 1, text.length - 1};
    return str_trim(text);
}

/* Bytes of an invisible mark at the front (directions, joiners, byte-order mark, soft hyphen),
 * which come along when a number is copied from an address book. */
static size_t invisible(const unsigned char *p, size_t left)
{
    if (left >= 2 && p[0] == 0xC2 && p[1] == 0xAD)
        return 2;
    if (left < 3)
        return 0;
    if (p[0] == 0xE2 && p[1] == 0x80 &&
        ((p[2] >= 0x8B && p[2] <= 0x8F) || (p[2] >= 0xAA && p[2] <= 0xAE)))
        return 3;
    if (p[0] == 0xE2 && p[1] == 0x81 && p[2] >= 0xA0 && p[2] <= 0xAF)
        return 3;
    return p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF ? 3 : 0;
}

/* Without invisible marks, and with every space that does not break as a space. */
static void copy_visible(struct str text, struct phone_text *phone)
{
    const unsigned char *p = (const unsigned char *)text.data;

    phone->length = 0;
    for (size_t i = 0; i < text.length;) {
        size_t left = text.length - i, skip = p[i] < 0x80 ? 0 : invisible(p + i, left);

        if (skip) {
            i += skip;
        } else if (left >= 2 && p[i] == 0xC2 && p[i + 1] == 0xA0) {
            phone->text[phone->length++] = ' ';
            i += 2;
        } else if (left >= 3 && p[i] == 0xE2 && p[i + 1] == 0x80 &&
                   (p[i + 2] <= 0x8A || p[i + 2] == 0xAF)) {
            phone->text[phone->length++] = ' ';
            i += 3;
        } else {
            phone->text[phone->length++] = (char)p[i++];
        }
    }
    struct str trimmed = str_trim((struct str){phone->text, phone->length});

    memmove(phone->text, trimmed.data, trimmed.length);
    phone->length = trimmed.length;
    phone->text[phone->length] = '\0';
}

/* "79161234567.0" and "79161234567,00": a column of numbers that was one of decimals. */
static void drop_zero_decimals(struct phone_text *phone)
{
    struct str text = {phone->text, phone->length};
    size_t sign = text.length && text.data[0] == '+', digits = count_digits(text, sign);
    size_t at = sign + digits;

    /* With fewer digits it may be a number written with dots. */
    if (digits < 7 || at + 1 >= text.length || (text.data[at] != '.' && text.data[at] != ','))
        return;
    for (size_t i = at + 1; i < text.length; i++)
        if (text.data[i] != '0')
            return;
    phone->length = at;
    phone->text[at] = '\0';
}

/* 7.9161234567E+10, with a comma for a point as well. False with a problem: digits are missing. */
static bool expand_exponent(struct phone_text *phone)
{
    struct str text = {phone->text, phone->length};
    size_t sign = text.length && text.data[0] == '+';
    size_t at = sign + 1, fraction = 0, exponent = 0;
    char digits[PHONE_TEXT_LIMIT_BYTES];

    if (count_digits(text, sign) != 1)
        return true;
    digits[0] = text.data[sign];
    if (at < text.length && (text.data[at] == '.' || text.data[at] == ',')) {
        fraction = count_digits(text, at + 1);
        memcpy(digits + 1, text.data + at + 1, fraction);
        at += 1 + fraction;
    }
    if (at >= text.length || (text.data[at] != 'E' && text.data[at] != 'e'))
        return true;
    at++;
    if (at < text.length && text.data[at] == '+')
        at++;
    size_t exponent_digits = count_digits(text, at);

    if (!exponent_digits || exponent_digits > 2 || at + exponent_digits != text.length)
        return true;
    for (size_t i = 0; i < exponent_digits; i++)
        exponent = exponent * 10 + (size_t)(text.data[at + i] - '0');
    if (exponent > EXPONENT_MOST || digits[0] == '0')
        return true;
    /* Zeros beyond the point are no digits of the number. */
    while (fraction > exponent && digits[fraction] == '0')
        fraction--;
    if (fraction > exponent)
        return true;
    if (fraction < exponent) {
        snprintf(phone->problem, sizeof(phone->problem),
                 "has been rounded by the spreadsheet: only %zu of its %zu digits are left; format "
                 "the column as text and export it again",
                 fraction + 1, exponent + 1);
        return false;
    }
    memcpy(phone->text + sign, digits, fraction + 1);
    phone->length = sign + fraction + 1;
    phone->text[phone->length] = '\0';
    return true;
}

bool phone_text_repair(struct str text, struct phone_text *ret_phone)
{
    text = unwrap(text);
    if (text.length > PHONE_TEXT_LIMIT_BYTES) {
        snprintf(ret_phone->problem, sizeof(ret_phone->problem),
                 "is not a valid phone number: it is too long");
        return false;
    }
    copy_visible(text, ret_phone);
    drop_zero_decimals(ret_phone);
    if (!expand_exponent(ret_phone))
        return false;
    struct str repaired = {ret_phone->text, ret_phone->length};

    ret_phone->is_bare = repaired.length && count_digits(repaired, 0) == repaired.length;
    return true;
}
