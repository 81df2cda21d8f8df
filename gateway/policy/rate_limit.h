/* rate_limit: token buckets in a table of fixed size. A bucket is one number, the time at which it
 * will be full again (the generic cell rate algorithm, ITU-T I.371 annex A): a full bucket is as
 * good as none, so that a table which must make room gives up the bucket that is closest to full
 * and forgives the least. To push out a bucket that is nearly empty one needs a table full of
 * buckets that are emptier still, and places in it are decided by a hash with a secret. Any thread:
 * each call holds one of 64 locks for some 100 ns. Times are the caller's (monotonic). */
#ifndef GATEWAY_POLICY_RATE_LIMIT_H
#define GATEWAY_POLICY_RATE_LIMIT_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a caller does. */
enum rate_class { RATE_READS, RATE_WRITES, RATE_UPLOADS, RATE_STREAMS, RATE_CLASSES };
extern const char *const rate_class_names[RATE_CLASSES]; /* "reads", … */

/* Buckets of one key: one a class, and one for all that an address asks without having shown a good
 * token. */
#define RATE_ALL RATE_CLASSES
#define RATE_SLOTS (RATE_CLASSES + 1)

struct rate_rule {
    int64_t interval_ns; /* in which one token comes; 0: no limit */
    uint32_t burst;      /* tokens that a full bucket has */
};
#define RATE_BURST_MAX 1000000u

/* "200:400" (200 a second, at most 400 at once), "30/m:10", "5/h" (burst: one second's worth, at
 * least 1), "off". Rates up to 1000000 a second. False: err says what it must be. */
bool rate_rule_parse(const char *text, struct rate_rule *ret_rule, struct err *err);

/* Whose bucket. */
struct rate_key {
    uint8_t bytes[16];
};

/* What a bucket has after a request. */
struct rate_answer {
    bool allowed;
    uint32_t remaining; /* whole tokens */
    int64_t full_us;    /* until it is full again */
    int64_t retry_us;   /* until the next request would be allowed; 0 when allowed */
};

struct rate_table;

/* entries: rounded up to a power of two, 64 to 4194304; 80 bytes each. The secret comes from
 * entropy. NULL: no memory. */
struct rate_table *rate_table_new(size_t entries, struct entropy *entropy);
void rate_table_free(struct rate_table *table);

/* Takes one token when there is one. */
void rate_take(struct rate_table *table, const struct rate_key *key, unsigned slot,
               const struct rate_rule *rule, int64_t now_us, struct rate_answer *ret_answer);
/* Takes tokens whether they are there or not; a bucket owes at most as many as it holds. share: as
 * what is taken here, others are told of it. */
void rate_charge(struct rate_table *table, const struct rate_key *key, unsigned slot,
                 const struct rate_rule *rule, uint32_t tokens, bool share, int64_t now_us);

/* What was taken since the last time, for others who keep the same buckets: calls `give` for at
 * most `most` buckets, and goes on from there next time. Gives how many. Not from two threads. */
size_t rate_collect(struct rate_table *table, size_t most,
                    void (*give)(void *context, const struct rate_key *key, unsigned slot,
                                 uint32_t tokens),
                    void *context);

/* ---- Who has shown which credential: learnt from what services say ---- */

struct rate_credentials;

/* entries: as above; 48 bytes each. */
struct rate_credentials *rate_credentials_new(size_t entries, struct entropy *entropy);
void rate_credentials_free(struct rate_credentials *credentials);
/* A service has verified this credential: it is that principal's. */
void rate_credentials_learn(struct rate_credentials *credentials, struct str credential,
                            struct str principal, int64_t now_us);
/* False: it is not known, or too long ago that it was verified. */
bool rate_credentials_find(struct rate_credentials *credentials, struct str credential,
                           int64_t now_us, struct rate_key *ret_key);
void rate_credentials_forget(struct rate_credentials *credentials, struct str credential);

/* ---- Headers (draft-ietf-httpapi-ratelimit-headers-11) ---- */

#define RATE_TEXT_SIZE 64
/* RateLimit-Policy: "reads";q=400;w=2 — the quota, and the seconds in which it comes. Gives its
 * length. */
size_t rate_format_policy(const char *name, const struct rate_rule *rule, char out[RATE_TEXT_SIZE]);
/* RateLimit: "reads";r=399;t=1 — what remains, and the seconds until it is whole again. */
size_t rate_format_answer(const char *name, const struct rate_answer *answer,
                          char out[RATE_TEXT_SIZE]);

#endif
