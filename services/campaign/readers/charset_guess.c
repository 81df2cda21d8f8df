#include "readers/charset_guess.h"

#include "base/json_escape.h"

size_t charset_ascii_length(struct str bytes)
{
    size_t at = 0;

    for (; bytes.length - at >= 8; at += 8) {
        uint64_t word;

        memcpy(&word, bytes.data + at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < bytes.length && (unsigned char)bytes.data[at] < 0x80)
        at++;
    return at;
}

bool charset_is_ascii(struct str bytes)
{
    return charset_ascii_length(bytes) == bytes.length;
}

enum utf_16_order charset_guess_utf_16(struct str start)
{
    size_t units = start.length / 2, zeros[2] = {0};

    for (size_t i = 0; i < units * 2; i++)
        zeros[i % 2] += start.data[i] == 0;
    if (units < 4)
        return UTF_16_NONE;
    if (zeros[1] * 5 >= units && zeros[0] * 100 <= units)
        return UTF_16_LITTLE;
    if (zeros[0] * 5 >= units && zeros[1] * 100 <= units)
        return UTF_16_BIG;
    return UTF_16_NONE;
}

struct utf_8_counts charset_count_utf_8(struct str bytes, bool is_end)
{
    struct utf_8_counts counts = {0, 0};
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t left = bytes.length;

    while (left) {
        if (*at < 0x80) {
            at++;
            left--;
            continue;
        }
        size_t size = utf8_character_size(at, left);

        if (size)
            counts.good++;
        else if (is_end || left >= 4)
            counts.bad++;
        at += size ? size : 1;
        left -= size ? size : 1;
    }
    return counts;
}

/* ---- Windows-1251 ---- */

enum byte_class { OTHER, ASCII_LETTER, LOWER, UPPER, PUNCTUATION };

static enum byte_class classify(unsigned char byte)
{
    /* Cyrillic letters below 0xC0: of Ukrainian, Belarusian, Serbian, Macedonian; and Ё. */
    static const unsigned char uppers[] = "\x80\x81\x8A\x8C\x8D\x8E\x8F\xA1\xA3\xA5\xA8\xAA\xAF"
                                          "\xB2\xBD";
    static const unsigned char lowers[] = "\x83\x90\x9A\x9C\x9D\x9E\x9F\xA2\xB3\xB4\xB8\xBA\xBC"
                                          "\xBE\xBF";
    /* „ … ‘ ’ “ ” • – — no-break space, « » № */
    static const unsigned char marks[] = "\x84\x85\x91\x92\x93\x94\x95\x96\x97\xA0\xAB\xBB\xB9";

    if (byte < 0x80)
        return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z' ? ASCII_LETTER : OTHER;
    if (byte >= 0xE0)
        return LOWER;
    if (byte >= 0xC0)
        return UPPER;
    if (memchr(lowers, byte, sizeof(lowers) - 1))
        return LOWER;
    if (memchr(uppers, byte, sizeof(uppers) - 1))
        return UPPER;
    return memchr(marks, byte, sizeof(marks) - 1) ? PUNCTUATION : OTHER;
}

/* о е а и н т с р в л: 0.6 of the letters of Russian text, 0.3 of KOI8-R taken for this. */
static bool is_common(unsigned char byte)
{
    unsigned char lower = byte >= 0xC0 && byte < 0xE0 ? byte + 0x20 : byte;

    return memchr("\xEE\xE5\xE0\xE8\xED\xF2\xF1\xF0\xE2\xEB", lower, 10) != NULL;
}

bool charset_looks_like_windows_1251(char byte_before, struct str bytes)
{
    size_t high = 0, letters = 0, marks = 0, common = 0, words = 0, mixed = 0, humps = 0;
    enum byte_class before = classify((unsigned char)byte_before);

    for (size_t i = 0; i < bytes.length; i++) {
        unsigned char byte = (unsigned char)bytes.data[i];
        enum byte_class class = classify(byte);
        bool is_letter = class == LOWER || class == UPPER;
        bool was_letter = before == LOWER || before == UPPER;

        high += byte >= 0x80;
        letters += is_letter;
        marks += class == PUNCTUATION;
        common += is_letter && is_common(byte);
        words += is_letter && !was_letter;
        mixed += (is_letter && before == ASCII_LETTER) || (was_letter && class == ASCII_LETTER);
        humps += class == UPPER && before == LOWER;
        before = class;
    }
    return letters && (letters + marks) * 100 >= high * 97 && mixed * 8 <= words &&
           humps * 8 <= words && (letters < 40 || common * 10 >= letters * 4);
}
