/* The way of a batch: serialize its events → when it holds the end, read the call so far and
 * compute its figures → one statement that stores all of it or nothing → publish. The figures are
 * computed from what the call's row said (last_seq); should another report have moved it on
 * meanwhile, the statement says `changed` and the figures are computed again. */
#include "report.h"

#include "domain/figures.h"
#include "live/live.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/time.h"

#include "analytics_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Events read at once while the figures are computed. */
#define CHUNK_EVENTS 500
#define TRIES 5
#define ARENA_LIMIT_BYTES (32 * 1024 * 1024)
/* Agents' clocks may be wrong; a day is no longer a matter of clocks. */
#define FUTURE_LIMIT_US (24 * 3600 * TIME_US_PER_SECOND)

struct report {
    struct rpc_call *call;
    struct analytics_service *service;
    const Dialplane__V1__ReportCallEventsRequest *request;
    void (*on_stored)(struct rpc_call *call, const struct report_outcome *outcome,
                      const struct err *err);
    struct arena *arena; /* of this batch: a stream has many */
    struct str *events;  /* serialized, as stored and as published */
    unsigned tries;

    /* only for a batch that ends its call */
    int64_t expected_seq, read_seq;
    int64_t started_us;
    struct figures figures;
    const char *outcome; /* what the events so far said of it; NULL: nothing */
    Dialplane__V1__CallMetrics metrics;
    struct str packed_metrics;
};

static void end(struct report *report, const struct report_outcome *outcome, const struct err *err)
{
    struct arena *arena = report->arena;
    figures_done(&report->figures);
    report->on_stored(report->call, outcome, err);
    arena_free(arena); /* `report` lives in it */
}

static void end_with(struct report *report, enum err_code code, const char *reason,
                     const char *message)
{
    struct err err = {0};
    err_set(&err, code, reason, "%s", message);
    end(report, NULL, &err);
}

static void end_out_of_memory(struct report *report)
{
    end_with(report, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
             "the batch does not fit the memory of one report");
}

static void end_with_violation(struct report *report, const char *field, const char *message)
{
    struct violations violations;
    struct err err = {0};
    violations_init(&violations, report->arena, 1);
    violations_add(&violations, field, "%s", message);
    err_set_violations(&err, &violations);
    end(report, NULL, &err);
}

/* ---- Events as bytes ---- */

static bool pack_events(struct report *report)
{
    size_t count = report->request->n_events;
    report->events = ARENA_ARRAY(report->arena, struct str, count);
    for (size_t i = 0; report->events && i < count; i++) {
        report->events[i] = rpc_pack(&report->request->events[i]->base, report->arena);
        if (!report->events[i].data)
            return false;
    }
    return report->events != NULL;
}

static const Dialplane__V1__CallEvent *last_event(const struct report *report)
{
    return report->request->events[report->request->n_events - 1];
}

static bool ends_call(const struct report *report)
{
    return last_event(report)->event_case == DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
}

/* What each event says of the call's status and outcome; NULL: nothing. */
static void status_of(const Dialplane__V1__CallEvent *event, int64_t *ret_status,
                      const char **ret_outcome)
{
    *ret_status = 0;
    *ret_outcome = NULL;
    if (event->event_case == DIALPLANE__V1__CALL_EVENT__EVENT_STATUS) {
        *ret_status = event->status->status;
        *ret_outcome = event->status->_outcome_case ? event->status->outcome : NULL;
    } else if (event->event_case == DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED) {
        *ret_status = event->finished->status;
        *ret_outcome = event->finished->_outcome_case ? event->finished->outcome : NULL;
    }
}

/* ---- Figures of a call that ends ---- */

static void load_progress(struct report *report);
static void on_progress(void *context, const struct pg_outcome *outcome);
static void load_chunk(struct report *report);
static void on_chunk(void *context, const struct pg_outcome *outcome);
static void compute(struct report *report);
static void store(struct report *report);
static void on_written(void *context, const struct pg_outcome *outcome);

