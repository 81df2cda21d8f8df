/* The call's row → its turns → the answer, into which figures and turns go as the bytes they are
 * stored as. */
#include "analytics.h"
#include "analytics_sql.h"
#include "event_vault.h"
#include "handlers/handlers.h"
#include "rows.h"

#include "base/buf.h"
#include "base/wire.h"

#define TURNS_LIMIT 2000
/* Turns of one answer, serialized: gRPC clients take 4 MB by default. */
#define TURNS_BYTES_LIMIT 3000000

enum {
    COLUMN_ID,
    COLUMN_COMPANY_ID,
    COLUMN_SKILLBASE_ID,
    COLUMN_SKILLBASE_VERSION,
    COLUMN_CAMPAIGN_ID,
    COLUMN_TASK_ID,
    COLUMN_PHONE_NUMBER,
    COLUMN_OUTCOME,
    COLUMN_DURATION_MS,
    COLUMN_TURN_COUNT,
    COLUMN_STATUS,
    COLUMN_STARTED_AT,
    COLUMN_ENDED_AT,
    COLUMN_LAST_SEQ,
    COLUMN_FIGURES,
};

/* Fields of the answer that are attached as bytes. */
enum { DETAIL_METRICS = 15, DETAIL_TURNS = 16 };

static void on_loaded(void *context, const struct pg_outcome *outcome);
static void on_turns(void *context, const struct pg_outcome *outcome);

void get_call(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetCallRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_call, &params, on_loaded, call);
}

/* An optional member from its column. */
#define SET_FROM_COLUMN(detail, MEMBER, member, COLUMN, value)                                     \
    do {                                                                                           \
        if (!pg_is_null(row, 0, (COLUMN))) {                                                       \
            (detail)->_##member##_case = DIALPLANE__V1__CALL_DETAIL___##MEMBER##_##MEMBER;         \
            (detail)->member = (value);                                                            \
        }                                                                                          \
    } while (0)

static Dialplane__V1__CallDetail *detail_from_row(struct arena *arena, const struct pg_result *row,
                                                  struct err *err)
{
    Dialplane__V1__CallDetail *detail = ARENA_NEW(arena, Dialplane__V1__CallDetail);
    if (!detail) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "the answer is too large");
        return NULL;
    }
    *detail = (Dialplane__V1__CallDetail)DIALPLANE__V1__CALL_DETAIL__INIT;
    detail->id = pg_text(row, 0, COLUMN_ID, arena);
    detail->company_id = pg_text(row, 0, COLUMN_COMPANY_ID, arena);
    SET_FROM_COLUMN(detail, SKILLBASE_ID, skillbase_id, COLUMN_SKILLBASE_ID,
                    pg_text(row, 0, COLUMN_SKILLBASE_ID, arena));
    SET_FROM_COLUMN(detail, SKILLBASE_VERSION, skillbase_version, COLUMN_SKILLBASE_VERSION,
                    (int32_t)pg_int64(row, 0, COLUMN_SKILLBASE_VERSION));
    SET_FROM_COLUMN(detail, CAMPAIGN_ID, campaign_id, COLUMN_CAMPAIGN_ID,
                    pg_text(row, 0, COLUMN_CAMPAIGN_ID, arena));
    SET_FROM_COLUMN(detail, TASK_ID, task_id, COLUMN_TASK_ID,
                    pg_text(row, 0, COLUMN_TASK_ID, arena));
    SET_FROM_COLUMN(detail, PHONE_NUMBER, phone_number, COLUMN_PHONE_NUMBER,
                    pg_text(row, 0, COLUMN_PHONE_NUMBER, arena));
    SET_FROM_COLUMN(detail, OUTCOME, outcome, COLUMN_OUTCOME,
                    pg_text(row, 0, COLUMN_OUTCOME, arena));
    detail->duration_sec = pg_int64(row, 0, COLUMN_DURATION_MS);
    detail->turn_count = (int32_t)pg_int64(row, 0, COLUMN_TURN_COUNT);
    detail->status = (Dialplane__V1__CallStatus)pg_int64(row, 0, COLUMN_STATUS);
    detail->started_at = timestamp_from_column(arena, row, 0, COLUMN_STARTED_AT);
    detail->ended_at = timestamp_from_column(arena, row, 0, COLUMN_ENDED_AT);
    detail->last_seq = (uint64_t)pg_int64(row, 0, COLUMN_LAST_SEQ);
    if (pg_is_null(row, 0, COLUMN_FIGURES))
        return detail;
    struct str figures = figures_with_costs(arena, row, COLUMN_FIGURES);
    if (!figures.data) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "the answer is too large");
        return NULL;
    }
    if (!attach_wire(arena, &detail->base, DETAIL_METRICS, TURNS_LIMIT + 1, figures, err))
        return NULL;
    return detail;
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    struct analytics_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        fail_not_found(call, "call", rpc_call_state(call));
        return;
    }
    struct err err = {0};
    Dialplane__V1__CallDetail *detail = detail_from_row(arena, outcome->result, &err);
    if (!detail) {
        rpc_fail(call, &err);
        return;
    }
    rpc_call_set_state(call, detail);
    struct pg_params params = {.arena = arena};
    pg_param_text(&params, detail->id);
    pg_param_int64(&params, TURNS_LIMIT);
    pg_param_int64(&params, TURNS_BYTES_LIMIT);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_turns, &params, on_turns, call);
}

/* A stored CallEvent as a TurnRecord: seq (1) and occurred_at (2) as they are, the turn moves from
 * field 4 to 3. */
static void put_turn_record(struct buf *out, struct str event)
{
    struct wire_reader reader;
    wire_reader_init(&reader, event);
    while (wire_reader_next(&reader)) {
        if (reader.number == 1) {
            wire_put_tag(out, 1, 0);
            wire_put_varint(out, reader.integer);
        } else if (reader.number == 2) {
            wire_put_bytes(out, 2, reader.bytes);
        } else if (reader.number == EVENT_TURN) {
            wire_put_bytes(out, 3, reader.bytes);
        }
    }
}

static void on_turns(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    Dialplane__V1__CallDetail *detail = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    const struct analytics_service *service = rpc_call_context(call);
    struct err err = {0};
    struct uuid id;
    struct buf record;
    bool attached = uuid_parse(str_from(detail->id), &id);
    buf_init(&record, 0);
    for (int i = 0; attached && i < pg_rows(rows); i++) {
        buf_reset(&record);
        struct str event = event_open(service->vault, &id, pg_int64(rows, i, 0), pg_str(rows, i, 1),
                                      rpc_call_arena(call), &err);
        if (event.data)
            put_turn_record(&record, event);
        attached = event.data && !record.failed &&
                   attach_wire(rpc_call_arena(call), &detail->base, DETAIL_TURNS, TURNS_LIMIT + 1,
                               buf_str(&record), &err);
    }
    buf_done(&record);
    if (!attached) {
        if (err_is_set(&err))
            rpc_fail(call, &err);
        else
            fail_memory(call);
        return;
    }
    /* Turns may have come in since the row was read: then nothing is missing. */
    detail->turns_truncated = pg_rows(rows) < detail->turn_count;
    rpc_reply(call, &detail->base);
}
