/* submit → at the end of the loop's turn as many groups as may be under way → one statement each →
 * every report hears its own verdict. When a group fails because of what is in it, its reports are
 * tried one by one; when the database is away, all that waits is told so at once. */
#include "ingest.h"

#include "report_internal.h"
#include "rows.h"

#include "analytics_sql.h"
#include "event_vault.h"

#include "base/time.h"
#include "service/handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One transaction: enough to share its cost, little enough that nobody waits long for the others.
 */
#define GROUP_REPORTS 256
#define GROUP_EVENTS 4000
#define GROUP_BYTES (4 * 1024 * 1024)
#define GROUP_ARENA_BYTES (64 * 1024 * 1024)
#define GROUP_TRIES 4
#define SEEN_SLOTS 1024 /* a power of two, and more than twice GROUP_REPORTS */

struct group {
    struct ingest *ingest;
    struct arena *arena;
    size_t count, events;
    int64_t bytes;
    unsigned tries;
    struct report *reports[GROUP_REPORTS];
};

struct ingest {
    struct analytics_service *service;
    struct report *first, *last;
    unsigned groups_under_way, most_groups;
    bool is_scheduled, is_stopping;
    struct ingest_stats stats;
};

static void pump(void *context);
static void on_written(void *context, const struct pg_outcome *outcome);

struct ingest *ingest_new(struct analytics_service *service, unsigned most_groups)
{
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (!ingest)
        return NULL;
    ingest->service = service;
    ingest->most_groups = most_groups;
    return ingest;
}

static void release(struct ingest *ingest)
{
    if (ingest->is_stopping && !ingest->is_scheduled && ingest->groups_under_way == 0)
        free(ingest);
}

/* Ends everything that waits; a callback may submit more, which is not touched. */
static void fail_waiting(struct ingest *ingest, const struct pg_outcome *outcome)
{
    struct report *waiting = ingest->first;
    ingest->first = ingest->last = NULL;
    ingest->stats.waiting = 0;
    while (waiting) {
        struct report *report = waiting;
        waiting = report->next;
        report_on_failed(report, outcome);
    }
}

void ingest_free(struct ingest *ingest)
{
    if (!ingest)
        return;
    struct pg_outcome outcome = {0};
    err_set(&outcome.err, ERR_CANCELLED, NULL, "the service is stopping");
    ingest->is_stopping = true;
    ingest->groups_under_way++; /* keeps it until the end of this function */
    fail_waiting(ingest, &outcome);
    ingest->groups_under_way--;
    release(ingest);
}

void ingest_stats(const struct ingest *ingest, struct ingest_stats *ret_stats)
{
    *ret_stats = ingest->stats;
}

static void schedule(struct ingest *ingest)
{
    if (ingest->is_scheduled)
        return;
    ingest->is_scheduled = true;
    loop_defer(ingest->service->loop, pump, ingest);
}

static void append(struct ingest *ingest, struct report *report)
{
    report->next = NULL;
    if (ingest->last)
        ingest->last->next = report;
    else
        ingest->first = report;
    ingest->last = report;
    ingest->stats.waiting++;
}

void ingest_submit(struct ingest *ingest, struct report *report)
{
    report->bytes = (int64_t)report->packed_metrics.length;
    for (size_t i = report->skipped; i < report->request->n_events; i++)
        report->bytes += (int64_t)report->events[i].length;
    append(ingest, report);
    schedule(ingest);
}

/* ---- Forming a group ---- */

/* The calls of a group, by open addressing: true when it was not there. */
static bool note_call(const struct uuid *seen[SEEN_SLOTS], const struct uuid *call_id)
{
    size_t slot;
    memcpy(&slot, call_id->bytes + 8, sizeof(slot)); /* the random half of a UUIDv7 */
    for (slot = (slot ^ (slot >> 32)) & (SEEN_SLOTS - 1); seen[slot];
         slot = (slot + 1) & (SEEN_SLOTS - 1))
        if (!memcmp(seen[slot], call_id, sizeof(*call_id)))
            return false;
    seen[slot] = call_id;
    return true;
}

