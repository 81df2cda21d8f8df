#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include "service/list.h"

enum attempt_column {
    COLUMN_CALL_ID,
    COLUMN_FENCE,
    COLUMN_NUMBER,
    COLUMN_WORKER_ID,
    COLUMN_CLAIMED_AT,
    COLUMN_DIALED_AT,
    COLUMN_RINGING_AT,
    COLUMN_ANSWERED_AT,
    COLUMN_ENDED_AT,
    COLUMN_ENDED_HOW,
    COLUMN_DISPOSITION,
    COLUMN_OUTCOME,
    COLUMN_ERROR_MESSAGE,
    COLUMN_FAULT,
    COLUMN_SETTLED_BY,
    COLUMN_TOTAL,
};

/* The number of the word in the list, from 1; 0 for none. */
static unsigned number_in(const char *const *words, struct str word)
{
    for (unsigned i = 0; words[i]; i++)
        if (str_equal_cstr(word, words[i]))
            return i + 1;
    return 0;
}

/* In the order of the enums of the .proto. */
static const char *const end_words[] = {"finished", "expired",    "cancelled",
                                        "unknown",  "suppressed", NULL};
static const char *const fault_words[] = {"callee", "carrier", "provider", "platform", NULL};
static const char *const settler_words[] = {"agent", "record", "person", "policy", NULL};

static void *attempt_from_row(struct rpc_call *call, const struct pg_result *rows, int row,
                              struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__Attempt *attempt = ARENA_NEW(arena, Dialplane__V1__Attempt);

    (void)err;
    if (!attempt)
        return NULL;
    dialplane__v1__attempt__init(attempt);
    attempt->call_id = pg_text(rows, row, COLUMN_CALL_ID, arena);
    attempt->fence = pg_int64(rows, row, COLUMN_FENCE);
    attempt->number = (int32_t)pg_int64(rows, row, COLUMN_NUMBER);
    attempt->worker_id = pg_text(rows, row, COLUMN_WORKER_ID, arena);
    attempt->claimed_at = timestamp_from_column(arena, rows, row, COLUMN_CLAIMED_AT);
    attempt->dialed_at = timestamp_from_column(arena, rows, row, COLUMN_DIALED_AT);
    attempt->ringing_at = timestamp_from_column(arena, rows, row, COLUMN_RINGING_AT);
    attempt->answered_at = timestamp_from_column(arena, rows, row, COLUMN_ANSWERED_AT);
    attempt->ended_at = timestamp_from_column(arena, rows, row, COLUMN_ENDED_AT);
    if (!pg_is_null(rows, row, COLUMN_ENDED_HOW)) {
        attempt->_ended_case = DIALPLANE__V1__ATTEMPT___ENDED_ENDED;
        attempt->ended =
            (Dialplane__V1__AttemptEnd)number_in(end_words, pg_str(rows, row, COLUMN_ENDED_HOW));
    }
    if (!pg_is_null(rows, row, COLUMN_DISPOSITION)) {
        attempt->_disposition_case = DIALPLANE__V1__ATTEMPT___DISPOSITION_DISPOSITION;
        attempt->disposition = disposition_from_word(pg_str(rows, row, COLUMN_DISPOSITION));
    }
    if (!pg_is_null(rows, row, COLUMN_OUTCOME)) {
        attempt->_outcome_case = DIALPLANE__V1__ATTEMPT___OUTCOME_OUTCOME;
        attempt->outcome = pg_text(rows, row, COLUMN_OUTCOME, arena);
    }
    if (!pg_is_null(rows, row, COLUMN_ERROR_MESSAGE)) {
        attempt->_error_message_case = DIALPLANE__V1__ATTEMPT___ERROR_MESSAGE_ERROR_MESSAGE;
        attempt->error_message = pg_text(rows, row, COLUMN_ERROR_MESSAGE, arena);
    }
    if (!pg_is_null(rows, row, COLUMN_FAULT)) {
        attempt->_fault_case = DIALPLANE__V1__ATTEMPT___FAULT_FAULT;
        attempt->fault =
            (Dialplane__V1__Fault)number_in(fault_words, pg_str(rows, row, COLUMN_FAULT));
    }
    if (!pg_is_null(rows, row, COLUMN_SETTLED_BY)) {
        attempt->_settled_by_case = DIALPLANE__V1__ATTEMPT___SETTLED_BY_SETTLED_BY;
        attempt->settled_by = (Dialplane__V1__SettledBy)number_in(
            settler_words, pg_str(rows, row, COLUMN_SETTLED_BY));
    }
    return attempt;
}

static const struct list attempts = {
    .scope = "attempts/",
    .parent = "task",
    .parent_field = "id",
    .response = &dialplane__v1__list_attempts_response__descriptor,
    .order = PAGE_BY_NUMBER,
    .key_columns = {COLUMN_FENCE},
    .total_column = COLUMN_TOTAL,
    .item = attempt_from_row,
};

void check_list_attempts(const void *request, struct violations *violations)
{
    list_check(&attempts, request, violations);
}

void list_attempts(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListAttemptsRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &attempts, request))
        return;
    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->id);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_attempts, &params, list_on_rows, call);
}
