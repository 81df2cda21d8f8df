/* The happy path of one call: claim → configuration → BeginDial → ring → started, turn, turn, … ,
 * finished → FinishTask. When a step is refused with STALE_FENCE the call belongs to someone else:
 * hang up and forget it. When a service is away, the step is repeated: every one of them is
 * idempotent. When the agent is told to stop, calls under way end politely first. */
#include "agent/caller.h"

#include "base/log.h"
#include "base/str.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL_DEADLINE_MS 10000
#define CLAIM_WAIT_MS 20000
#define ATTEMPTS 8 /* of one step, with growing pauses: 0.1 s … 6.4 s, about 13 s in all */
#define TOKEN_PAUSE_MS 500
#define TOKEN_ATTEMPTS 600 /* about 5 minutes */
#define CODE_UNAUTHENTICATED 16

struct call {
    struct agent *agent;
    const Dialplane__V1__ClaimedTask *task;
    struct lease lease;
    Dialplane__V1__SkillbaseForCall *skillbase; /* NULL when it could not be had */
    struct call_plan plan;
    uint64_t seq;
};

/* Sleeps `ms` of the simulated life; false when the agent is to stop. */
static bool pass_time(const struct agent *agent, int64_t ms)
{
    int wait = (int)((double)ms / agent->speed);
    struct pollfd wake = {.fd = agent->wake_descriptor, .events = POLLIN};
    return poll(&wake, 1, wait) == 0;
}

static bool goes_on(const struct call *call)
{
    return !call->agent->is_stopping && !call->lease.is_lost && !call->lease.should_end;
}

/* After the attempt (from 0) has failed: waits, and says whether the step is to be repeated. A
 * token that is not accepted any more is waited for to be renewed for as long as the call is ours,
 * which a lease without heartbeats is not for long: what was dialled must be told. */
static bool try_again(const struct call *call, const struct dialplane_error *error,
                      unsigned attempt)
{
    bool for_token =
        error->code == CODE_UNAUTHENTICATED && call->agent->renews_token && !call->lease.is_lost;
    unsigned limit = for_token && !call->agent->is_stopping ? TOKEN_ATTEMPTS : ATTEMPTS;

    if (!(for_token || dialplane_is_transient(error)) || attempt + 1 >= limit)
        return false;
    if (for_token && attempt == 0)
        log_event(LOG_LEVEL_WARN, "token_refused", log_text("call_id", call->task->call_id),
                  log_text("reason", error->reason[0] ? error->reason : NULL),
                  log_text("consequence", "the step waits for a new token in --token-file"));
    unsigned ms = 100U << (attempt < 6 ? attempt : 6);
    if (for_token && ms > TOKEN_PAUSE_MS)
        ms = TOKEN_PAUSE_MS;
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
    return true;
}

static void log_failure(const struct call *call, const char *step,
                        const struct dialplane_error *error)
{
    log_event(LOG_LEVEL_WARN, "step_failed", log_text("step", step),
              log_text("call_id", call->task->call_id),
              log_text("code", dialplane_code_name(error->code)),
              log_text("reason", error->reason[0] ? error->reason : NULL),
              log_text("message", error->message));
}

static Google__Protobuf__Timestamp now(void)
{
    Google__Protobuf__Timestamp timestamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    int64_t us = clock_system()->wall_us(clock_system());
    timestamp.seconds = us / TIME_US_PER_SECOND;
    timestamp.nanos = (int32_t)(us % TIME_US_PER_SECOND) * 1000;
    return timestamp;
}

static bool report(struct call *call, Dialplane__V1__CallEvent *event)
{
    Google__Protobuf__Timestamp occurred_at = now();
    event->seq = ++call->seq;
    event->occurred_at = &occurred_at;
    Dialplane__V1__ReportCallEventsRequest request =
        DIALPLANE__V1__REPORT_CALL_EVENTS_REQUEST__INIT;
    request.call_id = call->task->call_id;
    request.n_events = 1;
    request.events = &event;
    struct dialplane_error error;
    for (unsigned attempt = 0;; attempt++) {
        Dialplane__V1__ReportCallEventsResponse *response;
        if (dialplane_report_call_event_batch(call->agent->analytics, &request, CALL_DEADLINE_MS,
                                              &response, &error)) {
            dialplane_free(response);
            return true;
        }
        if (!try_again(call, &error, attempt))
            break;
    }
    log_failure(call, "report", &error);
    return false;
}

