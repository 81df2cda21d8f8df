/* UploadCallList: a client stream. The first message makes the upload's record; then the file goes
 * one of three ways, each piece asked for when the one before has gone:
 *
 *   as it comes      intake (rows are staged) ─ end ─▶ settle (rows become tasks) ─▶ reply
 *   respond_async    deposit (bytes are kept) ─ end ─▶ queued ─▶ reply; jobs.c does the rest
 *   repeated key     nowhere: only compared ─ end ─▶ the answer of the first time, or a refusal
 *
 * A client that goes away before the end has left nothing but a record that says so. Once the file
 * has ended, the upload goes on to its end whether or not somebody waits. */
#include "campaign.h"
#include "campaign_sql.h"
#include "claims.h"
#include "handlers/handlers.h"
#include "uploads/answer.h"
#include "uploads/deposit.h"
#include "uploads/how.h"
#include "uploads/intake.h"
#include "uploads/jobs.h"
#include "uploads/progress.h"
#include "uploads/settle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_ARENA_BYTES ((size_t)256 * 1024)

typedef Dialplane__V1__UploadCallListRequest request_message;

struct upload {
    struct rpc_call *call;
    struct campaign_service *service;
    struct arena *arena;      /* of this struct's texts and the begin's parameters */
    request_message *request; /* the first message, without its piece */
    struct how how;
    struct str settings;
    struct buf first; /* piece of the first message, until the record is there */
    char id[UUID_TEXT_SIZE], other_id[UUID_TEXT_SIZE];
    char *other_fingerprint;
    struct fingerprint *fingerprint;
    char fingerprint_text[FINGERPRINT_SIZE];
    struct upload_figures figures;
    struct progress *progress;
    struct intake *intake;
    struct deposit *deposit;
    struct settle *settle;
    struct err failure; /* while the record learns of it */
    bool is_failing;
    bool is_beginning; /* the record's statement is under way */
    bool is_gone;      /* meanwhile the client has gone */
};

/* ---- The end ---- */

static void upload_free(struct upload *upload)
{
    progress_stop(upload->progress);
    intake_close(upload->intake);
    deposit_close(upload->deposit);
    fingerprint_free(upload->fingerprint);
    buf_done(&upload->first);
    arena_free(upload->arena);
    free(upload);
}

static void answer_failure(void *context)
{
    struct upload *upload = context;

    rpc_call_set_state(upload->call, NULL);
    rpc_fail(upload->call, &upload->failure);
    upload_free(upload);
}

/* Whether the record must say so before the client hears of it: not when the database is the
 * reason, or nobody listens, or it says so already. */
static bool is_said_first(const struct err *err)
{
    return err->code != ERR_UNAVAILABLE && err->code != ERR_CANCELLED &&
           err->code != ERR_DEADLINE_EXCEEDED && strcmp(err->reason, "DUPLICATE_ROWS") != 0;
}

static void fail(struct upload *upload, const struct err *err)
{
    bool is_ours = upload->progress != NULL;

    upload->failure = *err;
    progress_stop(upload->progress);
    intake_close(upload->intake);
    upload->progress = NULL;
    upload->intake = NULL;
    if (is_ours && is_said_first(&upload->failure)) {
        upload->is_failing = true;
        upload_record_failure(upload->service, upload->id, 0, upload->failure.message,
                              answer_failure, upload);
        return;
    }
    if (is_ours)
        upload_record_failure(upload->service, upload->id, 0, upload->failure.message, NULL, NULL);
    answer_failure(upload);
}

static void fail_code(struct upload *upload, enum err_code code, const char *reason,
                      const char *sentence)
{
    struct err err = {0};

    err_set(&err, code, reason, "%s", sentence);
    fail(upload, &err);
}

