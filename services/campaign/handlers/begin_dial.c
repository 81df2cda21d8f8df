/* BeginDial and BeginDialBatch: the same step, once or many times. */
#include "campaign.h"
#include "handlers/handlers.h"
#include "steps.h"

/* False: err says why not. */
static bool read_verdict(const struct step *step, const struct pg_result *result, int row,
                         struct err *err)
{
    struct str verdict = pg_str(result, row, STEP_VERDICT);

    if (str_equal_cstr(verdict, "ok"))
        return true;
    if (str_equal_cstr(verdict, "not_found"))
        return err_set(err, ERR_NOT_FOUND, NULL, "call %s does not exist", step->call_id);
    if (str_equal_cstr(verdict, "stale"))
        return err_set(err, ERR_FAILED_PRECONDITION, "STALE_FENCE",
                       "the call is no longer yours: do not dial");
    if (str_equal_cstr(verdict, "finished"))
        return err_set(err, ERR_FAILED_PRECONDITION, "CALL_FINISHED", "the call has ended already");
    if (str_equal_cstr(verdict, "suppressed"))
        return err_set(err, ERR_FAILED_PRECONDITION, "SUPPRESSED",
                       "the number is on the do-not-call list: do not dial");
    if (str_equal_cstr(verdict, "window_closed"))
        return err_set(err, ERR_FAILED_PRECONDITION, "WINDOW_CLOSED",
                       "the campaign's window has closed: do not dial");
    return err_set(err, ERR_FAILED_PRECONDITION, "CAMPAIGN_NOT_RUNNING",
                   str_equal_cstr(pg_str(result, row, STEP_STATUS), "running")
                       ? "the company is not active: do not dial"
                       : "the campaign does not run any more: do not dial");
}

/* ---- One ---- */

struct begin {
    struct step_request request;
    struct step step;
    struct err refusal;
    Dialplane__V1__BeginDialResponse response;
};

static void on_step(struct step_request *request, struct step *step, const struct pg_result *result,
                    int row)
{
    struct begin *begin = (struct begin *)request;

    if (read_verdict(step, result, row, &begin->refusal))
        begin->response.lease_expires_at =
            timestamp_from_column(rpc_call_arena(request->call), result, row, STEP_LEASE_UNTIL);
}

static void on_done(struct step_request *request, const struct err *err)
{
    struct begin *begin = (struct begin *)request;

    step_request_reply(request, err ? err : &begin->refusal, &begin->response.base);
}

void begin_dial(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__BeginDialRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct begin *begin = ARENA_NEW(rpc_call_arena(call), struct begin);

    if (!begin) {
        fail_memory(call);
        return;
    }
    dialplane__v1__begin_dial_response__init(&begin->response);
    begin->step = (struct step){.kind = STEP_BEGIN,
                                .company_id = service_scope(call),
                                .call_id = request->call_id,
                                .fence = request->fence};
    begin->request = (struct step_request){
        .call = call, .steps = &begin->step, .count = 1, .on_step = on_step, .on_done = on_done};
    step_lane_submit(service->steps, &begin->request);
}

/* ---- Many ---- */

struct begin_batch {
    struct step_request request;
    Dialplane__V1__BeginDialBatchResponse response;
};

void check_begin_dial_batch(const void *request_, struct violations *violations)
{
    const Dialplane__V1__BeginDialBatchRequest *request = request_;
    const char *ids[STEPS_REQUEST_MOST];
    size_t count = request->n_calls < STEPS_REQUEST_MOST ? request->n_calls : STEPS_REQUEST_MOST;

    for (size_t i = 0; i < count; i++)
        ids[i] = request->calls[i]->call_id;
    check_each_once(ids, count, violations);
}

static void on_batch_step(struct step_request *request, struct step *step,
                          const struct pg_result *result, int row)
{
    struct begin_batch *batch = (struct begin_batch *)request;
    Dialplane__V1__BegunCall *begun = batch->response.results[step - request->steps];
    struct arena *arena = rpc_call_arena(request->call);
    struct err refusal = {0};

    if (read_verdict(step, result, row, &refusal))
        begun->lease_expires_at = timestamp_from_column(arena, result, row, STEP_LEASE_UNTIL);
    else
        begun->refusal = refusal_from_err(arena, &refusal);
}

static void on_batch_done(struct step_request *request, const struct err *err)
{
    step_request_reply(request, err, &((struct begin_batch *)request)->response.base);
}

void begin_dial_batch(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__BeginDialBatchRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    size_t count = request->n_calls;
    struct begin_batch *batch = ARENA_NEW(arena, struct begin_batch);
    struct step *steps = ARENA_ARRAY(arena, struct step, count);
    Dialplane__V1__BegunCall *results = ARENA_ARRAY(arena, Dialplane__V1__BegunCall, count);
    Dialplane__V1__BegunCall **places = ARENA_ARRAY(arena, Dialplane__V1__BegunCall *, count);

    if (!batch || !steps || !results || !places) {
        fail_memory(call);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        dialplane__v1__begun_call__init(&results[i]);
        results[i].call_id = request->calls[i]->call_id;
        places[i] = &results[i];
        steps[i] = (struct step){.kind = STEP_BEGIN,
                                 .company_id = service_scope(call),
                                 .call_id = request->calls[i]->call_id,
                                 .fence = request->calls[i]->fence};
    }
    dialplane__v1__begin_dial_batch_response__init(&batch->response);
    batch->response.n_results = count;
    batch->response.results = places;
    batch->request = (struct step_request){.call = call,
                                           .steps = steps,
                                           .count = count,
                                           .on_step = on_batch_step,
                                           .on_done = on_batch_done};
    step_lane_submit(service->steps, &batch->request);
}