static bool report_started(struct call *call)
{
    Dialplane__V1__CallStarted started = DIALPLANE__V1__CALL_STARTED__INIT;
    started.company_id = call->task->company_id;
    started._skillbase_id_case = DIALPLANE__V1__CALL_STARTED___SKILLBASE_ID_SKILLBASE_ID;
    started.skillbase_id = call->task->skillbase_id;
    started._skillbase_version_case =
        DIALPLANE__V1__CALL_STARTED___SKILLBASE_VERSION_SKILLBASE_VERSION;
    started.skillbase_version = call->task->skillbase_version;
    started._campaign_id_case = DIALPLANE__V1__CALL_STARTED___CAMPAIGN_ID_CAMPAIGN_ID;
    started.campaign_id = call->task->campaign_id;
    started._task_id_case = DIALPLANE__V1__CALL_STARTED___TASK_ID_TASK_ID;
    started.task_id = call->task->task_id;
    started._phone_number_case = DIALPLANE__V1__CALL_STARTED___PHONE_NUMBER_PHONE_NUMBER;
    started.phone_number = call->task->phone_number;
    Dialplane__V1__CallEvent event = DIALPLANE__V1__CALL_EVENT__INIT;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STARTED;
    event.started = &started;
    return report(call, &event);
}

/* The flow's states, taken in order; the last one stays. NULL when there is no configuration. */
static const char *state_of(const struct call *call, size_t index)
{
    if (!call->skillbase || !call->skillbase->config || !call->skillbase->config->flow)
        return NULL;
    const Dialplane__V1__Flow *flow = call->skillbase->config->flow;
    if (flow->n_states == 0)
        return NULL;
    return flow->states[index < flow->n_states ? index : flow->n_states - 1]->id;
}

static bool report_turn(struct call *call, size_t index)
{
    const struct plan_turn *planned = &call->plan.turns[index];
    Dialplane__V1__Turn turn = DIALPLANE__V1__TURN__INIT;
    turn.turn_index = (int32_t)index;
    turn.role = planned->by_agent ? DIALPLANE__V1__TURN_ROLE__TURN_ROLE_ASSISTANT
                                  : DIALPLANE__V1__TURN_ROLE__TURN_ROLE_USER;
    turn.content = (char *)planned->content;
    const char *state = state_of(call, planned->state_index);
    if (state) {
        turn._state_id_case = DIALPLANE__V1__TURN___STATE_ID_STATE_ID;
        turn.state_id = (char *)state;
    }
    if (planned->by_agent) {
        turn._ttfb_stt_case = DIALPLANE__V1__TURN___TTFB_STT_TTFB_STT;
        turn.ttfb_stt = planned->ttfb_stt;
        turn._latency_llm_case = DIALPLANE__V1__TURN___LATENCY_LLM_LATENCY_LLM;
        turn.latency_llm = planned->latency_llm;
        turn._ttfb_tts_case = DIALPLANE__V1__TURN___TTFB_TTS_TTFB_TTS;
        turn.ttfb_tts = planned->ttfb_tts;
        turn._eou_latency_case = DIALPLANE__V1__TURN___EOU_LATENCY_EOU_LATENCY;
        turn.eou_latency = planned->eou_latency;
    }
    turn.stt_duration_sec = planned->stt_ms;
    turn.llm_input_tokens = planned->llm_input_tokens;
    turn.llm_output_tokens = planned->llm_output_tokens;
    turn.tts_characters = planned->tts_characters;
    turn.interrupted = planned->interrupted;
    Dialplane__V1__CallEvent event = DIALPLANE__V1__CALL_EVENT__INIT;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_TURN;
    event.turn = &turn;
    return report(call, &event);
}

static bool report_finished(struct call *call, bool cut_short)
{
    const struct call_plan *plan = &call->plan;
    Dialplane__V1__CallFinished finished = DIALPLANE__V1__CALL_FINISHED__INIT;
    finished.status = cut_short || plan->disposition != PLAN_ANSWERED
                          ? DIALPLANE__V1__CALL_STATUS__CALL_STATUS_FAILED
                      : plan->transferred ? DIALPLANE__V1__CALL_STATUS__CALL_STATUS_TRANSFERRED
                                          : DIALPLANE__V1__CALL_STATUS__CALL_STATUS_COMPLETED;
    finished._outcome_case = DIALPLANE__V1__CALL_FINISHED___OUTCOME_OUTCOME;
    finished.outcome = (char *)(cut_short ? "fail" : plan->outcome);
    finished._outcome_reason_case = DIALPLANE__V1__CALL_FINISHED___OUTCOME_REASON_OUTCOME_REASON;
    finished.outcome_reason = (char *)(cut_short ? "the agent had to stop" : plan->reason);
    if (plan->turn_count > 0) {
        finished._outcome_confidence_case =
            DIALPLANE__V1__CALL_FINISHED___OUTCOME_CONFIDENCE_OUTCOME_CONFIDENCE;
        finished.outcome_confidence = plan->confidence;
        finished._sentiment_score_case =
            DIALPLANE__V1__CALL_FINISHED___SENTIMENT_SCORE_SENTIMENT_SCORE;
        finished.sentiment_score = plan->sentiment;
    }
    Dialplane__V1__CallEvent event = DIALPLANE__V1__CALL_EVENT__INIT;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
    event.finished = &finished;
    return report(call, &event);
}

