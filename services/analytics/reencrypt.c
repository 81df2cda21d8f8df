/* --reencrypt: every stored event as it would be stored now, some hundred a transaction, in the
 * order of the primary key. What is read and what is written may be broken off anywhere: the next
 * run passes over what is done. */
#include "tasks.h"

#include "analytics_sql.h"
#include "event_vault.h"

#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_AT_ONCE 500
/* A batch twice: as read and as written; an event is at most some 100 KB. */
#define BATCH_ARENA_BYTES ((size_t)256 * 1024 * 1024)
#define EVENTS_PER_LINE 50000

struct reencrypting {
    struct pg_pool *pool;
    const struct vault *vault;
    struct arena *arena; /* of the batch */
    void (*done)(void *context, int status);
    void *context;
    struct uuid call; /* where the last batch ended */
    int64_t seq;
    int64_t looked, changed, said;
};

/* New bytes of a batch's events. */
struct sealed_events {
    const char **calls, **starts;
    int64_t *seqs, *at, *bytes;
    size_t count;
    struct buf data;
};

static void on_listed(void *context, const struct pg_outcome *outcome);
static void on_sealed(void *context, const struct pg_outcome *outcome);

static void end(struct reencrypting *task, int status)
{
    fflush(stdout);
    task->done(task->context, status);
    arena_free(task->arena);
    free(task);
}

static void end_failed(struct reencrypting *task, const char *message)
{
    fprintf(stderr, "dialplane-analytics: %s\n", message);
    end(task, 2);
}

static void list_some(struct reencrypting *task)
{
    arena_free(task->arena);
    task->arena = arena_new(BATCH_ARENA_BYTES);
    if (!task->arena) {
        end_failed(task, "out of memory");
        return;
    }
    struct pg_params params = {.arena = task->arena};
    pg_param_uuid(&params, &task->call);
    pg_param_int64(&params, task->seq);
    pg_param_int64(&params, EVENTS_AT_ONCE);
    pg_read(task->pool, &pg_service, &sql_list_events_to_seal, &params, on_listed, task);
}

void task_reencrypt(struct pg_pool *pool, const struct vault *vault,
                    void (*done)(void *context, int status), void *context)
{
    struct reencrypting *task = calloc(1, sizeof(*task));
    if (!task) {
        fprintf(stderr, "dialplane-analytics: out of memory\n");
        exit(2);
    }
    *task = (struct reencrypting){.pool = pool, .vault = vault, .done = done, .context = context};
    list_some(task);
}

static bool sealed_events_init(struct sealed_events *events, struct arena *arena, size_t count)
{
    *events = (struct sealed_events){
        .calls = ARENA_ARRAY(arena, const char *, count),
        .starts = ARENA_ARRAY(arena, const char *, count),
        .seqs = ARENA_ARRAY(arena, int64_t, count),
        .at = ARENA_ARRAY(arena, int64_t, count),
        .bytes = ARENA_ARRAY(arena, int64_t, count),
    };
    buf_init(&events->data, BATCH_ARENA_BYTES / 3);
    return events->calls && events->starts && events->seqs && events->at && events->bytes;
}

/* One event that is not as it would be stored now. */
static bool seal_again(const struct reencrypting *task, const struct pg_result *rows, int row,
                       struct sealed_events *events, struct err *err)
{
    struct uuid call = pg_uuid(rows, row, 0);
    int64_t seq = pg_int64(rows, row, 1);
    struct vault_place place;
    char started[TIME_TEXT_SIZE];
    struct arena *arena = arena_new(BATCH_ARENA_BYTES);
    struct str event = {NULL, 0};
    if (arena)
        event = event_open(task->vault, &call, seq, pg_str(rows, row, 3), arena, err);
    size_t k = events->count, start = events->data.length;
    event_place(&place, &call, seq);
    bool ok = event.data && vault_seal(task->vault, &place, event, &events->data);
    arena_free(arena);
    if (!ok)
        return err_is_set(err) || !err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    time_format_rfc3339(pg_time_us(rows, row, 2), started);
    events->calls[k] = pg_text(rows, row, 0, task->arena);
    events->starts[k] = arena_strdup(task->arena, started);
    events->seqs[k] = seq;
    events->at[k] = (int64_t)start + 1; /* as SQL counts */
    events->bytes[k] = (int64_t)(events->data.length - start);
    events->count++;
    return true;
}

static void say(struct reencrypting *task)
{
    if (task->looked - task->said < EVENTS_PER_LINE)
        return;
    task->said = task->looked;
    printf("%" PRId64 " events looked at, %" PRId64 " encrypted\n", task->looked, task->changed);
    fflush(stdout);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct reencrypting *task = context;
    const struct pg_result *rows = outcome->result;
    struct sealed_events events;
    struct err err = {0};
    if (!rows) {
        end_failed(task, outcome->err.message);
        return;
    }
    int count = pg_rows(rows);
    if (count == 0) {
        printf("Done: %" PRId64 " events looked at, %" PRId64 " encrypted.\n", task->looked,
               task->changed);
        end(task, 0);
        return;
    }
    if (!sealed_events_init(&events, task->arena, (size_t)count))
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (int i = 0; i < count && !err_is_set(&err); i++)
        if (!vault_is_current(task->vault, pg_str(rows, i, 3)))
            seal_again(task, rows, i, &events, &err);
    task->call = pg_uuid(rows, count - 1, 0);
    task->seq = pg_int64(rows, count - 1, 1);
    task->looked += count;
    if (err_is_set(&err)) {
        end_failed(task, err.message);
    } else if (events.count == 0) {
        say(task);
        list_some(task);
    } else {
        struct pg_params params = {.arena = task->arena};
        pg_param_text_array(&params, events.calls, events.count);
        pg_param_int64_array(&params, events.seqs, events.count);
        pg_param_text_array(&params, events.starts, events.count);
        pg_param_int64_array(&params, events.at, events.count);
        pg_param_int64_array(&params, events.bytes, events.count);
        pg_param_bytes(&params, buf_str(&events.data));
        task->changed += (int64_t)events.count;
        pg_write(task->pool, &pg_service, &sql_seal_events, &params, on_sealed, task);
    }
    buf_done(&events.data);
}

static void on_sealed(void *context, const struct pg_outcome *outcome)
{
    struct reencrypting *task = context;
    if (!outcome->result) {
        end_failed(task, outcome->err.message);
        return;
    }
    say(task);
    list_some(task);
}
