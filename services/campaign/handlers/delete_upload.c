/* DeleteUpload: takes an upload's tasks out of the campaign again, in stretches of one transaction,
 * under the locks of an upload and of a claim: either all go, or, when one has been claimed, none.
 */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/settle.h"

#include "google/protobuf/empty.pb-c.h"

#include <stdlib.h>

#define TASKS_AT_ONCE 20000
#define ARENA_BYTES ((size_t)16 * 1024)

struct undo {
    struct rpc_call *call;
    const Dialplane__V1__DeleteUploadRequest *request;
    struct pg_session *session;
    struct arena *arena; /* of the statement under way */
    struct uuid from, last;
};

static void on_session(void *context, struct pg_session *session, const struct err *err);
static void on_begun(void *context, const struct pg_outcome *outcome);
static void on_opened(void *context, const struct pg_outcome *outcome);
static void on_stretch(void *context, const struct pg_outcome *outcome);
static void on_closed(void *context, const struct pg_outcome *outcome);
static void on_committed(void *context, const struct pg_outcome *outcome);

static void undo_free(struct undo *undo)
{
    pg_session_close(undo->session);
    arena_free(undo->arena);
    free(undo);
}

static void fail(struct undo *undo, const struct err *err)
{
    rpc_fail(undo->call, err);
    undo_free(undo);
}

static void reply(struct undo *undo)
{
    Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

    rpc_reply(undo->call, &empty.base);
    undo_free(undo);
}

static void query(struct undo *undo, const struct pg_statement *statement,
                  const struct pg_params *params, pg_callback *callback)
{
    pg_session_query(undo->session, statement, params, callback, undo);
}

/* Of each statement its own: a large upload has many stretches. False: it has failed. */
static bool begin_params(struct undo *undo, struct pg_params *params)
{
    struct err err = {0};

    arena_free(undo->arena);
    *params = (struct pg_params){.arena = arena_new(ARENA_BYTES)};
    undo->arena = params->arena;
    if (params->arena)
        return true;
    err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    fail(undo, &err);
    return false;
}

static bool has_failed(struct undo *undo, const struct pg_outcome *outcome)
{
    if (outcome->result)
        return false;
    fail(undo, &outcome->err);
    return true;
}

void delete_upload(struct rpc_call *call, const void *request)
{
    struct campaign_service *service = rpc_call_context(call);
    struct undo *undo = calloc(1, sizeof(*undo));

    if (!undo) {
        fail_memory(call);
        return;
    }
    undo->call = call;
    undo->request = request;
    pg_session_open(service->pool, rpc_call_owner(call), on_session, undo);
}

static void on_session(void *context, struct pg_session *session, const struct err *err)
{
    struct undo *undo = context;

    undo->session = session;
    if (session)
        query(undo, &sql_begin_transaction, NULL, on_begun);
    else
        fail(undo, err);
}

static void on_begun(void *context, const struct pg_outcome *outcome)
{
    struct undo *undo = context;
    struct pg_params params;

    if (has_failed(undo, outcome) || !begin_params(undo, &params))
        return;
    param_scope(&params, undo->call);
    pg_param_text(&params, undo->request->campaign_id);
    pg_param_text(&params, undo->request->id);
    query(undo, &sql_open_undo, &params, on_opened);
}

static void undo_more(struct undo *undo)
{
    struct pg_params params;

    if (!begin_params(undo, &params))
        return;
    pg_param_text(&params, undo->request->id);
    pg_param_uuid(&params, &undo->from);
    pg_param_uuid(&params, &undo->last);
    pg_param_int64(&params, TASKS_AT_ONCE);
    query(undo, &sql_undo_upload_rows, &params, on_stretch);
}

static void close_it(struct undo *undo)
{
    struct pg_params params;

    if (!begin_params(undo, &params))
        return;
    pg_param_text(&params, undo->request->id);
    query(undo, &sql_close_undo, &params, on_closed);
}

/* Why it cannot be undone. */
static void err_set_refusal(struct err *err, struct str verdict, int64_t claimed,
                            const struct undo *undo)
{
    if (str_equal_cstr(verdict, "claimed"))
        err_set(err, ERR_FAILED_PRECONDITION, "TASKS_CLAIMED",
                "%lld of its tasks have been claimed: cancel the campaign, or leave them",
                (long long)claimed);
    else if (str_equal_cstr(verdict, "in_progress"))
        err_set(err, ERR_FAILED_PRECONDITION, "UPLOAD_IN_PROGRESS",
                "the upload is under way: wait for its end");
    else if (str_equal_cstr(verdict, "failed"))
        err_set(err, ERR_FAILED_PRECONDITION, "UPLOAD_FAILED",
                "the upload has failed: there is nothing of it in the campaign");
    else if (str_equal_cstr(verdict, "too_old"))
        err_set(err, ERR_FAILED_PRECONDITION, "UPLOAD_TOO_OLD",
                "the upload was made before it was recorded which tasks are its own");
    else
        err_set(err, ERR_NOT_FOUND, NULL, "upload %s does not exist", undo->request->id);
}

static void on_opened(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_CLAIMED, COLUMN_FIRST, COLUMN_LAST };
    struct undo *undo = context;
    struct err err = {0};

    if (has_failed(undo, outcome))
        return;
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "done")) { /* a repeated DELETE */
        reply(undo);
    } else if (!str_equal_cstr(verdict, "ok")) {
        err_set_refusal(&err, verdict, pg_int64(outcome->result, 0, COLUMN_CLAIMED), undo);
        fail(undo, &err);
    } else if (pg_is_null(outcome->result, 0, COLUMN_FIRST)) { /* it made no task */
        close_it(undo);
    } else {
        undo->from = pg_uuid(outcome->result, 0, COLUMN_FIRST);
        undo->last = pg_uuid(outcome->result, 0, COLUMN_LAST);
        undo_more(undo);
    }
}

static void on_stretch(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_GONE, COLUMN_LAST };
    struct undo *undo = context;

    if (has_failed(undo, outcome))
        return;
    if (pg_is_null(outcome->result, 0, COLUMN_LAST)) {
        close_it(undo);
        return;
    }
    undo->from = pg_uuid(outcome->result, 0, COLUMN_LAST);
    undo_more(undo);
}

static void on_closed(void *context, const struct pg_outcome *outcome)
{
    struct undo *undo = context;

    if (!has_failed(undo, outcome))
        query(undo, &sql_commit_transaction, NULL, on_committed);
}

static void on_committed(void *context, const struct pg_outcome *outcome)
{
    struct undo *undo = context;

    if (!has_failed(undo, outcome))
        reply(undo);
}
