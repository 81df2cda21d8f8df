/* charset: bytes of a text file become UTF-8, in pieces. What they are is said, or found out: a
 * byte-order mark; the zeros of UTF-16; else the file is ASCII until its first other byte, and 64
 * KB from there on decide between UTF-8 (by being valid) and Windows-1251 (by its letters). What is
 * neither stays as it is, so that each row that is not UTF-8 is refused by its number. */
#ifndef DIALPLANE_CAMPAIGN_READERS_CHARSET_H
#define DIALPLANE_CAMPAIGN_READERS_CHARSET_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

struct charset;
/* said: charset_is_known(), or NULL. NULL with err when memory is short. */
struct charset *charset_new(const char *said, struct err *err);
void charset_free(struct charset *charset);

enum charset_result { CHARSET_TEXT, CHARSET_NEEDS_INPUT, CHARSET_ENDED, CHARSET_FAILED };
/* Takes bytes from the front of `in` and gives text, which lies in `in` or in the charset and is
 * valid until the next call. CHARSET_ENDED: is_end, and all has been given. Bytes that are nothing
 * in the charset become 0xFF. Err INVALID_ARGUMENT: the file is certainly not what it is said to
 * be. */
enum charset_result charset_next(struct charset *charset, struct str *in, bool is_end,
                                 struct str *ret_text, struct err *err);
/* What the text is converted from ("windows-1251"); NULL: nothing is converted (so far). */
const char *charset_converts_from(const struct charset *charset);
/* What the file is in, as far as it has been read; NULL: not known yet. */
const char *charset_name(const struct charset *charset);

bool charset_is_known(const char *name);

#endif