/* Nobody waits for it any more. */
static bool is_over(const struct ingest *ingest, const struct report *report, struct err *err)
{
    const struct pg_owner *owner = rpc_call_owner(report->call);
    const struct clock *clock = loop_clock(ingest->service->loop);
    if (owner->is_dead && owner->is_dead(owner->owner))
        err_set(err, ERR_CANCELLED, NULL, "the request was cancelled");
    else if (owner->deadline_us && owner->deadline_us <= clock->monotonic_us(clock))
        err_set(err, ERR_DEADLINE_EXCEEDED, NULL,
                "the deadline passed before the report was stored");
    else
        return false;
    return true;
}

static bool fits(const struct group *group, const struct report *report)
{
    size_t events = report->request->n_events - report->skipped;
    return group->count == 0 ||
           (!report->is_alone && !group->reports[0]->is_alone && group->count < GROUP_REPORTS &&
            group->events + events <= GROUP_EVENTS && group->bytes + report->bytes <= GROUP_BYTES);
}

/* Row-level security confines a statement to one company, or to none. */
static bool may_share(const struct group *group, const struct report *report)
{
    return group->count == 0 ||
           pg_may_share(rpc_call_owner(group->reports[0]->call), rpc_call_owner(report->call));
}

/* Takes from the queue what belongs together, in order; what does not stays. */
static void fill(struct ingest *ingest, struct group *group)
{
    const struct uuid *seen[SEEN_SLOTS] = {NULL};
    struct report *report = ingest->first, *over = NULL;
    ingest->first = ingest->last = NULL;
    ingest->stats.waiting = 0;
    bool is_full = false;
    while (report) {
        struct report *next = report->next;
        struct err err = {0};
        if (!is_full && is_over(ingest, report, &err)) {
            report->next = over;
            over = report;
        } else if (!is_full && !may_share(group, report)) {
            append(ingest, report);
        } else if (!is_full && fits(group, report) && note_call(seen, &report->call_id)) {
            group->reports[group->count++] = report;
            group->events += report->request->n_events - report->skipped;
            group->bytes += report->bytes;
        } else if (is_full || !fits(group, report)) {
            /* Later ones would fit, perhaps, but order is kept and the rest is taken as it is. */
            is_full = true;
            ingest->stats.waiting++;
            if (ingest->last)
                ingest->last->next = report;
            else
                ingest->first = report;
            ingest->last = report;
            for (; ingest->last->next; ingest->last = ingest->last->next)
                ingest->stats.waiting++;
            break;
        } else {
            append(ingest, report);
        }
        report = next;
    }
    while (over) {
        struct pg_outcome outcome = {0};
        struct report *dead = over;
        over = over->next;
        is_over(ingest, dead, &outcome.err);
        report_on_failed(dead, &outcome);
    }
}

/* ---- The statement's parameters ---- */

/* Arrays of a group, one element a report or an event. */
struct columns {
    struct group *group;
    struct pg_params params;
};

static const char **texts(struct columns *columns)
{
    const char **items = ARENA_ARRAY(columns->group->arena, const char *, columns->group->count);
    columns->params.failed |= !items;
    return items;
}

#define FOR_EACH_REPORT(columns, i, report)                                                        \
    for (size_t i = 0; i < (columns)->group->count; i++)                                           \
        for (struct report *report = (columns)->group->reports[i]; report; report = NULL)

static void param_texts(struct columns *columns, const char **items)
{
    if (items)
        pg_param_text_array(&columns->params, items, columns->group->count);
}

static const char *time_text(struct columns *columns, int64_t us)
{
    char text[TIME_TEXT_SIZE];
    time_format_rfc3339(us, text);
    return arena_strdup(columns->group->arena, text);
}

static void param_batches(struct columns *columns)
{
    size_t count = columns->group->count;
    struct arena *arena = columns->group->arena;
    const char **scopes = texts(columns), **calls = texts(columns);
    int64_t *first_seqs = ARENA_ARRAY(arena, int64_t, count);
    int64_t *counts = ARENA_ARRAY(arena, int64_t, count);
    if (!scopes || !calls || !first_seqs || !counts) {
        columns->params.failed = true;
        return;
    }
    FOR_EACH_REPORT(columns, i, report)
    {
        scopes[i] = service_scope(report->call);
        calls[i] = report->request->call_id;
        first_seqs[i] = (int64_t)report->request->events[report->skipped]->seq;
        counts[i] = (int64_t)(report->request->n_events - report->skipped);
    }
    param_texts(columns, scopes);
    param_texts(columns, calls);
    pg_param_int64_array(&columns->params, first_seqs, count);
    pg_param_int64_array(&columns->params, counts, count);
}