static void load_progress(struct report *report)
{
    struct pg_params params = {.arena = report->arena};
    figures_done(&report->figures);
    param_scope(&params, report->call);
    pg_param_text(&params, report->request->call_id);
    pg_read(report->service->pool, rpc_call_owner(report->call), &sql_get_call_progress, &params,
            on_progress, report);
}

static void on_progress(void *context, const struct pg_outcome *outcome)
{
    struct report *report = context;
    if (!outcome->result) {
        end(report, NULL, &outcome->err);
        return;
    }
    const Dialplane__V1__CallEvent *first = report->request->events[0];
    report->expected_seq = 0;
    report->read_seq = 0;
    report->outcome = NULL;
    report->started_us = timestamp_to_us(first->occurred_at);
    if (pg_rows(outcome->result) > 0) {
        report->expected_seq = pg_int64(outcome->result, 0, 0);
        report->started_us = pg_time_us(outcome->result, 0, 1);
    }
    load_chunk(report);
}

static void load_chunk(struct report *report)
{
    if (report->read_seq >= report->expected_seq) {
        compute(report);
        return;
    }
    struct pg_params params = {.arena = report->arena};
    pg_param_text(&params, report->request->call_id);
    pg_param_int64(&params, report->read_seq);
    pg_param_int64(&params, CHUNK_EVENTS);
    pg_read(report->service->pool, rpc_call_owner(report->call), &sql_list_call_events, &params,
            on_chunk, report);
}

/* What the figures take from one event; false when memory is short. */
static bool add_event(struct report *report, const Dialplane__V1__CallEvent *event)
{
    if (event->event_case == DIALPLANE__V1__CALL_EVENT__EVENT_TURN)
        return figures_add_turn(&report->figures, event->turn);
    int64_t status;
    const char *outcome;
    status_of(event, &status, &outcome);
    if (!outcome)
        return true;
    report->outcome = arena_strdup(report->arena, outcome);
    return report->outcome != NULL;
}

/* The same of a stored event; its objects are gone with the chunk. */
static bool add_stored_event(struct report *report, struct str bytes)
{
    struct arena *arena = arena_new(ARENA_LIMIT_BYTES);
    bool added = false;
    if (arena) {
        const Dialplane__V1__CallEvent *event = (const Dialplane__V1__CallEvent *)rpc_unpack(
            &dialplane__v1__call_event__descriptor, bytes, arena);
        added = event && add_event(report, event);
    }
    arena_free(arena);
    return added;
}

static void on_chunk(void *context, const struct pg_outcome *outcome)
{
    struct report *report = context;
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        end(report, NULL, &outcome->err);
        return;
    }
    for (int i = 0; i < pg_rows(rows); i++) {
        int64_t seq = pg_int64(rows, i, 0);
        /* What came after the call's row was read is not part of this computation: the statement
         * will say `changed`. */
        if (seq > report->expected_seq)
            break;
        if (pg_int64(rows, i, 1) != EVENT_STARTED &&
            !add_stored_event(report, pg_str(rows, i, 2))) {
            end_out_of_memory(report);
            return;
        }
        report->read_seq = seq;
    }
    if (pg_rows(rows) == 0)
        report->read_seq =
            report->expected_seq; /* the call was deleted meanwhile: the statement will tell */
    load_chunk(report);
}

