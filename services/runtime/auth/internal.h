/* auth/internal: keys, tokens and what is known of companies and API keys, for the files of this
 * layer. */
#ifndef DIALPLANE_AUTH_INTERNAL_H
#define DIALPLANE_AUTH_INTERNAL_H

#include "auth/auth.h"

#include <jansson.h>
#include <openssl/evp.h>

/* "JWS header" algorithms that are accepted: each key has exactly one, so that a token cannot
 * choose how it is verified (RFC 8725 §3.1). */
enum algorithm {
    ALGORITHM_NONE,
    ALGORITHM_RS256,
    ALGORITHM_ES256,
    ALGORITHM_EDDSA,
    ALGORITHM_HS256
};

#define KEYS_MAX 64
#define KEY_ID_MAX 128
#define SECRET_MAX 512

struct key {
    char id[KEY_ID_MAX + 1];
    enum algorithm algorithm;
    EVP_PKEY *public_key;             /* NULL for HS256 */
    unsigned char secret[SECRET_MAX]; /* HS256 */
    size_t secret_size;
};

struct key_set {
    struct key keys[KEYS_MAX];
    unsigned count;
};

/* jwk.c: one JSON Web Key. A key that is of no use to us (for encryption, of another kind) gives
 * false with err->code ERR_OK. */
bool jwk_read(const json_t *json, bool allow_hs256, struct key *ret_key, struct err *err);

/* key_set.c */
bool key_set_parse(const char *text, size_t size, bool allow_hs256, struct key_set *ret_set,
                   struct err *err);
bool key_set_load(const char *path, bool allow_hs256, struct key_set *ret_set, struct err *err);
#define KEY_SET_BYTES_MAX ((size_t)256 * 1024)
const struct key *key_set_find(const struct key_set *set, struct str id);
void key_set_done(struct key_set *set);

/* signature.c */
bool signature_is_good(const struct key *key, struct str signed_text, struct str signature);

/* token.c: what a token says once its signature has been found good. Text lives in `arena`. */
struct token {
    struct principal principal;
    int64_t expires_us, not_before_us; /* 0: not said */
};
#define TOKEN_MAX 4096
bool token_verify(const struct key_set *keys, const struct auth_options *options, struct str token,
                  struct arena *arena, struct token *ret_token, struct err *err);
/* Against the clock, with leeway. */
bool token_is_current(const struct token *token, int64_t now_us, int64_t leeway_us,
                      struct err *err);

/* ---- verified.c: tokens whose signature has been found good ---- */

struct verified;
/* Of at most so many tokens; 0: it keeps none. NULL: short of memory. */
struct verified *verified_new(unsigned limit);
void verified_free(struct verified *table);
void verified_clear(struct verified *table);
/* Its claims, good until the next call; NULL: it is not known. */
const struct token *verified_find(struct verified *table, struct str text);
/* Short of memory it is not kept, which only costs time. */
void verified_keep(struct verified *table, struct str text, const struct token *token);

/* ---- auth.c: tokens and their keys ---- */

/* With its texts. */
bool principal_copy(const struct principal *from, struct arena *arena,
                    struct principal *ret_principal, struct err *err);

/* As auth_begin(), of a token, from what is known now. */
bool auth_verify_token(struct auth *auth, struct str text, struct arena *arena,
                       struct principal *ret_principal, struct err *err);
/* A kid is not known: true when the keys are being fetched, so that waiting may help. */
bool auth_keys_are_coming(struct auth *auth);
/* When they have come, or not: auth_check_keys_came() follows. */
void auth_keys_await(struct auth *auth, struct auth_check *check);
struct facts *auth_facts(struct auth *auth);
const struct clock *auth_clock(const struct auth *auth);
const struct auth_store *auth_store(const struct auth *auth); /* NULL: none */
void auth_count_refusal(struct auth *auth);

/* ---- check.c: one caller's question ---- */

void auth_check_keys_came(struct auth_check *check);
/* The store has said what it knows of the fact; err NULL: it is known now. */
void auth_check_fact_came(struct auth_check *check, struct fact *fact, const struct err *err);
/* Whether it can no longer be relied on: the company or key is not there, or the key has expired.
 */
bool auth_fact_is_gone(const struct fact *fact, int64_t now_us, struct err *err);

/* ---- facts.c: what the store has said, for a while ---- */

enum fact_kind { FACT_COMPANY, FACT_KEY };

/* One company or key. Kept as long as somebody waits for it or holds it; the others are given up,
 * the least lately used first, when there are too many. */
struct fact {
    struct auth_lookup lookup;
    struct facts *facts;
    enum fact_kind kind;
    char name[AUTH_COMPANY_SIZE]; /* id or prefix */
    struct fact *next;            /* of its bucket */
    TAILQ_ENTRY(fact) link;       /* the least lately used is first */
    TAILQ_ENTRY(fact) held_link;
    struct auth_check_list waiters;
    struct auth_hold_list holds;
    bool known, looking, pinned;
    int64_t looked_us;  /* monotonic: when the record was true */
    int64_t touched_us; /* of a key: when the store was last told of its use; 0: never */
    struct auth_record record;
};

struct facts_stats {
    uint64_t lookups, failures, recalled;
    unsigned count;
};
struct facts *facts_new(const struct clock *clock, const struct auth_store *store, unsigned limit,
                        int64_t recheck_us, uint64_t seed);
void facts_free(struct facts *facts);
/* NULL: short of memory. */
struct fact *facts_get(struct facts *facts, enum fact_kind kind, const char *name);
/* Whether its record may still be used; one that soon may not is asked for again meanwhile. */
bool fact_is_fresh(struct fact *fact);
/* Asks the store, unless that is under way. False: err says that too many questions are; a fact of
 * which nothing is known, and that nobody holds, is gone then. */
bool fact_look(struct fact *fact, struct err *err);
void fact_hold(struct fact *fact, struct auth_hold *hold);
void fact_release(struct auth_hold *hold);
void facts_tick(struct facts *facts);
void facts_stats(const struct facts *facts, struct facts_stats *ret_stats);

#endif
