/* UploadSuppressions: as UploadCallList (the picture is there), with the same threads, the same
 * reader and the same temporary table; what the rows become at the end is another table. */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "upload_workers.h"

#include <stdlib.h>

/* A piece of 1 MiB may be all escapes. */
#define OUT_LIMIT_BYTES ((size_t)32 * 1024 * 1024)
/* Of the temporary table, in one statement: 16 MB, some 100,000 rows. */
#define PAGES_AT_ONCE 2048
#define PARAMS_ARENA_BYTES ((size_t)64 * 1024)

struct upload {
    struct upload_work work; /* first member: the worker's answer names it */
    struct rpc_call *call;
    struct campaign_service *service;
    struct pg_session *session;
    struct arena *arena; /* of parameters; lives until the last statement's callback */
    char *company_id;
    int64_t bytes;
    bool is_idle;          /* waits for the client */
    bool has_ended;        /* the client has half-closed */
    bool is_gone;          /* the client has gone away */
    int64_t next_page;     /* of the temporary table: what comes before it is done */
    struct arena *stretch; /* of the statement that makes some of them tasks */
    int64_t staged, created, tasks;
};

/* ---- The end ---- */

static void upload_free(struct upload *upload)
{
    pg_session_close(upload->session);
    call_list_free(upload->work.list);
    buf_done(&upload->work.in);
    buf_done(&upload->work.out);
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

/* Every callback begins with this: true when there is nothing more to do. */
static bool is_over(struct upload *upload, const struct pg_outcome *outcome)
{
    if (upload->is_gone)
        fail_gone(upload);
    else if (outcome && !outcome->result)
        fail(upload, &outcome->err);
    else
        return false;
    return true;
}

/* ---- Begin ---- */

static void on_session(void *context, struct pg_session *session, const struct err *err);
static void on_begun(void *context, const struct pg_outcome *outcome);
static void on_checked(void *context, const struct pg_outcome *outcome);
static void on_staged(void *context, const struct pg_outcome *outcome);
static void on_copying(void *context, const struct pg_outcome *outcome);
static void on_worked(struct upload_work *work);

static struct upload *upload_new(struct rpc_call *call,
                                 const Dialplane__V1__UploadSuppressionsRequest *message)
{
    struct campaign_service *service = rpc_call_context(call);
    struct upload *upload = calloc(1, sizeof(*upload));

    if (!upload)
        return NULL;
    upload->call = call;
    upload->service = service;
    upload->arena = arena_new(PARAMS_ARENA_BYTES);
    upload->work.list = upload_workers_suppressions(service->workers, service->upload_row_limit);
    upload->work.done = on_worked;
    buf_init(&upload->work.in, 0);
    buf_init(&upload->work.out, OUT_LIMIT_BYTES);
    if (upload->arena)
        upload->company_id = arena_strdup(upload->arena, message->company_id);
    if (!upload->arena || !upload->work.list || arena_is_exhausted(upload->arena)) {
        upload_free(upload);
        return NULL;
    }
    return upload;
}

static bool take_piece(struct upload *upload,
                       const Dialplane__V1__UploadSuppressionsRequest *message)
{
    upload->bytes += (int64_t)message->chunk.len;
    buf_reset(&upload->work.in);
    buf_put(&upload->work.in, message->chunk.data, message->chunk.len);
    if (upload->bytes > upload->service->upload_byte_limit) {
        struct err err = {0};

        err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                "the file is larger than %lld bytes",
                (long long)upload->service->upload_byte_limit);
        fail(upload, &err);
        return false;
    }
    if (upload->work.in.failed) {
        fail_code(upload, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return false;
    }
    return true;
}

static void begin(struct rpc_call *call, const Dialplane__V1__UploadSuppressionsRequest *message)
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
    rpc_call_set_state(call, upload);
    if (take_piece(upload, message))
        pg_session_open(upload->service->pool, rpc_call_owner(call), on_session, upload);
}

static void on_session(void *context, struct pg_session *session, const struct err *err)
{
    struct upload *upload = context;

    upload->session = session;
    if (is_over(upload, NULL))
        return;
    if (!session) {
        fail(upload, err);
        return;
    }
    pg_session_query(session, &sql_begin_upload, NULL, on_begun, upload);
}

