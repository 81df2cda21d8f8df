/* How a watched call comes and goes: the first watcher makes it; its row and all its events are
 * read from the table (loading); from then on publications extend it, and a slow poll finds what
 * was reported to another instance. A publication that does not fit on the end starts a load, too.
 * With its last watcher it goes. */
#include "live/internal.h"

#include "analytics_sql.h"
#include "base/uuid.h"
#include "bus/bus.h"
#include "event_vault.h"
#include "service/handler.h"

#include <stdlib.h>
#include <string.h>

#define LOAD_EVENTS 500 /* read at once while a call is loaded */
/* While the bus is up every so many polls is made: for a message that was lost without a trace. */
#define POLLS_PASSED 5

static void on_bus_message(void *context, struct str key, struct str message);
static void on_bus_gap(void *context, unsigned shard);
static const struct bus_handler bus_handler = {.on_message = on_bus_message, .on_gap = on_bus_gap};

struct live *live_new(struct loop *loop, struct pg_pool *pool, const struct prices *prices,
                      const struct live_options *options, struct err *err)
{
    struct live *live = calloc(1, sizeof(*live));
    if (!live) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    live->bus = bus_new(loop, options->bus_url, &bus_handler, live, err);
    if (!live->bus) {
        free(live);
        return NULL;
    }
    live->loop = loop;
    live->pool = pool;
    live->prices = prices;
    live->options = *options;
    buf_init(&live->message, 0);
    return live;
}

void live_stats(const struct live *live, struct live_stats *ret_stats)
{
    *ret_stats = live->stats;
}

const struct bus *live_bus(const struct live *live)
{
    return live->bus;
}

/* ---- Entries ---- */

static size_t bucket_of(const char *call_id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *call_id; call_id++)
        hash = (hash ^ (unsigned char)*call_id) * 16777619u;
    return hash % BUCKETS;
}

static struct entry *find_entry(struct live *live, const char *call_id)
{
    for (struct entry *entry = live->buckets[bucket_of(call_id)]; entry; entry = entry->next)
        if (!strcmp(entry->watched.call_id, call_id))
            return entry;
    return NULL;
}

const char *const live_outcomes[LIVE_OUTCOMES] = {"success", "fail",    "voicemail", "no_answer",
                                                  "busy",    "unknown", "other"};

static void count_end(struct live_stats *stats, const Dialplane__V1__CallEvent *event)
{
    size_t i = 0;
    if (event->event_case != DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED)
        return;
    const char *outcome = event->finished->_outcome_case ? event->finished->outcome : "unknown";
    while (i < LIVE_OUTCOMES - 1 && strcmp(outcome, live_outcomes[i]) != 0)
        i++;
    stats->ended[i]++;
}

static void start_load(struct entry *entry);

static void on_poll(void *context)
{
    struct entry *entry = context;
    if (bus_is_up(entry->live->bus) && ++entry->polls_passed < POLLS_PASSED)
        return;
    entry->polls_passed = 0;
    entry->live->stats.polls++;
    if (!watched_has_ended(&entry->watched))
        start_load(entry);
}

static struct entry *new_entry(struct live *live, const char *call_id)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->live = live;
    entry->watched.ended_us = -1;
    entry->watched.livekit_ms = -1;
    entry->watched.call_id = strdup(call_id);
    if (!entry->watched.call_id) {
        free(entry);
        return NULL;
    }
    struct entry **bucket = &live->buckets[bucket_of(call_id)];
    entry->next = *bucket;
    entry->link = bucket;
    if (entry->next)
        entry->next->link = &entry->next;
    *bucket = entry;
    entry->poll = loop_timer_repeat(live->loop, live->options.poll_us, on_poll, entry);
    live->stats.watched_calls++;
    bus_listen(live->bus, str_from(call_id));
    return entry;
}

static void release_live(struct live *live)
{
    if (!live->is_stopping || live->stats.watched_calls > 0)
        return;
    buf_done(&live->message);
    free(live);
}

