/* The way of a report: check its times, serialize its events → when it ends its call, compute the
 * figures (report_figures.c) → its group's transaction (ingest.c) stores all of it or nothing →
 * publish. The figures are computed from what the call's row said; should another report have moved
 * it on meanwhile, the statement says `changed` and they are computed again. Events at the front
 * that are stored already are left out and the rest comes again. */
#include "report.h"

#include "analytics_sql.h"
#include "event_vault.h"
#include "report_internal.h"

#include "live/live.h"

#include "base/arena.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIES 8
/* Agents' clocks may be wrong; a day is no longer a matter of clocks. */
#define FUTURE_LIMIT_US (24 * 3600 * TIME_US_PER_SECOND)

void report_end(struct report *report, const struct report_outcome *outcome, const struct err *err)
{
    struct arena *arena = report->arena;
    figures_done(&report->figures);
    report->on_stored(report->call, outcome, err);
    arena_free(arena); /* `report` lives in it */
}

void report_end_with(struct report *report, enum err_code code, const char *reason,
                     const char *message)
{
    struct err err = {0};
    err_set(&err, code, reason, "%s", message);
    report_end(report, NULL, &err);
}

void report_end_out_of_memory(struct report *report)
{
    report_end_with(report, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                    "the batch does not fit the memory of one report");
}

