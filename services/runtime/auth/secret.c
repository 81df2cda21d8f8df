#include "auth/secret.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#define KEY_MARK "dpk_"
#define TICKET_MARK "dpt_"
#define MARK_LENGTH 4
#define NAME_LENGTH 16   /* hexadecimal digits: 64 bits, which do not meet by chance */
#define SECRET_LENGTH 43 /* base64url of 32 bytes */
#define PREFIX_LENGTH (MARK_LENGTH + NAME_LENGTH)
#define KEY_LENGTH (PREFIX_LENGTH + 1 + SECRET_LENGTH)
#define TICKET_LENGTH (MARK_LENGTH + SECRET_LENGTH)

_Static_assert(KEY_LENGTH + 1 == KEY_TEXT_SIZE, "as the header says");
_Static_assert(TICKET_LENGTH + 1 == TICKET_TEXT_SIZE, "as the header says");
_Static_assert(PREFIX_LENGTH + 1 == AUTH_PREFIX_SIZE, "as the header says");

static void hash(struct str text, unsigned char out[AUTH_HASH_SIZE])
{
    SHA256((const unsigned char *)text.data, text.length, out);
}

static bool is_hexadecimal(struct str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!strchr("0123456789abcdef", text.data[i]) || !text.data[i])
            return false;
    return true;
}

static bool is_base64url(struct str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* 43 characters and a NUL. */
static void put_secret(struct entropy *entropy, char *out)
{
    unsigned char bytes[32];

    entropy->fill(entropy, bytes, sizeof(bytes));
    base64url_encode(bytes, sizeof(bytes), out, SECRET_LENGTH + 1);
    out[SECRET_LENGTH] = '\0';
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

void key_make(struct entropy *entropy, struct new_key *ret_key)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t name = entropy_uint64(entropy);

    memcpy(ret_key->prefix, KEY_MARK, MARK_LENGTH);
    for (unsigned i = 0; i < NAME_LENGTH; i++)
        ret_key->prefix[MARK_LENGTH + i] = digits[name >> (4 * i) & 15];
    ret_key->prefix[PREFIX_LENGTH] = '\0';
    memcpy(ret_key->text, ret_key->prefix, PREFIX_LENGTH);
    ret_key->text[PREFIX_LENGTH] = '_';
    put_secret(entropy, ret_key->text + PREFIX_LENGTH + 1);
    hash((struct str){ret_key->text, KEY_LENGTH}, ret_key->hash);
}

bool key_is_meant(struct str text)
{
    return str_starts_with(text, STR_LITERAL(KEY_MARK));
}

bool key_parse(struct str text, char ret_prefix[AUTH_PREFIX_SIZE],
               unsigned char ret_hash[AUTH_HASH_SIZE])
{
    if (text.length != KEY_LENGTH || !key_is_meant(text) || text.data[PREFIX_LENGTH] != '_' ||
        !is_hexadecimal((struct str){text.data + MARK_LENGTH, NAME_LENGTH}) ||
        !is_base64url((struct str){text.data + PREFIX_LENGTH + 1, SECRET_LENGTH}))
        return false;
    memcpy(ret_prefix, text.data, PREFIX_LENGTH);
    ret_prefix[PREFIX_LENGTH] = '\0';
    hash(text, ret_hash);
    return true;
}

void ticket_make(struct entropy *entropy, struct new_ticket *ret_ticket)
{
    memcpy(ret_ticket->text, TICKET_MARK, MARK_LENGTH);
    put_secret(entropy, ret_ticket->text + MARK_LENGTH);
    hash((struct str){ret_ticket->text, TICKET_LENGTH}, ret_ticket->hash);
}

bool ticket_parse(struct str text, unsigned char ret_hash[AUTH_HASH_SIZE])
{
    if (text.length != TICKET_LENGTH || !str_starts_with(text, STR_LITERAL(TICKET_MARK)) ||
        !is_base64url(str_after(text, MARK_LENGTH)))
        return false;
    hash(text, ret_hash);
    return true;
}
