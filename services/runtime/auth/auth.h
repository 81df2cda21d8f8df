/* auth: who is asking. Bearer tokens (RFC 6750) that are signed JSON Web Tokens (RFC 7515, 7519)
 * become a principal; the keys come from a JWK set (RFC 7517) in a file that is looked at again
 * when it changes. Runs on one thread; what it asks of OpenSSL takes some 30 to 100 µs for a token
 * that is new, and a look into a bounded table for one that has been seen. */
#ifndef DIALPLANE_AUTH_AUTH_H
#define DIALPLANE_AUTH_AUTH_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "schema/schema.h"

#include <stdbool.h>
#include <stdint.h>

/* Who is asking, and for whom. */
struct principal {
    const char *subject;
    const char *company_id; /* NULL: every company */
    bool is_platform;       /* works across companies */
    uint32_t roles;         /* bit 1 << enum Role of options.proto */
    uint32_t grants;        /* enum auth_grant: what it may besides its roles */
    int64_t expires_us;     /* wall clock; 0: never. What it watches ends then */
};

/* Words of the claim `grants`. */
enum auth_grant {
    AUTH_GRANT_PHONES = 1, /* sees phone numbers whole, as a viewer else does not */
};

/* False: phone numbers are masked in all that it is answered (see personal of options.proto). Only
 * those who have no role but `viewer` and no grant are meant: whoever makes campaigns or calls
 * works with the numbers. */
bool auth_sees_phones(const struct principal *principal);

struct auth_options {
    const char *key_set_path; /* a JWK set, or a single JWK */
    const char *issuer;       /* what `iss` must be */
    const char *audience;     /* what `aud` must be, or contain */
    int64_t leeway_us;        /* how far the issuer's clock may be off, [0, 5 min] */
    bool allow_hs256;         /* shared secrets ("oct" keys) sign as well */
    unsigned cache_slots;     /* tokens kept as verified; 0: none */
};

struct auth;

/* The key set is read: NULL with err when it cannot be, or holds no key. */
struct auth *auth_new(const struct clock *clock, const struct auth_options *options,
                      struct err *err);
void auth_free(struct auth *auth);

/* `header` is the value of the `authorization` header or metadata; NULL data: none was sent. The
 * principal's strings go into the arena. False: err is UNAUTHENTICATED with one of the reasons
 * TOKEN_MISSING, TOKEN_MALFORMED, TOKEN_TOO_LARGE, TOKEN_UNKNOWN_KEY, TOKEN_BAD_SIGNATURE,
 * TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_WRONG_ISSUER, TOKEN_WRONG_AUDIENCE, TOKEN_BAD_CLAIMS;
 * the message never repeats a part of the token. */
bool auth_verify(struct auth *auth, struct str header, struct arena *arena,
                 struct principal *ret_principal, struct err *err);

struct auth_stats {
    uint64_t verified;   /* signatures computed, good */
    uint64_t remembered; /* answered from the table */
    uint64_t refused;
    uint64_t key_reloads, key_reload_failures;
    unsigned keys;
};
void auth_stats(const struct auth *auth, struct auth_stats *ret_stats);

/* The role's bit by its word in tokens ("manager"); 0: there is no such role. */
uint32_t auth_role_bit(struct str word);
/* The grant's bit by its word in tokens ("phones"); 0: there is no such grant. */
uint32_t auth_grant_bit(struct str word);
/* "admin, manager" of a set of roles, for messages. */
void auth_roles_text(uint32_t roles, char *out, size_t out_size);

#endif
