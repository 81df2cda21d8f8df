/* UploadSuppressions: a client stream through the same intake as a call list (uploads/intake.h);
 * what the rows become at the end is another table. */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/intake.h"

#include <stdlib.h>
#include <string.h>

/* Of the temporary table, in one statement: 16 MB, some 100,000 rows. */
#define PAGES_AT_ONCE 2048
#define ARENA_BYTES ((size_t)64 * 1024)

typedef Dialplane__V1__UploadSuppressionsRequest request_message;

struct upload {
    struct rpc_call *call;
    struct campaign_service *service;
    struct intake *intake;
    struct arena *arena;   /* of texts and the check's parameters */
    struct arena *stretch; /* of a statement that comes again and again */
    char *company_id;
    struct buf first; /* piece of the first message, until the company is known to be there */
    bool is_checking; /* whether it is there */
    bool is_gone;     /* meanwhile the client has gone */
    int64_t bytes;
    int64_t next_page; /* of the temporary table: what comes before it is done */
    int64_t created, tasks;
};

/* ---- The end ---- */

static void upload_free(struct upload *upload)
{
    intake_close(upload->intake);
    buf_done(&upload->first);
    arena_free(upload->stretch);
    arena_free(upload->arena);
    free(upload);
}

static void fail(struct upload *upload, const struct err *err)
{
    rpc_call_set_state(upload->call, NULL);
    rpc_fail(upload->call, err);
    upload_free(upload);
}

static void fail_code(struct upload *upload, enum err_code code, const char *reason,
                      const char *sentence)
{
    struct err err = {0};

    err_set(&err, code, reason, "%s", sentence);
    fail(upload, &err);
}

static void fail_gone(struct upload *upload)
{
    fail_code(upload, ERR_CANCELLED, NULL, "the upload was broken off");
}

static void fail_unknown(struct upload *upload)
{
    struct err err = {0};

    err_set(&err, ERR_NOT_FOUND, NULL, "company %s does not exist", upload->company_id);
    fail(upload, &err);
}

static void on_failed(void *context, const struct err *err)
{
    fail(context, err);
}

/* ---- Begin and pieces ---- */

static void on_checked(void *context, const struct pg_outcome *outcome);
static void on_ready(void *context);
static void on_staged(void *context);

static const struct intake_handler intake_handler = {on_ready, on_staged, on_failed};

static struct upload *upload_new(struct rpc_call *call, const request_message *message)
{
    struct upload *upload = calloc(1, sizeof(*upload));

    if (!upload)
        return NULL;
    upload->call = call;
    upload->service = rpc_call_context(call);
    upload->arena = arena_new(ARENA_BYTES);
    buf_init(&upload->first, 0);
    buf_put(&upload->first, message->chunk.data, message->chunk.len);
    if (upload->arena)
        upload->company_id = arena_strdup(upload->arena, message->company_id);
    if (!upload->company_id || upload->first.failed) {
        upload_free(upload);
        return NULL;
    }
    return upload;
}

static void begin(struct rpc_call *call, const request_message *message)
{
    struct upload *upload;

    if (!*message->company_id) {
        fail_field(call, "company_id", "is required in the first message");
        return;
    }
    upload = upload_new(call, message);
    if (!upload) {
        fail_memory(call);
        return;
    }
    struct pg_params params = {.arena = upload->arena};
    struct pg_owner owner = {.identity = rpc_call_owner(call)->identity};

    rpc_call_set_state(call, upload);
    param_scope(&params, call);
    pg_param_text(&params, upload->company_id);
    upload->is_checking = true;
    pg_read(upload->service->pool, &owner, &sql_check_company, &params, on_checked, upload);
}

static void take_piece(struct upload *upload, struct str piece)
{
    struct err err = {0};

    upload->bytes += (int64_t)piece.length;
    if (upload->bytes > upload->service->upload_byte_limit)
        err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                "the file is larger than %lld bytes",
                (long long)upload->service->upload_byte_limit);
    else if (!intake_put(upload->intake, piece))
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    if (err_is_set(&err))
        fail(upload, &err);
}