static void fail_short(struct upload *upload)
{
    fail_code(upload, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

static void fail_gone(struct upload *upload)
{
    fail_code(upload, ERR_CANCELLED, NULL, "the upload was broken off");
}

static void on_failed(void *context, const struct err *err)
{
    fail(context, err);
}

/* ---- Begin ---- */

static void on_begun(void *context, const struct pg_outcome *outcome);
static void on_intake_ready(void *context);
static void on_staged(void *context);
static void on_deposit_ready(void *context);
static void on_queued(void *context);
static void on_settled(void *context, const struct settle_result *result);

static const struct intake_handler intake_handler = {on_intake_ready, on_staged, on_failed};
static const struct deposit_handler deposit_handler = {on_deposit_ready, on_queued, on_failed};
static const struct settle_handler settle_handler = {on_settled, on_failed};

static struct upload *upload_new(struct rpc_call *call, const request_message *message)
{
    struct campaign_service *service = rpc_call_context(call);
    struct upload *upload = calloc(1, sizeof(*upload));

    if (!upload)
        return NULL;
    struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);

    uuid_format(&id, upload->id);
    upload->call = call;
    upload->service = service;
    upload->arena = arena_new(PARAMS_ARENA_BYTES);
    if (!upload->arena) {
        free(upload);
        return NULL;
    }
    buf_init(&upload->first, 0);
    buf_put(&upload->first, message->chunk.data, message->chunk.len);
    /* The message goes with the next one: what it says is kept, without the piece. */
    request_message head = *message;

    head.chunk = (ProtobufCBinaryData){0};
    upload->request = (request_message *)rpc_unpack(
        message->base.descriptor, rpc_pack(&head.base, upload->arena), upload->arena);
    if (upload->request)
        upload->settings = how_pack(upload->request, upload->arena);
    if (upload->request && upload->settings.data)
        upload->fingerprint = fingerprint_new(upload->settings);
    if (!upload->fingerprint || upload->first.failed ||
        !rpc_apply_defaults(service->schema, &upload->request->base, upload->arena)) {
        upload_free(upload);
        return NULL;
    }
    upload->figures.state = "receiving";
    return upload;
}

/* What can be said of the options before anything is done. False: the call has failed. */
static bool check_options(struct rpc_call *call, struct upload *upload)
{
    const request_message *request = upload->request;
    const char *encoding = request->_content_encoding_case ? request->content_encoding : "";
    struct upload_work probe = {0};
    struct err err = {0};

    if (*encoding && strcmp(encoding, "gzip") != 0 && strcmp(encoding, "identity") != 0) {
        fail_field(call, "content_encoding", "must be gzip or identity");
        return false;
    }
    how_read(request, upload->service, NULL, &upload->how);
    if (!upload_work_open(upload->service->workers, &upload->how.options, upload->arena, &probe,
                          &err)) {
        rpc_fail(call, &err);
        return false;
    }
    upload_work_close(&probe);
    return true;
}

static struct pg_owner asker(const struct upload *upload)
{
    const struct clock *clock = loop_clock(upload->service->loop);
    int64_t limit_us = clock->monotonic_us(clock) + upload->service->upload_time_us;
    const struct pg_owner *call = rpc_call_owner(upload->call);
    struct pg_owner owner = {
        .deadline_us = limit_us, .trace = call->trace, .identity = call->identity};

    if (call->deadline_us && call->deadline_us < limit_us)
        owner.deadline_us = call->deadline_us;
    return owner;
}

static void begin(struct rpc_call *call, const request_message *message)
{
    struct campaign_service *service = rpc_call_context(call);
    struct upload *upload;

    if (!*message->campaign_id) {
        fail_field(call, "campaign_id", "is required in the first message");
        return;
    }
    upload = upload_new(call, message);
    if (!upload) {
        fail_memory(call);
        return;
    }
    if (!check_options(call, upload)) {
        upload_free(upload);
        return;
    }
    struct pg_params params = {.arena = upload->arena};
    /* Once begun, the record is waited for, whoever leaves. */
    struct pg_owner owner = {.identity = rpc_call_owner(call)->identity};

    rpc_call_set_state(call, upload);
    param_scope(&params, call);
    pg_param_text(&params, upload->request->campaign_id);
    pg_param_text(&params, upload->id);
    pg_param_text(&params, upload->request->_file_name_case ? upload->request->file_name : NULL);
    pg_param_text(&params, on_duplicate_word(upload->request->on_duplicate));
    pg_param_bytes(&params, upload->settings);
    pg_param_text(&params,
                  upload->request->_idempotency_key_case ? upload->request->idempotency_key : NULL);
    param_interval_us(&params, service->idempotency_us);
    param_interval_us(&params, service->upload_lease_us);
    upload->is_beginning = true;
    pg_write(service->pool, &owner, &sql_begin_upload, &params, on_begun, upload);
}

/* The record is ours: the file's way begins. False: it has failed. */
static bool go(struct upload *upload, const char *region)
{
    const request_message *request = upload->request;
    struct pg_owner owner = asker(upload);
    struct err err = {0};

    upload->progress = progress_start(upload->service, upload->id, 0, &upload->figures);
    if (!upload->progress) {
        upload_record_failure(upload->service, upload->id, 0, "memory is short", NULL, NULL);
        fail_short(upload);
        return false;
    }
    if (request->respond_async) {
        upload->deposit =
            deposit_open(upload->service, upload->id, &owner, &deposit_handler, upload);
        if (!upload->deposit)
            err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    } else {
        how_read(request, upload->service, region, &upload->how);
        upload->how.options.campaign_id = request->campaign_id;
        upload->how.options.upload_id = upload->id;
        upload->intake = intake_open(upload->service, &upload->how.options, &owner, &intake_handler,
                                     upload, upload->arena, &err);
    }
    if (err_is_set(&err))
        fail(upload, &err);
    return !err_is_set(&err);
}

/* Takes a piece on its way; false: the upload has failed. */
static bool take_piece(struct upload *upload, struct str piece)
{
    upload->figures.bytes += (int64_t)piece.length;
    if (upload->figures.bytes > upload->service->upload_byte_limit) {
        struct err err = {0};

        err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                "the file is larger than %lld bytes",
                (long long)upload->service->upload_byte_limit);
        fail(upload, &err);
        return false;
    }
    fingerprint_add(upload->fingerprint, piece);
    if ((upload->intake && !intake_put(upload->intake, piece)) ||
        (upload->deposit && !deposit_put(upload->deposit, piece))) {
        fail_short(upload);
        return false;
    }
    if (!upload->intake && !upload->deposit)
        rpc_stream_next(upload->call); /* only compared */
    return true;
}

