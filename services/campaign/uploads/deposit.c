#include "uploads/deposit.h"

#include "campaign_sql.h"
#include "contact_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row of the table; a piece is at most 1 MiB. */
#define CHUNK_BYTES ((size_t)1024 * 1024)
#define ARENA_BYTES (3 * CHUNK_BYTES)

struct deposit {
    struct campaign_service *service;
    struct pg_session *session;
    const struct deposit_handler *handler;
    void *context;
    char upload_id[UUID_TEXT_SIZE];
    struct buf chunk;
    struct arena *arena; /* of the statement under way */
    int64_t number;      /* of the next chunk */
    int64_t bytes;
    char fingerprint[64];
    bool is_busy, is_closing, is_open, has_ended;
};

static void deposit_free(struct deposit *deposit)
{
    pg_session_close(deposit->session);
    buf_done(&deposit->chunk);
    arena_free(deposit->arena);
    free(deposit);
}

/* Every callback begins with this: true when there is nothing more to do. */
static bool is_over(struct deposit *deposit, const struct err *err)
{
    deposit->is_busy = false;
    if (deposit->is_closing)
        deposit_free(deposit);
    else if (err && err_is_set(err))
        deposit->handler->on_failed(deposit->context, err);
    else
        return false;
    return true;
}

static void on_session(void *context, struct pg_session *session, const struct err *err);
static void on_begun(void *context, const struct pg_outcome *outcome);
static void on_put(void *context, const struct pg_outcome *outcome);
static void on_queued(void *context, const struct pg_outcome *outcome);
static void on_committed(void *context, const struct pg_outcome *outcome);

struct deposit *deposit_open(struct campaign_service *service, const char *upload_id,
                             const struct pg_owner *asker, const struct deposit_handler *handler,
                             void *context)
{
    struct deposit *deposit = calloc(1, sizeof(*deposit));
    struct pg_owner owner = {
        .deadline_us = asker->deadline_us, .trace = asker->trace, .identity = asker->identity};

    if (!deposit)
        return NULL;
    deposit->service = service;
    deposit->handler = handler;
    deposit->context = context;
    snprintf(deposit->upload_id, sizeof(deposit->upload_id), "%s", upload_id);
    buf_init(&deposit->chunk, 4 * CHUNK_BYTES);
    deposit->is_busy = true;
    pg_session_open(service->pool, &owner, on_session, deposit);
    return deposit;
}

void deposit_close(struct deposit *deposit)
{
    if (!deposit)
        return;
    deposit->is_closing = true;
    if (!deposit->is_busy)
        deposit_free(deposit);
}

static void on_session(void *context, struct pg_session *session, const struct err *err)
{
    struct deposit *deposit = context;

    deposit->session = session;
    if (is_over(deposit, err))
        return;
    deposit->is_busy = true;
    pg_session_query(session, &sql_begin_transaction, NULL, on_begun, deposit);
}

static bool begin_statement(struct deposit *deposit, struct pg_params *params)
{
    struct err err = {0};

    arena_free(deposit->arena);
    *params = (struct pg_params){.arena = arena_new(ARENA_BYTES)};
    deposit->arena = params->arena;
    if (!params->arena) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        deposit->handler->on_failed(deposit->context, &err);
        return false;
    }
    deposit->is_busy = true;
    return true;
}

static void put_chunk(struct deposit *deposit)
{
    const struct vault *vault = deposit->service->vault;
    struct pg_params params;
    struct vault_place place;
    struct uuid upload;
    struct buf sealed;

    if (!begin_statement(deposit, &params))
        return;
    pg_param_text(&params, deposit->upload_id);
    pg_param_int64(&params, deposit->number);
    if (vault_seals(vault) && uuid_parse(str_from(deposit->upload_id), &upload)) {
        buf_init(&sealed, 5 * CHUNK_BYTES);
        upload_chunk_place(&place, &upload, deposit->number);
        params.failed |= !vault_seal(vault, &place, buf_str(&deposit->chunk), &sealed);
        pg_param_bytes(&params, buf_str(&sealed));
        buf_done(&sealed);
    } else {
        pg_param_bytes(&params, buf_str(&deposit->chunk));
    }
    deposit->number++;
    buf_reset(&deposit->chunk);
    pg_session_query(deposit->session, &sql_put_upload_chunk, &params, on_put, deposit);
}

static void queue(struct deposit *deposit)
{
    struct pg_params params;

    if (!begin_statement(deposit, &params))
        return;
    pg_param_text(&params, deposit->upload_id);
    pg_param_int64(&params, deposit->bytes);
    pg_param_text(&params, deposit->fingerprint);
    pg_session_query(deposit->session, &sql_queue_upload, &params, on_queued, deposit);
}

static void go_on(struct deposit *deposit)
{
    if (deposit->chunk.length >= CHUNK_BYTES || (deposit->has_ended && deposit->chunk.length))
        put_chunk(deposit);
    else if (deposit->has_ended)
        queue(deposit);
    else
        deposit->handler->on_ready(deposit->context);
}

static void on_begun(void *context, const struct pg_outcome *outcome)
{
    struct deposit *deposit = context;

    if (is_over(deposit, &outcome->err))
        return;
    deposit->is_open = true;
    go_on(deposit);
}

static void on_put(void *context, const struct pg_outcome *outcome)
{
    struct deposit *deposit = context;
    struct err err = outcome->err;

    /* A foreign key: the upload's record has gone with its campaign. */
    if (!outcome->result && !strcmp(outcome->sqlstate, "23503"))
        err_set(&err, ERR_NOT_FOUND, NULL, "the campaign has been deleted");
    if (!is_over(deposit, &err))
        go_on(deposit);
}

bool deposit_put(struct deposit *deposit, struct str piece)
{
    buf_put_str(&deposit->chunk, piece);
    if (deposit->chunk.failed)
        return false;
    if (deposit->is_open)
        go_on(deposit);
    return true;
}

void deposit_end(struct deposit *deposit, int64_t bytes, const char *fingerprint)
{
    deposit->has_ended = true;
    deposit->bytes = bytes;
    snprintf(deposit->fingerprint, sizeof(deposit->fingerprint), "%s", fingerprint);
    if (deposit->is_open)
        go_on(deposit);
}

static void on_queued(void *context, const struct pg_outcome *outcome)
{
    struct deposit *deposit = context;
    struct err err = {0};

    if (is_over(deposit, &outcome->err))
        return;
    if (!pg_bool(outcome->result, 0, 0)) { /* given up meanwhile, or gone with its campaign */
        err_set(&err, ERR_ABORTED, "UPLOAD_LOST", "the upload has been given up: send it again");
        deposit->handler->on_failed(deposit->context, &err);
        return;
    }
    deposit->is_busy = true;
    pg_session_query(deposit->session, &sql_commit_transaction, NULL, on_committed, deposit);
}

static void on_committed(void *context, const struct pg_outcome *outcome)
{
    struct deposit *deposit = context;

    if (!is_over(deposit, &outcome->err))
        deposit->handler->on_queued(deposit->context);
}
