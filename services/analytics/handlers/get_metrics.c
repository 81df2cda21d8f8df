#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "domain/period.h"

#include <string.h>

enum {
    COLUMN_FIRST_DAY,
    COLUMN_LAST_DAY,
    COLUMN_TOTAL_CALLS,
    COLUMN_COMPLETED_CALLS,
    COLUMN_FAILED_CALLS,
    COLUMN_AVG_DURATION_SEC,
    COLUMN_AVG_TURN_COUNT,
    COLUMN_AVG_EOU_LATENCY,
    COLUMN_AVG_INTERRUPTION_RATE,
    COLUMN_TOTAL_COST,
    COLUMN_AVG_COST_PER_CALL,
    COLUMN_P50,
    COLUMN_P95,
    COLUMN_P99,
    COLUMN_COST_STT,
    COLUMN_COST_LLM,
    COLUMN_COST_TTS,
    COLUMN_COST_LIVEKIT,
    COLUMN_ENDED_AS,
    COLUMN_CALLS,
};

void check_get_metrics(const void *request_, struct violations *violations)
{
    const Dialplane__V1__GetMetricsRequest *request = request_;
    period_check(request->start_date, request->end_date, violations);
}

static void on_counted(void *context, const struct pg_outcome *outcome);

void get_metrics(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetMetricsRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_scope(&params, call);
    param_if(&params, request->_company_id_case, request->company_id);
    param_if(&params, request->_skillbase_id_case, request->skillbase_id);
    param_if(&params, request->_campaign_id_case, request->campaign_id);
    param_if(&params, request->_outcome_case, request->outcome);
    if (request->_status_case && request->status)
        pg_param_int64(&params, request->status);
    else
        pg_param_null(&params);
    param_if(&params, request->_start_date_case, request->start_date);
    param_if(&params, request->_end_date_case, request->end_date);
    rpc_call_set_state(call, (void *)request);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_metrics, &params, on_counted, call);
}

#define SET_DOUBLE(MEMBER, member, COLUMN)                                                         \
    do {                                                                                           \
        if (!pg_is_null(rows, 0, (COLUMN))) {                                                      \
            metrics->_##member##_case = DIALPLANE__V1__AGGREGATED_METRICS___##MEMBER##_##MEMBER;   \
            metrics->member = pg_double(rows, 0, (COLUMN));                                        \
        }                                                                                          \
    } while (0)
#define SET_INT64(MEMBER, member, COLUMN)                                                          \
    do {                                                                                           \
        if (!pg_is_null(rows, 0, (COLUMN))) {                                                      \
            metrics->_##member##_case = DIALPLANE__V1__AGGREGATED_METRICS___##MEMBER##_##MEMBER;   \
            metrics->member = pg_int64(rows, 0, (COLUMN));                                         \
        }                                                                                          \
    } while (0)

static void fill_whole(Dialplane__V1__AggregatedMetrics *metrics, struct arena *arena,
                       const struct pg_result *rows)
{
    metrics->start_date = pg_text(rows, 0, COLUMN_FIRST_DAY, arena);
    metrics->end_date = pg_text(rows, 0, COLUMN_LAST_DAY, arena);
    metrics->total_calls = pg_int64(rows, 0, COLUMN_TOTAL_CALLS);
    metrics->completed_calls = pg_int64(rows, 0, COLUMN_COMPLETED_CALLS);
    metrics->failed_calls = pg_int64(rows, 0, COLUMN_FAILED_CALLS);
    SET_DOUBLE(AVG_DURATION_SEC, avg_duration_sec, COLUMN_AVG_DURATION_SEC);
    SET_DOUBLE(AVG_TURN_COUNT, avg_turn_count, COLUMN_AVG_TURN_COUNT);
    SET_DOUBLE(AVG_EOU_LATENCY, avg_eou_latency, COLUMN_AVG_EOU_LATENCY);
    SET_DOUBLE(AVG_INTERRUPTION_RATE, avg_interruption_rate, COLUMN_AVG_INTERRUPTION_RATE);
    SET_INT64(TOTAL_COST, total_cost, COLUMN_TOTAL_COST);
    SET_INT64(AVG_COST_PER_CALL, avg_cost_per_call, COLUMN_AVG_COST_PER_CALL);
    SET_DOUBLE(P50_EOU_LATENCY, p50_eou_latency, COLUMN_P50);
    SET_DOUBLE(P95_EOU_LATENCY, p95_eou_latency, COLUMN_P95);
    SET_DOUBLE(P99_EOU_LATENCY, p99_eou_latency, COLUMN_P99);
    SET_INT64(COST_STT, cost_stt, COLUMN_COST_STT);
    SET_INT64(COST_LLM, cost_llm, COLUMN_COST_LLM);
    SET_INT64(COST_TTS, cost_tts, COLUMN_COST_TTS);
    SET_INT64(COST_LIVEKIT, cost_livekit, COLUMN_COST_LIVEKIT);
}

static void fill_outcomes(Dialplane__V1__AggregatedMetrics *metrics, struct arena *arena,
                          const struct pg_result *rows)
{
    typedef Dialplane__V1__AggregatedMetrics__OutcomeDistributionEntry entry_type;
    size_t count = pg_is_null(rows, 0, COLUMN_ENDED_AS) ? 0 : (size_t)pg_rows(rows);
    metrics->outcome_distribution = ARENA_ARRAY(arena, entry_type *, count);
    for (size_t i = 0; metrics->outcome_distribution && i < count; i++) {
        entry_type *entry = ARENA_NEW(arena, entry_type);
        if (!entry)
            return;
        *entry = (entry_type)DIALPLANE__V1__AGGREGATED_METRICS__OUTCOME_DISTRIBUTION_ENTRY__INIT;
        entry->key = pg_text(rows, (int)i, COLUMN_ENDED_AS, arena);
        entry->value = pg_int64(rows, (int)i, COLUMN_CALLS);
        metrics->outcome_distribution[metrics->n_outcome_distribution++] = entry;
    }
}

static void on_counted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__GetMetricsRequest *request = rpc_call_state(call);
    struct arena *arena = rpc_call_arena(call);
    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    Dialplane__V1__AggregatedMetrics metrics = DIALPLANE__V1__AGGREGATED_METRICS__INIT;
    fill_whole(&metrics, arena, outcome->result);
    fill_outcomes(&metrics, arena, outcome->result);
    if (request->_skillbase_id_case) {
        metrics._skillbase_id_case = DIALPLANE__V1__AGGREGATED_METRICS___SKILLBASE_ID_SKILLBASE_ID;
        metrics.skillbase_id = request->skillbase_id;
    }
    if (request->_campaign_id_case) {
        metrics._campaign_id_case = DIALPLANE__V1__AGGREGATED_METRICS___CAMPAIGN_ID_CAMPAIGN_ID;
        metrics.campaign_id = request->campaign_id;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else if (strcmp(metrics.end_date, metrics.start_date) < 0)
        /* Only one of them was given, so only the statement knows the other. */
        fail_field(call, request->_start_date_case ? "start_date" : "end_date",
                   "the period would end (%s) before it begins (%s)", metrics.end_date,
                   metrics.start_date);
    else
        rpc_reply(call, &metrics.base);
}
