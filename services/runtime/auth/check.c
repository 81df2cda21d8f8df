/* One caller's question, from the header to the principal. What can be said at once is said at
 * once; otherwise the check waits on a fact (a key, a company), on a ticket's redemption, or on the
 * keys of tokens, and each of these ends in finish(). */
#include "auth/internal.h"
#include "auth/secret.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* How often the store is told that a key has been shown. */
#define TOUCH_US (60 * TIME_US_PER_SECOND)

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
}

static void finish(struct auth_check *check, bool good, const struct err *err)
{
    if (!good)
        auth_count_refusal(check->auth);
    check->done(check, good ? NULL : err);
}

/* ---- What the store says ---- */

bool auth_fact_is_gone(const struct fact *fact, int64_t now_us, struct err *err)
{
    const struct auth_record *record = &fact->record;

    if (fact->kind == FACT_COMPANY)
        return !record->exists && !err_set(err, ERR_UNAUTHENTICATED, "TOKEN_COMPANY_GONE",
                                           "the token is for a company that does not exist");
    if (!record->exists)
        return !err_set(err, ERR_UNAUTHENTICATED, "KEY_UNKNOWN",
                        "the API key is not known: it was never made, or it has been revoked");
    return record->expires_us && now_us >= record->expires_us &&
           !err_set(err, ERR_UNAUTHENTICATED, "KEY_EXPIRED", "the API key has expired");
}

static bool copy_text(struct arena *arena, const char *text, const char **ret_text)
{
    *ret_text = text[0] ? arena_strndup(arena, text, strlen(text)) : NULL;
    return *ret_text || !text[0];
}

/* Roles, grants, company and end, as the record has them. */
static bool take_record(struct auth_check *check, const struct auth_record *record,
                        const char *key_prefix, struct err *err)
{
    struct principal *principal = &check->principal;

    principal->roles = record->roles;
    principal->grants = record->grants;
    principal->is_platform = record->roles & UINT32_C(1) << SCHEMA_ROLE_PLATFORM;
    principal->expires_us = record->expires_us;
    return (copy_text(check->arena, principal->is_platform ? "" : record->company_id,
                      &principal->company_id) &&
            copy_text(check->arena, key_prefix, &principal->key_prefix)) ||
           out_of_memory(err);
}

static bool judge_key(struct auth_check *check, struct fact *fact, struct err *err)
{
    const struct auth_store *store = auth_store(check->auth);
    const struct clock *clock = auth_clock(check->auth);
    const struct auth_record *record = &fact->record;
    int64_t now = clock->monotonic_us(clock);

    /* Whose secret is wrong is told what is told of keys that do not exist. */
    if (record->exists &&
        CRYPTO_memcmp(record->secret_hash, check->secret_hash, AUTH_HASH_SIZE) != 0)
        return err_set(err, ERR_UNAUTHENTICATED, "KEY_UNKNOWN",
                       "the API key is not known: it was never made, or it has been revoked");
    if (auth_fact_is_gone(fact, clock->wall_us(clock), err) ||
        !take_record(check, record, fact->name, err))
        return false;
    check->principal.subject = check->principal.key_prefix;
    if (!fact->touched_us || now - fact->touched_us >= TOUCH_US) {
        fact->touched_us = now ? now : 1;
        store->touch_key(store->context, fact->name);
    }
    return true;
}

static bool judge(struct auth_check *check, struct fact *fact, struct err *err)
{
    const struct clock *clock = auth_clock(check->auth);

    if (fact->kind == FACT_KEY)
        return judge_key(check, fact, err);
    return !auth_fact_is_gone(fact, clock->wall_us(clock), err);
}

static enum auth_verdict ask(struct auth_check *check, enum fact_kind kind, const char *name,
                             struct err *err)
{
    struct fact *fact = facts_get(auth_facts(check->auth), kind, name);

    if (!fact) {
        out_of_memory(err);
        return AUTH_REFUSED;
    }
    if (fact_is_fresh(fact))
        return judge(check, fact, err) ? AUTH_GOOD : AUTH_REFUSED;
    if (!fact_look(fact, err))
        return AUTH_REFUSED;
    TAILQ_INSERT_TAIL(&fact->waiters, check, link);
    return AUTH_WAITS;
}

void auth_check_fact_came(struct auth_check *check, struct fact *fact, const struct err *err)
{
    struct err why = {0};

    if (err)
        finish(check, false, err);
    else
        finish(check, judge(check, fact, &why), &why);
}

/* ---- Tokens ---- */

static enum auth_verdict begin_token(struct auth_check *check, struct str text, bool may_wait,
                                     struct err *err)
{
    struct auth *auth = check->auth;

    if (auth_verify_token(auth, text, check->arena, &check->principal, err)) {
        if (!check->principal.company_id || !auth_store(auth))
            return AUTH_GOOD;
        return ask(check, FACT_COMPANY, check->principal.company_id, err);
    }
    if (!may_wait || strcmp(err->reason, "TOKEN_UNKNOWN_KEY") != 0 || !auth_keys_are_coming(auth))
        return AUTH_REFUSED;
    char *copy = arena_strndup(check->arena, text.data, text.length);
    if (!copy) {
        out_of_memory(err);
        return AUTH_REFUSED;
    }
    check->header = (struct str){copy, text.length};
    auth_keys_await(auth, check);
    return AUTH_WAITS;
}

