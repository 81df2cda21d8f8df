/* ClaimTasks: waits in the queue of claims (claims.h) for tasks or the end of its wait. */
#include "campaign.h"
#include "claims.h"
#include "handlers/handlers.h"

/* The answer has to travel before the client's deadline. */
#define DEADLINE_MARGIN_US INT64_C(50000)

static Dialplane__V1__ClaimedTask *
task_from_claim(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    enum { FIELD_CONTACT_DATA = 10 };
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ClaimedTask *task = ARENA_NEW(arena, Dialplane__V1__ClaimedTask);

    if (!task)
        return NULL;
    dialplane__v1__claimed_task__init(task);
    task->call_id = pg_text(rows, row, CLAIM_CALL_ID, arena);
    task->fence = pg_int64(rows, row, CLAIM_FENCE);
    task->task_id = pg_text(rows, row, CLAIM_TASK_ID, arena);
    task->campaign_id = pg_text(rows, row, CLAIM_CAMPAIGN_ID, arena);
    task->company_id = pg_text(rows, row, CLAIM_COMPANY_ID, arena);
    task->skillbase_id = pg_text(rows, row, CLAIM_SKILLBASE_ID, arena);
    task->skillbase_version = (int32_t)pg_int64(rows, row, CLAIM_SKILLBASE_VERSION);
    task->phone_number = pg_text(rows, row, CLAIM_PHONE_NUMBER, arena);
    if (!pg_is_null(rows, row, CLAIM_CONTACT_NAME)) {
        task->_contact_name_case = DIALPLANE__V1__CLAIMED_TASK___CONTACT_NAME_CONTACT_NAME;
        task->contact_name = pg_text(rows, row, CLAIM_CONTACT_NAME, arena);
    }
    task->attempt_number = (int32_t)pg_int64(rows, row, CLAIM_ATTEMPT_NUMBER);
    task->lease_expires_at = timestamp_from_column(arena, rows, row, CLAIM_LEASE_UNTIL);
    if (arena_is_exhausted(arena) ||
        !attach_contact_data(call, &task->base, FIELD_CONTACT_DATA, task->campaign_id,
                             task->phone_number, pg_str(rows, row, CLAIM_CONTACT_DATA), err))
        return NULL;
    return task;
}

static void on_tasks(struct claim_waiter *waiter, const struct pg_result *result, const int *rows,
                     size_t count)
{
    struct rpc_call *call = waiter->call;
    Dialplane__V1__ClaimTasksResponse response = DIALPLANE__V1__CLAIM_TASKS_RESPONSE__INIT;
    struct err err = {0};

    response.tasks = ARENA_ARRAY(rpc_call_arena(call), Dialplane__V1__ClaimedTask *, count);
    for (size_t i = 0; response.tasks && i < count; i++) {
        Dialplane__V1__ClaimedTask *task = task_from_claim(call, result, rows[i], &err);

        if (!task)
            break;
        response.tasks[response.n_tasks++] = task;
    }
    if (response.n_tasks == count)
        rpc_reply(call, &response.base);
    else if (err_is_set(&err))
        rpc_fail(call, &err);
    else
        fail_memory(call);
}

static void on_failed(struct claim_waiter *waiter, const struct err *err)
{
    rpc_fail(waiter->call, err);
}

void claim_tasks(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ClaimTasksRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct claim_waiter *waiter = ARENA_NEW(arena, struct claim_waiter);
    const struct clock *clock = loop_clock(service->loop);
    const char *own = service_scope(call);
    int64_t deadline_us = rpc_call_owner(call)->deadline_us;

    if (!waiter || !rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    waiter->call = call;
    waiter->worker_id = request->worker_id;
    waiter->company_id =
        request->_company_id_case && *request->company_id ? request->company_id : own;
    waiter->campaign_id =
        request->_campaign_id_case && *request->campaign_id ? request->campaign_id : NULL;
    waiter->wanted = (size_t)request->max;
    waiter->until_us = clock->monotonic_us(clock) + request->wait_ms * INT64_C(1000);
    if (deadline_us && waiter->until_us > deadline_us - DEADLINE_MARGIN_US)
        waiter->until_us = deadline_us - DEADLINE_MARGIN_US;
    waiter->on_tasks = on_tasks;
    waiter->on_failed = on_failed;
    if (own && !str_equal_ignore_case(str_from(own), str_from(waiter->company_id)))
        on_tasks(waiter, NULL, NULL, 0); /* another's tasks do not exist for the caller */
    else
        claims_add(service->claims, waiter);
}
