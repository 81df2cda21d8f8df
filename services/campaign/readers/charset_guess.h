/* charset_guess: what the bytes of a text look like; pure functions over a part of the file. */
#ifndef DIALPLANE_CAMPAIGN_READERS_CHARSET_GUESS_H
#define DIALPLANE_CAMPAIGN_READERS_CHARSET_GUESS_H

#include "base/str.h"

/* Bytes at the front that are ASCII. */
size_t charset_ascii_length(struct str bytes);
bool charset_is_ascii(struct str bytes);

/* UTF-16 without a mark: in a list, digits, separators and line ends have a zero in every other
 * byte, whatever the language. */
enum utf_16_order { UTF_16_NONE, UTF_16_LITTLE, UTF_16_BIG };
enum utf_16_order charset_guess_utf_16(struct str start);

/* Characters beyond ASCII, and bytes that belong to none. A character that is cut off at the end is
 * neither, unless is_end. */
struct utf_8_counts {
    size_t good, bad;
};
struct utf_8_counts charset_count_utf_8(struct str bytes, bool is_end);

/* By its letters; `before` is the byte before these, or 0: nearly all bytes beyond ASCII are
 * Cyrillic letters or the punctuation that goes with them, words do not mix them with Latin ones
 * (Jos\xE9) nor have capitals inside (KOI8-R), and with enough of them the common letters are
 * common. */
bool charset_looks_like_windows_1251(char before, struct str bytes);

#endif
