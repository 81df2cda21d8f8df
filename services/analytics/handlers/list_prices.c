#include "analytics_sql.h"
#include "handlers/handlers.h"
#include "handlers/prices.h"

enum {
    COLUMN_ID,
    COLUMN_COMPANY_ID,
    COLUMN_VALID_FROM,
    COLUMN_STT_MINUTE,
    COLUMN_LLM_INPUT,
    COLUMN_LLM_OUTPUT,
    COLUMN_TTS,
    COLUMN_LIVEKIT,
    COLUMN_IN_FORCE,
    COLUMN_CREATED_AT,
};

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_prices(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListPricesRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    pg_param_int64(&params, PRICE_LISTS_LIMIT);
    rpc_call_set_state(call, request->company_id);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_prices, &params, on_listed, call);
}

Dialplane__V1__PriceList *price_list_from_row(struct arena *arena, const struct pg_result *rows,
                                              int row)
{
    Dialplane__V1__PriceList *list = ARENA_NEW(arena, Dialplane__V1__PriceList);
    if (!list)
        return NULL;
    *list = (Dialplane__V1__PriceList)DIALPLANE__V1__PRICE_LIST__INIT;
    list->id = pg_text(rows, row, COLUMN_ID, arena);
    list->company_id = pg_text(rows, row, COLUMN_COMPANY_ID, arena);
    list->valid_from = timestamp_from_column(arena, rows, row, COLUMN_VALID_FROM);
    list->stt_minute = pg_int64(rows, row, COLUMN_STT_MINUTE);
    list->llm_million_input_tokens = pg_int64(rows, row, COLUMN_LLM_INPUT);
    list->llm_million_output_tokens = pg_int64(rows, row, COLUMN_LLM_OUTPUT);
    list->tts_thousand_characters = pg_int64(rows, row, COLUMN_TTS);
    list->livekit_minute = pg_int64(rows, row, COLUMN_LIVEKIT);
    list->in_force = pg_bool(rows, row, COLUMN_IN_FORCE);
    list->created_at = timestamp_from_column(arena, rows, row, COLUMN_CREATED_AT);
    return arena_is_exhausted(arena) ? NULL : list;
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    struct analytics_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "company", rpc_call_state(call));
        return;
    }
    Dialplane__V1__ListPricesResponse response = DIALPLANE__V1__LIST_PRICES_RESPONSE__INIT;
    Dialplane__V1__PriceList defaults = DIALPLANE__V1__PRICE_LIST__INIT;
    int count = pg_is_null(rows, 0, COLUMN_ID) ? 0 : pg_rows(rows);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__PriceList *, (size_t)count);
    defaults.in_force = true;
    for (int i = 0; response.items && i < count; i++) {
        response.items[i] = price_list_from_row(arena, rows, i);
        if (!response.items[i])
            break;
        response.n_items++;
        if (response.items[i]->in_force)
            defaults.in_force = false;
    }
    defaults.company_id = rpc_call_state(call);
    defaults.stt_minute = service->prices.stt_minute;
    defaults.llm_million_input_tokens = service->prices.llm_million_input_tokens;
    defaults.llm_million_output_tokens = service->prices.llm_million_output_tokens;
    defaults.tts_thousand_characters = service->prices.tts_thousand_characters;
    defaults.livekit_minute = service->prices.livekit_minute;
    response.defaults = &defaults;
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
