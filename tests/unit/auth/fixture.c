#include "fixture.h"

#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN INT64_C(1700000000)

static void add(struct fixture *fixture, struct question question)
{
    assert_true(fixture->question_count < QUESTIONS_MAX);
    fixture->questions[fixture->question_count++] = question;
    fixture->asked++;
}

static void find_company(void *context, const char *company_id, struct auth_lookup *lookup)
{
    struct question question = {.what = ASKED_COMPANY, .lookup = lookup};

    snprintf(question.name, sizeof(question.name), "%s", company_id);
    add(context, question);
}

static void find_key(void *context, const char *prefix, struct auth_lookup *lookup)
{
    struct question question = {.what = ASKED_KEY, .lookup = lookup};

    snprintf(question.name, sizeof(question.name), "%s", prefix);
    add(context, question);
}

static void redeem_ticket(void *context, const unsigned char ticket[AUTH_HASH_SIZE],
                          struct auth_lookup *lookup)
{
    (void)ticket;
    add(context, (struct question){.what = ASKED_TICKET, .lookup = lookup});
}

static void touch_key(void *context, const char *prefix)
{
    struct fixture *fixture = context;

    (void)prefix;
    fixture->touched++;
}

static void fetch(void *context)
{
    struct fixture *fixture = context;

    assert_false(fixture->fetching); /* one at a time */
    fixture->fetching = true;
    fixture->fetches++;
}

/* 32 bytes: the kid, repeated. */
static void secret_of(char kid, unsigned char out[32])
{
    memset(out, kid, 32);
}

const char *fixture_keys(struct fixture *fixture, const char *kids)
{
    struct buf text;
    unsigned char secret[32];
    char encoded[64];

    buf_init(&text, 0);
    buf_put_cstr(&text, "{\"keys\":[");
    for (const char *kid = kids; *kid; kid++) {
        secret_of(*kid, secret);
        base64url_encode(secret, sizeof(secret), encoded, sizeof(encoded));
        buf_printf(&text, "%s{\"kty\":\"oct\",\"kid\":\"%c\",\"k\":\"%s\"}", kid == kids ? "" : ",",
                   *kid, encoded);
    }
    buf_put_cstr(&text, "]}");
    const char *copy = arena_strndup(fixture->arena, text.data, text.length);
    buf_done(&text);
    return copy;
}

struct str fixture_token(struct fixture *fixture, char kid, const char *company)
{
    return fixture_token_of(fixture, kid, company, 0);
}

struct str fixture_token_of(struct fixture *fixture, char kid, const char *company,
                            unsigned subject)
{
    char header[64], claims[400], text[1200];
    unsigned char secret[32], mac[32];
    unsigned mac_size = 0;
    int length = snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%c\"}", kid);
    size_t at = (size_t)snprintf(text, sizeof(text), "Bearer ");

    at += base64url_encode(header, (size_t)length, text + at, sizeof(text) - at);
    text[at++] = '.';
    length = snprintf(
        claims, sizeof(claims),
        "{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s%u\",\"exp\":%lld,\"roles\":[\"%s\"]%s%s%s}",
        subject, (long long)(BEGIN + 3600), company ? "viewer" : "platform",
        company ? ",\"company_id\":\"" : "", company ? company : "", company ? "\"" : "");
    at += base64url_encode(claims, (size_t)length, text + at, sizeof(text) - at);
    secret_of(kid, secret);
    HMAC(EVP_sha256(), secret, sizeof(secret), (unsigned char *)text + 7, at - 7, mac, &mac_size);
    text[at++] = '.';
    at += base64url_encode(mac, mac_size, text + at, sizeof(text) - at);
    return (struct str){arena_strndup(fixture->arena, text, at), at};
}

void fixture_init(struct fixture *fixture, unsigned cache, const char *keys, bool with_source)
{
    const struct auth_store store = {fixture, find_company, find_key, redeem_ticket, touch_key};
    const struct auth_key_source source = {fixture, fetch};
    struct err err = {0};

    memset(fixture, 0, sizeof(*fixture));
    virtual_clock_init(&fixture->clock, SECONDS(BEGIN));
    fixture->arena = arena_new(16 << 20);
    keys = fixture_keys(fixture, keys ? keys : "a");
    const struct auth_options options = {
        .key_set_text = str_from(keys),
        .source = with_source ? &source : NULL,
        .source_refresh_us = SECONDS(300),
        .source_retry_us = SECONDS(30),
        .issuer = "i",
        .audience = "a",
        .allow_hs256 = true,
        .cache_slots = cache,
        .store = &store,
        .recheck_us = SECONDS(5),
    };
    fixture->auth = auth_new(&fixture->clock.clock, &options, &err);
    assert_non_null(fixture->auth);
}

void fixture_done(struct fixture *fixture)
{
    auth_free(fixture->auth);
    arena_free(fixture->arena);
}

static void on_done(struct auth_check *check, const struct err *err)
{
    struct caller *caller = check->context;

    assert_false(caller->is_done);
    caller->is_done = true;
    caller->is_good = !err;
    if (err)
        caller->err = *err;
}

void ask(struct fixture *fixture, struct caller *caller, struct str header, bool takes_tickets)
{
    memset(caller, 0, sizeof(*caller));
    caller->check.arena = fixture->arena;
    caller->check.takes_tickets = takes_tickets;
    caller->check.done = on_done;
    caller->check.context = caller;
    caller->verdict = auth_begin(fixture->auth, header, &caller->check, &caller->err);
}

void answer(struct fixture *fixture, const struct auth_record *record)
{
    struct err err = {0};

    assert_true(fixture->question_count > 0);
    struct auth_lookup *lookup = fixture->questions[0].lookup;
    fixture->question_count--;
    memmove(fixture->questions, fixture->questions + 1,
            fixture->question_count * sizeof(fixture->questions[0]));
    err_set(&err, ERR_UNAVAILABLE, NULL, "away");
    auth_answer(lookup, record, record ? NULL : &err);
}

void deliver(struct fixture *fixture, const char *keys)
{
    struct err err = {0};

    assert_true(fixture->fetching);
    fixture->fetching = false;
    err_set(&err, ERR_UNAVAILABLE, NULL, "away");
    auth_keys_fetched(fixture->auth, str_from(keys), keys ? NULL : &err);
}

void tick(struct fixture *fixture, int64_t us)
{
    virtual_clock_advance(&fixture->clock, us);
    auth_tick(fixture->auth);
}
