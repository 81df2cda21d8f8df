/* Batches in libpq's pipeline mode: what goes out, and the results that come back in the same
 * order.
 *
 *   shared reads:    [timeout Sync]? (identity? PREPARE? query) × n  Sync
 *   one write:       [timeout Sync]?  identity? PREPARE? query       Sync
 *   session step:    [timeout Sync]?            PREPARE? query       Sync
 *   a new session:   [timeout Sync]?  identity                       Sync
 *
 * Everything between two Syncs is one transaction. A read is answered as its result comes. A write
 * is answered only when its Sync has been: the server says "INSERT 0 1" before it commits, and the
 * commit itself may fail (deferred constraints, serialization).
 *
 * Results: each statement gives one result and then NULL; PIPELINE_SYNC comes without a NULL; an
 * error of the commit comes in front of the PIPELINE_SYNC with a NULL of its own (seen with libpq
 * 15). After an error every statement up to the Sync gives PIPELINE_ABORTED.
 *
 * There is one batch in flight per connection: a second would wait behind the first one's locks and
 * commit while another connection may be free, and what was lost could not be told apart. */
#include "pg/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

bool timeout_suits(uint32_t current_ms, uint32_t needed_ms)
{
    /* Up to four times too long: the caller has its answer by its own deadline; the timeout only
     * ends work that nobody waits for. */
    return current_ms >= needed_ms && current_ms / 4 <= needed_ms;
}

uint32_t timeout_quantise(uint32_t needed_ms, uint32_t limit_ms)
{
    uint32_t quantum = 1;
    while (quantum < needed_ms && quantum < UINT32_C(1) << 30)
        quantum *= 2;
    return quantum < limit_ms ? quantum : limit_ms;
}

static void step_push(struct connection *connection, struct step step)
{
    if (connection->step_count == connection->step_capacity) {
        /* The pool fills a batch only to batch_limit units; more is a mistake of ours. */
        log_event(LOG_LEVEL_ERROR, "pg_batch_overflow", log_int("steps", connection->step_count));
        abort();
    }
    connection->steps[connection->step_count++] = step;
}

void batch_begin(struct connection *connection)
{
    connection->step_at = connection->step_count = 0;
    connection->empty_results = 0;
    connection->sent = false;
    connection->runs_slow = false;
    connection->began_us = connection->progress_us = pool_now_us(connection->pool);
}

bool batch_add_internal(struct connection *connection, const char *sql, int count,
                        const char *const *values)
{
    if (!PQsendQueryParams(connection->conn, sql, count, NULL, values, NULL, NULL, 0))
        return false;
    step_push(connection, (struct step){.kind = STEP_INTERNAL});
    return true;
}

bool batch_add_timeout(struct connection *connection, uint32_t timeout_ms)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", timeout_ms);
    const char *values[] = {text};
    if (!PQsendQueryParams(connection->conn, "SELECT set_config('statement_timeout', $1, false)", 1,
                           NULL, values, NULL, NULL, 0) ||
        !PQpipelineSync(connection->conn))
        return false;
    step_push(connection, (struct step){.kind = STEP_TIMEOUT});
    step_push(connection, (struct step){.kind = STEP_SYNC});
    connection->timeout_ms = timeout_ms;
    return true;
}

static unsigned char *prepared_at(struct connection *connection, size_t slot,
                                  enum pg_authority authority)
{
    if (slot >= connection->prepared_count) {
        size_t count = connection->pool->statements.capacity;
        unsigned char *prepared = xcalloc(count, PG_AUTHORITIES);
        if (connection->prepared_count)
            memcpy(prepared, connection->prepared, connection->prepared_count * PG_AUTHORITIES);
        free(connection->prepared);
        connection->prepared = prepared;
        connection->prepared_count = count;
    }
    return &connection->prepared[slot * PG_AUTHORITIES + authority];
}

/* PREPARE, where this connection has not had the statement. */
static bool batch_add_prepare(struct connection *connection, const struct pg_statement *statement,
                              size_t slot, enum pg_authority authority, struct unit *unit)
{
    unsigned char *prepared = prepared_at(connection, slot, authority);
    char room[IDENTITY_NAME_SIZE];
    if (*prepared != PREPARED_NO)
        return true;
    step_push(connection, (struct step){STEP_PREPARE, false, unit, slot, authority});
    *prepared = PREPARED_SENT;
    return PQsendPrepare(connection->conn,
                         identity_statement_name(statement->name, authority, room), statement->text,
                         0, NULL);
}

