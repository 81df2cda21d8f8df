/* A lane, from request to answer:
 *
 *   submit ─▶ queue ─ end of the turn, a statement free ─▶ send_many() ─▶ on_many()
 *                                                             answered ──▶ on_step
 *                                                             left out, or it failed ─▶ ask_alone()
 * ─▶ on_alone() ─▶ on_step
 *
 * One statement for many of a company is under way: what comes meanwhile makes the next one larger,
 * so the busier the service, the cheaper the call. Those of another company go out beside it, in a
 * statement of their own, since row-level security confines a statement to one; at most
 * MANY_AT_ONCE in all. (Agents who work across companies share one.) */
#include "steps.h"

#include "campaign.h"
#include "campaign_sql.h"

#include <stdlib.h>
#include <string.h>

#define MANY_AT_ONCE 4
#define MANY_MOST 200 /* steps in one statement */

struct step_lane {
    struct campaign_service *service;
    struct step *first, *last;            /* wait for a statement */
    struct many *under_way[MANY_AT_ONCE]; /* NULL: free */
    bool flush_is_due;
};

/* A statement for many. */
struct many {
    struct step_lane *lane;
    struct arena *arena;
    struct step **steps;
    bool *answered;
    size_t count; /* the begins stand first */
    struct pg_owner owner;
};

/* A step on its own. */
struct alone {
    struct step_lane *lane;
    struct step *step;
};

struct step_lane *step_lane_new(struct campaign_service *service)
{
    struct step_lane *lane = calloc(1, sizeof(*lane));

    if (lane)
        lane->service = service;
    return lane;
}

void step_lane_free(struct step_lane *lane)
{
    free(lane);
}

/* ---- Answers ---- */

static void count_down(struct step_request *request)
{
    if (--request->unanswered == 0)
        request->on_done(request, err_is_set(&request->err) ? &request->err : NULL);
}

static void answer(struct step *step, const struct pg_result *result, int row)
{
    step->request->on_step(step->request, step, result, row);
    count_down(step->request);
}

static void fail(struct step *step, const struct err *err)
{
    if (!err_is_set(&step->request->err))
        step->request->err = *err;
    count_down(step->request);
}

/* ---- Alone ---- */

static void on_alone(void *context, const struct pg_outcome *outcome)
{
    struct alone *alone = context;

    if (outcome->result)
        answer(alone->step, outcome->result, 0);
    else
        fail(alone->step, &outcome->err);
}

static void ask_alone(struct step_lane *lane, struct step *step)
{
    struct rpc_call *call = step->request->call;
    struct pg_params params = {.arena = rpc_call_arena(call)};
    struct alone *alone = ARENA_NEW(params.arena, struct alone);

    if (!alone) {
        struct err err = {0};

        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "the request needs too much memory");
        fail(step, &err);
        return;
    }
    *alone = (struct alone){.lane = lane, .step = step};
    pg_param_text(&params, step->company_id);
    pg_param_text(&params, step->call_id);
    pg_param_int64(&params, step->fence);
    if (step->kind == STEP_BEGIN) {
        pg_param_int64(&params, lane->service->lease_us);
    } else {
        pg_param_text(&params, step->disposition);
        pg_param_text(&params, step->outcome);
        pg_param_text(&params, step->error_message);
    }
    pg_write(lane->service->pool, rpc_call_owner(call),
             step->kind == STEP_BEGIN ? &sql_begin_dial : &sql_finish_task, &params, on_alone,
             alone);
}

/* ---- Many ---- */

static void schedule(struct step_lane *lane);

/* The database is away: who waits would only wait in vain, one statement after another. */
static void fail_queue(struct step_lane *lane, const struct err *err)
{
    struct step *step = lane->first;

    lane->first = lane->last = NULL;
    while (step) {
        struct step *next = step->next;

        fail(step, err);
        step = next;
    }
}

static void forget(struct step_lane *lane, const struct many *many)
{
    for (size_t i = 0; i < MANY_AT_ONCE; i++)
        if (lane->under_way[i] == many)
            lane->under_way[i] = NULL;
}

