/* How a scope comes and goes: the first watcher makes it; from then on its figures are read once a
 * second and each watcher is sent the newest as soon as its stream can take them. With its last
 * watcher it goes, as soon as nothing is being read for it. */
#include "live/scopes.h"

#include "live/scope_messages.h"

#include "analytics_sql.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "service/handler.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 256
#define FIGURES_ARENA_BYTES (1024 * 1024) /* as many outcomes as anybody can tell apart */
/* So many seconds the last figures may stand before the watchers are told that there are none. */
#define FAILURES_MAX 10

struct scope;

struct scope_watcher {
    TAILQ_ENTRY(scope_watcher) link;
    struct scope *scope;
    struct rpc_call *rpc;
    uint64_t seq; /* of the figures that it was sent last */
    bool has_init, is_busy;
};

TAILQ_HEAD(scope_watchers, scope_watcher);

struct scope {
    LIST_ENTRY(scope) link; /* in its bucket */
    struct scopes *scopes;
    struct scope_watchers watchers;
    enum scope_kind kind;
    char id[UUID_TEXT_SIZE];
    struct buf init, figures; /* the messages, serialized */
    uint64_t seq;             /* of figures; 0: none yet */
    struct loop_timer *timer;
    struct arena *arena; /* of the reading */
    unsigned failures;   /* in a row */
    unsigned pins;       /* frames of ours, or a reading, that still use it */
    bool is_reading;
};

LIST_HEAD(scope_list, scope);

struct scopes {
    struct loop *loop;
    struct pg_pool *pool;
    struct scopes_options options;
    struct scope_list buckets[BUCKETS];
    struct scopes_stats stats;
    bool is_stopping; /* goes with its last scope */
};

struct scopes *scopes_new(struct loop *loop, struct pg_pool *pool,
                          const struct scopes_options *options)
{
    struct scopes *scopes = calloc(1, sizeof(*scopes));
    if (!scopes)
        return NULL;
    scopes->loop = loop;
    scopes->pool = pool;
    scopes->options = *options;
    for (size_t i = 0; i < BUCKETS; i++)
        LIST_INIT(&scopes->buckets[i]);
    return scopes;
}

void scopes_stats(const struct scopes *scopes, struct scopes_stats *ret_stats)
{
    *ret_stats = scopes->stats;
}

/* ---- Scopes ---- */

static struct scope_list *bucket_of(struct scopes *scopes, const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &scopes->buckets[hash % BUCKETS];
}

static struct scope *find_scope(struct scopes *scopes, enum scope_kind kind, const char *id)
{
    struct scope *scope;
    LIST_FOREACH (scope, bucket_of(scopes, id), link)
        if (scope->kind == kind && !strcmp(scope->id, id))
            return scope;
    return NULL;
}

static void on_second(void *context);

static struct scope *new_scope(struct scopes *scopes, enum scope_kind kind, const char *id,
                               const char *company_id, const char *name)
{
    struct scope *scope = calloc(1, sizeof(*scope));
    if (!scope)
        return NULL;
    buf_init(&scope->init, 0);
    buf_init(&scope->figures, 0);
    if (!scope_message_init(kind, id, company_id, name, &scope->init)) {
        buf_done(&scope->init);
        free(scope);
        return NULL;
    }
    scope->scopes = scopes;
    scope->kind = kind;
    memcpy(scope->id, id, strlen(id) + 1);
    TAILQ_INIT(&scope->watchers);
    LIST_INSERT_HEAD(bucket_of(scopes, id), scope, link);
    scope->timer =
        loop_timer_repeat(scopes->loop, SCOPE_INTERVAL_MS * INT64_C(1000), on_second, scope);
    scopes->stats.scopes++;
    return scope;
}

static void release_scopes(struct scopes *scopes)
{
    if (scopes->is_stopping && !scopes->stats.scopes)
        free(scopes);
}

static void release_scope(struct scope *scope)
{
    struct scopes *scopes = scope->scopes;
    if (!TAILQ_EMPTY(&scope->watchers) || scope->pins)
        return;
    LIST_REMOVE(scope, link);
    loop_timer_cancel(scope->timer);
    arena_free(scope->arena);
    buf_done(&scope->init);
    buf_done(&scope->figures);
    scopes->stats.scopes--;
    free(scope);
    release_scopes(scopes);
}

