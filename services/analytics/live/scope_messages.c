#include "live/scope_messages.h"

#include "dialplane/v1/analytics.pb-c.h"
#include "service/handler.h"

enum {
    COLUMN_AT,
    COLUMN_ACTIVE_CALLS,
    COLUMN_CALLS_PER_MINUTE,
    COLUMN_CALLS_TODAY,
    COLUMN_SPEND_TODAY,
    COLUMN_P50,
    COLUMN_P95,
    COLUMN_OUTCOME,
    COLUMN_CALLS,
};

static bool pack(const Dialplane__V1__WatchLiveResponse *response, struct buf *out)
{
    buf_reset(out);
    size_t size = protobuf_c_message_get_packed_size(&response->base);
    char *data = buf_reserve(out, size);
    if (!data)
        return false;
    out->length += protobuf_c_message_pack(&response->base, (uint8_t *)data);
    return true;
}

bool scope_message_init(enum scope_kind kind, const char *id, const char *company_id,
                        const char *name, struct buf *out)
{
    Dialplane__V1__LiveScope scope = DIALPLANE__V1__LIVE_SCOPE__INIT;
    Dialplane__V1__WatchLiveResponse response = DIALPLANE__V1__WATCH_LIVE_RESPONSE__INIT;
    scope.company_id = (char *)(uintptr_t)company_id;
    scope.name = (char *)(uintptr_t)name;
    scope.interval_ms = SCOPE_INTERVAL_MS;
    if (kind == SCOPE_CAMPAIGN) {
        scope._campaign_id_case = DIALPLANE__V1__LIVE_SCOPE___CAMPAIGN_ID_CAMPAIGN_ID;
        scope.campaign_id = (char *)(uintptr_t)id;
    } else if (kind == SCOPE_SKILLBASE) {
        scope._skillbase_id_case = DIALPLANE__V1__LIVE_SCOPE___SKILLBASE_ID_SKILLBASE_ID;
        scope.skillbase_id = (char *)(uintptr_t)id;
    }
    response.event_case = DIALPLANE__V1__WATCH_LIVE_RESPONSE__EVENT_INIT;
    response.init = &scope;
    return pack(&response, out);
}

static bool fill_outcomes(Dialplane__V1__LiveFigures *figures, const struct pg_result *rows,
                          struct arena *arena)
{
    typedef Dialplane__V1__LiveFigures__OutcomesTodayEntry entry_type;
    size_t count = pg_is_null(rows, 0, COLUMN_OUTCOME) ? 0 : (size_t)pg_rows(rows);
    entry_type *entries = ARENA_ARRAY(arena, entry_type, count);
    figures->outcomes_today = ARENA_ARRAY(arena, entry_type *, count);
    if (count && (!entries || !figures->outcomes_today))
        return false;
    for (size_t i = 0; i < count; i++) {
        entries[i] = (entry_type)DIALPLANE__V1__LIVE_FIGURES__OUTCOMES_TODAY_ENTRY__INIT;
        entries[i].key = pg_text(rows, (int)i, COLUMN_OUTCOME, arena);
        entries[i].value = pg_int64(rows, (int)i, COLUMN_CALLS);
        figures->outcomes_today[figures->n_outcomes_today++] = &entries[i];
    }
    return !arena_is_exhausted(arena);
}

bool scope_message_figures(const struct pg_result *rows, uint64_t seq, struct arena *arena,
                           struct buf *out)
{
    Dialplane__V1__LiveFigures figures = DIALPLANE__V1__LIVE_FIGURES__INIT;
    Dialplane__V1__WatchLiveResponse response = DIALPLANE__V1__WATCH_LIVE_RESPONSE__INIT;
    figures.at = timestamp_from_column(arena, rows, 0, COLUMN_AT);
    figures.active_calls = pg_int64(rows, 0, COLUMN_ACTIVE_CALLS);
    figures.calls_per_minute = pg_int64(rows, 0, COLUMN_CALLS_PER_MINUTE);
    figures.calls_today = pg_int64(rows, 0, COLUMN_CALLS_TODAY);
    figures.spend_today = pg_int64(rows, 0, COLUMN_SPEND_TODAY);
    if (!pg_is_null(rows, 0, COLUMN_P50)) {
        figures._p50_eou_latency_case =
            DIALPLANE__V1__LIVE_FIGURES___P50_EOU_LATENCY_P50_EOU_LATENCY;
        figures.p50_eou_latency = pg_double(rows, 0, COLUMN_P50);
    }
    if (!pg_is_null(rows, 0, COLUMN_P95)) {
        figures._p95_eou_latency_case =
            DIALPLANE__V1__LIVE_FIGURES___P95_EOU_LATENCY_P95_EOU_LATENCY;
        figures.p95_eou_latency = pg_double(rows, 0, COLUMN_P95);
    }
    if (!fill_outcomes(&figures, rows, arena) || !figures.at)
        return false;
    response.seq = seq;
    response.event_case = DIALPLANE__V1__WATCH_LIVE_RESPONSE__EVENT_FIGURES;
    response.figures = &figures;
    return pack(&response, out);
}
