#include "handlers/move_campaign.h"

#include "campaign.h"
#include "campaign_sql.h"
#include "claims.h"

struct moving {
    struct rpc_call *call;
    const char *id;
    enum campaign_move move;
};

static void on_moved(void *context, const struct pg_outcome *outcome);

void move_campaign(struct rpc_call *call, const char *id, enum campaign_move move)
{
    const struct campaign_move_rule *rule = campaign_move_rule(move);
    struct campaign_service *service = rpc_call_context(call);
    struct moving *moving = ARENA_NEW(rpc_call_arena(call), struct moving);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!moving) {
        fail_memory(call);
        return;
    }
    *moving = (struct moving){call, id, move};
    param_scope(&params, call);
    pg_param_text(&params, id);
    pg_param_text_array(&params, rule->allowed, rule->allowed_count);
    pg_param_text(&params, rule->target);
    param_if_match_us(&params, call);
    pg_write(service->pool, rpc_call_owner(call), &sql_move_campaign, &params, on_moved, moving);
}

static void fail_state(const struct moving *moving, struct str status)
{
    const struct campaign_move_rule *rule = campaign_move_rule(moving->move);

    if (str_equal_cstr(status, rule->target))
        rpc_fail_code(moving->call, ERR_FAILED_PRECONDITION, "WRONG_STATE",
                      "the campaign is %s already", rule->target);
    else
        rpc_fail_code(moving->call, ERR_FAILED_PRECONDITION, "WRONG_STATE",
                      "the campaign is %.*s and cannot be %s", (int)status.length, status.data,
                      rule->verb);
}

static void on_moved(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_STATUS };
    const struct moving *moving = context;
    struct campaign_service *service = rpc_call_context(moving->call);

    if (!outcome->result) {
        rpc_fail(moving->call, &outcome->err);
        return;
    }
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "not_found")) {
        fail_not_found(moving->call, "campaign", moving->id);
    } else if (str_equal_cstr(verdict, "etag_mismatch")) {
        fail_changed(moving->call, "campaign");
    } else if (str_equal_cstr(verdict, "wrong_state")) {
        fail_state(moving, pg_str(outcome->result, 0, COLUMN_STATUS));
    } else if (str_equal_cstr(verdict, "no_tasks")) {
        struct str status = pg_str(outcome->result, 0, COLUMN_STATUS);

        rpc_fail_code(moving->call, ERR_FAILED_PRECONDITION, "NO_TASKS",
                      "the campaign is %.*s and has no tasks to call: upload a call list first",
                      (int)status.length, status.data);
    } else {
        if (moving->move == CAMPAIGN_START)
            claims_wake(service->claims);
        reply_campaign(moving->call, moving->id);
    }
}