static void compute(struct report *report)
{
    const Dialplane__V1__ReportCallEventsRequest *request = report->request;
    for (size_t i = 0; i < request->n_events; i++) {
        const Dialplane__V1__CallEvent *event = request->events[i];
        if ((int64_t)event->seq > report->expected_seq && !add_event(report, event)) {
            end_out_of_memory(report);
            return;
        }
    }
    const Dialplane__V1__CallFinished *finished = last_event(report)->finished;
    int64_t length_ms =
        (timestamp_to_us(last_event(report)->occurred_at) - report->started_us) / 1000;
    report->figures.usage.livekit_ms = finished->_livekit_duration_sec_case
                                           ? finished->livekit_duration_sec
                                       : length_ms > 0 ? length_ms
                                                       : 0;
    struct costs costs;
    struct err err = {0};
    if (!costs_compute(&report->service->prices, &report->figures.usage, &costs, &err)) {
        end(report, NULL, &err);
        return;
    }
    Dialplane__V1__CallMetrics *metrics = &report->metrics;
    *metrics = (Dialplane__V1__CallMetrics)DIALPLANE__V1__CALL_METRICS__INIT;
    metrics->call_id = request->call_id;
    metrics->cost_stt = costs.stt;
    metrics->cost_llm = costs.llm;
    metrics->cost_tts = costs.tts;
    metrics->cost_livekit = costs.livekit;
    metrics->cost_total = costs.total;
    metrics->_sentiment_score_case =
        (Dialplane__V1__CallMetrics__SentimentScoreCase)(finished->_sentiment_score_case
                                                             ? DIALPLANE__V1__CALL_METRICS___SENTIMENT_SCORE_SENTIMENT_SCORE
                                                             : 0);
    metrics->sentiment_score = finished->sentiment_score;
    if (report->outcome) {
        metrics->_outcome_case = DIALPLANE__V1__CALL_METRICS___OUTCOME_OUTCOME;
        metrics->outcome = (char *)report->outcome;
    }
    if (finished->_outcome_confidence_case) {
        metrics->_outcome_confidence_case =
            DIALPLANE__V1__CALL_METRICS___OUTCOME_CONFIDENCE_OUTCOME_CONFIDENCE;
        metrics->outcome_confidence = finished->outcome_confidence;
    }
    if (finished->_outcome_reason_case) {
        metrics->_outcome_reason_case = DIALPLANE__V1__CALL_METRICS___OUTCOME_REASON_OUTCOME_REASON;
        metrics->outcome_reason = finished->outcome_reason;
    }
    const struct clock *clock = loop_clock(report->service->loop);
    metrics->created_at = timestamp_from_us(report->arena, clock->wall_us(clock));
    if (!figures_fill(&report->figures, metrics) ||
        !(report->packed_metrics = rpc_pack(&metrics->base, report->arena)).data) {
        end_out_of_memory(report);
        return;
    }
    store(report);
}

/* ---- The statement ---- */

static void param_events(struct pg_params *params, const struct report *report)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = report->request->n_events;
    const char **items = ARENA_ARRAY(report->arena, const char *, count);
    for (size_t i = 0; items && i < count; i++) {
        struct str event = report->events[i];
        char *hex = arena_alloc(report->arena, event.length * 2 + 3);
        if (!hex) {
            items = NULL;
            break;
        }
        items[i] = hex;
        *hex++ = '\\';
        *hex++ = 'x';
        for (size_t j = 0; j < event.length; j++) {
            *hex++ = digits[(unsigned char)event.data[j] >> 4];
            *hex++ = digits[(unsigned char)event.data[j] & 15];
        }
        *hex = '\0';
    }
    if (items)
        pg_param_text_array(params, items, count);
    else
        params->failed = true;
}

static void param_start(struct pg_params *params, const struct report *report)
{
    const Dialplane__V1__CallEvent *first = report->request->events[0];
    if (first->event_case != DIALPLANE__V1__CALL_EVENT__EVENT_STARTED) {
        for (int i = 0; i < 7; i++)
            pg_param_null(params);
        return;
    }
    const Dialplane__V1__CallStarted *started = first->started;
    pg_param_text(params, started->company_id);
    pg_param_text(params, started->_skillbase_id_case ? started->skillbase_id : NULL);
    if (started->_skillbase_version_case)
        pg_param_int64(params, started->skillbase_version);
    else
        pg_param_null(params);
    pg_param_text(params, started->_campaign_id_case ? started->campaign_id : NULL);
    pg_param_text(params, started->_task_id_case ? started->task_id : NULL);
    pg_param_text(params, started->_phone_number_case ? started->phone_number : NULL);
    param_timestamp(params, first->occurred_at);
}

