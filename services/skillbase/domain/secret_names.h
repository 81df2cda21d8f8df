/* secret_names: which keys of free-form settings are called like secrets. Pure. */
#ifndef DIALPLANE_SKILLBASE_SECRET_NAMES_H
#define DIALPLANE_SKILLBASE_SECRET_NAMES_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* What tools of the field call theirs. The exceptions are settings of language models and of OAuth
 * that have "token" in their names and hide nothing. */
#define SECRET_NAMES_DEFAULT                                                                       \
    "*secret*,*password*,*passwd*,*passphrase*,*token*,*api_key*,*access_key*,*private_key*,"      \
    "*signing_key*,*encryption_key*,*authorization*,*credential*,pwd,*bearer*,*cookie*,"           \
    "!*max*tokens*,!*token_limit*,!*token_count*,!*token_url,!*token_uri,!*token_endpoint,"        \
    "!*authorization_url,!*authorization_endpoint"

/* A key is compared without regard to ASCII case and to whatever is neither letter nor digit:
 * api_key, apiKey, API-KEY and "api key" are one. */
struct secret_names;

/* `text`: patterns, separated by commas, in which "*" stands for any run; one that begins with "!"
 * is an exception, whatever else matches. At most 100 of at most 100 bytes; white space around them
 * does not count; no pattern at all hides nothing. NULL with err (INVALID_ARGUMENT, or
 * RESOURCE_EXHAUSTED). */
struct secret_names *secret_names_new(const char *text, struct err *err);
void secret_names_free(struct secret_names *names);

/* Linear in the length of the key times that of the patterns. */
bool secret_names_match(const struct secret_names *names, struct str key);

/* Whether a member so called says what the member `value` beside it is: name, key, header. */
bool secret_is_label(struct str key);

#endif
