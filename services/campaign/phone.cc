#include "phone.h"

#include <atomic>
#include <cstring>
#include <phonenumbers/phonenumberutil.h>
#include <set>
#include <string>

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

#define DIGITS_MOST 15 /* E.164 */
#define LOST_PLUS_DIGITS 11

/* Its logger is silent unless set: it would log numbers that it cannot read. */
static const PhoneNumberUtil *util()
{
    return PhoneNumberUtil::GetInstance();
}

/* ---- The whole way ---- */

static std::string with_plus(const char *text, size_t length)
{
    std::string number(text, length);

    if (number.size() > 2 && number.compare(0, 2, "00") == 0)
        number.replace(0, 2, "+");
    return number;
}

static enum phone_result read_number(const std::string &number, const char *region,
                                     PhoneNumber *parsed, char *out)
{
    std::string e164;
    PhoneNumberUtil::ErrorType error = util()->Parse(number, region ? region : "ZZ", parsed);

    if (error == PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR &&
        number.find('+') == std::string::npos)
        return PHONE_RESULT_NO_COUNTRY;
    if (error != PhoneNumberUtil::NO_PARSING_ERROR || parsed->has_extension() ||
        !util()->IsPossibleNumber(*parsed))
        return PHONE_RESULT_INVALID;
    util()->Format(*parsed, PhoneNumberUtil::E164, &e164);
    if (e164.size() > DIGITS_MOST + 1)
        return PHONE_RESULT_INVALID;
    std::memcpy(out, e164.c_str(), e164.size() + 1);
    return PHONE_RESULT_OK;
}

/* ---- The short way ----
 * A number that begins with its country code comes out as its digits, unless libphonenumber strips
 * a national prefix from what follows; and whether it is possible depends on its length alone. So
 * for countries whose national prefixes begin with known digits one answer for each length is
 * enough; it is asked for once and kept. phone_test compares both ways. */

static const struct {
    const char *code;
    const char *unsure; /* first digits after the code that a national prefix begins with */
} codes[] = {
    {"1", "1"},   {"7", "8"},   {"20", "0"},   {"27", "0"},  {"30", ""},   {"31", "0"},
    {"32", "0"},  {"33", "0"},  {"34", ""},    {"40", "0"},  {"41", "0"},  {"44", "0"},
    {"45", ""},   {"46", "0"},  {"47", ""},    {"48", ""},   {"49", "0"},  {"61", "01"},
    {"90", "0"},  {"91", "0"},  {"351", ""},   {"353", "0"}, {"371", ""},  {"372", ""},
    {"373", "0"}, {"374", "0"}, {"375", "08"}, {"380", "0"}, {"420", ""},  {"971", "0"},
    {"972", "0"}, {"992", ""},  {"994", "0"},  {"995", "0"}, {"996", "0"}, {"998", "8"},
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

/* 0: not asked yet; else the result + 1. */
static std::atomic<unsigned char> answers[CODES][DIGITS_MOST + 1];

/* The entry of codes that the digits begin with, or CODES. No code is the beginning of another. */
static size_t find_code(const char *digits, size_t count)
{
    for (size_t i = 0; i < CODES; i++) {
        size_t length = std::strlen(codes[i].code);

        if (count > length && !std::memcmp(digits, codes[i].code, length))
            return i;
    }
    return CODES;
}

/* The digits that follow a plus; 0 when there is anything else than digits and plain punctuation.
 */
static size_t plain_digits(const char *text, size_t length, char *digits)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            if (count == DIGITS_MOST)
                return 0;
            digits[count++] = text[i];
        } else if (text[i] != ' ' && text[i] != '-' && text[i] != '(' && text[i] != ')') {
            return 0;
        }
    }
    return count;
}

/* False: the whole way must be gone. */
static bool read_quickly(const char *digits, size_t count, enum phone_result *ret_result, char *out)
{
    size_t code = find_code(digits, count);

    if (code == CODES)
        return false;
    char first = digits[std::strlen(codes[code].code)];

    if (first == '0' || std::strchr(codes[code].unsure, first))
        return false;
    out[0] = '+';
    std::memcpy(out + 1, digits, count);
    out[count + 1] = '\0';
    unsigned char answer = answers[code][count].load(std::memory_order_relaxed);

    if (!answer) {
        PhoneNumber parsed;
        char asked[32];

        answer = (unsigned char)(read_number(out, nullptr, &parsed, asked) + 1);
        answers[code][count].store(answer, std::memory_order_relaxed);
    }
    *ret_result = (enum phone_result)(answer - 1);
    return true;
}