static void end_with_violation(struct report *report, const char *field, const char *message)
{
    struct violations violations;
    struct err err = {0};
    violations_init(&violations, report->arena, 1);
    violations_add(&violations, field, "%s", message);
    err_set_violations(&err, &violations);
    report_end(report, NULL, &err);
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

const Dialplane__V1__CallEvent *report_last_event(const struct report *report)
{
    return report->request->events[report->request->n_events - 1];
}

bool report_ends_call(const struct report *report)
{
    return report_last_event(report)->event_case == DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
}

/* What each event says of the call's status and outcome; NULL: nothing. */
void report_status_of(const Dialplane__V1__CallEvent *event, int64_t *ret_status,
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

/* ---- What became of it ---- */

void report_on_failed(struct report *report, const struct pg_outcome *outcome)
{
    if (!strcmp(outcome->constraint, "calls_company_id_fkey")) /* deleted this very moment */
        end_with_violation(report, "events[0].started.company_id", "there is no such company");
    else if (!strcmp(outcome->sqlstate, "22003"))
        report_end_with(report, ERR_OUT_OF_RANGE, "COST_OUT_OF_RANGE",
                        "the cost of the call is larger than can be stored");
    else if (!strcmp(outcome->sqlstate, "23514") && !outcome->constraint[0])
        /* Made ahead by upkeep, which has just been started or cannot lock the table. */
        report_end_with(report, ERR_UNAVAILABLE, "PARTITION_MISSING",
                        "there is no partition for the month of the call yet: try again");
    else
        report_end(report, NULL, &outcome->err);
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
    report_end(report, NULL, &err);
}

/* True when the verdict names a field that is wrong; then the report has ended. */
static bool end_wrong_start(struct report *report, struct str result)
{
    static const struct {
        const char *result, *field, *message;
    } wrong[] = {
        {"no_company", "events[0].started.company_id", "there is no such company"},
        {"no_skillbase", "events[0].started.skillbase_id",
         "there is no such skillbase in the company"},
        {"no_campaign", "events[0].started.campaign_id",
         "there is no such campaign in the company"},
        {"too_old", "events[0].occurred_at",
         "must not be before the calls that are kept: those of that month have been dropped"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        if (!str_equal_cstr(result, wrong[i].result))
            continue;
        end_with_violation(report, wrong[i].field, wrong[i].message);
        return true;
    }
    return false;
}

static void publish(struct report *report, int64_t accepted)
{
    size_t count = report->request->n_events;
    size_t from = count - (size_t)accepted;
    for (size_t i = from; i < count; i++)
        live_publish(report->service->live, report->request->call_id, report->request->events[i],
                     report->events[i]);
}

/* ---- The same events, stored otherwise ---- */

static void on_stored_events(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_SEQ, COLUMN_KIND, COLUMN_EVENT };
    struct report *report = context;
    const struct pg_result *rows = outcome->result;
    int64_t first = (int64_t)report->request->events[0]->seq;
    struct err err = {0};
    if (!rows) {
        report_end(report, NULL, &outcome->err);
        return;
    }
    for (int i = 0; i < pg_rows(rows); i++) {
        struct str stored = pg_str(rows, i, COLUMN_EVENT);
        int64_t seq = pg_int64(rows, i, COLUMN_SEQ);
        struct str event =
            event_open(report->service->vault, &report->call_id, seq, stored, report->arena, &err);
        if (!event.data) {
            report_end(report, NULL, &err);
            return;
        }
        size_t j = (size_t)(seq - first);
        if (seq < first || j >= report->request->n_events)
            break;
        if (!str_equal(event, report->events[j]))
            continue; /* really another: the statement says so again */
        report->stored[j] =
            (struct str){arena_memdup(report->arena, stored.data, stored.length), stored.length};
        if (!report->stored[j].data) {
            report_end_out_of_memory(report);
            return;
        }
    }
    ingest_submit(report->service->ingest, report);
}

/* An event that is stored encrypted with another key than today's, or not encrypted yet, is not the
 * same bytes although it is the same event: what is there is read and sent for comparison. */
static void compare_opened(struct report *report)
{
    struct pg_params params = {.arena = report->arena};
    report->stored = ARENA_ARRAY(report->arena, struct str, report->request->n_events);
    if (!report->stored) {
        report_end_out_of_memory(report);
        return;
    }
    pg_param_text(&params, report->request->call_id);
    pg_param_int64(&params, (int64_t)report->request->events[0]->seq - 1);
    pg_param_int64(&params, (int64_t)report->request->n_events);
    pg_read(report->service->pool, rpc_call_owner(report->call), &sql_list_call_events, &params,
            on_stored_events, report);
}

void report_on_verdict(struct report *report, const struct ingest_verdict *verdict)
{
    struct str result = verdict->result;
    if (str_equal_cstr(result, "changed") && ++report->tries < TRIES) {
        report_figures(report, true);
        return;
    }
    if (str_equal_cstr(result, "partial") && ++report->tries < TRIES) {
        report->skipped += (size_t)verdict->duplicates;
        ingest_submit(report->service->ingest, report);
        return;
    }
    if (str_equal_cstr(result, "reused") && !report->stored) {
        compare_opened(report);
        return;
    }
    if (!str_equal_cstr(result, "stored")) {
        if (!end_wrong_start(report, result))
            end_refused(report, result, verdict->last_seq);
        return;
    }
    struct analytics_service *service = report->service;
    const struct report_outcome stored = {
        .accepted = verdict->accepted,
        .duplicates = verdict->duplicates + (int64_t)report->skipped,
        .last_seq = (uint64_t)verdict->last_seq,
    };
    service->events_accepted += (uint64_t)stored.accepted;
    service->events_repeated += (uint64_t)stored.duplicates;
    service->calls_finished += stored.accepted > 0 && report_ends_call(report);
    publish(report, stored.accepted);
    report_end(report, &stored, NULL);
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
    report_end(report, NULL, &err);
    return false;
}

void report_store(struct rpc_call *call, const Dialplane__V1__ReportCallEventsRequest *request,
                  void (*on_stored)(struct rpc_call *call, const struct report_outcome *outcome,
                                    const struct err *err))
{
    struct arena *arena = arena_new(REPORT_ARENA_BYTES);
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
    if (!uuid_parse(str_from(request->call_id), &report->call_id))
        end_with_violation(report, "call_id", "must be a UUID");
    else if (!pack_events(report))
        report_end_out_of_memory(report);
    else if (report_ends_call(report))
        report_figures(report, request->events[0]->seq > 1);
    else
        ingest_submit(report->service->ingest, report);
}