static void unpin(struct scope *scope)
{
    scope->pins--;
    release_scope(scope);
}

/* ---- Watchers ---- */

/* Takes it out of its scope, which may be gone afterwards; gives its stream. */
static struct rpc_call *remove_watcher(struct scope_watcher *watcher)
{
    struct scope *scope = watcher->scope;
    struct rpc_call *rpc = watcher->rpc;
    TAILQ_REMOVE(&scope->watchers, watcher, link);
    scope->scopes->stats.watchers--;
    free(watcher);
    release_scope(scope);
    return rpc;
}

/* Sends what it lacks, if its stream takes something now. */
static void pump(struct scope_watcher *watcher)
{
    const struct scope *scope = watcher->scope;
    const struct buf *message = !watcher->has_init          ? &scope->init
                                : watcher->seq < scope->seq ? &scope->figures
                                                            : NULL;
    if (watcher->is_busy || !message)
        return;
    if (watcher->has_init)
        watcher->seq = scope->seq;
    watcher->has_init = true;
    /* A refusal means that the client has gone: on_cancel comes. */
    watcher->is_busy = rpc_stream_send(watcher->rpc, buf_str(message));
}

static void on_writable(void *context)
{
    struct scope_watcher *watcher = context;
    watcher->is_busy = false;
    pump(watcher);
}

static void on_cancel(void *context)
{
    struct err err = {.code = ERR_CANCELLED};
    rpc_fail(remove_watcher(context), &err);
}

static void pump_all(struct scope *scope)
{
    struct scope_watcher *watcher, *next;
    scope->pins++;
    for (watcher = TAILQ_FIRST(&scope->watchers); watcher; watcher = next) {
        next = TAILQ_NEXT(watcher, link);
        pump(watcher);
    }
    unpin(scope);
}

static void fail_all(struct scope *scope, const struct err *err)
{
    scope->pins++;
    while (!TAILQ_EMPTY(&scope->watchers))
        rpc_fail(remove_watcher(TAILQ_FIRST(&scope->watchers)), err);
    unpin(scope);
}

/* ---- The figures ---- */

static void fail_not_there(struct scope *scope)
{
    static const char *const names[] = {[SCOPE_COMPANY] = "Company",
                                        [SCOPE_CAMPAIGN] = "Campaign",
                                        [SCOPE_SKILLBASE] = "Skillbase"};
    struct err err = {0};
    err_set(&err, ERR_NOT_FOUND, NULL, "%s not found", names[scope->kind]);
    fail_all(scope, &err);
}

static void on_figures(void *context, const struct pg_outcome *outcome)
{
    struct scope *scope = context;
    scope->is_reading = false;
    if (!outcome->result) {
        scope->scopes->stats.late++;
        /* What was true a moment ago is shown a little longer. */
        if (!scope->seq || ++scope->failures >= FAILURES_MAX)
            fail_all(scope, &outcome->err);
    } else if (!pg_rows(outcome->result)) {
        fail_not_there(scope);
    } else if (scope_message_figures(outcome->result, scope->seq + 1, scope->arena,
                                     &scope->figures)) {
        scope->seq++;
        scope->failures = 0;
        scope->scopes->stats.computed++;
        pump_all(scope);
    } else {
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        fail_all(scope, &err);
    }
    unpin(scope);
}

static void compute(struct scope *scope)
{
    if (scope->is_reading) {
        scope->scopes->stats.late++;
        return;
    }
    arena_free(scope->arena);
    scope->arena = arena_new(FIGURES_ARENA_BYTES);
    if (!scope->arena) {
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        fail_all(scope, &err);
        return;
    }
    struct pg_params params = {.arena = scope->arena};
    pg_param_int64(&params, scope->kind);
    pg_param_text(&params, scope->id);
    scope->is_reading = true;
    scope->pins++;
    pg_read(scope->scopes->pool, &pg_service, &sql_get_live_figures, &params, on_figures, scope);
}

static void on_second(void *context)
{
    struct scope *scope = context;
    if (!TAILQ_EMPTY(&scope->watchers))
        compute(scope);
}

/* ---- Joining ---- */

