#include "uploads/answer.h"

#include "campaign.h"
#include "campaign_sql.h"
#include "uploads/rows.h"

struct answer {
    struct rpc_call *call;
    void (*done)(void *context);
    void *context;
};

static void reply(struct rpc_call *call, const struct pg_result *rows)
{
    enum {
        COLUMN_ID,
        COLUMN_CAMPAIGN_ID,
        COLUMN_STATE,
        COLUMN_TOTAL,
        COLUMN_CREATED,
        COLUMN_UPDATED,
        COLUMN_DUPLICATES,
        COLUMN_ERROR_COUNT,
        COLUMN_MESSAGE,
    };
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__UploadCallListResponse response = DIALPLANE__V1__UPLOAD_CALL_LIST_RESPONSE__INIT;
    int count = pg_is_null(rows, 0, COLUMN_MESSAGE) ? 0 : pg_rows(rows);

    response.upload_id = pg_text(rows, 0, COLUMN_ID, arena);
    response.campaign_id = pg_text(rows, 0, COLUMN_CAMPAIGN_ID, arena);
    response.state = upload_state_from_word(pg_str(rows, 0, COLUMN_STATE));
    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.created = pg_int64(rows, 0, COLUMN_CREATED);
    response.updated = pg_int64(rows, 0, COLUMN_UPDATED);
    response.duplicates = pg_int64(rows, 0, COLUMN_DUPLICATES);
    response.error_count = pg_int64(rows, 0, COLUMN_ERROR_COUNT);
    response.errors = ARENA_ARRAY(arena, char *, (size_t)(count ? count : 1));
    for (int i = 0; response.errors && i < count; i++)
        response.errors[response.n_errors++] = pg_text(rows, i, COLUMN_MESSAGE, arena);
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}

static void on_read(void *context, const struct pg_outcome *outcome)
{
    struct answer *answer = context;
    void (*done)(void *) = answer->done;
    void *done_context = answer->context;

    if (!outcome->result)
        rpc_fail(answer->call, &outcome->err);
    else if (pg_rows(outcome->result) == 0) /* gone with its campaign */
        rpc_fail_code(answer->call, ERR_NOT_FOUND, NULL, "the campaign has been deleted");
    else
        reply(answer->call, outcome->result);
    done(done_context);
}

void answer_upload(struct rpc_call *call, const char *upload_id, void (*done)(void *context),
                   void *context)
{
    struct campaign_service *service = rpc_call_context(call);
    struct answer *answer = ARENA_NEW(rpc_call_arena(call), struct answer);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!answer) {
        fail_memory(call);
        done(context);
        return;
    }
    *answer = (struct answer){call, done, context};
    pg_param_text(&params, upload_id);
    pg_param_int64(&params, CALL_LIST_ERRORS_LISTED);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_upload_answer, &params, on_read, answer);
}