static void param_starts(struct columns *columns)
{
    const char **companies = texts(columns), **skillbases = texts(columns);
    const char **versions = texts(columns), **campaigns = texts(columns), **tasks = texts(columns);
    const char **phones = texts(columns), **started_at = texts(columns);
    if (columns->params.failed)
        return;
    FOR_EACH_REPORT(columns, i, report)
    {
        const Dialplane__V1__CallEvent *first = report->request->events[report->skipped];
        if (first->event_case != DIALPLANE__V1__CALL_EVENT__EVENT_STARTED)
            continue;
        const Dialplane__V1__CallStarted *started = first->started;
        companies[i] = started->company_id;
        skillbases[i] = started->_skillbase_id_case ? started->skillbase_id : NULL;
        versions[i] =
            started->_skillbase_version_case
                ? arena_printf(columns->group->arena, "%" PRId32, started->skillbase_version)
                : NULL;
        campaigns[i] = started->_campaign_id_case ? started->campaign_id : NULL;
        tasks[i] = started->_task_id_case ? started->task_id : NULL;
        phones[i] = started->_phone_number_case ? started->phone_number : NULL;
        started_at[i] = time_text(columns, timestamp_to_us(first->occurred_at));
    }
    param_texts(columns, companies);
    param_texts(columns, skillbases);
    param_texts(columns, versions);
    param_texts(columns, campaigns);
    param_texts(columns, tasks);
    param_texts(columns, phones);
    param_texts(columns, started_at);
}

/* What the batch does to its call: the newest time, turns, the last status and outcome said. */
static void param_effects(struct columns *columns)
{
    struct arena *arena = columns->group->arena;
    const char **times = texts(columns), **statuses = texts(columns), **outcomes = texts(columns);
    const char **ended = texts(columns);
    int64_t *turns = ARENA_ARRAY(arena, int64_t, columns->group->count);
    columns->params.failed |= !turns;
    if (columns->params.failed)
        return;
    FOR_EACH_REPORT(columns, i, report)
    {
        int64_t latest = INT64_MIN, last_status = 0;
        for (size_t j = report->skipped; j < report->request->n_events; j++) {
            const Dialplane__V1__CallEvent *event = report->request->events[j];
            int64_t at = timestamp_to_us(event->occurred_at), status;
            const char *outcome;
            latest = at > latest ? at : latest;
            turns[i] += event->event_case == DIALPLANE__V1__CALL_EVENT__EVENT_TURN;
            report_status_of(event, &status, &outcome);
            last_status = status ? status : last_status;
            outcomes[i] = outcome ? outcome : outcomes[i];
        }
        times[i] = time_text(columns, latest);
        statuses[i] = last_status ? arena_printf(arena, "%" PRId64, last_status) : NULL;
        ended[i] = report_ends_call(report)
                       ? time_text(columns, timestamp_to_us(report_last_event(report)->occurred_at))
                       : NULL;
    }
    param_texts(columns, times);
    pg_param_int64_array(&columns->params, turns, columns->group->count);
    param_texts(columns, statuses);
    param_texts(columns, outcomes);
    param_texts(columns, ended);
}

enum { USAGE_STT, USAGE_INPUT, USAGE_OUTPUT, USAGE_CHARACTERS, USAGE_LIVEKIT, USAGE_COLUMNS };

/* Where bytes are counts from 1, as SQL does. */
static void param_figures(struct columns *columns, int64_t *figures_at, int64_t *figures_bytes)
{
    struct arena *arena = columns->group->arena;
    size_t count = columns->group->count;
    const char **expected = texts(columns), **eou = texts(columns),
               **interruptions = texts(columns);
    int64_t *usage[USAGE_COLUMNS];
    for (size_t k = 0; k < USAGE_COLUMNS; k++) {
        usage[k] = ARENA_ARRAY(arena, int64_t, count);
        columns->params.failed |= !usage[k];
    }
    if (columns->params.failed)
        return;
    FOR_EACH_REPORT(columns, i, report)
    {
        if (!report_ends_call(report))
            continue;
        const Dialplane__V1__CallMetrics *metrics = &report->metrics;
        expected[i] = arena_printf(arena, "%" PRId64, report->expected_seq);
        eou[i] = metrics->_avg_eou_latency_case
                     ? arena_printf(arena, "%.17g", metrics->avg_eou_latency)
                     : NULL;
        interruptions[i] = arena_printf(arena, "%.17g", metrics->interruption_rate);
        usage[USAGE_STT][i] = metrics->stt_duration_sec;
        usage[USAGE_INPUT][i] = metrics->llm_input_tokens;
        usage[USAGE_OUTPUT][i] = metrics->llm_output_tokens;
        usage[USAGE_CHARACTERS][i] = metrics->tts_characters;
        usage[USAGE_LIVEKIT][i] = metrics->livekit_duration_sec;
    }
    param_texts(columns, expected);
    param_texts(columns, eou);
    param_texts(columns, interruptions);
    for (size_t k = 0; k < USAGE_COLUMNS; k++)
        pg_param_int64_array(&columns->params, usage[k], count);
    pg_param_int64_array(&columns->params, figures_at, count);
    pg_param_int64_array(&columns->params, figures_bytes, count);
}

