#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "phone.h"
#include "suppression_rows.h"

#include "domain/call_list.h"
#include "service/list.h"

enum { COLUMN_TOTAL = SUPPRESSION_COLUMNS };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    (void)err;
    return suppression_from_row(rpc_call_arena(call), rows, row);
}

static const struct list suppressions = {
    .scope = "suppressions/",
    .parent = "company",
    .parent_field = "company_id",
    .response = &dialplane__v1__list_suppressions_response__descriptor,
    .order = PAGE_BY_TIME,
    .key_columns = {SUPPRESSION_CREATED_AT, SUPPRESSION_ID},
    .total_column = COLUMN_TOTAL,
    .item = item,
};

void check_list_suppressions(const void *request, struct violations *violations)
{
    list_check(&suppressions, request, violations);
}

void list_suppressions(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListSuppressionsRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    char number[PHONE_TEXT_SIZE];

    if (!list_open(call, &suppressions, request))
        return;
    bool has_number = request->_phone_number_case && *request->phone_number;

    if (has_number && phone_normalise(request->phone_number, strlen(request->phone_number),
                                      service->default_region, number) != PHONE_RESULT_OK) {
        fail_field(call, "phone_number", "is not a phone number with country code");
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, has_number ? number : NULL);
    pg_param_text(&params, request->_source_case ? suppression_source_word(request->source) : NULL);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_suppressions, &params, list_on_rows,
            call);
}