void auth_check_keys_came(struct auth_check *check)
{
    struct err err = {0};
    enum auth_verdict verdict = begin_token(check, check->header, false, &err);

    if (verdict != AUTH_WAITS)
        finish(check, verdict == AUTH_GOOD, &err);
}

/* ---- API keys and tickets ---- */

static enum auth_verdict begin_key(struct auth_check *check, struct str text, struct err *err)
{
    char prefix[AUTH_PREFIX_SIZE];

    if (!key_parse(text, prefix, check->secret_hash))
        err_set(err, ERR_UNAUTHENTICATED, "KEY_MALFORMED",
                "the API key has not the form of one: has a part of it been lost?");
    else if (!auth_store(check->auth))
        err_set(err, ERR_UNAUTHENTICATED, "KEY_UNKNOWN", "there are no API keys here");
    else
        return ask(check, FACT_KEY, prefix, err);
    return AUTH_REFUSED;
}

static bool take_ticket(struct auth_check *check, const struct auth_record *record, struct err *err)
{
    const struct clock *clock = auth_clock(check->auth);

    if (!record->exists)
        return err_set(err, ERR_UNAUTHENTICATED, "TICKET_REFUSED",
                       "the ticket is not good: it has been used, has run out, or was never given");
    if (record->expires_us && clock->wall_us(clock) >= record->expires_us)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_EXPIRED",
                       "what the ticket was asked for with has expired");
    check->principal.subject =
        arena_strndup(check->arena, record->subject.data, record->subject.length);
    return take_record(check, record, record->key_prefix, err) &&
           (check->principal.subject || out_of_memory(err));
}

static void on_redeemed(struct auth_lookup *lookup, const struct auth_record *record,
                        const struct err *err)
{
    struct auth_check *check =
        (struct auth_check *)(void *)((char *)lookup - offsetof(struct auth_check, lookup));
    struct err why = {0};

    if (!record)
        finish(check, false, err);
    else
        finish(check, take_ticket(check, record, &why), &why);
}

static enum auth_verdict begin_ticket(struct auth_check *check, struct str text, struct err *err)
{
    const struct auth_store *store = auth_store(check->auth);
    unsigned char ticket[AUTH_HASH_SIZE];

    if (!ticket_parse(text, ticket)) {
        err_set(err, ERR_UNAUTHENTICATED, "TICKET_MALFORMED", "the ticket has not the form of one");
        return AUTH_REFUSED;
    }
    if (!check->takes_tickets || !store) {
        err_set(err, ERR_UNAUTHENTICATED, "TICKET_NOT_HERE",
                "a ticket opens a stream and nothing else: show a token or an API key");
        return AUTH_REFUSED;
    }
    check->lookup.on_answer = on_redeemed;
    store->redeem_ticket(store->context, ticket, &check->lookup);
    return AUTH_WAITS;
}

/* ---- The header ---- */

/* What follows the scheme, whose case does not matter (RFC 9110 §11.1). */
static bool has_scheme(struct str header, const char *scheme, struct str *ret_rest)
{
    size_t length = strlen(scheme);

    if (header.length <= length || strncasecmp(header.data, scheme, length) != 0)
        return false;
    *ret_rest = str_trim(str_after(header, length));
    return ret_rest->length > 0;
}

enum auth_verdict auth_begin(struct auth *auth, struct str header, struct auth_check *check,
                             struct err *err)
{
    enum auth_verdict verdict = AUTH_REFUSED;
    struct str text;

    check->auth = auth;
    memset(&check->principal, 0, sizeof(check->principal));
    if (!header.length)
        err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MISSING",
                "say who you are: Authorization: Bearer <token or API key>");
    else if (has_scheme(header, "Ticket ", &text))
        verdict = begin_ticket(check, text, err);
    else if (!has_scheme(header, "Bearer ", &text)) /* RFC 6750 §2.1 */
        err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED",
                "the authorization is not of the form: Bearer <token>");
    else if (key_is_meant(text))
        verdict = begin_key(check, text, err);
    else
        verdict = begin_token(check, text, true, err);
    if (verdict == AUTH_REFUSED)
        auth_count_refusal(auth);
    return verdict;
}

void auth_answer(struct auth_lookup *lookup, const struct auth_record *record,
                 const struct err *err)
{
    lookup->on_answer(lookup, record, err);
}

/* ---- Streams ---- */

bool auth_hold_begin(struct auth *auth, const struct principal *principal, struct auth_hold *hold)
{
    const char *name = principal->key_prefix ? principal->key_prefix : principal->company_id;
    struct fact *fact;

    if (!name || !auth_store(auth))
        return true;
    fact = facts_get(auth_facts(auth), principal->key_prefix ? FACT_KEY : FACT_COMPANY, name);
    if (!fact)
        return false;
    fact_hold(fact, hold);
    return true;
}

void auth_hold_end(struct auth_hold *hold)
{
    if (hold->fact)
        fact_release(hold);
}
