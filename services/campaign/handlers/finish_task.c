/* FinishTask and FinishTaskBatch: the same step, once or many times. */
#include "campaign.h"
#include "handlers/handlers.h"
#include "steps.h"

static struct step step_from_request(const struct rpc_call *call,
                                     const Dialplane__V1__FinishTaskRequest *request)
{
    return (struct step){
        .kind = STEP_FINISH,
        .company_id = service_scope(call),
        .call_id = request->call_id,
        .fence = request->fence,
        .disposition = disposition_word(request->disposition),
        .outcome = request->_outcome_case ? request->outcome : NULL,
        .error_message = request->_error_message_case ? request->error_message : NULL,
    };
}

/* False: err says why not. */
static bool read_verdict(const struct step *step, const struct pg_result *result, int row,
                         struct err *err)
{
    struct str verdict = pg_str(result, row, STEP_VERDICT);

    if (str_equal_cstr(verdict, "ok"))
        return true;
    if (str_equal_cstr(verdict, "not_found"))
        return err_set(err, ERR_NOT_FOUND, NULL, "call %s does not exist", step->call_id);
    if (str_equal_cstr(verdict, "not_dialing"))
        return err_set(err, ERR_FAILED_PRECONDITION, "NOT_DIALING",
                       "the call has not begun to dial: BeginDial comes first");
    if (str_equal_cstr(verdict, "different"))
        return err_set(err, ERR_FAILED_PRECONDITION, "FINISHED_DIFFERENTLY",
                       "the call has been finished already with another result");
    if (str_equal_cstr(verdict, "bad_disposition"))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "disposition has no rule");
    return err_set(err, ERR_FAILED_PRECONDITION, "STALE_FENCE", "the call is no longer yours");
}

/* ---- One ---- */

struct finish {
    struct step_request request;
    struct step step;
    struct err refusal;
    Dialplane__V1__FinishTaskResponse response;
};

static void on_step(struct step_request *request, struct step *step, const struct pg_result *result,
                    int row)
{
    struct finish *finish = (struct finish *)request;
    struct arena *arena = rpc_call_arena(request->call);

    if (!read_verdict(step, result, row, &finish->refusal))
        return;
    finish->response.task_id = pg_text(result, row, STEP_TASK, arena);
    finish->response.status = task_status_from_word(pg_str(result, row, STEP_STATE));
    finish->response.next_attempt_at =
        timestamp_from_column(arena, result, row, STEP_NEXT_ATTEMPT_AT);
}

static void on_done(struct step_request *request, const struct err *err)
{
    struct finish *finish = (struct finish *)request;

    if (!err && finish->refusal.code == ERR_INVALID_ARGUMENT)
        fail_field(request->call, "disposition", "has no rule");
    else
        step_request_reply(request, err ? err : &finish->refusal, &finish->response.base);
}

void finish_task(struct rpc_call *call, const void *request)
{
    struct campaign_service *service = rpc_call_context(call);
    struct finish *finish = ARENA_NEW(rpc_call_arena(call), struct finish);

    if (!finish) {
        fail_memory(call);
        return;
    }
    dialplane__v1__finish_task_response__init(&finish->response);
    finish->step = step_from_request(call, request);
    finish->request = (struct step_request){
        .call = call, .steps = &finish->step, .count = 1, .on_step = on_step, .on_done = on_done};
    step_lane_submit(service->steps, &finish->request);
}

/* ---- Many ---- */

struct finish_batch {
    struct step_request request;
    Dialplane__V1__FinishTaskBatchResponse response;
};

void check_finish_task_batch(const void *request_, struct violations *violations)
{
    const Dialplane__V1__FinishTaskBatchRequest *request = request_;
    const char *ids[STEPS_REQUEST_MOST];
    size_t count = request->n_calls < STEPS_REQUEST_MOST ? request->n_calls : STEPS_REQUEST_MOST;

    for (size_t i = 0; i < count; i++)
        ids[i] = request->calls[i]->call_id;
    check_each_once(ids, count, violations);
}

static void on_batch_step(struct step_request *request, struct step *step,
                          const struct pg_result *result, int row)
{
    struct finish_batch *batch = (struct finish_batch *)request;
    Dialplane__V1__FinishedCall *finished = batch->response.results[step - request->steps];
    struct arena *arena = rpc_call_arena(request->call);
    struct err refusal = {0};

    if (!read_verdict(step, result, row, &refusal)) {
        finished->refusal = refusal_from_err(arena, &refusal);
        return;
    }
    finished->_task_id_case = DIALPLANE__V1__FINISHED_CALL___TASK_ID_TASK_ID;
    finished->task_id = pg_text(result, row, STEP_TASK, arena);
    finished->_status_case = DIALPLANE__V1__FINISHED_CALL___STATUS_STATUS;
    finished->status = task_status_from_word(pg_str(result, row, STEP_STATE));
    finished->next_attempt_at = timestamp_from_column(arena, result, row, STEP_NEXT_ATTEMPT_AT);
}

static void on_batch_done(struct step_request *request, const struct err *err)
{
    step_request_reply(request, err, &((struct finish_batch *)request)->response.base);
}

void finish_task_batch(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__FinishTaskBatchRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    size_t count = request->n_calls;
    struct finish_batch *batch = ARENA_NEW(arena, struct finish_batch);
    struct step *steps = ARENA_ARRAY(arena, struct step, count);
    Dialplane__V1__FinishedCall *results = ARENA_ARRAY(arena, Dialplane__V1__FinishedCall, count);
    Dialplane__V1__FinishedCall **places = ARENA_ARRAY(arena, Dialplane__V1__FinishedCall *, count);

    if (!batch || !steps || !results || !places) {
        fail_memory(call);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        dialplane__v1__finished_call__init(&results[i]);
        results[i].call_id = request->calls[i]->call_id;
        places[i] = &results[i];
        steps[i] = step_from_request(call, request->calls[i]);
    }
    dialplane__v1__finish_task_batch_response__init(&batch->response);
    batch->response.n_results = count;
    batch->response.results = places;
    batch->request = (struct step_request){.call = call,
                                           .steps = steps,
                                           .count = count,
                                           .on_step = on_batch_step,
                                           .on_done = on_batch_done};
    step_lane_submit(service->steps, &batch->request);
}
