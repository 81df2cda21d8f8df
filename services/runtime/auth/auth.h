/* auth: who is asking. What a caller shows becomes a principal:
 *
 *   Bearer <JWT>         a signed token (RFC 6750, 7515, 7519); its keys come from a JWK set (RFC
 *                        7517) in a file or at a URL
 *   Bearer dpk_…         an API key (secret.h)
 *   Ticket dpt_…         a ticket for one stream, as the gateway hands it on
 *
 * Whether a key, or a token's company, still exists only the database knows: it is asked through
 * struct auth_store, and its answers are remembered for a short while in a bounded table. A token
 * that has been seen, of a company that has been looked up lately, is answered at once; everything
 * else may make the caller wait. Runs on one thread; what it asks of OpenSSL takes some 30 to 100
 * µs for a token that is new. */
#ifndef DIALPLANE_AUTH_AUTH_H
#define DIALPLANE_AUTH_AUTH_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "schema/schema.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Who is asking, and for whom. */
struct principal {
    const char *subject;
    const char *company_id; /* NULL: every company */
    bool is_platform;       /* works across companies */
    uint32_t roles;         /* bit 1 << enum Role of options.proto */
    uint32_t grants;        /* enum auth_grant: what it may besides its roles */
    int64_t expires_us;     /* wall clock; 0: never. What it watches ends then */
    const char *key_prefix; /* "dpk_…" of the API key that was shown, or that made the ticket; NULL:
                               a token. No secret */
};

/* ---- What the database says ---- */

#define AUTH_COMPANY_SIZE 37 /* a UUID's text */
#define AUTH_PREFIX_SIZE 21  /* "dpk_" and 16 hexadecimal digits */
#define AUTH_HASH_SIZE 32    /* SHA-256 */

struct auth_record {
    bool exists; /* a ticket: it was good, and is used up now */
    /* Of a key or ticket; "" is none. */
    char company_id[AUTH_COMPANY_SIZE];
    uint32_t roles;
    uint32_t grants;
    int64_t expires_us; /* of the key, or of what the ticket's maker had shown; 0: never */
    unsigned char secret_hash[AUTH_HASH_SIZE]; /* of a key */
    struct str subject;                        /* of a ticket; borrowed for the answer */
    char key_prefix[AUTH_PREFIX_SIZE];         /* of the key that made a ticket */
};

/* A question under way. Whoever asks keeps it in place until it has been answered. */
struct auth_lookup {
    void (*on_answer)(struct auth_lookup *lookup, const struct auth_record *record,
                      const struct err *err);
};
/* The answer: a record (which may say that there is none), or NULL with err when nobody knows. */
void auth_answer(struct auth_lookup *lookup, const struct auth_record *record,
                 const struct err *err);

/* Where the answers come from; behind a seam, because this layer knows no database. Each question
 * is followed by exactly one auth_answer(), never before it returns. Texts are borrowed for the
 * call. */
struct auth_store {
    void *context;
    void (*find_company)(void *context, const char *company_id, struct auth_lookup *lookup);
    void (*find_key)(void *context, const char *prefix, struct auth_lookup *lookup);
    /* By its hash; it is used up by that. */
    void (*redeem_ticket)(void *context, const unsigned char ticket[AUTH_HASH_SIZE],
                          struct auth_lookup *lookup);
    /* The key has been shown: at most once a minute for each key; nobody waits for it. */
    void (*touch_key)(void *context, const char *prefix);
};

/* ---- Keys of tokens from a URL ---- */

/* Asked for the set: exactly one auth_keys_fetched() follows, never before this returns. */
struct auth_key_source {
    void *context;
    void (*fetch)(void *context);
};

/* Words of the claim `grants`, and of the grants of keys and tickets. */
enum auth_grant {
    AUTH_GRANT_PHONES = 1, /* sees phone numbers whole, as a viewer else does not */
};

/* False: phone numbers are masked in all that it is answered (see personal of options.proto). Only
 * those who have no role but `viewer` and no grant are meant: whoever makes campaigns or calls
 * works with the numbers. */
bool auth_sees_phones(const struct principal *principal);