static void on_checked(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;
    const struct upload_options options = {
        .kind = UPLOAD_SUPPRESSIONS,
        .row_limit = upload->service->upload_row_limit,
    };
    struct err err = {0};

    upload->is_checking = false;
    if (upload->is_gone) {
        fail_gone(upload);
        return;
    }
    if (!outcome->result) {
        fail(upload, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        fail_unknown(upload);
        return;
    }
    upload->intake = intake_open(upload->service, &options, rpc_call_owner(upload->call),
                                 &intake_handler, upload, upload->arena, &err);
    if (!upload->intake) {
        fail(upload, &err);
        return;
    }
    struct buf first = upload->first;

    buf_init(&upload->first, 0);
    take_piece(upload, buf_str(&first));
    buf_done(&first);
}

void upload_suppressions_message(struct rpc_call *call, const void *message_)
{
    const request_message *message = message_;
    struct upload *upload = rpc_call_state(call);

    if (upload)
        take_piece(upload, (struct str){(const char *)message->chunk.data, message->chunk.len});
    else
        begin(call, message);
}

static void on_ready(void *context)
{
    struct upload *upload = context;

    rpc_stream_next(upload->call);
}

void upload_suppressions_end(struct rpc_call *call)
{
    struct upload *upload = rpc_call_state(call);

    if (upload)
        intake_end(upload->intake);
    else
        fail_field(call, "company_id", "is required in the first message");
}

void upload_suppressions_gone(struct rpc_call *call)
{
    struct upload *upload = rpc_call_state(call);

    if (!upload)
        rpc_fail_code(call, ERR_CANCELLED, NULL, "the upload was broken off");
    else if (upload->is_checking)
        upload->is_gone = true;
    else
        fail_gone(upload);
}

/* ---- All rows are staged ---- */

static void on_inserted(void *context, const struct pg_outcome *outcome);
static void write_down(struct upload *upload);
static void on_written_down(void *context, const struct pg_outcome *outcome);
static void on_committed(void *context, const struct pg_outcome *outcome);

static void insert_more(struct upload *upload)
{
    /* Of its own: a large file has many stretches. */
    struct pg_params params = {.arena = arena_new(4096)};

    upload->stretch = params.arena;
    if (!params.arena) {
        fail_code(upload, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return;
    }
    pg_param_text(&params, upload->company_id);
    pg_param_int64(&params, upload->next_page);
    upload->next_page += PAGES_AT_ONCE;
    pg_param_int64(&params, upload->next_page);
    pg_session_query(intake_session(upload->intake), &sql_insert_suppressions, &params, on_inserted,
                     upload);
}

static void on_staged(void *context)
{
    insert_more(context);
}

static void on_inserted(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_STAGED, COLUMN_CREATED, COLUMN_TASKS };
    struct upload *upload = context;

    arena_free(upload->stretch);
    upload->stretch = NULL;
    /* A foreign key: the company was deleted meanwhile. */
    if (!outcome->result && !strcmp(outcome->sqlstate, "23503")) {
        fail_unknown(upload);
        return;
    }
    if (!outcome->result) {
        fail(upload, &outcome->err);
        return;
    }
    int64_t staged = pg_int64(outcome->result, 0, COLUMN_STAGED);

    upload->created += pg_int64(outcome->result, 0, COLUMN_CREATED);
    upload->tasks += pg_int64(outcome->result, 0, COLUMN_TASKS);
    if (staged) /* a stretch without rows is the end of the table */
        insert_more(upload);
    else
        write_down(upload);
}

/* One entry of the audit log for all of them, in their transaction. */
static void write_down(struct upload *upload)
{
    const struct call_list *list = intake_work(upload->intake)->list;
    struct pg_params params = {.arena = upload->arena};

    pg_param_text(&params, upload->company_id);
    pg_param_int64(&params, call_list_total(list));
    pg_param_int64(&params, upload->created);
    pg_param_int64(&params, call_list_error_count(list));
    pg_param_int64(&params, upload->tasks);
    pg_session_query(intake_session(upload->intake), &sql_audit_suppressions_upload, &params,
                     on_written_down, upload);
}

static void on_written_down(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;

    if (!outcome->result)
        fail(upload, &outcome->err);
    else
        pg_session_query(intake_session(upload->intake), &sql_commit_transaction, NULL,
                         on_committed, upload);
}

static void on_committed(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;
    struct rpc_call *call = upload->call;
    Dialplane__V1__UploadSuppressionsResponse response =
        DIALPLANE__V1__UPLOAD_SUPPRESSIONS_RESPONSE__INIT;
    const char *const *errors;

    if (!outcome->result) {
        fail(upload, &outcome->err);
        return;
    }
    const struct call_list *list = intake_work(upload->intake)->list;

    response.total = call_list_total(list);
    response.created = upload->created;
    response.duplicates = call_list_total(list) - call_list_error_count(list) - upload->created;
    response.error_count = call_list_error_count(list);
    response.n_errors = call_list_errors(list, &errors);
    response.errors = (char **)errors;
    response.suppressed_tasks = upload->tasks;
    rpc_call_set_state(call, NULL);
    rpc_reply(call, &response.base); /* serialized before it returns */
    upload_free(upload);
}
