/* phone_text: undoes what spreadsheets do to phone numbers, before anybody asks whether the rest is
 * a number: a trailing ".0", 7.9161234567E+10, ="+7916…", an apostrophe, invisible characters. Text
 * in, text out; only what has one reading is repaired. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_PHONE_TEXT_H
#define DIALPLANE_CAMPAIGN_DOMAIN_PHONE_TEXT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Longer than anything that could be a number with its punctuation. */
#define PHONE_TEXT_LIMIT_BYTES 128
#define PHONE_TEXT_PROBLEM_SIZE 160

struct phone_text {
    char text[PHONE_TEXT_LIMIT_BYTES + 1]; /* NUL-terminated */
    size_t length;
    bool is_bare;                          /* nothing but digits: a plus may have been lost */
    char problem[PHONE_TEXT_PROBLEM_SIZE]; /* what follows `phone_number "…" ` */
};

/* `text` is valid UTF-8. False with `problem`: the spreadsheet has rounded the number, or it is far
 * too long. */
bool phone_text_repair(struct str text, struct phone_text *ret_phone);

#endif