static void param_effects(struct pg_params *params, const struct report *report)
{
    size_t count = report->request->n_events;
    const char **times = ARENA_ARRAY(report->arena, const char *, count);
    const char **statuses = ARENA_ARRAY(report->arena, const char *, count);
    const char **outcomes = ARENA_ARRAY(report->arena, const char *, count);
    if (!times || !statuses || !outcomes) {
        params->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const Dialplane__V1__CallEvent *event = report->request->events[i];
        int64_t status;
        char text[TIME_TEXT_SIZE];
        status_of(event, &status, &outcomes[i]);
        time_format_rfc3339(timestamp_to_us(event->occurred_at), text);
        times[i] = arena_strdup(report->arena, text);
        statuses[i] = status ? arena_printf(report->arena, "%" PRId64, status) : NULL;
    }
    pg_param_text_array(params, times, count);
    pg_param_text_array(params, statuses, count);
    pg_param_text_array(params, outcomes, count);
}

static void param_figures(struct pg_params *params, const struct report *report)
{
    if (!ends_call(report)) {
        for (int i = 0; i < 8; i++)
            pg_param_null(params);
        return;
    }
    const Dialplane__V1__CallMetrics *metrics = &report->metrics;
    pg_param_int64(params, report->expected_seq);
    if (metrics->_avg_eou_latency_case)
        pg_param_double(params, metrics->avg_eou_latency);
    else
        pg_param_null(params);
    pg_param_double(params, metrics->interruption_rate);
    pg_param_int64(params, metrics->cost_stt);
    pg_param_int64(params, metrics->cost_llm);
    pg_param_int64(params, metrics->cost_tts);
    pg_param_int64(params, metrics->cost_livekit);
    pg_param_bytes(params, report->packed_metrics);
}

static void store(struct report *report)
{
    struct pg_params params = {.arena = report->arena};
    size_t count = report->request->n_events;
    int64_t *kinds = ARENA_ARRAY(report->arena, int64_t, count);
    if (!kinds) {
        end_out_of_memory(report);
        return;
    }
    for (size_t i = 0; i < count; i++)
        kinds[i] = report->request->events[i]->event_case;
    param_scope(&params, report->call);
    pg_param_text(&params, report->request->call_id);
    pg_param_int64(&params, (int64_t)report->request->events[0]->seq);
    pg_param_int64_array(&params, kinds, count);
    param_events(&params, report);
    param_start(&params, report);
    param_effects(&params, report);
    param_figures(&params, report);
    pg_write(report->service->pool, rpc_call_owner(report->call), &sql_report_call_events, &params,
             on_written, report);
}

/* A foreign key says which of the ids names nothing of the company. */
static void end_failed_write(struct report *report, const struct pg_outcome *outcome)
{
    if (!strcmp(outcome->constraint, "calls_company_id_fkey"))
        end_with_violation(report, "events[0].started.company_id", "there is no such company");
    else if (!strcmp(outcome->constraint, "calls_skillbase_id_fkey"))
        end_with_violation(report, "events[0].started.skillbase_id",
                           "there is no such skillbase in the company");
    else if (!strcmp(outcome->constraint, "calls_campaign_id_fkey"))
        end_with_violation(report, "events[0].started.campaign_id",
                           "there is no such campaign in the company");
    else if (!strcmp(outcome->constraint, "call_events_call_id_fkey"))
        end_with(report, ERR_NOT_FOUND, NULL, "the call has been deleted meanwhile");
    else
        end(report, NULL, &outcome->err);
}