/* Per event: batch, seq, kind, and where its bytes are. */
struct event_columns {
    int64_t *batches, *seqs, *kinds, *at, *bytes;
    size_t count;
};

static bool event_columns_init(struct event_columns *events, struct arena *arena, size_t count)
{
    int64_t **all[] = {&events->batches, &events->seqs, &events->kinds, &events->at,
                       &events->bytes};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (!(*all[i] = ARENA_ARRAY(arena, int64_t, count)))
            return false;
    events->count = 0;
    return true;
}

/* An event as it is stored; in `sealed`, or as it is. NULL data: memory is short. */
static struct str stored_event(const struct report *report, size_t j, struct buf *sealed)
{
    const struct vault *vault = report->service->vault;
    struct vault_place place;
    if (report->stored && report->stored[j].data)
        return report->stored[j];
    if (!vault_seals(vault))
        return report->events[j];
    buf_reset(sealed);
    event_place(&place, &report->call_id, (int64_t)report->request->events[j]->seq);
    if (!vault_seal(vault, &place, report->events[j], sealed))
        return (struct str){NULL, 0};
    return buf_str(sealed);
}

static struct str put_all(struct columns *columns, struct event_columns *events,
                          int64_t *figures_at, int64_t *figures_bytes, struct buf *sealed)
{
    size_t most = (size_t)columns->group->bytes + columns->group->events * VAULT_OVERHEAD_MAX;
    char *bytes = arena_alloc(columns->group->arena, most);
    size_t length = 0;
    if (!bytes)
        return (struct str){NULL, 0};
    FOR_EACH_REPORT(columns, i, report)
    {
        for (size_t j = report->skipped; j < report->request->n_events; j++) {
            struct str event = stored_event(report, j, sealed);
            size_t k = events->count++;
            if (!event.data)
                return event;
            events->batches[k] = (int64_t)i + 1;
            events->seqs[k] = (int64_t)report->request->events[j]->seq;
            events->kinds[k] = report->request->events[j]->event_case;
            events->at[k] = (int64_t)length + 1;
            events->bytes[k] = (int64_t)event.length;
            memcpy(bytes + length, event.data, event.length);
            length += event.length;
        }
        figures_at[i] = (int64_t)length + 1;
        figures_bytes[i] = (int64_t)report->packed_metrics.length;
        if (report->packed_metrics.length)
            memcpy(bytes + length, report->packed_metrics.data, report->packed_metrics.length);
        length += report->packed_metrics.length;
    }
    return (struct str){bytes, length};
}

static struct str put_bytes(struct columns *columns, struct event_columns *events,
                            int64_t *figures_at, int64_t *figures_bytes)
{
    struct buf sealed;
    buf_init(&sealed, 0);
    struct str bytes = put_all(columns, events, figures_at, figures_bytes, &sealed);
    buf_done(&sealed);
    return bytes;
}

