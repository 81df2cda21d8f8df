/* mask: phone numbers as those see them who may not see them whole: the country code and the last
 * digits, "+1•••0100". Pure; bytes in, bytes out. */
#ifndef DIALPLANE_BASE_MASK_H
#define DIALPLANE_BASE_MASK_H

#include "base/buf.h"
#include "base/str.h"

/* What stands for the digits that are left out, however many they are. */
#define MASK_DOTS "\xE2\x80\xA2\xE2\x80\xA2\xE2\x80\xA2"

/* Appends `phone`, which is nothing but a phone number, masked. With a plus its country code
 * (ITU-T E.164) stays; of the digits behind it at most the last four, and so many fewer that five
 * are hidden at least. What has fewer than seven digits is "•••"; nothing stays nothing. */
void mask_phone(struct buf *out, struct str phone);

/* Appends `text` with every phone number in it masked. Taken for one is a run of seven digits or
 * more, perhaps behind a plus, with at most three of "-./() " or their typographic forms between
 * two of them, that is no part of a word ("a1234567") and does not begin as a date (2026-01-17,
 * 17.01.2026). A row's number ("Row 1000000:") is none. Too much rather than too little: a number
 * of seven digits that is no phone is masked too. Numbers in words are not found. */
void mask_phones_in_text(struct buf *out, struct str text);

/* True when mask_phones_in_text() would find one whose digits end as those of `phone` do: the last
 * nine of both, or all when one has fewer. So "8 (916) 123-45-67" is +79161234567. */
bool mask_text_has_phone(struct str text, struct str phone);

#endif