static void on_many(void *context, const struct pg_outcome *outcome)
{
    struct many *many = context;
    struct step_lane *lane = many->lane;
    const struct pg_result *rows = outcome->result;
    /* CANCELLED: the service is stopping. */
    bool is_away =
        !rows && (outcome->err.code == ERR_UNAVAILABLE || outcome->err.code == ERR_CANCELLED);

    forget(lane, many);
    for (int row = 0; rows && row < pg_rows(rows); row++) {
        size_t place = (size_t)pg_int64(rows, row, STEP_PLACE) - 1;

        if (place < many->count && !many->answered[place]) {
            many->answered[place] = true;
            answer(many->steps[place], rows, row);
        }
    }
    for (size_t i = 0; i < many->count; i++) {
        if (many->answered[i])
            continue;
        if (is_away)
            fail(many->steps[i], &outcome->err);
        else
            ask_alone(lane, many->steps[i]);
    }
    if (is_away && !pg_pool_is_ready(lane->service->pool))
        fail_queue(lane, &outcome->err);
    arena_free(many->arena);
    if (lane->first)
        schedule(lane);
}

/* Companies, calls, fences. */
static void add_calls(struct pg_params *params, struct step *const *steps, size_t count)
{
    const char **companies = ARENA_ARRAY(params->arena, const char *, count);
    const char **calls = ARENA_ARRAY(params->arena, const char *, count);
    int64_t *fences = ARENA_ARRAY(params->arena, int64_t, count);

    if (!companies || !calls || !fences) {
        params->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        companies[i] = steps[i]->company_id;
        calls[i] = steps[i]->call_id;
        fences[i] = steps[i]->fence;
    }
    pg_param_text_array(params, companies, count);
    pg_param_text_array(params, calls, count);
    pg_param_int64_array(params, fences, count);
}

/* Dispositions, outcomes, error messages. */
static void add_ends(struct pg_params *params, struct step *const *steps, size_t count)
{
    const char **dispositions = ARENA_ARRAY(params->arena, const char *, count);
    const char **outcomes = ARENA_ARRAY(params->arena, const char *, count);
    const char **messages = ARENA_ARRAY(params->arena, const char *, count);

    if (!dispositions || !outcomes || !messages) {
        params->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        dispositions[i] = steps[i]->disposition;
        outcomes[i] = steps[i]->outcome;
        messages[i] = steps[i]->error_message;
    }
    pg_param_text_array(params, dispositions, count);
    pg_param_text_array(params, outcomes, count);
    pg_param_text_array(params, messages, count);
}

static const struct pg_owner *asker(const struct step *step)
{
    return rpc_call_owner(step->request->call);
}

/* Whether a statement of its company is under way. */
static bool must_wait(const struct step_lane *lane, const struct step *step)
{
    for (size_t i = 0; i < MANY_AT_ONCE; i++)
        if (lane->under_way[i] && pg_may_share(&lane->under_way[i]->owner, asker(step)))
            return true;
    return false;
}

/* The first that need not wait, and a place for its statement; NULL: there is none. */
static const struct step *first_to_go(struct step_lane *lane, struct many ***ret_place)
{
    const struct step *step = lane->first;
    size_t place = 0;

    while (place < MANY_AT_ONCE && lane->under_way[place])
        place++;
    if (place == MANY_AT_ONCE)
        return NULL;
    while (step && must_wait(lane, step))
        step = step->next;
    *ret_place = &lane->under_way[place];
    return step;
}

/* Takes steps of the company whose callers are still there, and gives how many of them are begins,
 * which come first; those of the others are answered, for nobody. */
