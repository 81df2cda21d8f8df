/* How a watcher goes on: watcher_pump() sends one message at a time and is called again when that
 * has left (on_writable), when events were applied, or when a chunk of older events has been read
 * for it. */
#include "live/internal.h"

#include "live/messages.h"

#include "analytics_sql.h"
#include "event_vault.h"

#include <stdlib.h>

#define CATCH_UP_EVENTS 100 /* read at once for a watcher that is further back than the ring */

static void free_watcher(struct watcher *watcher)
{
    arena_free(watcher->chunk);
    free(watcher);
}

/* Takes the watcher out of its call; its memory goes now, or when the read under way for it has
 * come back. */
static void remove_watcher(struct watcher *watcher)
{
    struct entry *entry = watcher->entry;
    *watcher->link = watcher->next;
    if (watcher->next)
        watcher->next->link = watcher->link;
    entry->live->stats.watchers--;
    watcher->is_gone = true;
    if (!watcher->is_reading)
        free_watcher(watcher);
    release_entry(entry);
}

void watcher_fail(struct watcher *watcher, const struct err *err)
{
    struct rpc_call *rpc = watcher->rpc;
    remove_watcher(watcher);
    rpc_fail(rpc, err);
}

static void end_watcher(struct watcher *watcher)
{
    struct rpc_call *rpc = watcher->rpc;
    remove_watcher(watcher);
    rpc_stream_end(rpc);
}

/* ---- A watcher further back than the ring ---- */

static void on_chunk(void *context, const struct pg_outcome *outcome);

static void read_chunk(struct watcher *watcher)
{
    struct entry *entry = watcher->entry;
    arena_free(watcher->chunk);
    watcher->chunk = arena_new(CHUNK_ARENA_BYTES);
    watcher->chunk_count = watcher->chunk_next = 0;
    if (!watcher->chunk) {
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        watcher_fail(watcher, &err);
        return;
    }
    struct pg_params params = {.arena = watcher->chunk};
    pg_param_text(&params, entry->watched.call_id);
    pg_param_int64(&params, (int64_t)watcher->cursor);
    pg_param_int64(&params, CATCH_UP_EVENTS);
    watcher->is_reading = true;
    pg_read(entry->live->pool, &pg_service, &sql_list_call_events, &params, on_chunk, watcher);
}

static void on_chunk(void *context, const struct pg_outcome *outcome)
{
    struct watcher *watcher = context;
    const struct pg_result *rows = outcome->result;
    watcher->is_reading = false;
    if (watcher->is_gone) {
        free_watcher(watcher);
        return;
    }
    if (!rows) {
        watcher_fail(watcher, &outcome->err);
        return;
    }
    const struct live *live = watcher->entry->live;
    struct err err = {0};
    struct uuid call;
    uuid_parse(str_from(watcher->entry->watched.call_id), &call);
    watcher->chunk_events = ARENA_ARRAY(watcher->chunk, struct str, (size_t)pg_rows(rows));
    for (int i = 0; watcher->chunk_events && i < pg_rows(rows); i++) {
        struct str stored = pg_str(rows, i, 2);
        struct str bytes = event_open(live->options.vault, &call, pg_int64(rows, i, 0), stored,
                                      watcher->chunk, &err);
        if (bytes.data == stored.data) /* nothing was sealed: they go with the result */
            bytes.data = arena_memdup(watcher->chunk, stored.data, stored.length);
        if (!bytes.data)
            break;
        watcher->chunk_events[watcher->chunk_count++] = bytes;
    }
    if (watcher->chunk_count == 0) {
        /* Events that were applied are on disk, so only a deleted call has none. */
        if (!err_is_set(&err))
            err_set(&err, ERR_NOT_FOUND, NULL, "Call not found");
        watcher_fail(watcher, &err);
        return;
    }
    watcher_pump(watcher);
}

/* The event after the watcher's cursor: from its chunk or the ring. Nothing: it has to be read. */
static struct str next_event(struct watcher *watcher)
{
    struct str event = watched_event(&watcher->entry->watched, watcher->cursor + 1);
    if (event.data) {
        /* The ring has all that follows. */
        arena_free(watcher->chunk);
        watcher->chunk = NULL;
        watcher->chunk_count = watcher->chunk_next = 0;
        return event;
    }
    if (watcher->chunk_next < watcher->chunk_count)
        return watcher->chunk_events[watcher->chunk_next];
    return (struct str){NULL, 0};
}