static void write_group(struct group *group)
{
    struct ingest *ingest = group->ingest;
    arena_free(group->arena);
    group->arena = arena_new(GROUP_ARENA_BYTES);
    struct columns columns = {.group = group, .params = {.arena = group->arena}};
    struct event_columns events;
    int64_t *figures_at = NULL, *figures_bytes = NULL;
    struct str bytes = {NULL, 0};
    if (group->arena && event_columns_init(&events, group->arena, group->events)) {
        figures_at = ARENA_ARRAY(group->arena, int64_t, group->count);
        figures_bytes = ARENA_ARRAY(group->arena, int64_t, group->count);
        if (figures_at && figures_bytes)
            bytes = put_bytes(&columns, &events, figures_at, figures_bytes);
    }
    if (!bytes.data) {
        struct pg_outcome outcome = {0};
        err_set(&outcome.err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        on_written(group, &outcome);
        return;
    }
    param_batches(&columns);
    param_starts(&columns);
    param_effects(&columns);
    param_figures(&columns, figures_at, figures_bytes);
    prices_param(&columns.params, &ingest->service->prices);
    pg_param_int64_array(&columns.params, events.batches, events.count);
    pg_param_int64_array(&columns.params, events.seqs, events.count);
    pg_param_int64_array(&columns.params, events.kinds, events.count);
    pg_param_int64_array(&columns.params, events.at, events.count);
    pg_param_int64_array(&columns.params, events.bytes, events.count);
    pg_param_bytes(&columns.params, bytes);
    pg_param_int64(&columns.params, ingest->service->outcome_words);
    /* No deadline: the group is not one caller's. */
    struct pg_owner owner = {
        .identity = pg_shared_identity(rpc_call_owner(group->reports[0]->call)),
    };
    for (size_t i = 0; i < group->count && !owner.trace.tracer; i++) /* a span has one parent */
        owner.trace = rpc_call_owner(group->reports[i]->call)->trace;
    pg_write(ingest->service->pool, &owner, &sql_report_call_batches, &columns.params, on_written,
             group);
}

/* ---- Groups under way ---- */

static void pump(void *context)
{
    struct ingest *ingest = context;
    ingest->is_scheduled = false;
    while (!ingest->is_stopping && ingest->first &&
           ingest->groups_under_way < ingest->most_groups) {
        struct group *group = calloc(1, sizeof(*group));
        if (!group) {
            struct pg_outcome outcome = {0};
            err_set(&outcome.err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
            fail_waiting(ingest, &outcome);
            break;
        }
        group->ingest = ingest;
        fill(ingest, group);
        if (group->count == 0) {
            free(group);
            continue;
        }
        ingest->groups_under_way++;
        ingest->stats.groups++;
        ingest->stats.reports += group->count;
        write_group(group);
    }
    release(ingest);
}

static void finish_group(struct group *group)
{
    struct ingest *ingest = group->ingest;
    arena_free(group->arena);
    free(group);
    ingest->groups_under_way--;
    if (ingest->first && !ingest->is_stopping)
        schedule(ingest);
    release(ingest);
}

/* True when the failure may be that of a single report. */
static bool is_about_content(const struct pg_outcome *outcome)
{
    return outcome->err.code == ERR_INVALID_ARGUMENT || outcome->err.code == ERR_INTERNAL ||
           outcome->err.code == ERR_FAILED_PRECONDITION || outcome->err.code == ERR_OUT_OF_RANGE ||
           outcome->sqlstate[0];
}

static void on_failed(struct group *group, const struct pg_outcome *outcome)
{
    struct ingest *ingest = group->ingest;
    if (outcome->err.code == ERR_ABORTED && ++group->tries < GROUP_TRIES && !ingest->is_stopping) {
        write_group(group);
        return;
    }
    bool apart = group->count > 1 && is_about_content(outcome) && !ingest->is_stopping;
    for (size_t i = 0; i < group->count; i++) {
        struct report *report = group->reports[i];
        if (apart) {
            report->is_alone = true;
            append(ingest, report);
        } else {
            report_on_failed(report, outcome);
        }
    }
    /* They would wait as long in vain, one group after the other. */
    if (outcome->err.code == ERR_UNAVAILABLE)
        fail_waiting(ingest, outcome);
    finish_group(group);
}

static void on_written(void *context, const struct pg_outcome *outcome)
{
    struct group *group = context;
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        on_failed(group, outcome);
        return;
    }
    for (size_t i = 0; i < group->count; i++) {
        const struct ingest_verdict verdict = {
            .result = pg_str(rows, (int)i, 0),
            .accepted = pg_int64(rows, (int)i, 1),
            .duplicates = pg_int64(rows, (int)i, 2),
            .last_seq = pg_int64(rows, (int)i, 3),
        };
        report_on_verdict(group->reports[i], &verdict);
    }
    finish_group(group);
}