static size_t take_steps(struct many *many)
{
    struct step_lane *lane = many->lane;
    struct step *ends[MANY_MOST], *last = NULL;
    size_t begin_count = 0, end_count = 0;

    for (struct step *step = lane->first, *next; step && begin_count + end_count < MANY_MOST;
         step = next) {
        next = step->next;
        if (!pg_may_share(&many->owner, asker(step))) {
            last = step;
            continue;
        }
        *(last ? &last->next : &lane->first) = next;
        if (!next)
            lane->last = last;
        if (rpc_call_is_cancelled(step->request->call)) {
            struct err err = {0};

            err_set(&err, ERR_CANCELLED, NULL, "the request was cancelled");
            fail(step, &err);
        } else if (step->kind == STEP_BEGIN) {
            many->steps[begin_count++] = step;
        } else {
            ends[end_count++] = step;
        }
    }
    if (end_count)
        memcpy(many->steps + begin_count, ends, end_count * sizeof(*ends));
    many->count = begin_count + end_count;
    return begin_count;
}

/* Nobody waits any longer than the one who waits longest. */
static struct pg_owner owner_of(const struct many *many)
{
    struct pg_owner owner = {.identity = many->owner.identity};

    for (size_t i = 0; i < many->count && !owner.trace.tracer; i++) /* a span has one parent */
        owner.trace = rpc_call_owner(many->steps[i]->request->call)->trace;
    for (size_t i = 0; i < many->count; i++) {
        int64_t deadline_us = rpc_call_owner(many->steps[i]->request->call)->deadline_us;

        if (!deadline_us)
            return (struct pg_owner){.trace = owner.trace, .identity = owner.identity};
        if (deadline_us > owner.deadline_us)
            owner.deadline_us = deadline_us;
    }
    return owner;
}

/* False when nothing may go out now. */
static bool send_many(struct step_lane *lane)
{
    struct many **place;
    const struct step *first = first_to_go(lane, &place);

    if (!first)
        return false;
    struct arena *arena = arena_new(4 * (size_t)1024 * 1024);
    struct many *many = arena ? ARENA_NEW(arena, struct many) : NULL;
    struct pg_params params = {.arena = arena};

    if (many) {
        *many = (struct many){.lane = lane, .arena = arena};
        many->owner.identity = pg_shared_identity(asker(first));
        if (many->owner.identity.company_id)
            many->owner.identity.company_id = arena_strdup(arena, many->owner.identity.company_id);
        many->steps = ARENA_ARRAY(arena, struct step *, MANY_MOST);
        many->answered = ARENA_ARRAY(arena, bool, MANY_MOST);
    }
    if (!many || !many->steps || !many->answered || arena_is_exhausted(arena)) {
        struct err err = {0};

        arena_free(arena);
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "the service is short of memory");
        fail_queue(lane, &err);
        return false;
    }
    size_t begins = take_steps(many);

    if (!many->count) {
        arena_free(arena);
        return true;
    }
    struct pg_owner owner = owner_of(many);

    add_calls(&params, many->steps, begins);
    pg_param_int64(&params, lane->service->lease_us);
    add_calls(&params, many->steps + begins, many->count - begins);
    add_ends(&params, many->steps + begins, many->count - begins);
    *place = many;
    pg_write(lane->service->pool, &owner, &sql_take_steps, &params, on_many, many);
    return true;
}

static void on_flush(void *context)
{
    struct step_lane *lane = context;

    lane->flush_is_due = false;
    while (send_many(lane))
        ;
}

static void schedule(struct step_lane *lane)
{
    if (lane->flush_is_due)
        return;
    lane->flush_is_due = true;
    loop_defer(lane->service->loop, on_flush, lane);
}

void step_lane_submit(struct step_lane *lane, struct step_request *request)
{
    request->unanswered = request->count;
    for (size_t i = 0; i < request->count; i++) {
        struct step *step = &request->steps[i];

        step->request = request;
        step->next = NULL;
        *(lane->last ? &lane->last->next : &lane->first) = step;
        lane->last = step;
    }
    schedule(lane);
}

void step_request_reply(struct step_request *request, const struct err *err,
                        const ProtobufCMessage *response)
{
    if (err && err_is_set(err))
        rpc_fail(request->call, err);
    else if (arena_is_exhausted(rpc_call_arena(request->call)))
        fail_memory(request->call);
    else
        rpc_reply(request->call, response);
}