/* Digits without a plus that are read in a region as if they had one: mobile numbers in Russia,
 * where 8 is dialled for 7, and what begins with 1 in North America. Numbers have ten digits there,
 * so eleven are too many without their country code. */
static size_t home_digits(const char *digits, size_t count, const char *region, char *full)
{
    bool is_us = region && (!std::strcmp(region, "US") || !std::strcmp(region, "CA"));
    bool is_ru = region && !std::strcmp(region, "RU");

    if (count != 11)
        return 0;
    if ((is_us && digits[0] == '1') ||
        (is_ru && (digits[0] == '7' || digits[0] == '8') && digits[1] == '9')) {
        std::memcpy(full, digits, count);
        full[0] = is_ru ? '7' : '1';
        return count;
    }
    return 0;
}

enum phone_result phone_normalise(const char *text, size_t length, const char *region, char *out)
{
    char digits[DIGITS_MOST], full[DIGITS_MOST];
    enum phone_result result;
    bool has_plus = length > 1 && text[0] == '+' && text[1] >= '0' && text[1] <= '9';
    size_t count = plain_digits(text + has_plus, length - has_plus, digits);
    size_t full_count = !has_plus && count ? home_digits(digits, count, region, full) : 0;

    try {
        if (has_plus && count && read_quickly(digits, count, &result, out))
            return result;
        if (full_count && read_quickly(full, full_count, &result, out))
            return result;
        PhoneNumber parsed;

        return read_number(with_plus(text, length), region, &parsed, out);
    } catch (...) { /* out of memory */
        return PHONE_RESULT_INVALID;
    }
}

/* ---- A lost plus ---- */

enum phone_result phone_read_digits(const char *digits, size_t length, const char *region,
                                    char *out, char *other)
{
    enum phone_result national = phone_normalise(digits, length, region, out);
    bool has_same =
        national == PHONE_RESULT_OK && !std::strncmp(out + 1, digits, length) && !out[1 + length];

    if (has_same || length < LOST_PLUS_DIGITS || length > DIGITS_MOST || digits[0] == '0')
        return national;
    try {
        PhoneNumber abroad, home;

        if (read_number("+" + std::string(digits, length), nullptr, &abroad, other) !=
                PHONE_RESULT_OK ||
            !util()->IsValidNumber(abroad))
            return national;
        if (national == PHONE_RESULT_OK && !std::strcmp(out, other))
            return national;
        if (national != PHONE_RESULT_OK) {
            std::strcpy(out, other);
            return PHONE_RESULT_OK;
        }
        char again[32];

        if (read_number(with_plus(digits, length), region, &home, again) == PHONE_RESULT_OK &&
            util()->IsValidNumber(home))
            return PHONE_RESULT_OK;
        return PHONE_RESULT_AMBIGUOUS;
    } catch (...) {
        return PHONE_RESULT_INVALID;
    }
}

/* ---- Words ---- */

const char *phone_reason(const char *text, size_t length, const char *region)
{
    try {
        PhoneNumber parsed;
        std::string number = with_plus(text, length);

        switch (util()->Parse(number, region ? region : "ZZ", &parsed)) {
        case PhoneNumberUtil::NO_PARSING_ERROR:
            break;
        case PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR:
            return "its country code is not known";
        case PhoneNumberUtil::TOO_SHORT_AFTER_IDD:
        case PhoneNumberUtil::TOO_SHORT_NSN:
            return "it is too short";
        case PhoneNumberUtil::TOO_LONG_NSN:
            return "it is too long";
        default:
            return "these are not the digits of one";
        }
        if (parsed.has_extension())
            return "it has an extension, which cannot be dialled";
        switch (util()->IsPossibleNumberWithReason(parsed)) {
        case PhoneNumberUtil::TOO_SHORT:
            return "it is too short";
        case PhoneNumberUtil::TOO_LONG:
            return "it is too long";
        default:
            return "its country has none of that length";
        }
    } catch (...) {
        return "these are not the digits of one";
    }
}

int phone_region_is_known(const char *region)
{
    try {
        std::set<std::string> regions;
        util()->GetSupportedRegions(&regions);
        return regions.count(region) != 0;
    } catch (...) {
        return 0;
    }
}
