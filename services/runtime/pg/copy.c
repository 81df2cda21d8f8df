/* COPY … FROM STDIN on a session. Pipeline mode does not allow it, so the (idle) connection leaves
 * that mode and comes back to it:
 *
 *   STARTING ──COPY_IN──▶ OPEN ──pg_session_copy_end()──▶ ENDING ──result, NULL──▶ NONE
 *       └──────error, NULL──────────────────────────────────────────────────────────▲
 *
 * While OPEN the server may already have failed (a bad row); libpq keeps that to itself until the
 * end is put, and the server throws the rest away. So an error of the data is reported by the end's
 * callback. */
#include "pg/internal.h"

#include "base/log.h"

#include <limits.h>
#include <stdlib.h>

#define UNSENT_HIGH_BYTES ((size_t)256 * 1024)
/* Who ignores "wait" this far gets an error at the end, not the process's memory. */
#define UNSENT_MOST_BYTES ((size_t)64 * 1024 * 1024)
/* The server takes nothing of what is to be sent. */
#define STALLED_US (30 * TIME_US_PER_SECOND)
#define SILENCE_GRACE_US (5 * TIME_US_PER_SECOND)

void copy_start(struct pg_session *session, struct unit *unit)
{
    struct connection *connection = session->connection;
    session->copy = COPY_STARTING;
    session->copy_unit = unit;
    session->copy_statement = unit->statement;
    session->copy_failed = false;
    session->copy_unsent_bytes = 0;
    connection->state = CONNECTION_COPY;
    connection->pool->count_statements++;
    account_sent(unit);
    if (PQexitPipelineMode(connection->conn) &&
        PQsendQuery(connection->conn, unit->statement->text))
        connection_flush(connection);
    else
        connection_lost(connection, PQerrorMessage(connection->conn));
}

/* Back to what every connection is; then the answer. */
static void copy_finish(struct connection *connection)
{
    struct pg_session *session = connection->session;
    if (!PQenterPipelineMode(connection->conn)) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    struct unit *unit = session->copy_unit;
    bool was_starting = session->copy == COPY_STARTING;
    unit->result = session->copy_result;
    session->copy = COPY_NONE;
    session->copy_unit = NULL;
    session->copy_result = NULL;
    connection->state = CONNECTION_IDLE;
    connection->in_transaction = PQtransactionStatus(connection->conn) != PQTRANS_IDLE;
    pool_schedule(connection->pool);
    if (unit->result && result_is_error(unit->result))
        connection->pool->count_errors++;
    if (!unit->result || (was_starting && !result_is_error(unit->result))) {
        struct err err = {0};
        err_set(&err, ERR_INTERNAL, NULL, "internal error");
        log_event(LOG_LEVEL_ERROR, "sql_not_a_copy",
                  log_text("statement", unit->statement ? unit->statement->name : NULL));
        unit_finish_error(unit, &err);
        return;
    }
    unit_finish_result(unit, unit->result);
}

void copy_read(struct connection *connection)
{
    struct pg_session *session = connection->session;
    while (session->copy != COPY_OPEN && !PQisBusy(connection->conn)) {
        PGresult *result = PQgetResult(connection->conn);
        if (!result) {
            copy_finish(connection);
            return;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_IN && session->copy == COPY_STARTING) {
            struct unit *unit = session->copy_unit;
            session->copy = COPY_OPEN;
            session->copy_unit = NULL;
            unit->result = result;
            unit_finish_result(unit, result);
            return;
        }
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH ||
            (result_is_error(result) && !*result_sqlstate(result))) {
            PQclear(result);
            connection_lost(connection, PQerrorMessage(connection->conn));
            return;
        }
        /* The first error is the one that counts. */
        if (session->copy_result && result_is_error(session->copy_result)) {
            PQclear(result);
            continue;
        }
        PQclear(session->copy_result);
        session->copy_result = result;
    }
}

void copy_on_flushed(struct connection *connection)
{
    struct pg_session *session = connection->session;
    session->copy_unsent_bytes = 0;
    void (*on_drained)(void *) = session->on_drained;
    session->on_drained = NULL;
    if (on_drained)
        on_drained(session->drained_context);
}

int64_t copy_silence_limit_us(const struct connection *connection)
{
    const struct pg_session *session = connection->session;
    if (session->copy == COPY_OPEN)
        return session->on_drained ? STALLED_US : 0; /* else it is the producer's turn */
    return connection->timeout_ms * INT64_C(1000) + SILENCE_GRACE_US;
}

bool pg_session_copy_put(struct pg_session *session, struct str data,
                         void (*on_drained)(void *context), void *context)
{
    struct connection *connection = session->connection;
    /* Nothing more can come of it; the end tells why. */
    if (!connection || session->copy != COPY_OPEN || session->copy_failed)
        return true;
    if (data.length > INT_MAX || session->copy_unsent_bytes > UNSENT_MOST_BYTES ||
        PQputCopyData(connection->conn, data.data, (int)data.length) != 1) {
        session->copy_failed = true;
        return true;
    }
    session->copy_unsent_bytes += data.length;
    if (session->copy_unsent_bytes < UNSENT_HIGH_BYTES)
        return true;
    /* libpq does not tell how much it holds; what was put since it was last empty is the most it
     * can be. */
    int left = PQflush(connection->conn);
    if (left == 0) {
        session->copy_unsent_bytes = 0;
        return true;
    }
    if (left < 0 || event_add(&connection->writable, NULL) < 0) {
        session->copy_failed = true;
        return true;
    }
    if (!session->on_drained)
        connection->progress_us = pool_now_us(connection->pool);
    session->on_drained = on_drained;
    session->drained_context = context;
    pool_arm_sweep(connection->pool, SWEEP_RUNNING_US);
    return false;
}

void pg_session_copy_end(struct pg_session *session, pg_callback *callback, void *context)
{
    struct connection *connection = session->connection;
    struct unit *unit =
        unit_new(UNIT_COPY_END, &session->owner, session->copy_statement, NULL, callback, context);
    struct err err = {0};
    if (!connection) {
        err_set_lost(&err, false);
        unit_refuse_later(session->loop, unit, &err);
        return;
    }
    if (session->copy != COPY_OPEN) {
        log_event(LOG_LEVEL_ERROR, "sql_copy_is_not_open", log_text("what", "copy_end"));
        err_set(&err, ERR_INTERNAL, NULL, "internal error");
        unit_refuse_later(session->loop, unit, &err);
        return;
    }
    session->on_drained = NULL;
    if (session->copy_failed || PQputCopyEnd(connection->conn, NULL) != 1) {
        /* The data are not whole: without its end the COPY rolls back. */
        connection->session = NULL;
        session->connection = NULL;
        session->copy = COPY_NONE;
        connection_replace(connection);
        err_set_lost(&err, false);
        unit_refuse_later(session->loop, unit, &err);
        return;
    }
    session->copy = COPY_ENDING;
    session->copy_unit = unit;
    unit->asked_us = connection->progress_us = pool_now_us(connection->pool);
    pool_arm_sweep(connection->pool, SWEEP_RUNNING_US);
    /* A server that failed in the middle has said all it has to say, and libpq has read it: no
     * event will come for that. */
    pool_schedule(connection->pool);
    /* A failure to send shows when the socket is read. */
    if (PQflush(connection->conn) > 0)
        event_add(&connection->writable, NULL);
}