void release_entry(struct entry *entry)
{
    struct live *live = entry->live;
    if (entry->watchers || entry->references > 0)
        return;
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    loop_timer_cancel(entry->poll);
    arena_free(entry->load_arena);
    if (live->bus)
        bus_unlisten(live->bus, str_from(entry->watched.call_id));
    watched_done(&entry->watched);
    live->stats.watched_calls--;
    free(entry);
    release_live(live);
}

/* ---- Its watchers ---- */

/* Every watcher of a call; the call may be gone afterwards. */
static void pump_all(struct entry *entry)
{
    entry->references++;
    for (struct watcher *watcher = entry->watchers, *next; watcher; watcher = next) {
        next = watcher->next;
        watcher_pump(watcher);
    }
    entry->references--;
    release_entry(entry);
}

static void fail_all(struct entry *entry, const struct err *err)
{
    entry->references++;
    while (entry->watchers)
        watcher_fail(entry->watchers, err);
    entry->references--;
    release_entry(entry);
}

/* ---- Loading: the row, then the events after the newest one that is known ---- */

enum {
    COLUMN_COMPANY_ID = 1,
    COLUMN_SKILLBASE_ID,
    COLUMN_SKILLBASE_VERSION,
    COLUMN_CAMPAIGN_ID,
    COLUMN_PHONE_NUMBER = 6,
    COLUMN_STATUS = 10,
    COLUMN_STARTED_AT,
    COLUMN_PRICES = 20, /* five of them; NULL: the company has no list of its own */
};

static void on_row(void *context, const struct pg_outcome *outcome);
static void load_events(struct entry *entry);
static void on_events(void *context, const struct pg_outcome *outcome);

static void start_load(struct entry *entry)
{
    if (entry->is_loading) {
        entry->loads_again = true;
        return;
    }
    arena_free(entry->load_arena);
    entry->load_arena = arena_new(CHUNK_ARENA_BYTES);
    if (!entry->load_arena) {
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        fail_all(entry, &err);
        return;
    }
    entry->is_loading = true;
    entry->loads_again = false;
    entry->references++;
    if (entry->is_loaded) {
        load_events(entry);
        return;
    }
    /* Whoever watches has been let in by its own scope (see on_row); the call itself is read once
     * for all. */
    struct pg_params params = {.arena = entry->load_arena};
    pg_param_null(&params);
    pg_param_text(&params, entry->watched.call_id);
    pg_read(entry->live->pool, &pg_service, &sql_get_call, &params, on_row, entry);
}

/* Ends a load; true when the entry is still there. */
static bool finish_load(struct entry *entry)
{
    entry->is_loading = false;
    entry->references--;
    if (!entry->watchers) {
        release_entry(entry);
        return false;
    }
    return true;
}

static void fail_load(struct entry *entry, const struct err *err)
{
    if (finish_load(entry)) {
        if (entry->is_loaded && err->code == ERR_UNAVAILABLE)
            return; /* what is known stays good; the next poll tries again */
        fail_all(entry, err);
    }
}

static char *copy_column(const struct pg_result *result, int column, struct arena *arena)
{
    const char *text = pg_text(result, 0, column, arena);
    return text ? strdup(text) : NULL;
}

static void on_row(void *context, const struct pg_outcome *outcome)
{
    struct entry *entry = context;
    struct watched *watched = &entry->watched;
    const struct pg_result *row = outcome->result;
    if (!row) {
        fail_load(entry, &outcome->err);
        return;
    }
    if (pg_rows(row) == 0) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, NULL, "Call not found");
        fail_load(entry, &err);
        return;
    }
    watched->company_id = copy_column(row, COLUMN_COMPANY_ID, entry->load_arena);
    watched->skillbase_id = copy_column(row, COLUMN_SKILLBASE_ID, entry->load_arena);
    watched->campaign_id = copy_column(row, COLUMN_CAMPAIGN_ID, entry->load_arena);
    watched->phone_number = copy_column(row, COLUMN_PHONE_NUMBER, entry->load_arena);
    watched->skillbase_version = (int32_t)pg_int64(row, 0, COLUMN_SKILLBASE_VERSION);
    watched->status = DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE;
    watched->started_us = pg_time_us(row, 0, COLUMN_STARTED_AT);
    watched->has_prices = !pg_is_null(row, 0, COLUMN_PRICES);
    watched->prices = (struct prices){
        .stt_minute = pg_int64(row, 0, COLUMN_PRICES),
        .llm_million_input_tokens = pg_int64(row, 0, COLUMN_PRICES + 1),
        .llm_million_output_tokens = pg_int64(row, 0, COLUMN_PRICES + 2),
        .tts_thousand_characters = pg_int64(row, 0, COLUMN_PRICES + 3),
        .livekit_minute = pg_int64(row, 0, COLUMN_PRICES + 4),
    };
    load_events(entry);
}

