/* fixture: an auth with a virtual clock, a store and a key source that answer when they are told
 * to, and tokens signed with shared secrets. */
#ifndef TESTS_UNIT_AUTH_FIXTURE_H
#define TESTS_UNIT_AUTH_FIXTURE_H

#include "auth/internal.h"
#include "auth/secret.h"

#define COMPANY "01890000-0000-7000-8000-000000000001"
#define QUESTIONS_MAX 4096

struct question {
    enum { ASKED_COMPANY, ASKED_KEY, ASKED_TICKET } what;
    char name[64];
    struct auth_lookup *lookup;
};

struct fixture {
    struct virtual_clock clock;
    struct auth *auth;
    struct arena *arena;
    struct question questions[QUESTIONS_MAX]; /* not yet answered, oldest first */
    unsigned question_count, asked, touched;
    unsigned fetches;
    bool fetching;
};

/* One caller. */
struct caller {
    struct auth_check check;
    enum auth_verdict verdict;
    struct err err;
    bool is_done, is_good;
};

#define SECONDS(n) ((n)*TIME_US_PER_SECOND)

/* keys NULL: "a". with_source: keys come from a URL, refreshed each 300 s, retried after 30. */
void fixture_init(struct fixture *fixture, unsigned cache, const char *keys, bool with_source);
void fixture_done(struct fixture *fixture);
/* {"keys":[…]} of secrets with these one-letter kids. */
const char *fixture_keys(struct fixture *fixture, const char *kids);
/* "Bearer <JWT>" signed with the secret of `kid`; company NULL: a platform token. Good for an hour
 * from the clock's beginning. */
struct str fixture_token(struct fixture *fixture, char kid, const char *company);
struct str fixture_token_of(struct fixture *fixture, char kid, const char *company,
                            unsigned subject);
void ask(struct fixture *fixture, struct caller *caller, struct str header, bool takes_tickets);
/* Answers the oldest question: record NULL is an outage. */
void answer(struct fixture *fixture, const struct auth_record *record);
/* What was fetched: NULL is a failure. */
void deliver(struct fixture *fixture, const char *keys);
void tick(struct fixture *fixture, int64_t us);

#endif
