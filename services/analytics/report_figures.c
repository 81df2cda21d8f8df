/* The figures of a call that ends: its row, then its stored events in chunks, then those of the
 * batch. Its costs are the statement's, which knows the price list in force. */
#include "report_internal.h"

#include "analytics_sql.h"
#include "event_vault.h"

#include "base/time.h"

/* Events read at once. */
#define CHUNK_EVENTS 500

static void on_progress(void *context, const struct pg_outcome *outcome);
static void load_chunk(struct report *report);
static void on_chunk(void *context, const struct pg_outcome *outcome);
static void compute(struct report *report);

static void load_progress(struct report *report)
{
    struct pg_params params = {.arena = report->arena};
    param_scope(&params, report->call);
    pg_param_text(&params, report->request->call_id);
    pg_read(report->service->pool, rpc_call_owner(report->call), &sql_get_call_progress, &params,
            on_progress, report);
}

static void on_progress(void *context, const struct pg_outcome *outcome)
{
    struct report *report = context;
    if (!outcome->result) {
        report_end(report, NULL, &outcome->err);
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
    report_status_of(event, &status, &outcome);
    if (!outcome)
        return true;
    report->outcome = arena_strdup(report->arena, outcome);
    return report->outcome != NULL;
}

/* The same of a stored event; its objects are gone with the chunk. */
static bool add_stored_event(struct report *report, int64_t seq, struct str stored, struct err *err)
{
    struct arena *arena = arena_new(REPORT_ARENA_BYTES);
    bool added = false;
    struct str bytes = {NULL, 0};
    if (arena)
        bytes = event_open(report->service->vault, &report->call_id, seq, stored, arena, err);
    if (bytes.data) {
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
        report_end(report, NULL, &outcome->err);
        return;
    }
    for (int i = 0; i < pg_rows(rows); i++) {
        int64_t seq = pg_int64(rows, i, 0);
        /* What came after the call's row was read is not part of this computation: the statement
         * will say `changed`. */
        if (seq > report->expected_seq)
            break;
        struct err err = {0};
        if (pg_int64(rows, i, 1) != EVENT_STARTED &&
            !add_stored_event(report, seq, pg_str(rows, i, 2), &err)) {
            if (err_is_set(&err))
                report_end(report, NULL, &err);
            else
                report_end_out_of_memory(report);
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
            report_end_out_of_memory(report);
            return;
        }
    }
    const Dialplane__V1__CallFinished *finished = report_last_event(report)->finished;
    int64_t length_ms =
        (timestamp_to_us(report_last_event(report)->occurred_at) - report->started_us) / 1000;
    report->figures.usage.livekit_ms = finished->_livekit_duration_sec_case
                                           ? finished->livekit_duration_sec
                                       : length_ms > 0 ? length_ms
                                                       : 0;
    Dialplane__V1__CallMetrics *metrics = &report->metrics;
    *metrics = (Dialplane__V1__CallMetrics)DIALPLANE__V1__CALL_METRICS__INIT;
    metrics->call_id = request->call_id;
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
        report_end_out_of_memory(report);
        return;
    }
    ingest_submit(report->service->ingest, report);
}

void report_figures(struct report *report, bool from_store)
{
    figures_done(&report->figures);
    report->packed_metrics = (struct str){NULL, 0};
    if (from_store) {
        load_progress(report);
        return;
    }
    report->expected_seq = 0;
    report->outcome = NULL;
    report->started_us = timestamp_to_us(report->request->events[0]->occurred_at);
    compute(report);
}