static void finish_task(struct call *call, bool cut_short)
{
    Dialplane__V1__FinishTaskRequest request = DIALPLANE__V1__FINISH_TASK_REQUEST__INIT;
    request.call_id = call->task->call_id;
    request.fence = call->lease.fence;
    request.disposition = (Dialplane__V1__Disposition)call->plan.disposition;
    request._outcome_case = DIALPLANE__V1__FINISH_TASK_REQUEST___OUTCOME_OUTCOME;
    request.outcome = (char *)(cut_short ? "fail" : call->plan.outcome);
    if (call->plan.disposition != PLAN_ANSWERED || cut_short) {
        request._error_message_case =
            DIALPLANE__V1__FINISH_TASK_REQUEST___ERROR_MESSAGE_ERROR_MESSAGE;
        request.error_message = (char *)(cut_short ? "the agent had to stop" : call->plan.reason);
    }
    struct dialplane_error error;
    for (unsigned attempt = 0;; attempt++) {
        Dialplane__V1__FinishTaskResponse *response;
        if (dialplane_finish_task(call->agent->dispatch, &request, CALL_DEADLINE_MS, &response,
                                  &error)) {
            dialplane_free(response);
            call->agent->calls_made++;
            call->agent->by_disposition[call->plan.disposition]++;
            return;
        }
        if (!try_again(call, &error, attempt))
            break;
    }
    log_failure(call, "finish", &error);
    call->agent->calls_lost++;
}

static bool begin_dial(struct call *call)
{
    Dialplane__V1__BeginDialRequest request = DIALPLANE__V1__BEGIN_DIAL_REQUEST__INIT;
    request.call_id = call->task->call_id;
    request.fence = call->lease.fence;
    struct dialplane_error error;
    for (unsigned attempt = 0;; attempt++) {
        Dialplane__V1__BeginDialResponse *response;
        if (dialplane_begin_dial(call->agent->dispatch, &request, CALL_DEADLINE_MS, &response,
                                 &error)) {
            dialplane_free(response);
            return true;
        }
        if (!try_again(call, &error, attempt))
            break;
    }
    /* Paused, cancelled or out of the window: not a fault, the task goes back when its lease ends.
     */
    log_failure(call, "begin_dial", &error);
    return false;
}

/* The telephone side's own record, against which tests hold what the platform says. */
static void record_dial(const struct call *call)
{
    if (!call->agent->dial_log)
        return;
    char at[TIME_TEXT_SIZE];
    time_format_rfc3339(clock_system()->wall_us(clock_system()), at);
    fprintf(call->agent->dial_log,
            "{\"at\":\"%s\",\"worker_id\":\"%s\",\"call_id\":\"%s\",\"task_id\":\"%s\","
            "\"campaign_id\":\"%s\",\"attempt\":%d,\"fence\":%lld}\n",
            at, call->agent->worker_id, call->task->call_id, call->task->task_id,
            call->task->campaign_id, call->task->attempt_number, (long long)call->lease.fence);
    fflush(call->agent->dial_log);
}

/* Talks until the plan's end; true when it had to be cut short. */
static bool talk(struct call *call)
{
    for (size_t i = 0; i < call->plan.turn_count; i++) {
        bool time_passed = pass_time(call->agent, call->plan.turns[i].wait_ms);
        if (!time_passed || !goes_on(call))
            return true;
        report_turn(call, i);
    }
    return false;
}

static void load_skillbase(struct call *call)
{
    Dialplane__V1__GetSkillbaseForCallRequest request =
        DIALPLANE__V1__GET_SKILLBASE_FOR_CALL_REQUEST__INIT;
    request.id = call->task->skillbase_id;
    request._version_case = DIALPLANE__V1__GET_SKILLBASE_FOR_CALL_REQUEST___VERSION_VERSION;
    request.version = call->task->skillbase_version;
    struct dialplane_error error;
    for (unsigned attempt = 0;; attempt++) {
        if (dialplane_get_skillbase_for_call(call->agent->skillbase, &request, CALL_DEADLINE_MS,
                                             &call->skillbase, &error))
            return;
        if (!try_again(call, &error, attempt))
            break;
    }
    call->skillbase = NULL;
    log_failure(call, "get_skillbase_for_call", &error);
}

static bool speaks_russian(const struct call *call)
{
    const Dialplane__V1__SkillbaseConfig *config = call->skillbase->config;
    return config && config->voice && config->voice->stt_language &&
           strncmp(config->voice->stt_language, "ru", 2) == 0;
}