static void load_events(struct entry *entry)
{
    struct pg_params params = {.arena = entry->load_arena};
    pg_param_text(&params, entry->watched.call_id);
    /* The newest known one once more: when not even that is there, the call has been deleted. */
    uint64_t known = entry->watched.last_seq;
    pg_param_int64(&params, known > 0 ? (int64_t)known - 1 : 0);
    pg_param_int64(&params, LOAD_EVENTS);
    pg_read(entry->live->pool, &pg_service, &sql_list_call_events, &params, on_events, entry);
}

/* Applies a serialized event if it is the next one; false when memory is short or the bytes are no
 * event. */
/* `stored`: as the table has it. */
static bool apply_bytes(const struct live *live, struct watched *watched, int64_t seq,
                        struct str stored, struct err *err)
{
    struct arena *arena = arena_new(CHUNK_ARENA_BYTES);
    const Dialplane__V1__CallEvent *event = NULL;
    struct str bytes = {NULL, 0};
    struct uuid call;
    if (arena && uuid_parse(str_from(watched->call_id), &call))
        bytes = event_open(live->options.vault, &call, seq, stored, arena, err);
    if (bytes.data)
        event = (const Dialplane__V1__CallEvent *)rpc_unpack(&dialplane__v1__call_event__descriptor,
                                                             bytes, arena);
    bool ok = event != NULL;
    if (ok && event->seq == watched->last_seq + 1)
        ok = watched_apply(watched, event, bytes);
    arena_free(arena);
    return ok;
}

static void on_events(void *context, const struct pg_outcome *outcome)
{
    struct entry *entry = context;
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        fail_load(entry, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, NULL, "Call not found");
        fail_load(entry, &err);
        return;
    }
    for (int i = 0; i < pg_rows(rows); i++) {
        struct err err = {0};
        if (!apply_bytes(entry->live, &entry->watched, pg_int64(rows, i, 0), pg_str(rows, i, 2),
                         &err)) {
            if (!err_is_set(&err))
                err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "the call is too large to be watched");
            fail_load(entry, &err);
            return;
        }
    }
    if (pg_rows(rows) == LOAD_EVENTS) {
        arena_free(entry->load_arena);
        entry->load_arena = arena_new(CHUNK_ARENA_BYTES);
        if (entry->load_arena) {
            load_events(entry);
            return;
        }
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        fail_load(entry, &err);
        return;
    }
    entry->is_loaded = true;
    if (!finish_load(entry))
        return;
    entry->references++;
    if (entry->loads_again)
        start_load(entry);
    entry->references--;
    pump_all(entry);
}

/* A stored event for who watches here. */
static void take_event(struct entry *entry, const Dialplane__V1__CallEvent *event, struct str bytes)
{
    struct watched *watched = &entry->watched;
    if (!entry->is_loaded || entry->is_loading || event->seq > watched->last_seq + 1 ||
        (event->seq == watched->last_seq + 1 && !watched_apply(watched, event, bytes)))
        start_load(entry);
    else
        pump_all(entry);
}

void live_publish(struct live *live, const char *call_id, const Dialplane__V1__CallEvent *event,
                  struct str bytes)
{
    struct uuid uuid;
    char text[UUID_TEXT_SIZE];
    live->stats.events_published++;
    count_end(&live->stats, event);
    if (!live->bus || !uuid_parse(str_from(call_id), &uuid))
        return;
    uuid_format(&uuid, text);
    bus_publish(live->bus, str_from(text), bytes);
    struct entry *entry = find_entry(live, text);
    if (entry)
        take_event(entry, event, bytes);
}

/* ---- What other instances have stored ---- */

