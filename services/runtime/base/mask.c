#include "base/mask.h"

#include <string.h>

#define FEWEST_DIGITS 7
#define FEWEST_HIDDEN 5
#define MOST_SHOWN 4
#define MOST_SEPARATORS 3
#define COMPARED_DIGITS 9

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

/* Digits of the country code that `digits` begin with: zones 1 and 7 have one, the rest as the ITU
 * has given them out. */
static size_t country_code_length(const char *digits)
{
    static const char two[] = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 "
                              "55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 ";

    if (digits[0] == '1' || digits[0] == '7')
        return 1;
    for (const char *code = two; *code; code += 3)
        if (!memcmp(code, digits, 2))
            return 2;
    return 3;
}

/* The digits of a run, the first few and the last few of them: no more is ever asked for. */
struct digits {
    char first[FEWEST_DIGITS];
    char last[COMPARED_DIGITS]; /* a ring: the n-th digit is at n % COMPARED_DIGITS */
    size_t count;
    bool has_plus;
};

static void add_digit(struct digits *digits, char digit)
{
    if (digits->count < sizeof(digits->first))
        digits->first[digits->count] = digit;
    digits->last[digits->count++ % COMPARED_DIGITS] = digit;
}

static struct digits digits_of(struct str text)
{
    struct digits digits = {.has_plus = memchr(text.data, '+', text.length) != NULL};

    for (size_t i = 0; i < text.length; i++)
        if (is_digit(text.data[i]))
            add_digit(&digits, text.data[i]);
    return digits;
}

/* The n-th digit from the end, from 1; n is at most COMPARED_DIGITS and count. */
static char digit_from_end(const struct digits *digits, size_t n)
{
    return digits->last[(digits->count - n) % COMPARED_DIGITS];
}

static void put_masked(struct buf *out, const struct digits *digits)
{
    size_t hidden = digits->count, shown = 0;

    if (digits->count >= FEWEST_DIGITS && digits->has_plus) {
        size_t code = country_code_length(digits->first);

        buf_put_char(out, '+');
        buf_put(out, digits->first, code);
        hidden -= code;
    }
    buf_put_cstr(out, MASK_DOTS);
    if (digits->count >= FEWEST_DIGITS && hidden > FEWEST_HIDDEN)
        shown = hidden - FEWEST_HIDDEN < MOST_SHOWN ? hidden - FEWEST_HIDDEN : MOST_SHOWN;
    for (size_t n = shown; n > 0; n--)
        buf_put_char(out, digit_from_end(digits, n));
}

void mask_phone(struct buf *out, struct str phone)
{
    if (!phone.length)
        return;
    struct digits digits = digits_of(phone);

    put_masked(out, &digits);
}

/* Bytes of the separator at `at`; 0: there is none. */
static size_t separator(struct str text, size_t at)
{
    /* no-break space, narrow no-break space, the hyphens and dashes, minus */
    static const char *const wide[] = {"\xC2\xA0",     "\xE2\x80\xAF", "\xE2\x80\x90",
                                       "\xE2\x80\x91", "\xE2\x80\x92", "\xE2\x80\x93",
                                       "\xE2\x80\x94", "\xE2\x88\x92"};

    if (text.data[at] && strchr("-./() \t", text.data[at]))
        return 1;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        size_t length = strlen(wide[i]);

        if (text.length - at >= length && !memcmp(text.data + at, wide[i], length))
            return length;
    }
    return 0;
}

/* The end of the run of digits and separators that begins at `at`: after its last digit. */
static size_t run_end(struct str text, size_t at)
{
    size_t end = at, separators = 0;

    while (at < text.length && separators <= MOST_SEPARATORS) {
        size_t length;

        if (is_digit(text.data[at])) {
            end = ++at;
            separators = 0;
        } else if (text.data[at] == '+' && end != at) {
            break; /* the next number begins */
        } else if ((length = separator(text, at)) != 0) {
            at += length;
            separators++;
        } else {
            break;
        }
    }
    return end;
}