/* The plan follows from the seed, the task and the attempt, not from which thread makes the call or
 * when. */
static void plan(struct call *call)
{
    uint64_t seed = call->agent->seed ^ (uint64_t)call->task->attempt_number << 56;
    for (const char *c = call->task->phone_number; *c; c++)
        seed = (seed ^ (unsigned char)*c) * UINT64_C(0x100000001b3); /* FNV-1a */
    struct entropy entropy;
    entropy_init_seeded(&entropy, seed);
    conversation_plan(&entropy, speaks_russian(call), &call->plan);
}

static void make_call(struct agent *agent, const Dialplane__V1__ClaimedTask *task)
{
    struct call *call = calloc(1, sizeof(*call));
    if (!call) {
        log_event(LOG_LEVEL_ERROR, "no_memory", log_text("what", "a call"));
        return; /* the lease runs out and the task goes back */
    }
    call->agent = agent;
    call->task = task;
    call->lease.fence = task->fence;
    memcpy(call->lease.call_id, task->call_id, strnlen(task->call_id, 36));
    leases_add(agent->leases, &call->lease);
    load_skillbase(call);
    /* Without its configuration an agent has nothing to say: it does not dial, and the task goes
     * back. */
    if (call->skillbase) {
        plan(call);
        if (goes_on(call) && begin_dial(call)) {
            record_dial(call);
            pass_time(agent, call->plan.ring_ms);
            bool told = report_started(call);
            bool cut_short =
                call->plan.disposition == PLAN_ANSWERED && (!goes_on(call) || talk(call));
            if (told && !call->lease.is_lost)
                report_finished(call, cut_short);
            if (call->lease.is_lost)
                agent->calls_lost++;
            else
                finish_task(call, cut_short);
        }
    }
    leases_remove(agent->leases, &call->lease);
    dialplane_free(call->skillbase);
    free(call);
}

/* Takes one of the calls that may still be made; false when there is none. */
static bool take_call(struct agent *agent)
{
    if (agent->call_limit == 0)
        return true;
    if (agent->calls_claimed++ < agent->call_limit)
        return true;
    agent->calls_claimed--;
    return false;
}

static bool claim(struct agent *agent, Dialplane__V1__ClaimTasksResponse **ret_response)
{
    Dialplane__V1__ClaimTasksRequest request = DIALPLANE__V1__CLAIM_TASKS_REQUEST__INIT;
    request.worker_id = (char *)agent->worker_id;
    request._max_case = DIALPLANE__V1__CLAIM_TASKS_REQUEST___MAX_MAX;
    request.max = 1;
    bool hurries = agent->idle_exit_ms && agent->idle_exit_ms < CLAIM_WAIT_MS;
    request.wait_ms = hurries ? (int32_t)agent->idle_exit_ms : CLAIM_WAIT_MS;
    if (agent->company_id) {
        request._company_id_case = DIALPLANE__V1__CLAIM_TASKS_REQUEST___COMPANY_ID_COMPANY_ID;
        request.company_id = (char *)agent->company_id;
    }
    if (agent->campaign_id) {
        request._campaign_id_case = DIALPLANE__V1__CLAIM_TASKS_REQUEST___CAMPAIGN_ID_CAMPAIGN_ID;
        request.campaign_id = (char *)agent->campaign_id;
    }
    struct dialplane_error error;
    if (dialplane_claim_tasks(agent->claims, &request, (unsigned)request.wait_ms + 10000,
                              ret_response, &error))
        return true;
    if (!agent->is_stopping) {
        log_event(LOG_LEVEL_WARN, "claim_failed", log_text("code", dialplane_code_name(error.code)),
                  log_text("message", error.message));
        struct pollfd wake = {.fd = agent->wake_descriptor, .events = POLLIN};
        poll(&wake, 1, error.retry_after_ms ? (int)error.retry_after_ms : 1000);
    }
    return false;
}

void *caller_run(void *context)
{
    struct agent *agent = context;
    const struct clock *clock = clock_system();
    int64_t idle_since_us = clock->monotonic_us(clock);
    while (!agent->is_stopping && take_call(agent)) {
        Dialplane__V1__ClaimTasksResponse *response;
        if (!claim(agent, &response)) {
            agent->calls_claimed--;
            continue;
        }
        if (response->n_tasks > 0) {
            make_call(agent, response->tasks[0]);
            idle_since_us = clock->monotonic_us(clock);
        } else {
            agent->calls_claimed--;
        }
        dialplane_free(response);
        if (agent->idle_exit_ms &&
            clock->monotonic_us(clock) - idle_since_us >= agent->idle_exit_ms * 1000)
            break;
    }
    return NULL;
}