/* Asked with the watcher's own scope: what it may not see is not found. */
struct joining {
    struct scopes *scopes;
    struct rpc_call *rpc;
    enum scope_kind kind;
    char id[UUID_TEXT_SIZE];
};

static void join(const struct joining *joining, const char *company_id, const char *name)
{
    struct scopes *scopes = joining->scopes;
    struct rpc_call *rpc = joining->rpc;
    struct scope *scope = find_scope(scopes, joining->kind, joining->id);
    if (scopes->stats.watchers >= scopes->options.watchers ||
        (!scope && scopes->stats.scopes >= scopes->options.scopes)) {
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS",
                "too many live figures are being watched on this instance");
        err.retry_after_seconds = 5;
        rpc_fail(rpc, &err);
        return;
    }
    bool is_new = !scope;
    if (is_new)
        scope = new_scope(scopes, joining->kind, joining->id, company_id, name);
    struct scope_watcher *watcher = scope ? calloc(1, sizeof(*watcher)) : NULL;
    if (!watcher) {
        if (scope)
            release_scope(scope);
        fail_memory(rpc);
        return;
    }
    watcher->scope = scope;
    watcher->rpc = rpc;
    TAILQ_INSERT_TAIL(&scope->watchers, watcher, link);
    scopes->stats.watchers++;
    rpc_stream_on_writable(rpc, on_writable, watcher);
    rpc_call_on_cancel(rpc, on_cancel, watcher);
    pump(watcher);
    if (is_new)
        compute(scope);
}

static void on_allowed(void *context, const struct pg_outcome *outcome)
{
    const struct joining *joining = context;
    static const char *const nouns[] = {[SCOPE_COMPANY] = "company",
                                        [SCOPE_CAMPAIGN] = "campaign",
                                        [SCOPE_SKILLBASE] = "skillbase"};
    if (!outcome->result) {
        rpc_fail(joining->rpc, &outcome->err);
    } else if (!pg_rows(outcome->result)) {
        fail_not_found(joining->rpc, nouns[joining->kind], joining->id);
    } else if (rpc_call_is_cancelled(joining->rpc)) {
        rpc_fail_code(joining->rpc, ERR_CANCELLED, NULL, "the client went away");
    } else {
        struct arena *arena = rpc_call_arena(joining->rpc);
        const char *company_id = pg_text(outcome->result, 0, 0, arena);
        const char *name = pg_text(outcome->result, 0, 1, arena);
        if (company_id && name)
            join(joining, company_id, name);
        else
            fail_memory(joining->rpc);
    }
}

void scopes_watch(struct scopes *scopes, struct rpc_call *rpc, enum scope_kind kind, const char *id)
{
    struct arena *arena = rpc_call_arena(rpc);
    struct joining *joining = ARENA_NEW(arena, struct joining);
    struct pg_params params = {.arena = arena};
    struct uuid uuid;
    if (!joining || !uuid_parse(str_from(id), &uuid)) {
        fail_memory(rpc);
        return;
    }
    joining->scopes = scopes;
    joining->rpc = rpc;
    joining->kind = kind;
    uuid_format(&uuid, joining->id); /* one spelling, so that all watchers meet */
    param_scope(&params, rpc);
    param_if(&params, kind == SCOPE_COMPANY, joining->id);
    param_if(&params, kind == SCOPE_CAMPAIGN, joining->id);
    param_if(&params, kind == SCOPE_SKILLBASE, joining->id);
    pg_read(scopes->pool, rpc_call_owner(rpc), &sql_get_live_scope, &params, on_allowed, joining);
}

void scopes_free(struct scopes *scopes)
{
    if (!scopes)
        return;
    struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE, NULL, "the server is stopping");
    scopes->is_stopping = true;
    scopes->stats.scopes++; /* keeps it until the end of this function */
    for (size_t i = 0; i < BUCKETS; i++) {
        struct scope *scope, *next;
        for (scope = LIST_FIRST(&scopes->buckets[i]); scope; scope = next) {
            next = LIST_NEXT(scope, link);
            /* One for which something is being read goes when the pool has ended that. */
            loop_timer_cancel(scope->timer);
            scope->timer = NULL;
            fail_all(scope, &err);
        }
    }
    scopes->stats.scopes--;
    release_scopes(scopes);
}
