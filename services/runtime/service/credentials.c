#include "service/credentials.h"

#include "service_sql.h"

#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)8 * 1024)
/* Longer is an answer too: that nobody knows. */
#define LOOKUP_US (5 * TIME_US_PER_SECOND)

struct credentials {
    struct loop *loop;
    struct pg_pool *pool;
};

/* One question, in its own arena. */
struct question {
    struct arena *arena;
    struct auth_lookup *lookup; /* NULL: nobody waits */
};

struct credentials *credentials_new(struct loop *loop, struct pg_pool *pool)
{
    struct credentials *credentials = calloc(1, sizeof(*credentials));

    if (credentials)
        *credentials = (struct credentials){.loop = loop, .pool = pool};
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    free(credentials);
}

/* ---- Roles and grants ---- */

static const struct {
    enum schema_role role;
    const char *word;
} known_roles[] = {
    {SCHEMA_ROLE_PLATFORM, "platform"}, {SCHEMA_ROLE_ADMIN, "admin"},
    {SCHEMA_ROLE_MANAGER, "manager"},   {SCHEMA_ROLE_VIEWER, "viewer"},
    {SCHEMA_ROLE_AGENT, "agent"},
};

size_t role_words(uint32_t roles, const char *words[ROLE_WORDS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof(known_roles) / sizeof(known_roles[0]); i++)
        if (roles & UINT32_C(1) << known_roles[i].role)
            words[count++] = known_roles[i].word;
    return count;
}

static uint32_t bits_from_column(const struct pg_result *result, int row, int column,
                                 uint32_t (*bit_of)(struct str word))
{
    struct pg_array array = pg_text_array(result, row, column);
    struct str word;
    uint32_t bits = 0;

    while (pg_array_next(&array, &word))
        bits |= bit_of(word);
    return bits;
}

uint32_t roles_from_column(const struct pg_result *result, int row, int column)
{
    return bits_from_column(result, row, column, auth_role_bit);
}

size_t grant_words(uint32_t grants, const char *words[GRANT_WORDS_MAX])
{
    size_t count = 0;

    if (grants & AUTH_GRANT_PHONES)
        words[count++] = "phones";
    return count;
}

uint32_t grants_from_column(const struct pg_result *result, int row, int column)
{
    return bits_from_column(result, row, column, auth_grant_bit);
}

/* ---- Questions ---- */

static void answer(struct question *question, const struct auth_record *record,
                   const struct err *err)
{
    if (question->lookup)
        auth_answer(question->lookup, record, err);
    arena_free(question->arena);
}

/* Out of memory is an answer as well, but never before the question has returned. */
static void on_no_memory(void *context)
{
    struct err err = {0};

    err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
    auth_answer(context, NULL, &err);
}

static struct question *ask(const struct credentials *credentials, struct auth_lookup *lookup)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct question *question = arena ? ARENA_NEW(arena, struct question) : NULL;

    if (question) {
        *question = (struct question){.arena = arena, .lookup = lookup};
        return question;
    }
    arena_free(arena);
    if (lookup)
        loop_defer(credentials->loop, on_no_memory, lookup);
    return NULL;
}

/* Work of our own: who asks is what it is to find out. */
static struct pg_owner own_work(const struct credentials *credentials)
{
    const struct clock *clock = loop_clock(credentials->loop);

    struct pg_owner owner = pg_service;

    owner.deadline_us = clock->monotonic_us(clock) + LOOKUP_US;
    return owner;
}

/* What is wrong with the database is not the caller's matter: 503, whatever it was. */
static void fail(struct question *question, const struct pg_outcome *outcome)
{
    struct err err = outcome->err;

    if (err.code != ERR_CANCELLED && err.code != ERR_RESOURCE_EXHAUSTED) {
        err_set(&err, ERR_UNAVAILABLE, NULL,
                "who is asking cannot be looked up: the database does not answer");
        err.retry_after_seconds = 1;
    }
    answer(question, NULL, &err);
}

static void on_company(void *context, const struct pg_outcome *outcome)
{
    struct auth_record record = {0};

    if (!outcome->result) {
        fail(context, outcome);
        return;
    }
    record.exists = pg_rows(outcome->result) > 0;
    answer(context, &record, NULL);
}

