/* Sessions: a whole connection for one holder, in order of asking; connections are opened when
 * somebody waits and kept.
 *
 * The happy path: pg_session_open() waits in line → sessions_dispatch() hands over an idle
 * connection → pg_session_query() queues a unit and dispatch sends it as a batch of its own → the
 * answer comes after its Sync → pg_session_close() gives the connection back, after a ROLLBACK when
 * a transaction is open. When the connection is lost, everything queued fails, and so does what is
 * asked for later; the holder still closes. A session that is closed with work in flight loses its
 * connection: nobody knows what state it is in, and libpq 15 cannot cancel without blocking. */
#include "pg/internal.h"

#include <stdlib.h>

static void session_free(struct pg_session *session)
{
    free(session->identity_room);
    free(session);
}

/* Nobody has the session yet, so its failure is its end. */
static void session_fail_open(struct pg_session *session, const struct err *err)
{
    pg_session_callback *callback = session->callback;
    void *context = session->context;
    session_free(session);
    callback(context, NULL, err);
}

static void on_refused(void *context)
{
    struct pg_session *session = context;
    struct err err = session->refusal;
    session_fail_open(session, &err);
}

void pg_session_open(struct pg_pool *pool, const struct pg_owner *owner,
                     pg_session_callback *callback, void *context)
{
    struct pg_session *session = xcalloc(1, sizeof(*session));
    session->pool = pool;
    session->loop = pool->loop;
    if (owner) {
        session->owner = *owner;
        session->identity_room = xcalloc(1, identity_size(&owner->identity, true) + 1);
        identity_copy(&session->owner.identity, &owner->identity, true, session->identity_room);
    }
    session->callback = callback;
    session->context = context;
    session->queued_us = pool_now_us(pool);
    if (pool->closing)
        err_set(&session->refusal, ERR_CANCELLED, NULL, "the service is stopping");
    else if (pool->sessions_waiting >= pool->queue_limit)
        err_set(&session->refusal, ERR_RESOURCE_EXHAUSTED, NULL,
                "too much work is waiting for the database");
    else
        identity_check(&session->owner.identity, "session", &session->refusal);
    if (err_is_set(&session->refusal)) {
        loop_defer(pool->loop, on_refused, session);
        return;
    }
    if (pool->last_waiting)
        pool->last_waiting->next = session;
    else
        pool->first_waiting = session;
    pool->last_waiting = session;
    pool->sessions_waiting++;
    pool_schedule(pool);
    pool_arm_sweep(pool, SWEEP_WAITING_US);
}

static void waiting_remove(struct pg_pool *pool, struct pg_session *before,
                           struct pg_session *session)
{
    if (before)
        before->next = session->next;
    else
        pool->first_waiting = session->next;
    if (pool->last_waiting == session)
        pool->last_waiting = before;
    session->next = NULL;
    pool->sessions_waiting--;
}

void sessions_cancel_waiting(struct pg_pool *pool)
{
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, NULL, "the service is stopping");
    while (pool->first_waiting) {
        struct pg_session *session = pool->first_waiting;
        waiting_remove(pool, NULL, session);
        session_fail_open(session, &err);
    }
}

void sessions_sweep(struct pg_pool *pool, int64_t now_us)
{
    int64_t patience_us = pool_patience_us(pool, CONNECTION_SESSION, now_us);
    /* Those to be failed leave the line first: their callbacks may open new ones. */
    struct pg_session *failed = NULL, **end = &failed, *before = NULL;
    for (struct pg_session *session = pool->first_waiting, *next; session; session = next) {
        next = session->next;
        if (now_us - session->queued_us < patience_us &&
            !owner_is_over(&session->owner, now_us, NULL)) {
            before = session;
            continue;
        }
        waiting_remove(pool, before, session);
        *end = session;
        end = &session->next;
    }
    bool unreachable =
        !pool->kinds[CONNECTION_SESSION].up && pool->kinds[CONNECTION_WRITE].down_since_us;
    if (pool->first_waiting)
        pool_hurry(pool, CONNECTION_SESSION, now_us);
    while (failed) {
        struct pg_session *session = failed;
        failed = session->next;
        struct err err = {0};
        if (!owner_is_over(&session->owner, now_us, &err)) {
            if (unreachable)
                err_set_unreachable(&err);
            else
                err_set_busy(&err);
        }
        session_fail_open(session, &err);
    }
}