static void on_begun(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_OTHER, COLUMN_OTHER_FINGERPRINT, COLUMN_REGION };
    struct upload *upload = context;
    const struct pg_result *row = outcome->result;
    struct err err = {0};

    upload->is_beginning = false;
    if (!row) {
        fail(upload, &outcome->err);
        return;
    }
    struct str verdict = pg_str(row, 0, COLUMN_VERDICT);
    bool is_ours = str_equal_cstr(verdict, "ok");

    if (is_ours && upload->is_gone) {
        upload_record_failure(upload->service, upload->id, 0, "the upload was broken off", NULL,
                              NULL);
        fail_gone(upload);
        return;
    }
    if (str_equal_cstr(verdict, "not_found"))
        err_set_no_campaign(&err, upload->request->campaign_id);
    else if (str_equal_cstr(verdict, "ended"))
        err_set_ended(&err);
    else if (str_equal_cstr(verdict, "in_progress"))
        err_set(&err, ERR_ABORTED, "UPLOAD_IN_PROGRESS",
                "an upload with this Idempotency-Key is still coming in (%s): wait for its end",
                pg_text(row, 0, COLUMN_OTHER, upload->arena));
    if (upload->is_gone || err_is_set(&err)) {
        if (upload->is_gone)
            err_set(&err, ERR_CANCELLED, NULL, "the upload was broken off");
        fail(upload, &err);
        return;
    }
    if (is_ours) {
        if (!go(upload, pg_text(row, 0, COLUMN_REGION, upload->arena)))
            return;
    } else {
        struct uuid other = pg_uuid(row, 0, COLUMN_OTHER);

        uuid_format(&other, upload->other_id);
        upload->other_fingerprint = pg_text(row, 0, COLUMN_OTHER_FINGERPRINT, upload->arena);
    }
    struct buf first = upload->first;

    buf_init(&upload->first, 0);
    take_piece(upload, buf_str(&first));
    buf_done(&first);
}

/* ---- Pieces ---- */

void upload_call_list_message(struct rpc_call *call, const void *message_)
{
    const request_message *message = message_;
    struct upload *upload = rpc_call_state(call);

    if (upload)
        take_piece(upload, (struct str){(const char *)message->chunk.data, message->chunk.len});
    else
        begin(call, message);
}

