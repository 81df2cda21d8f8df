#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "domain/period.h"

#include "base/decimal.h"

#include <stdlib.h>
#include <string.h>

enum {
    COLUMN_FIRST_DAY,
    COLUMN_LAST_DAY,
    COLUMN_P50,
    COLUMN_P95,
    COLUMN_P99,
    COLUMN_STATUS,
    COLUMN_ENDED_AS,
    COLUMN_CALLS,
    COLUMN_MEASURED,
    COLUMN_DURATION_MS,
    COLUMN_TURNS,
    COLUMN_EOU_CALLS,
    COLUMN_EOU_SUM,
    COLUMN_INTERRUPTION_SUM,
    COLUMN_COST_STT,
    COLUMN_COST_LLM,
    COLUMN_COST_TTS,
    COLUMN_COST_LIVEKIT,
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

/* The whole, of the rows of all statuses and outcomes. */
struct sums {
    int64_t calls, completed, failed, ended, measured, duration_ms, turns, eou_calls;
    double eou, interruptions;
    int64_t cost_stt, cost_llm, cost_tts, cost_livekit;
};

static struct sums add_up(const struct pg_result *rows)
{
    struct sums sums = {0};
    for (int i = 0; i < pg_rows(rows) && !pg_is_null(rows, i, COLUMN_STATUS); i++) {
        int64_t calls = pg_int64(rows, i, COLUMN_CALLS);
        int64_t status = pg_int64(rows, i, COLUMN_STATUS);
        sums.calls += calls;
        if (status == DIALPLANE__V1__CALL_STATUS__CALL_STATUS_COMPLETED)
            sums.completed += calls;
        if (status == DIALPLANE__V1__CALL_STATUS__CALL_STATUS_FAILED)
            sums.failed += calls;
        if (status != DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE)
            sums.ended += calls;
        sums.measured += pg_int64(rows, i, COLUMN_MEASURED);
        sums.duration_ms += pg_int64(rows, i, COLUMN_DURATION_MS);
        sums.turns += pg_int64(rows, i, COLUMN_TURNS);
        sums.eou_calls += pg_int64(rows, i, COLUMN_EOU_CALLS);
        sums.eou += pg_double(rows, i, COLUMN_EOU_SUM);
        sums.interruptions += pg_double(rows, i, COLUMN_INTERRUPTION_SUM);
        sums.cost_stt += pg_int64(rows, i, COLUMN_COST_STT);
        sums.cost_llm += pg_int64(rows, i, COLUMN_COST_LLM);
        sums.cost_tts += pg_int64(rows, i, COLUMN_COST_TTS);
        sums.cost_livekit += pg_int64(rows, i, COLUMN_COST_LIVEKIT);
    }
    return sums;
}

#define SET_IF(CONDITION, MEMBER, member, value)                                                   \
    do {                                                                                           \
        if (CONDITION) {                                                                           \
            metrics->_##member##_case = DIALPLANE__V1__AGGREGATED_METRICS___##MEMBER##_##MEMBER;   \
            metrics->member = (value);                                                             \
        }                                                                                          \
    } while (0)

static void fill_whole(Dialplane__V1__AggregatedMetrics *metrics, struct arena *arena,
                       const struct pg_result *rows)
{
    const struct sums sums = add_up(rows);
    bool has_ended = sums.ended > 0, has_eou = sums.eou_calls > 0, has_costs = sums.measured > 0;
    int64_t cost = sums.cost_stt + sums.cost_llm + sums.cost_tts + sums.cost_livekit, average = 0;
    metrics->start_date = pg_text(rows, 0, COLUMN_FIRST_DAY, arena);
    metrics->end_date = pg_text(rows, 0, COLUMN_LAST_DAY, arena);
    metrics->total_calls = sums.calls;
    metrics->completed_calls = sums.completed;
    metrics->failed_calls = sums.failed;
    SET_IF(has_ended, AVG_DURATION_SEC, avg_duration_sec,
           (double)sums.duration_ms / (double)sums.ended / 1000);
    SET_IF(has_ended, AVG_TURN_COUNT, avg_turn_count, (double)sums.turns / (double)sums.ended);
    SET_IF(has_eou, AVG_EOU_LATENCY, avg_eou_latency, sums.eou / (double)sums.eou_calls);
    SET_IF(has_costs, AVG_INTERRUPTION_RATE, avg_interruption_rate,
           sums.interruptions / (double)sums.measured);
    SET_IF(has_costs, TOTAL_COST, total_cost, cost);
    SET_IF(has_costs && decimal_mul_div(cost, 1, sums.calls, &average), AVG_COST_PER_CALL,
           avg_cost_per_call, average);
    SET_IF(!pg_is_null(rows, 0, COLUMN_P50), P50_EOU_LATENCY, p50_eou_latency,
           pg_double(rows, 0, COLUMN_P50));
    SET_IF(!pg_is_null(rows, 0, COLUMN_P95), P95_EOU_LATENCY, p95_eou_latency,
           pg_double(rows, 0, COLUMN_P95));
    SET_IF(!pg_is_null(rows, 0, COLUMN_P99), P99_EOU_LATENCY, p99_eou_latency,
           pg_double(rows, 0, COLUMN_P99));
    SET_IF(has_costs, COST_STT, cost_stt, sums.cost_stt);
    SET_IF(has_costs, COST_LLM, cost_llm, sums.cost_llm);
    SET_IF(has_costs, COST_TTS, cost_tts, sums.cost_tts);
    SET_IF(has_costs, COST_LIVEKIT, cost_livekit, sums.cost_livekit);
}

typedef Dialplane__V1__AggregatedMetrics__OutcomeDistributionEntry entry_type;

static int by_calls(const void *a, const void *b)
{
    const entry_type *x = *(const entry_type *const *)a, *y = *(const entry_type *const *)b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Rows come in order of outcome, one for each status. */
static void fill_outcomes(Dialplane__V1__AggregatedMetrics *metrics, struct arena *arena,
                          const struct pg_result *rows)
{
    entry_type **entries = ARENA_ARRAY(arena, entry_type *, (size_t)pg_rows(rows));
    size_t count = 0;
    for (int i = 0; entries && i < pg_rows(rows); i++) {
        if (pg_is_null(rows, i, COLUMN_ENDED_AS))
            continue;
        struct str outcome = pg_str(rows, i, COLUMN_ENDED_AS);
        if (count == 0 || !str_equal_cstr(outcome, entries[count - 1]->key)) {
            entry_type *entry = ARENA_NEW(arena, entry_type);
            if (!entry)
                return;
            *entry =
                (entry_type)DIALPLANE__V1__AGGREGATED_METRICS__OUTCOME_DISTRIBUTION_ENTRY__INIT;
            entry->key = pg_text(rows, i, COLUMN_ENDED_AS, arena);
            entries[count++] = entry;
        }
        entries[count - 1]->value += pg_int64(rows, i, COLUMN_CALLS);
    }
    if (arena_is_exhausted(arena))
        return;
    qsort(entries, count, sizeof(*entries), by_calls);
    metrics->outcome_distribution = entries;
    metrics->n_outcome_distribution = count;
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