/* COPY lasts as long as its data come; only the owner's deadline may end it sooner than that, or
 * later. */
static uint32_t copy_needed_ms(const struct pg_session *session)
{
    if (!session->owner.deadline_us)
        return session->pool->statement_timeout_ms;
    int64_t left_ms = (session->owner.deadline_us - pool_now_us(session->pool)) / 1000 + 1;
    if (left_ms < session->pool->statement_timeout_ms)
        return pool_needed_ms(session->pool, &session->owner);
    return left_ms < INT32_MAX / 2 ? (uint32_t)left_ms : INT32_MAX / 2;
}

/* Whose session it is, before its first statement and therefore outside of any transaction, alone:
 * behind a BEGIN in the same batch a later ROLLBACK would take it back. False when the connection
 * was lost. */
static bool session_identify(struct pg_session *session)
{
    session->has_identity = true;
    return batch_add_identity(session->connection, &session->owner.identity, NULL) &&
           batch_send(session->connection);
}

/* Sends what is at the head of the session's queue. May call back. */
static void session_pump(struct pg_session *session)
{
    struct connection *connection = session->connection;
    struct pg_pool *pool = session->pool;
    struct unit *unit = session->units.first;
    struct err err = {0};
    if (unit_is_over(unit, pool_now_us(pool), &err)) {
        unit_queue_pop(&session->units);
        pool_schedule(pool);
        unit_finish_error(unit, &err);
        return;
    }
    bool is_copy = unit->kind == UNIT_COPY_BEGIN;
    uint32_t needed_ms = is_copy ? copy_needed_ms(session) : pool_needed_ms(pool, &unit->owner);
    uint32_t limit_ms =
        needed_ms > pool->statement_timeout_ms ? UINT32_C(1) << 30 : pool->statement_timeout_ms;
    connection->state = CONNECTION_BUSY;
    batch_begin(connection);
    /* A failed transaction refuses everything but its end. */
    bool set_timeout = !timeout_suits(connection->timeout_ms, needed_ms) &&
                       PQtransactionStatus(connection->conn) != PQTRANS_INERROR;
    if (set_timeout && !batch_add_timeout(connection, timeout_quantise(needed_ms, limit_ms))) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    pool_arm_sweep(pool, SWEEP_RUNNING_US);
    if (!session->has_identity && !identity_is_taken(connection, &session->owner.identity)) {
        if (session_identify(session))
            connection_flush(connection);
        else
            connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    session->has_identity = true;
    if (is_copy && set_timeout) {
        /* COPY leaves pipeline mode, which must be empty for that: come back when the timeout is
         * set. */
        connection_flush(connection);
        return;
    }
    unit_queue_pop(&session->units);
    if (is_copy) {
        copy_start(session, unit);
        return;
    }
    if (batch_add_unit(connection, unit) && batch_send(connection))
        connection_flush(connection);
    else
        connection_lost(connection, PQerrorMessage(connection->conn));
}

/* An idle session connection that nobody holds, or NULL; starts as many as are waited for. */
static struct connection *idle_connection(struct pg_pool *pool)
{
    const struct kind_state *state = &pool->kinds[CONNECTION_SESSION];
    struct connection *end = &pool->connections[state->first + state->count];
    unsigned coming = 0;
    for (struct connection *c = &pool->connections[state->first]; c < end; c++) {
        if (c->state == CONNECTION_IDLE && !c->session)
            return c;
        if (c->state == CONNECTION_CONNECTING || c->state == CONNECTION_SETTING_UP ||
            c->state == CONNECTION_BACKOFF || (c->state == CONNECTION_BUSY && !c->session))
            coming++;
    }
    for (struct connection *c = &pool->connections[state->first];
         c < end && coming < pool->sessions_waiting; c++) {
        if (c->state != CONNECTION_CLOSED)
            continue;
        connection_start(c);
        coming++;
    }
    return NULL;
}

void sessions_dispatch(struct pg_pool *pool)
{
    const struct kind_state *state = &pool->kinds[CONNECTION_SESSION];
    for (unsigned i = 0; i < state->count && !pool->closing; i++) {
        struct connection *connection = &pool->connections[state->first + i];
        if (connection->state == CONNECTION_IDLE && connection->session &&
            connection->session->units.first)
            session_pump(connection->session);
        else if (connection->state == CONNECTION_COPY && connection->session->copy == COPY_ENDING)
            copy_read(connection);
    }
    while (!pool->closing && pool->first_waiting) {
        struct pg_session *session = pool->first_waiting;
        struct err err = {0};
        if (owner_is_over(&session->owner, pool_now_us(pool), &err)) {
            waiting_remove(pool, NULL, session);
            session_fail_open(session, &err);
            continue;
        }
        struct connection *connection = idle_connection(pool);
        if (!connection)
            return;
        waiting_remove(pool, NULL, session);
        connection->session = session;
        session->connection = connection;
        session->callback(session->context, session, NULL);
    }
}

void session_on_lost(struct pg_session *session)
{
    session->connection = NULL;
    session->copy = COPY_NONE;
    PQclear(session->copy_result);
    session->copy_result = NULL;
    void (*on_drained)(void *) = session->on_drained;
    session->on_drained = NULL;
    /* The producer goes on, to its end, where it learns of the loss. It may close the session. */
    if (on_drained)
        on_drained(session->drained_context);
}

static void session_submit(struct pg_session *session, struct unit *unit,
                           const struct pg_params *params)
{
    struct err err = {0};
    if (!session->connection) {
        err_set_lost(&err, false);
    } else if (session->units.count >= session->pool->queue_limit) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "too much work is waiting for the database");
    } else if (pool_accepts(session->pool, unit, params, &err)) {
        unit_queue_push(&session->units, unit);
        pool_schedule(session->pool);
        return;
    }
    unit_refuse_later(session->loop, unit, &err);
}

