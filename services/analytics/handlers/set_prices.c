#include "analytics_sql.h"
#include "handlers/handlers.h"
#include "handlers/prices.h"

#define YEAR_2101_SECONDS INT64_C(4133980800)

void check_set_prices(const void *request_, struct violations *violations)
{
    const Dialplane__V1__SetPricesRequest *request = request_;
    if (request->valid_from &&
        (request->valid_from->seconds < 0 || request->valid_from->seconds >= YEAR_2101_SECONDS))
        violations_add(violations, "valid_from", "must be a time from 1970 to 2100");
}

static void on_stored(void *context, const struct pg_outcome *outcome);

void set_prices(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__SetPricesRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    const struct prices *defaults = &service->prices;
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    param_timestamp(&params, request->valid_from);
    pg_param_int64(&params, request->_stt_minute_case ? request->stt_minute : defaults->stt_minute);
    pg_param_int64(&params, request->_llm_million_input_tokens_case
                                ? request->llm_million_input_tokens
                                : defaults->llm_million_input_tokens);
    pg_param_int64(&params, request->_llm_million_output_tokens_case
                                ? request->llm_million_output_tokens
                                : defaults->llm_million_output_tokens);
    pg_param_int64(&params, request->_tts_thousand_characters_case
                                ? request->tts_thousand_characters
                                : defaults->tts_thousand_characters);
    pg_param_int64(&params, request->_livekit_minute_case ? request->livekit_minute
                                                          : defaults->livekit_minute);
    pg_param_int64(&params, PRICE_LISTS_LIMIT);
    rpc_call_set_state(call, request->company_id);
    pg_write(service->pool, rpc_call_owner(call), &sql_set_prices, &params, on_stored, call);
}

static void on_stored(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        fail_not_found(call, "company", rpc_call_state(call));
        return;
    }
    if (pg_is_null(outcome->result, 0, 0)) {
        rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_PRICE_LISTS",
                      "a company has %d price lists at most", PRICE_LISTS_LIMIT);
        return;
    }
    Dialplane__V1__PriceList *list = price_list_from_row(rpc_call_arena(call), outcome->result, 0);
    if (list)
        rpc_reply(call, &list->base);
    else
        fail_memory(call);
}