struct auth_options {
    const char *key_set_path; /* a JWK set, or a single JWK; NULL: from `source` */
    struct str key_set_text;  /* of a source: the set as it was when it was fetched at start */
    const struct auth_key_source *source; /* copied */
    int64_t source_refresh_us;            /* the set is fetched again this long after it was, > 0 */
    int64_t source_retry_us; /* at least so long between two attempts, also for unknown kids, > 0 */
    const char *issuer;      /* what `iss` must be */
    const char *audience;    /* what `aud` must be, or contain */
    int64_t leeway_us;       /* how far the issuer's clock may be off, [0, 5 min] */
    bool allow_hs256;        /* shared secrets ("oct" keys) sign as well */
    unsigned cache_slots;    /* tokens kept as verified, and as many keys and companies; 0: none */
    const struct auth_store
        *store;         /* copied; NULL: no API keys, no tickets, and every company exists */
    int64_t recheck_us; /* how long what the store has said is taken for so, [0, 5 min] */
};

struct auth;

/* The key set is read: NULL with err when it cannot be, or holds no key. */
struct auth *auth_new(const struct clock *clock, const struct auth_options *options,
                      struct err *err);
void auth_free(struct auth *auth);

enum auth_verdict { AUTH_REFUSED, AUTH_GOOD, AUTH_WAITS };

/* One caller's question. The first four are the caller's to fill; it stays in place, unmoved, until
 * it has ended. */
struct fact;
struct auth_check {
    struct arena
        *arena; /* the principal's strings go here, and a copy of the header while it waits */
    bool takes_tickets; /* it is about a stream */
    /* After AUTH_WAITS, exactly once: err NULL when the caller is known. Nothing cancels it. */
    void (*done)(struct auth_check *check, const struct err *err);
    void *context;
    struct principal principal; /* the answer */

    /* The rest is check.c's. */
    struct auth *auth;
    struct str header;
    unsigned char secret_hash[AUTH_HASH_SIZE];
    struct auth_lookup lookup;
    TAILQ_ENTRY(auth_check) link;
};
TAILQ_HEAD(auth_check_list, auth_check);

/* `header` is the value of the `authorization` header or metadata; NULL data: none was sent.
 * Refused: err is UNAUTHENTICATED with one of the reasons TOKEN_MISSING, TOKEN_MALFORMED,
 * TOKEN_TOO_LARGE, TOKEN_UNKNOWN_KEY, TOKEN_BAD_SIGNATURE, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID,
 * TOKEN_WRONG_ISSUER, TOKEN_WRONG_AUDIENCE, TOKEN_BAD_CLAIMS, TOKEN_COMPANY_GONE, KEY_MALFORMED,
 * KEY_UNKNOWN, KEY_EXPIRED, TICKET_MALFORMED, TICKET_REFUSED, TICKET_NOT_HERE; the message never
 * repeats a part of what was shown. Or it is UNAVAILABLE, when the store does not answer. */
enum auth_verdict auth_begin(struct auth *auth, struct str header, struct auth_check *check,
                             struct err *err);

/* Who watches something is told when the key that was shown, or the token's company, is no more: at
 * most recheck_us and a second later. Zero-initialised; ended by on_gone or auth_hold_end(). */
struct auth_hold {
    void (*on_gone)(struct auth_hold *hold, const struct err *err);
    struct fact *fact; /* NULL: nothing is held */
    struct auth *auth;
    TAILQ_ENTRY(auth_hold) link;
};
TAILQ_HEAD(auth_hold_list, auth_hold);
/* False: short of memory. */
bool auth_hold_begin(struct auth *auth, const struct principal *principal, struct auth_hold *hold);
void auth_hold_end(struct auth_hold *hold);

/* Each second: looks again at what is held, and fetches keys that are due. */
void auth_tick(struct auth *auth);
/* What a key source has fetched: text NULL with err when it could not. A set that is of no use, and
 * none at all, leave the last good one in force. */
void auth_keys_fetched(struct auth *auth, struct str text, const struct err *err);

struct auth_stats {
    uint64_t verified;   /* signatures computed, good */
    uint64_t remembered; /* answered from the table */
    uint64_t refused;
    uint64_t key_reloads, key_reload_failures; /* of the set, from file or URL */
    unsigned keys;
    uint64_t lookups, lookup_failures; /* questions to the store about keys and companies */
    uint64_t recalled;                 /* answered from what it had said */
    unsigned known;                    /* keys and companies in the table */
};
void auth_stats(const struct auth *auth, struct auth_stats *ret_stats);

/* The role's bit by its word in tokens ("manager"); 0: there is no such role. */
uint32_t auth_role_bit(struct str word);
/* The grant's bit by its word ("phones"); 0: there is no such grant. */
uint32_t auth_grant_bit(struct str word);
/* "admin, manager" of a set of roles, for messages. */
void auth_roles_text(uint32_t roles, char *out, size_t out_size);

#endif