void pg_session_query(struct pg_session *session, const struct pg_statement *statement,
                      const struct pg_params *params, pg_callback *callback, void *context)
{
    session_submit(session,
                   unit_new(UNIT_SESSION, &session->owner, statement, params, callback, context),
                   params);
}

void pg_session_copy_begin(struct pg_session *session, const struct pg_statement *statement,
                           pg_callback *callback, void *context)
{
    session_submit(session,
                   unit_new(UNIT_COPY_BEGIN, &session->owner, statement, NULL, callback, context),
                   NULL);
}

static void connection_roll_back(struct connection *connection)
{
    connection->state = CONNECTION_BUSY;
    batch_begin(connection);
    if (batch_add_internal(connection, "ROLLBACK", 0, NULL) && batch_send(connection)) {
        connection_flush(connection);
        pool_arm_sweep(connection->pool, SWEEP_RUNNING_US);
    } else {
        connection_lost(connection, PQerrorMessage(connection->conn));
    }
}

void pg_session_close(struct pg_session *session)
{
    if (!session)
        return;
    struct unit_queue units = {0};
    struct connection *connection = session->connection;
    if (connection) {
        connection->session = NULL;
        if (connection->state != CONNECTION_IDLE) {
            batch_take_unanswered(connection, &units);
            if (session->copy_unit)
                unit_queue_push(&units, session->copy_unit);
            connection_replace(connection);
        } else if (PQtransactionStatus(connection->conn) != PQTRANS_IDLE) {
            connection_roll_back(connection);
        } else if (connection->stale) {
            connection_replace(connection);
        } else {
            pool_schedule(connection->pool);
        }
    }
    unit_queue_append(&units, &session->units);
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, NULL, "the request was cancelled");
    struct unit *unit;
    while ((unit = unit_queue_pop(&units)))
        unit_refuse_later(session->loop, unit, &err);
    PQclear(session->copy_result);
    session_free(session);
}