static void on_bus_message(void *context, struct str key, struct str message)
{
    struct live *live = context;
    char call_id[BUS_KEY_MAX + 1];
    memcpy(call_id, key.data, key.length);
    call_id[key.length] = '\0';
    struct entry *entry = find_entry(live, call_id);
    struct arena *arena = entry ? arena_new(CHUNK_ARENA_BYTES) : NULL;
    const Dialplane__V1__CallEvent *event =
        arena ? (const Dialplane__V1__CallEvent *)rpc_unpack(&dialplane__v1__call_event__descriptor,
                                                             message, arena)
              : NULL;
    if (event)
        take_event(entry, event, message);
    else if (entry)
        start_load(entry); /* whatever it was, the table knows */
    arena_free(arena);
}

static void on_bus_gap(void *context, unsigned shard)
{
    struct live *live = context;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = live->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            if (shard == BUS_SHARDS)
                entry->polls_passed = POLLS_PASSED; /* with the next poll: not all at once */
            else if (bus_shard(str_from(entry->watched.call_id)) == shard &&
                     !watched_has_ended(&entry->watched))
                start_load(entry);
        }
}

/* ---- Joining ---- */

static void join(struct live *live, struct rpc_call *rpc, const char *call_id, uint64_t after_seq)
{
    struct entry *entry = find_entry(live, call_id);
    if (live->stats.watchers >= live->options.watchers ||
        (!entry && live->stats.watched_calls >= live->options.watched_calls)) {
        struct err err = {.retry_after_seconds = 5};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS",
                "too many calls are being watched on this instance");
        err.retry_after_seconds = 5;
        rpc_fail(rpc, &err);
        return;
    }
    if (!entry)
        entry = new_entry(live, call_id);
    struct watcher *watcher = entry ? watcher_new(entry, rpc, after_seq) : NULL;
    if (!watcher) {
        if (entry)
            release_entry(entry);
        rpc_fail_code(rpc, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return;
    }
    if (entry->is_loaded)
        watcher_pump(watcher);
    else
        start_load(entry);
}

/* Asked with the watcher's own scope: what it may not see is not found. */
struct joining {
    struct live *live;
    struct rpc_call *rpc;
    const char *call_id;
    uint64_t after_seq;
};

static void on_allowed(void *context, const struct pg_outcome *outcome)
{
    struct joining *joining = context;
    if (!outcome->result)
        rpc_fail(joining->rpc, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        rpc_fail_code(joining->rpc, ERR_NOT_FOUND, NULL, "Call not found");
    else if (rpc_call_is_cancelled(joining->rpc))
        rpc_fail_code(joining->rpc, ERR_CANCELLED, NULL, "the client went away");
    else
        join(joining->live, joining->rpc, joining->call_id, joining->after_seq);
}

void live_watch(struct live *live, struct rpc_call *rpc, const char *call_id, uint64_t after_seq)
{
    struct arena *arena = rpc_call_arena(rpc);
    struct joining *joining = ARENA_NEW(arena, struct joining);
    struct pg_params params = {.arena = arena};
    struct uuid uuid;
    char text[UUID_TEXT_SIZE];
    if (!joining || !uuid_parse(str_from(call_id), &uuid)) {
        fail_memory(rpc);
        return;
    }
    uuid_format(&uuid, text); /* one spelling, so that all watchers of a call meet */
    *joining = (struct joining){live, rpc, arena_strdup(arena, text), after_seq};
    param_scope(&params, rpc);
    pg_param_text(&params, joining->call_id);
    pg_read(live->pool, rpc_call_owner(rpc), &sql_get_call_progress, &params, on_allowed, joining);
}

void live_free(struct live *live)
{
    if (!live)
        return;
    struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE, NULL, "the server is stopping");
    live->is_stopping = true;
    bus_free(live->bus);
    live->bus = NULL;
    live->stats.watched_calls++; /* keeps it until the end of this function */
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = live->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            /* One for which something is being read goes when the pool has ended that. */
            loop_timer_cancel(entry->poll);
            entry->poll = NULL;
            fail_all(entry, &err);
        }
    live->stats.watched_calls--;
    release_live(live);
}