bool batch_add_identity(struct connection *connection, const struct pg_identity *identity,
                        struct unit *unit)
{
    struct identity_switch to;
    identity_switch(connection, identity, &to);
    if (!batch_add_prepare(connection, to.statement, to.slot, PG_AS_NOBODY, unit))
        return false;
    step_push(connection, (struct step){STEP_IDENTITY, false, unit, to.slot, PG_AS_NOBODY});
    identity_note(connection, identity);
    return PQsendQueryPrepared(connection->conn, to.statement->name, to.count, to.values, NULL,
                               NULL, 0);
}

static bool batch_fit_identity(struct connection *connection, struct unit *unit)
{
    return unit->kind == UNIT_SESSION || /* said at its beginning */
           identity_is_taken(connection, &unit->owner.identity) ||
           batch_add_identity(connection, &unit->owner.identity, unit);
}

bool batch_add_unit(struct connection *connection, struct unit *unit)
{
    const struct pg_statement *statement = unit->statement;
    enum pg_authority authority = unit->owner.identity.authority;
    char room[IDENTITY_NAME_SIZE];
    /* From here the unit is the connection's, whatever fails. */
    if (unit->kind != UNIT_READ)
        connection->held = unit;
    bool is_added = batch_fit_identity(connection, unit) &&
                    batch_add_prepare(connection, statement, unit->slot, authority, unit);
    step_push(connection, (struct step){STEP_QUERY, false, unit, unit->slot, authority});
    if (!is_added)
        return false;
    connection->pool->count_statements++;
    account_sent(unit);
    return PQsendQueryPrepared(connection->conn,
                               identity_statement_name(statement->name, authority, room),
                               unit->count, unit->values, unit->lengths, unit->formats, 1);
}

bool batch_send(struct connection *connection)
{
    connection->sent = true;
    account_batch(connection->pool, connection);
    step_push(connection, (struct step){.kind = STEP_SYNC});
    return PQpipelineSync(connection->conn); /* flushes what the socket takes */
}

void batch_take_unanswered(struct connection *connection, struct unit_queue *ret_units)
{
    unit_queue_append(ret_units, &connection->aborted);
    for (unsigned i = connection->step_at; i < connection->step_count; i++) {
        struct step *step = &connection->steps[i];
        if (step->kind != STEP_QUERY || !step->unit)
            continue;
        if (step->unit->kind == UNIT_READ)
            unit_queue_push(ret_units, step->unit);
        step->unit = NULL;
    }
    if (connection->held)
        unit_queue_push(ret_units, connection->held);
    connection->held = NULL;
}

/* A read that failed through no fault of its own goes out again, alone. */
static void read_again(struct connection *connection, struct unit *unit)
{
    PQclear(unit->result);
    unit->result = NULL;
    unit->isolated = true;
    unit_queue_push(&connection->aborted, unit);
}

static bool needs_new_plan(struct unit *unit, const PGresult *result)
{
    return !unit->replanned && result_is_error(result) && result_is_stale_plan(result);
}

static void answer_read(struct connection *connection, struct step *step)
{
    struct unit *unit = step->unit;
    step->unit = NULL;
    if (needs_new_plan(unit, unit->result)) {
        unit->replanned = true;
        connection->stale = true;
        read_again(connection, unit);
        return;
    }
    if (result_is_error(unit->result))
        connection->pool->count_errors++;
    unit_finish_result(unit, unit->result);
}

/* The unit of a query step has its result, an error of its PREPARE among them, or was taken down by
 * a neighbour. */
static void take_query_result(struct connection *connection, struct step *step, PGresult *result)
{
    struct unit *unit = step->unit;
    if (!unit) { /* its session was closed meanwhile */
        PQclear(result);
        return;
    }
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED && unit->result) {
        PQclear(result); /* its PREPARE failed, which says more */
    } else if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED && unit->kind == UNIT_READ) {
        PQclear(result);
        step->unit = NULL;
        read_again(connection, unit);
        return;
    } else {
        PQclear(unit->result);
        unit->result = result;
    }
    if (unit->kind == UNIT_READ)
        answer_read(connection, step);
}

/* What comes before a unit's query: its failure is the unit's. */
static void take_preliminary_result(struct step *step, PGresult *result)
{
    if (result_is_error(result) && PQresultStatus(result) != PGRES_PIPELINE_ABORTED && step->unit) {
        PQclear(step->unit->result);
        step->unit->result = result;
        return;
    }
    PQclear(result);
}