static void on_begun(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;
    struct pg_params params = {.arena = upload->arena};

    if (is_over(upload, outcome))
        return;
    param_scope(&params, upload->call);
    pg_param_text(&params, upload->company_id);
    pg_session_query(upload->session, &sql_check_company, &params, on_checked, upload);
}

static void on_checked(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;

    if (is_over(upload, outcome))
        return;
    if (pg_rows(outcome->result) == 0)
        fail_unknown(upload);
    else
        pg_session_query(upload->session, &sql_stage_upload, NULL, on_staged, upload);
}

static void on_staged(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;

    if (!is_over(upload, outcome))
        pg_session_copy_begin(upload->session, &sql_copy_upload, on_copying, upload);
}

static void on_copying(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;

    if (!is_over(upload, outcome))
        upload_workers_do(upload->service->workers, &upload->work);
}

/* ---- Pieces ---- */

static void on_drained(void *context);
static void on_copied(void *context, const struct pg_outcome *outcome);

static void on_worked(struct upload_work *work)
{
    struct upload *upload = (struct upload *)work;
    bool is_drained;

    if (is_over(upload, NULL))
        return;
    if (err_is_set(&work->err)) {
        fail(upload, &work->err);
        return;
    }
    is_drained = pg_session_copy_put(upload->session, buf_str(&work->out), on_drained, upload);
    buf_reset(&work->out);
    if (is_drained)
        on_drained(upload);
}

static void on_drained(void *context)
{
    struct upload *upload = context;

    if (is_over(upload, NULL))
        return;
    if (upload->work.is_end) {
        pg_session_copy_end(upload->session, on_copied, upload);
    } else if (upload->has_ended) {
        upload->work.is_end = true;
        upload_workers_do(upload->service->workers, &upload->work);
    } else {
        upload->is_idle = true;
        rpc_stream_next(upload->call);
    }
}

void upload_suppressions_message(struct rpc_call *call, const void *message_)
{
    const Dialplane__V1__UploadSuppressionsRequest *message = message_;
    struct upload *upload = rpc_call_state(call);

    if (!upload) {
        begin(call, message);
        return;
    }
    upload->is_idle = false;
    if (take_piece(upload, message))
        upload_workers_do(upload->service->workers, &upload->work);
}

void upload_suppressions_end(struct rpc_call *call)
{
    struct upload *upload = rpc_call_state(call);

    if (!upload) {
        fail_field(call, "company_id", "is required in the first message");
        return;
    }
    upload->has_ended = true;
    if (upload->is_idle) {
        upload->is_idle = false;
        on_drained(upload);
    }
}

void upload_suppressions_gone(struct rpc_call *call)
{
    struct upload *upload = rpc_call_state(call);

    if (!upload) {
        rpc_fail_code(call, ERR_CANCELLED, NULL, "the upload was broken off");
        return;
    }
    upload->is_gone = true;
    if (upload->is_idle)
        fail_gone(upload);
}

/* ---- All rows are staged ---- */

static void on_inserted(void *context, const struct pg_outcome *outcome);
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
    pg_session_query(upload->session, &sql_insert_suppressions, &params, on_inserted, upload);
}

static void on_copied(void *context, const struct pg_outcome *outcome)
{
    struct upload *upload = context;

    if (!is_over(upload, outcome))
        insert_more(upload);
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
    if (is_over(upload, outcome))
        return;
    int64_t staged = pg_int64(outcome->result, 0, COLUMN_STAGED);

    upload->staged += staged;
    upload->created += pg_int64(outcome->result, 0, COLUMN_CREATED);
    upload->tasks += pg_int64(outcome->result, 0, COLUMN_TASKS);
    if (staged) /* a stretch without rows is the end of the table */
        insert_more(upload);
    else
        pg_session_query(upload->session, &sql_commit_upload, NULL, on_committed, upload);
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
    response.total = call_list_total(upload->work.list);
    response.created = upload->created;
    response.duplicates = upload->staged - upload->created;
    response.error_count = call_list_error_count(upload->work.list);
    response.n_errors = call_list_errors(upload->work.list, &errors);
    response.errors = (char **)errors;
    response.suppressed_tasks = upload->tasks;
    rpc_call_set_state(call, NULL);
    rpc_reply(call, &response.base); /* serialized before it returns */
    upload_free(upload);
}
