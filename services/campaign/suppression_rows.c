#include "suppression_rows.h"

#include "campaign_sql.h"

/* In the order of the enum. */
static const char *const source_words[] = {NULL, "manual", "upload", "opt_out"};

#define SOURCES (sizeof(source_words) / sizeof(source_words[0]))

const char *suppression_source_word(Dialplane__V1__SuppressionSource source)
{
    return (unsigned)source < SOURCES ? source_words[source] : NULL;
}

bool is_phone_prefix(struct str text)
{
    if (text.length < 2 || text.length > 15 || text.data[0] != '+' || text.data[1] == '0')
        return false;
    for (size_t i = 1; i < text.length; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return true;
}

Dialplane__V1__Suppression *suppression_from_row(struct arena *arena,
                                                 const struct pg_result *result, int row)
{
    Dialplane__V1__Suppression *suppression = ARENA_NEW(arena, Dialplane__V1__Suppression);

    if (!suppression)
        return NULL;
    dialplane__v1__suppression__init(suppression);
    suppression->id = pg_text(result, row, SUPPRESSION_ID, arena);
    suppression->company_id = pg_text(result, row, SUPPRESSION_COMPANY_ID, arena);
    if (pg_bool(result, row, SUPPRESSION_IS_PREFIX)) {
        suppression->_prefix_case = DIALPLANE__V1__SUPPRESSION___PREFIX_PREFIX;
        suppression->prefix = pg_text(result, row, SUPPRESSION_PATTERN, arena);
    } else {
        suppression->_phone_number_case = DIALPLANE__V1__SUPPRESSION___PHONE_NUMBER_PHONE_NUMBER;
        suppression->phone_number = pg_text(result, row, SUPPRESSION_PATTERN, arena);
    }
    if (!pg_is_null(result, row, SUPPRESSION_REASON)) {
        suppression->_reason_case = DIALPLANE__V1__SUPPRESSION___REASON_REASON;
        suppression->reason = pg_text(result, row, SUPPRESSION_REASON, arena);
    }
    for (unsigned i = 1; i < SOURCES; i++)
        if (str_equal_cstr(pg_str(result, row, SUPPRESSION_SOURCE), source_words[i]))
            suppression->source = (Dialplane__V1__SuppressionSource)i;
    if (!pg_is_null(result, row, SUPPRESSION_CALL_ID)) {
        suppression->_call_id_case = DIALPLANE__V1__SUPPRESSION___CALL_ID_CALL_ID;
        suppression->call_id = pg_text(result, row, SUPPRESSION_CALL_ID, arena);
    }
    suppression->created_at = timestamp_from_column(arena, result, row, SUPPRESSION_CREATED_AT);
    return arena_is_exhausted(arena) ? NULL : suppression;
}

static void on_read(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__Suppression *suppression;

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "suppression", rpc_call_state(call));
    else if (!(suppression = suppression_from_row(rpc_call_arena(call), outcome->result, 0)))
        fail_memory(call);
    else
        rpc_reply(call, &suppression->base);
}

void reply_suppression(struct rpc_call *call, const char *company_id, const char *id)
{
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, company_id);
    pg_param_text(&params, id);
    rpc_call_set_state(call, (void *)id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_suppression, &params, on_read, call);
}
