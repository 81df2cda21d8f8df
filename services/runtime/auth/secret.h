/* secret: API keys and tickets as text. Their secret halves are 256 random bits, so what is stored
 * of them is a plain SHA-256: there is no list of likely ones to try, which is what a slow, salted
 * hash is for, and each request would pay for it. */
#ifndef DIALPLANE_AUTH_SECRET_H
#define DIALPLANE_AUTH_SECRET_H

#include "auth/auth.h"

/* "dpk_<16 hexadecimal digits>_<43 of base64url>": kind, name, secret. */
#define KEY_TEXT_SIZE 65
/* "dpt_<43 of base64url>" */
#define TICKET_TEXT_SIZE 48

struct new_key {
    char text[KEY_TEXT_SIZE];
    char prefix[AUTH_PREFIX_SIZE];
    unsigned char hash[AUTH_HASH_SIZE]; /* of the whole text */
};
void key_make(struct entropy *entropy, struct new_key *ret_key);
/* False unless it has the form of a key. prefix is NUL-terminated. */
bool key_parse(struct str text, char ret_prefix[AUTH_PREFIX_SIZE],
               unsigned char ret_hash[AUTH_HASH_SIZE]);
/* Whether it is one by its first bytes. */
bool key_is_meant(struct str text);

struct new_ticket {
    char text[TICKET_TEXT_SIZE];
    unsigned char hash[AUTH_HASH_SIZE];
};
void ticket_make(struct entropy *entropy, struct new_ticket *ret_ticket);
/* False unless it has the form of a ticket. */
bool ticket_parse(struct str text, unsigned char ret_hash[AUTH_HASH_SIZE]);

#endif