static void end_refused(struct report *report, struct str result, int64_t last_seq)
{
    struct err err = {0};
    const char *call_id = report->request->call_id;
    if (str_equal_cstr(result, "not_started"))
        err_set(&err, ERR_FAILED_PRECONDITION, "CALL_NOT_STARTED",
                "call %s is not known: its first event must be `started` with seq 1", call_id);
    else if (str_equal_cstr(result, "gap"))
        err_set(&err, ERR_FAILED_PRECONDITION, "SEQUENCE_GAP",
                "call %s has events up to seq %" PRId64 ": go on with seq %" PRId64, call_id,
                last_seq, last_seq + 1);
    else if (str_equal_cstr(result, "reused"))
        err_set(&err, ERR_FAILED_PRECONDITION, "SEQUENCE_REUSED",
                "seq %" PRId64 " of call %s has been reported before with another content",
                last_seq, call_id);
    else if (str_equal_cstr(result, "finished"))
        err_set(&err, ERR_FAILED_PRECONDITION, "CALL_FINISHED",
                "call %s has ended with seq %" PRId64 ": nothing comes after", call_id, last_seq);
    else
        err_set(&err, ERR_ABORTED, "RETRY", "call %s is being reported by someone else, too",
                call_id);
    end(report, NULL, &err);
}

static void publish(struct report *report, int64_t accepted)
{
    size_t count = report->request->n_events;
    size_t from = count - (size_t)accepted;
    for (size_t i = from; i < count; i++)
        live_publish(report->service->live, report->request->call_id, report->request->events[i],
                     report->events[i]);
}

static void on_written(void *context, const struct pg_outcome *outcome)
{
    struct report *report = context;
    if (!outcome->result) {
        end_failed_write(report, outcome);
        return;
    }
    struct str result = pg_str(outcome->result, 0, 0);
    struct report_outcome stored = {
        .accepted = pg_int64(outcome->result, 0, 1),
        .duplicates = pg_int64(outcome->result, 0, 2),
        .last_seq = (uint64_t)pg_int64(outcome->result, 0, 3),
    };
    if (str_equal_cstr(result, "changed") && ++report->tries < TRIES) {
        load_progress(report);
        return;
    }
    if (!str_equal_cstr(result, "stored")) {
        end_refused(report, result, (int64_t)stored.last_seq);
        return;
    }
    struct analytics_service *service = report->service;
    service->events_accepted += (uint64_t)stored.accepted;
    service->events_repeated += (uint64_t)stored.duplicates;
    service->calls_finished += stored.accepted > 0 && ends_call(report);
    publish(report, stored.accepted);
    end(report, &stored, NULL);
}

/* ---- The beginning ---- */

/* Times from the future would stay at the head of the history for good. */
static bool check_times(struct report *report)
{
    const struct clock *clock = loop_clock(report->service->loop);
    int64_t latest = clock->wall_us(clock) + FUTURE_LIMIT_US;
    struct violations violations;
    violations_init(&violations, report->arena, 100);
    for (size_t i = 0; i < report->request->n_events; i++) {
        if (timestamp_to_us(report->request->events[i]->occurred_at) <= latest)
            continue;
        char field[64];
        snprintf(field, sizeof(field), "events[%zu].occurred_at", i);
        violations_add(&violations, field, "must not be more than a day in the future");
    }
    if (violations.count == 0)
        return true;
    struct err err = {0};
    err_set_violations(&err, &violations);
    end(report, NULL, &err);
    return false;
}

void report_store(struct rpc_call *call, const Dialplane__V1__ReportCallEventsRequest *request,
                  void (*on_stored)(struct rpc_call *call, const struct report_outcome *outcome,
                                    const struct err *err))
{
    struct arena *arena = arena_new(ARENA_LIMIT_BYTES);
    struct report *report = arena ? ARENA_NEW(arena, struct report) : NULL;
    if (!report) {
        struct err err = {0};
        arena_free(arena);
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        on_stored(call, NULL, &err);
        return;
    }
    *report = (struct report){.call = call,
                              .service = rpc_call_context(call),
                              .request = request,
                              .on_stored = on_stored,
                              .arena = arena};
    if (!check_times(report))
        return;
    if (!pack_events(report))
        end_out_of_memory(report);
    else if (ends_call(report))
        load_progress(report);
    else
        store(report);
}