static void on_intake_ready(void *context)
{
    struct upload *upload = context;
    const struct upload_work *work = intake_work(upload->intake);

    figures_look(&upload->figures, work);
    rpc_stream_next(upload->call);
}

static void on_deposit_ready(void *context)
{
    struct upload *upload = context;

    rpc_stream_next(upload->call);
}

void upload_call_list_gone(struct rpc_call *call)
{
    struct upload *upload = rpc_call_state(call);

    if (!upload)
        rpc_fail_code(call, ERR_CANCELLED, NULL, "the upload was broken off");
    else if (upload->is_beginning)
        upload->is_gone = true;
    else if (!upload->is_failing) /* else it ends anyway */
        fail_gone(upload);
}

/* ---- The file has ended ---- */

static void on_answered(void *context)
{
    upload_free(context);
}

/* The same file again is answered as it was; another one must not be taken for it. */
static void compare(struct upload *upload)
{
    struct rpc_call *call = upload->call;

    if (!upload->other_fingerprint ||
        strcmp(upload->other_fingerprint, upload->fingerprint_text) != 0) {
        fail_code(upload, ERR_ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED",
                  "this Idempotency-Key belongs to another upload: another file, or the same with "
                  "other parameters");
        return;
    }
    rpc_call_set_state(call, NULL);
    answer_upload(call, upload->other_id, on_answered, upload);
}

void upload_call_list_end(struct rpc_call *call)
{
    struct upload *upload = rpc_call_state(call);

    if (!upload) {
        fail_field(call, "campaign_id", "is required in the first message");
        return;
    }
    fingerprint_format(upload->fingerprint, upload->fingerprint_text);
    if (upload->intake)
        intake_end(upload->intake);
    else if (upload->deposit)
        deposit_end(upload->deposit, upload->figures.bytes, upload->fingerprint_text);
    else
        compare(upload);
}

static void on_staged(void *context)
{
    struct upload *upload = context;
    const struct upload_work *work = intake_work(upload->intake);
    const struct settle_job job = {
        .service = upload->service,
        .intake = upload->intake,
        .campaign_id = upload->request->campaign_id,
        .upload_id = upload->id,
        .fingerprint = upload->fingerprint_text,
        .company_scope = service_scope(upload->call),
        .on_duplicate = upload->request->on_duplicate,
        .bytes = upload->figures.bytes,
        .figures = &upload->figures,
    };

    upload->figures.state = "processing";
    figures_look(&upload->figures, work);
    upload->settle = settle_start(&job, &settle_handler, upload);
    if (!upload->settle)
        fail_short(upload);
}

static void on_settled(void *context, const struct settle_result *result)
{
    struct upload *upload = context;
    struct rpc_call *call = upload->call;
    const struct call_list *list = intake_work(upload->intake)->list;
    Dialplane__V1__UploadCallListResponse response = DIALPLANE__V1__UPLOAD_CALL_LIST_RESPONSE__INIT;
    const char *const *errors;

    claims_wake(upload->service->claims);
    response.total = call_list_total(list);
    response.created = result->created;
    response.updated = result->updated;
    response.duplicates = result->duplicates;
    response.error_count = call_list_error_count(list);
    response.n_errors = call_list_errors(list, &errors);
    response.errors = (char **)errors;
    response.upload_id = upload->id;
    response.campaign_id = upload->request->campaign_id;
    response.state = DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_COMPLETED;
    rpc_call_set_state(call, NULL);
    rpc_reply(call, &response.base); /* serialized before it returns */
    upload_free(upload);
}

static void on_queued(void *context)
{
    struct upload *upload = context;
    struct rpc_call *call = upload->call;
    Dialplane__V1__UploadCallListResponse response = DIALPLANE__V1__UPLOAD_CALL_LIST_RESPONSE__INIT;

    jobs_wake(upload->service->jobs);
    response.upload_id = upload->id;
    response.campaign_id = upload->request->campaign_id;
    response.state = DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_QUEUED;
    rpc_call_set_state(call, NULL);
    rpc_reply(call, &response.base);
    upload_free(upload);
}
