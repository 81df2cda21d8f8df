#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "domain/period.h"

#define STEPS_LIMIT 2000

enum {
    COLUMN_STEP,
    COLUMN_TOTAL_CALLS,
    COLUMN_COMPLETED_CALLS,
    COLUMN_FAILED_CALLS,
    COLUMN_AVG_DURATION_SEC,
    COLUMN_AVG_EOU_LATENCY,
    COLUMN_TOTAL_COST,
};

void check_get_metrics_time_series(const void *request_, struct violations *violations)
{
    const Dialplane__V1__GetMetricsTimeSeriesRequest *request = request_;
    period_check(request->start_date, request->end_date, violations);
}

static void on_counted(void *context, const struct pg_outcome *outcome);

void get_metrics_time_series(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__GetMetricsTimeSeriesRequest *request = (void *)request_;
    struct analytics_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    if (!rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    bool by_hour = request->step == DIALPLANE__V1__TIME_SERIES_STEP__TIME_SERIES_STEP_HOUR;
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
    pg_param_text(&params, by_hour ? "hour" : "day");
    pg_param_text(&params, request->timezone);
    pg_param_int64(&params, STEPS_LIMIT);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_metrics_time_series, &params, on_counted,
            call);
}

static Dialplane__V1__MetricsPoint *point_from_row(struct arena *arena,
                                                   const struct pg_result *rows, int row)
{
    Dialplane__V1__MetricsPoint *point = ARENA_NEW(arena, Dialplane__V1__MetricsPoint);
    if (!point)
        return NULL;
    *point = (Dialplane__V1__MetricsPoint)DIALPLANE__V1__METRICS_POINT__INIT;
    point->start = timestamp_from_column(arena, rows, row, COLUMN_STEP);
    point->total_calls = pg_int64(rows, row, COLUMN_TOTAL_CALLS);
    point->completed_calls = pg_int64(rows, row, COLUMN_COMPLETED_CALLS);
    point->failed_calls = pg_int64(rows, row, COLUMN_FAILED_CALLS);
    if (!pg_is_null(rows, row, COLUMN_AVG_DURATION_SEC)) {
        point->_avg_duration_sec_case =
            DIALPLANE__V1__METRICS_POINT___AVG_DURATION_SEC_AVG_DURATION_SEC;
        point->avg_duration_sec = pg_double(rows, row, COLUMN_AVG_DURATION_SEC);
    }
    if (!pg_is_null(rows, row, COLUMN_AVG_EOU_LATENCY)) {
        point->_avg_eou_latency_case =
            DIALPLANE__V1__METRICS_POINT___AVG_EOU_LATENCY_AVG_EOU_LATENCY;
        point->avg_eou_latency = pg_double(rows, row, COLUMN_AVG_EOU_LATENCY);
    }
    if (!pg_is_null(rows, row, COLUMN_TOTAL_COST)) {
        point->_total_cost_case = DIALPLANE__V1__METRICS_POINT___TOTAL_COST_TOTAL_COST;
        point->total_cost = pg_int64(rows, row, COLUMN_TOTAL_COST);
    }
    return point;
}

static void on_counted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    const Dialplane__V1__GetMetricsTimeSeriesRequest *request = rpc_call_state(call);
    struct arena *arena = rpc_call_arena(call);
    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_field(call, request->_start_date_case ? "start_date" : "end_date",
                   "the period would end before it begins");
        return;
    }
    if (pg_rows(rows) > STEPS_LIMIT) {
        fail_field(call, "step", "the period has more than %d steps: choose a shorter one or day",
                   STEPS_LIMIT);
        return;
    }
    Dialplane__V1__MetricsTimeSeries series = DIALPLANE__V1__METRICS_TIME_SERIES__INIT;
    series.step = request->step;
    series.timezone = request->timezone;
    series.points = ARENA_ARRAY(arena, Dialplane__V1__MetricsPoint *, (size_t)pg_rows(rows));
    for (int i = 0; series.points && i < pg_rows(rows); i++) {
        series.points[i] = point_from_row(arena, rows, i);
        if (!series.points[i])
            break;
        series.n_points++;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &series.base);
}