static void find_company(void *context, const char *company_id, struct auth_lookup *lookup)
{
    struct credentials *credentials = context;
    struct question *question = ask(credentials, lookup);
    struct pg_owner owner = own_work(credentials);

    if (!question)
        return;
    struct pg_params params = {.arena = question->arena};
    pg_param_text(&params, company_id);
    pg_read(credentials->pool, &owner, &sql_find_company, &params, on_company, question);
}

static void take_company(const struct pg_result *rows, int column, struct auth_record *record)
{
    struct uuid id = pg_uuid(rows, 0, column);

    if (!pg_is_null(rows, 0, column))
        uuid_format(&id, record->company_id);
}

static void on_key(void *context, const struct pg_outcome *outcome)
{
    enum { COMPANY, ROLES, HASH, EXPIRES, GRANTS };
    const struct pg_result *rows = outcome->result;
    struct auth_record record = {0};

    if (!rows) {
        fail(context, outcome);
        return;
    }
    struct str hash = pg_rows(rows) ? pg_str(rows, 0, HASH) : (struct str){NULL, 0};

    record.exists = hash.length == AUTH_HASH_SIZE;
    if (record.exists) {
        memcpy(record.secret_hash, hash.data, AUTH_HASH_SIZE);
        take_company(rows, COMPANY, &record);
        record.roles = roles_from_column(rows, 0, ROLES);
        record.grants = grants_from_column(rows, 0, GRANTS);
        record.expires_us = pg_time_us(rows, 0, EXPIRES);
    }
    answer(context, &record, NULL);
}

static void find_key(void *context, const char *prefix, struct auth_lookup *lookup)
{
    struct credentials *credentials = context;
    struct question *question = ask(credentials, lookup);
    struct pg_owner owner = own_work(credentials);

    if (!question)
        return;
    struct pg_params params = {.arena = question->arena};
    pg_param_text(&params, prefix);
    pg_read(credentials->pool, &owner, &sql_find_api_key, &params, on_key, question);
}

static void on_ticket(void *context, const struct pg_outcome *outcome)
{
    enum { SUBJECT, COMPANY, ROLES, EXPIRES, PREFIX, GRANTS };
    const struct pg_result *rows = outcome->result;
    struct auth_record record = {0};

    if (!rows) {
        fail(context, outcome);
        return;
    }
    record.exists = pg_rows(rows) > 0;
    if (record.exists) {
        struct str prefix = pg_str(rows, 0, PREFIX);
        record.subject = pg_str(rows, 0, SUBJECT);
        take_company(rows, COMPANY, &record);
        record.roles = roles_from_column(rows, 0, ROLES);
        record.grants = grants_from_column(rows, 0, GRANTS);
        record.expires_us = pg_time_us(rows, 0, EXPIRES);
        if (prefix.length < AUTH_PREFIX_SIZE && prefix.length)
            memcpy(record.key_prefix, prefix.data, prefix.length);
    }
    answer(context, &record, NULL);
}

static void redeem_ticket(void *context, const unsigned char ticket[AUTH_HASH_SIZE],
                          struct auth_lookup *lookup)
{
    struct credentials *credentials = context;
    struct question *question = ask(credentials, lookup);
    struct pg_owner owner = own_work(credentials);

    if (!question)
        return;
    struct pg_params params = {.arena = question->arena};
    pg_param_bytes(&params, (struct str){(const char *)ticket, AUTH_HASH_SIZE});
    pg_write(credentials->pool, &owner, &sql_redeem_ws_ticket, &params, on_ticket, question);
}

/* Nobody waits; that it failed, pg has logged, and a minute later it is tried again. */
static void on_touched(void *context, const struct pg_outcome *outcome)
{
    (void)outcome;
    answer(context, NULL, NULL);
}

static void touch_key(void *context, const char *prefix)
{
    struct credentials *credentials = context;
    struct question *question = ask(credentials, NULL);
    struct pg_owner owner = own_work(credentials);

    if (!question)
        return;
    struct pg_params params = {.arena = question->arena};
    pg_param_text(&params, prefix);
    pg_write(credentials->pool, &owner, &sql_touch_api_key, &params, on_touched, question);
}

struct auth_store credentials_store(struct credentials *credentials)
{
    return (struct auth_store){
        .context = credentials,
        .find_company = find_company,
        .find_key = find_key,
        .redeem_ticket = redeem_ticket,
        .touch_key = touch_key,
    };
}