/* ---- The way of a watcher ---- */

/* Sends what is in live->message. */
static void send(struct watcher *watcher)
{
    struct live *live = watcher->entry->live;
    if (rpc_stream_send(watcher->rpc, buf_str(&live->message))) {
        watcher->is_busy = true;
        live->stats.messages_sent++;
    }
    /* A refusal means that the client has gone: on_cancel comes. */
}

static void send_metrics(struct watcher *watcher, uint64_t seq)
{
    struct live *live = watcher->entry->live;
    struct err err = {0};
    watcher->metrics_seq = watcher->entry->watched.last_seq;
    if (message_metrics(&watcher->entry->watched, live->prices, seq, &live->message)) {
        send(watcher);
        return;
    }
    err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    watcher_fail(watcher, &err);
}

static void send_init(struct watcher *watcher)
{
    struct live *live = watcher->entry->live;
    const struct watched *watched = &watcher->entry->watched;
    struct err err = {0};
    watcher->has_init = true;
    if (message_init(watched, live->prices, watcher->cursor, &live->message)) {
        send(watcher);
        return;
    }
    err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    watcher_fail(watcher, &err);
}

/* Sends the next event; an event that watchers are not sent is passed over. False when there was
 * nothing to send. */
static bool send_event(struct watcher *watcher, struct str event)
{
    struct live *live = watcher->entry->live;
    struct err err = {0};
    if (!message_event(event, &live->message)) {
        err_set(&err, ERR_INTERNAL, NULL, "a stored event cannot be read");
        watcher_fail(watcher, &err);
        return true;
    }
    watcher->cursor++;
    if (watcher->chunk_next < watcher->chunk_count)
        watcher->chunk_next++;
    if (live->message.length == 0)
        return false;
    send(watcher);
    return true;
}

void watcher_pump(struct watcher *watcher)
{
    struct entry *entry = watcher->entry;
    const struct watched *watched = &entry->watched;
    if (watcher->is_busy || watcher->is_reading || watcher->is_gone || !entry->is_loaded)
        return;
    if (!watcher->has_init) {
        send_init(watcher);
        return;
    }
    while (watcher->cursor < watched->last_seq) {
        bool is_last = watched_has_ended(watched) && watcher->cursor + 1 == watched->last_seq;
        /* The final totals come right before the last change of status. They carry the seq before
         * it, so that a client which lost the connection between the two still gets the last one
         * when it resumes. */
        if (is_last && watcher->metrics_seq < watched->last_seq) {
            send_metrics(watcher, watched->last_seq - 1);
            return;
        }
        struct str event = next_event(watcher);
        if (!event.data) {
            read_chunk(watcher);
            return;
        }
        if (send_event(watcher, event))
            return;
    }
    if (watched_has_ended(watched))
        end_watcher(watcher);
    else if (watcher->metrics_seq < watched->last_seq && watched->figures.turn_count > 0)
        send_metrics(watcher, watched->last_seq);
}

static void on_writable(void *context)
{
    struct watcher *watcher = context;
    watcher->is_busy = false;
    watcher_pump(watcher);
}

static void on_cancel(void *context)
{
    struct watcher *watcher = context;
    struct err err = {.code = ERR_CANCELLED};
    watcher_fail(watcher, &err);
}

struct watcher *watcher_new(struct entry *entry, struct rpc_call *rpc, uint64_t after_seq)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher)
        return NULL;
    watcher->entry = entry;
    watcher->rpc = rpc;
    watcher->cursor = after_seq;
    watcher->next = entry->watchers;
    watcher->link = &entry->watchers;
    if (watcher->next)
        watcher->next->link = &watcher->next;
    entry->watchers = watcher;
    entry->live->stats.watchers++;
    rpc_stream_on_writable(rpc, on_writable, watcher);
    rpc_call_on_cancel(rpc, on_cancel, watcher);
    return watcher;
}