static bool has_shape(struct str text, size_t at, const char *shape)
{
    size_t length = strlen(shape);

    if (text.length - at < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (shape[i] == '9' ? !is_digit(text.data[at + i]) : text.data[at + i] != shape[i])
            return false;
    return text.length - at == length || !is_digit(text.data[at + length]);
}

static int two_digits(struct str text, size_t at)
{
    return (text.data[at] - '0') * 10 + text.data[at + 1] - '0';
}

/* Bytes of the date at `at`; 0: there is none. */
static size_t date(struct str text, size_t at)
{
    static const struct {
        const char *shape;
        size_t day, month;
    } forms[] = {
        {"9999-99-99", 8, 5}, {"99.99.9999", 0, 3}, {"99/99/9999", 0, 3}, {"99/99/9999", 3, 0}};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!has_shape(text, at, forms[i].shape))
            continue;
        int day = two_digits(text, at + forms[i].day),
            month = two_digits(text, at + forms[i].month);

        if (day >= 1 && day <= 31 && month >= 1 && month <= 12)
            return strlen(forms[i].shape);
    }
    return 0;
}

static bool follows_row(struct str text, size_t at)
{
    return at >= 4 &&
           str_equal_ignore_case((struct str){text.data + at - 4, 4}, STR_LITERAL("row "));
}

/* The end of the group before the last one: what a letter follows belongs to a word. */
static size_t without_last_group(struct str text, size_t first, size_t end)
{
    while (end > first && is_digit(text.data[end - 1]))
        end--;
    while (end > first && !is_digit(text.data[end - 1]))
        end--;
    return end;
}

/* The next phone number from *at on; what lies before it, and it, are `before` and `number`. False:
 * there is none, and `before` is the rest. */
static bool next_number(struct str text, size_t *at, struct str *ret_before, struct str *ret_number)
{
    size_t begin = *at;

    for (size_t i = begin; i < text.length;) {
        bool has_plus = text.data[i] == '+';
        size_t first = i + has_plus;

        /* "+ (1) 201": what opens the number is not a digit yet. */
        while (has_plus && first < text.length && first - i <= MOST_SEPARATORS &&
               (text.data[first] == ' ' || text.data[first] == '('))
            first++;
        if (first >= text.length || !is_digit(text.data[first])) {
            i++;
            continue;
        }
        size_t length = has_plus ? 0 : date(text, first);

        if (length) {
            i = first + length;
            continue;
        }
        if ((!has_plus && i > 0 && is_letter(text.data[i - 1])) || follows_row(text, i)) {
            /* Its first group is something else: "Row 12 2015550100", "a1 2015550100". */
            for (i = first; i < text.length && is_digit(text.data[i]);)
                i++;
            continue;
        }
        size_t over = run_end(text, first), end = over;

        if (end < text.length && is_letter(text.data[end]))
            end = without_last_group(text, first, end);
        struct str number = {text.data + i, end - i};

        if (end > first && digits_of(number).count >= FEWEST_DIGITS) {
            *ret_before = (struct str){text.data + begin, i - begin};
            *ret_number = number;
            *at = end;
            return true;
        }
        i = over;
    }
    *ret_before = (struct str){text.data + begin, text.length - begin};
    *at = text.length;
    return false;
}

void mask_phones_in_text(struct buf *out, struct str text)
{
    struct str before, number;
    size_t at = 0;
    bool found;

    if (!text.length)
        return;
    do {
        found = next_number(text, &at, &before, &number);
        buf_put_str(out, before);
        if (found)
            mask_phone(out, number);
    } while (found);
}

static bool same_end(const struct digits *a, const struct digits *b)
{
    size_t compared = COMPARED_DIGITS;

    if (a->count < compared)
        compared = a->count;
    if (b->count < compared)
        compared = b->count;
    for (size_t n = 1; n <= compared; n++)
        if (digit_from_end(a, n) != digit_from_end(b, n))
            return false;
    return compared >= FEWEST_DIGITS;
}

bool mask_text_has_phone(struct str text, struct str phone)
{
    struct str before, number;
    size_t at = 0;

    if (!text.length || !phone.length)
        return false;
    struct digits wanted = digits_of(phone);

    while (next_number(text, &at, &before, &number)) {
        struct digits found = digits_of(number);

        if (same_end(&found, &wanted))
            return true;
    }
    return false;
}