/* Takes the result. False when the connection has been lost by it. */
static bool take_result(struct connection *connection, struct step *step, PGresult *result)
{
    bool failed = result_is_error(result);
    bool dying =
        failed && (PQstatus(connection->conn) == CONNECTION_BAD || result_is_fatal(result));
    bool is_read = step->unit && step->unit->kind == UNIT_READ;
    if (failed)
        connection->identity.is_known = false; /* the rollback takes back what was set */
    if (dying && (is_read || !*result_sqlstate(result))) {
        /* Not this statement's failure but the connection's end; connection_lost() knows what to do
         * with each unit. */
        char why[256];
        snprintf(why, sizeof(why), "%s", PQresultErrorMessage(result));
        PQclear(result);
        connection_lost(connection, why);
        return false;
    }
    step->answered = true;
    bool belongs_to_us = step->kind == STEP_INTERNAL ||
                         (!step->unit && identity_is_slot(connection->pool, step->slot) &&
                          (step->kind == STEP_IDENTITY || step->kind == STEP_PREPARE));
    if (failed && belongs_to_us) {
        char why[256];
        snprintf(why, sizeof(why), "%s", PQresultErrorMessage(result));
        PQclear(result);
        connection_lost(connection, why);
        return false;
    }
    switch (step->kind) {
    case STEP_INTERNAL:
        PQclear(result);
        break;
    case STEP_TIMEOUT:
        if (failed)
            connection->timeout_ms = 0;
        PQclear(result);
        break;
    case STEP_PREPARE:
        *prepared_at(connection, step->slot, step->authority) = failed ? PREPARED_NO : PREPARED_YES;
        take_preliminary_result(step, result);
        break;
    case STEP_IDENTITY:
        take_preliminary_result(step, result);
        break;
    case STEP_QUERY:
        take_query_result(connection, step, result);
        break;
    case STEP_SYNC:
        /* The commit failed; an error of the statement itself says more. */
        if (failed && connection->held &&
            !(connection->held->result && result_is_error(connection->held->result))) {
            PQclear(connection->held->result);
            connection->held->result = result;
            connection->held->commit_failed = true;
        } else {
            PQclear(result);
        }
        break;
    }
    return true;
}

/* The last Sync has been answered: what was held is committed or refused, and the connection is
 * free. */
static void batch_end(struct connection *connection)
{
    struct pg_pool *pool = connection->pool;
    if (connection->kind == CONNECTION_READ)
        statements_learn(&pool->statements, connection, pool_now_us(pool) - connection->began_us);
    connection->step_at = connection->step_count = 0;
    connection->sent = connection->runs_slow = false;
    bool was_in_transaction = connection->in_transaction;
    connection->in_transaction = PQtransactionStatus(connection->conn) != PQTRANS_IDLE;
    if (was_in_transaction && !connection->in_transaction)
        connection->timeout_ms = 0; /* a ROLLBACK has taken back what was set inside */
    if (connection->state == CONNECTION_SETTING_UP) {
        connection_on_up(connection);
        return;
    }
    connection->state = CONNECTION_IDLE;

    struct unit_queue again = connection->aborted;
    connection->aborted = (struct unit_queue){0};
    struct unit *held = connection->held;
    connection->held = NULL;
    if (held && held->result && result_is_error(held->result)) {
        const char *state = result_sqlstate(held->result);
        pool->count_errors++;
        /* A demoted server: whoever is the primary now is found by connecting again. */
        if (strcmp(state, "25006") == 0 || result_is_stale_plan(held->result))
            connection->stale = true;
        if (held->kind == UNIT_WRITE && needs_new_plan(held, held->result)) {
            held->replanned = true;
            PQclear(held->result);
            held->result = NULL;
            unit_queue_push(&again, held);
            held = NULL;
        }
    }
    pool_requeue(pool, &again);
    if (connection->in_transaction && !connection->session) {
        /* A pg_write() that opens a transaction of its own, or a ROLLBACK that did not end one. */
        log_event(LOG_LEVEL_ERROR, "sql_transaction_left_open",
                  log_text("statement", held && held->statement ? held->statement->name : NULL));
        connection->stale = true;
    }
    if (connection->stale && !connection->session)
        connection_replace(connection);
    pool_schedule(pool);
    /* Last: the callback may do anything, down to freeing the pool. */
    if (held)
        unit_finish_result(held, held->result);
}

void batch_read(struct connection *connection)
{
    unsigned generation = connection->generation;
    while (connection->step_at < connection->step_count && !PQisBusy(connection->conn)) {
        struct step *step = &connection->steps[connection->step_at];
        PGresult *result = PQgetResult(connection->conn);
        if (!result) {
            if (step->answered && step->kind != STEP_SYNC) {
                connection->step_at++;
                continue;
            }
            /* The NULL after a failed commit is the only one that is not the end of a step. */
            if (step->kind == STEP_SYNC && ++connection->empty_results <= 2)
                continue;
            connection_lost(connection, "libpq and the pool are out of step");
            return;
        }
        connection->empty_results = 0;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            if (step->kind != STEP_SYNC) {
                connection_lost(connection, "libpq and the pool are out of step");
                return;
            }
            if (++connection->step_at == connection->step_count) {
                batch_end(connection);
                return;
            }
            continue;
        }
        if (!take_result(connection, step, result) || connection->generation != generation)
            return;
    }
}
