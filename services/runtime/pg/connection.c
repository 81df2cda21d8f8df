/* One connection's life: connect, set up, serve, get lost, back off, connect again.
 *
 * Nothing here waits: PQconnectStart/PQconnectPoll are driven by the loop. (libpq resolves host
 * names inside PQconnectPoll and that does block; name servers by address, or use a unix socket,
 * where that matters.) A server that accepts and then says nothing is given up after
 * CONNECT_LIMIT_US; one that falls silent in the middle of work, by the pool's sweep. */
#include "pg/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_LIMIT_US (5 * TIME_US_PER_SECOND)
#define BACKOFF_FIRST_US INT64_C(100000)
#define BACKOFF_MOST_US (5 * TIME_US_PER_SECOND)
#define LOST_LOG_EVERY_US TIME_US_PER_SECOND

static const char *const kind_names[] = {"read", "write", "session"};

void connection_init(struct connection *connection, struct pg_pool *pool, enum connection_kind kind)
{
    memset(connection, 0, sizeof(*connection));
    connection->pool = pool;
    connection->kind = kind;
    connection->state = CONNECTION_CLOSED;
    /* A batch's most: a timeout and its Sync, the PREPAREs of both statements of identity.c;
     * identity, PREPARE and query of each unit; the Sync. */
    connection->step_capacity = 3 * pool->batch_limit + 6;
    connection->steps = xcalloc(connection->step_capacity, sizeof(*connection->steps));
}

static void events_remove(struct connection *connection)
{
    if (!connection->has_events)
        return;
    event_del(&connection->readable);
    event_del(&connection->writable);
    connection->has_events = false;
}

/* Leaves CLOSED; what was in flight has been taken by the caller. */
static void connection_close(struct connection *connection)
{
    loop_timer_cancel(connection->timer);
    connection->timer = NULL;
    events_remove(connection);
    if (connection->conn)
        PQfinish(connection->conn);
    connection->conn = NULL;
    connection->generation++;
    connection->state = CONNECTION_CLOSED;
    if (connection->prepared_count)
        memset(connection->prepared, PREPARED_NO, connection->prepared_count * PG_AUTHORITIES);
    connection->timeout_ms = 0;
    connection->identity.is_known = false;
    connection->in_transaction = false;
    connection->stale = false;
    connection->sent = connection->runs_slow = false;
    connection->step_at = connection->step_count = 0;
    connection->empty_results = 0;
}

void connection_done(struct connection *connection)
{
    connection_close(connection);
    free(connection->prepared);
    free(connection->steps);
    connection->prepared = NULL;
    connection->steps = NULL;
}

/* libpq's messages end with a line break and may have several lines. */
static void one_line(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    size_t length = strlen(out);
    while (length && (out[length - 1] == '\n' || out[length - 1] == ' '))
        out[--length] = '\0';
    for (char *c = out; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
}

static void on_notice(void *context, const PGresult *result)
{
    (void)context;
    if (!log_is_enabled(LOG_LEVEL_DEBUG))
        return;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_event(LOG_LEVEL_DEBUG, "database_notice", log_text("sqlstate", result_sqlstate(result)),
              log_text("message", message));
}

static void on_backoff_over(void *context)
{
    struct connection *connection = context;
    connection->timer = NULL;
    connection_start(connection);
}

static void connection_back_off(struct connection *connection)
{
    struct pg_pool *pool = connection->pool;
    if (pool->closing)
        return;
    /* Session connections exist only while somebody wants one. */
    if (connection->kind == CONNECTION_SESSION && !pool->first_waiting)
        return;
    unsigned doublings = connection->failures < 10 ? connection->failures : 10;
    int64_t delay_us = BACKOFF_FIRST_US << doublings;
    if (delay_us > BACKOFF_MOST_US)
        delay_us = BACKOFF_MOST_US;
    delay_us = (int64_t)((double)delay_us * (0.5 + 0.5 * entropy_unit(&pool->entropy)));
    connection->failures++;
    connection->state = CONNECTION_BACKOFF;
    connection->timer = loop_timer_start(pool->loop, delay_us, on_backoff_over, connection);
}

/* Reads are asked again once elsewhere; of a write that may have reached the server nobody knows.
 */
static void settle_unanswered(struct pg_pool *pool, struct unit_queue *units, bool sent)
{
    struct unit_queue again = {0};
    struct unit *unit;
    while ((unit = unit_queue_pop(units))) {
        struct err err = {0};
        if (pool->closing) {
            err_set(&err, ERR_CANCELLED, NULL, "the service is stopping");
        } else if (unit->result && result_is_error(unit->result)) {
            unit_finish_result(unit, unit->result); /* the server's last word: it failed */
            continue;
        } else if (!unit->lost_once &&
                   (unit->kind == UNIT_READ || (unit->kind == UNIT_WRITE && !sent))) {
            unit->lost_once = true;
            PQclear(unit->result);
            unit->result = NULL;
            unit_queue_push(&again, unit);
            continue;
        } else {
            err_set_lost(&err, unit->kind != UNIT_READ && sent);
        }
        unit_finish_error(unit, &err);
    }
    pool_requeue(pool, &again);
}

void connection_lost(struct connection *connection, const char *why)
{
    struct pg_pool *pool = connection->pool;
    char message[300];
    one_line(message, sizeof(message), why);
    if (pool->closing) {
        /* pg_pool_free() ends it. */
    } else if (connection_is_up(connection)) {
        int64_t now_us = pool_now_us(pool);
        if (!pool->lost_logged_us || now_us - pool->lost_logged_us > LOST_LOG_EVERY_US) {
            pool->lost_logged_us = now_us;
            log_event(LOG_LEVEL_WARN, "database_connection_lost",
                      log_text("kind", kind_names[connection->kind]), log_text("message", message));
        }
        pool_note_down(pool, connection->kind);
        connection->failures = 0;
    } else {
        pool_note_unreachable(pool, message);
    }

    struct unit_queue units = {0};
    batch_take_unanswered(connection, &units);
    bool sent = connection->sent;
    struct pg_session *session = connection->session;
    connection->session = NULL;
    connection_close(connection);
    connection_back_off(connection);

    if (session) {
        struct err err = {0};
        if (pool->closing)
            err_set(&err, ERR_CANCELLED, NULL, "the service is stopping");
        else
            err_set_lost(&err, false);
        /* Its own unit first, then what it had queued behind; the session may be closed by any of
         * these. */
        struct unit_queue rest = session->units;
        session->units = (struct unit_queue){0};
        if (session->copy_unit) {
            unit_queue_push(&units, session->copy_unit);
            session->copy_unit = NULL;
            sent = session->copy == COPY_ENDING;
        }
        session_on_lost(session);
        settle_unanswered(pool, &units, sent);
        struct unit *unit;
        while ((unit = unit_queue_pop(&rest)))
            unit_finish_error(unit, &err);
        return;
    }
    settle_unanswered(pool, &units, sent);
}

void connection_replace(struct connection *connection)
{
    if (connection_is_up(connection))
        pool_note_down(connection->pool, connection->kind);
    connection_close(connection);
    connection->failures = 0;
    if (connection->pool->closing ||
        (connection->kind == CONNECTION_SESSION && !connection->pool->first_waiting))
        return;
    connection_start(connection);
}

bool connection_flush(struct connection *connection)
{
    int left = PQflush(connection->conn);
    if (left < 0) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return false;
    }
    if (left > 0) {
        if (event_add(&connection->writable, NULL) < 0) {
            connection_lost(connection, "the event loop refused a socket");
            return false;
        }
        return true;
    }
    if (connection->state == CONNECTION_COPY)
        copy_on_flushed(connection);
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    connection->progress_us = pool_now_us(connection->pool);
    connection_flush(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    unsigned generation = connection->generation;
    connection->progress_us = pool_now_us(connection->pool);
    bool alive = PQconsumeInput(connection->conn);
    /* Also after the end: answers that came before it are answers. */
    if (connection->state == CONNECTION_COPY)
        copy_read(connection);
    else if (connection->step_at < connection->step_count)
        batch_read(connection);
    else
        (void)PQisBusy(connection->conn); /* lets libpq hand over notices */
    if (!alive && connection->generation == generation)
        connection_lost(connection, PQerrorMessage(connection->conn));
}

void connection_on_up(struct connection *connection)
{
    struct pg_pool *pool = connection->pool;
    loop_timer_cancel(connection->timer);
    connection->timer = NULL;
    connection->state = CONNECTION_IDLE;
    connection->failures = 0;
    pool_note_up(pool, connection->kind);
    pool_schedule(pool);
}

/* Connected: pipeline mode, and what every session of ours agrees on. */
static void connection_set_up(struct connection *connection)
{
    struct event_base *base = loop_event_base(connection->pool->loop);
    int fd = PQsocket(connection->conn);
    events_remove(connection);
    connection->has_events = true;
    event_assign(&connection->writable, base, fd, EV_WRITE, on_writable, connection);
    if (event_assign(&connection->readable, base, fd, EV_READ | EV_PERSIST, on_readable,
                     connection) < 0 ||
        event_add(&connection->readable, NULL) < 0 || PQsetnonblocking(connection->conn, 1) != 0 ||
        !PQenterPipelineMode(connection->conn)) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    connection->state = CONNECTION_SETTING_UP;

    char timeout[16];
    snprintf(timeout, sizeof(timeout), "%u", connection->pool->statement_timeout_ms);
    /* Batches of reads are repeated and thrown together: a statement that writes does not belong
     * there, and is told so. */
    const char *values[] = {timeout, connection->kind == CONNECTION_READ ? "on" : "off",
                            identity_role(connection->pool, PG_AS_COMPANY)};
    batch_begin(connection);
    if (!batch_add_internal(connection,
                            "SELECT set_config('TimeZone', 'UTC', false),"
                            " set_config('DateStyle', 'ISO', false),"
                            " set_config('statement_timeout', $1, false),"
                            " set_config('default_transaction_read_only', $2, false),"
                            /* Of no company, until it is told which. */
                            " set_config('role', $3, false)",
                            3, values) ||
        !batch_send(connection)) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    connection->timeout_ms = connection->pool->statement_timeout_ms;
    connection_flush(connection);
}

static void on_connect_event(evutil_socket_t fd, short what, void *context);

static void connect_wait_for(struct connection *connection, short what)
{
    int fd = PQsocket(connection->conn);
    struct event_base *base = loop_event_base(connection->pool->loop);
    events_remove(connection);
    if (fd < 0) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    /* The other event is only assigned, so that removing both is always legal. */
    event_assign(&connection->writable, base, fd, EV_WRITE, on_connect_event, connection);
    event_assign(&connection->readable, base, fd, what, on_connect_event, connection);
    connection->has_events = true;
    if (event_add(&connection->readable, NULL) < 0)
        connection_lost(connection, "the event loop refused a socket");
}

static void on_connect_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    /* libpq may close this socket and open another one inside. */
    events_remove(connection);
    switch (PQconnectPoll(connection->conn)) {
    case PGRES_POLLING_READING:
        connect_wait_for(connection, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        connect_wait_for(connection, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        connection_set_up(connection);
        break;
    default:
        connection_lost(connection, PQerrorMessage(connection->conn));
    }
}

static void on_connect_limit(void *context)
{
    struct connection *connection = context;
    connection->timer = NULL;
    connection_lost(connection, "no answer while connecting");
}

void connection_start(struct connection *connection)
{
    struct pg_pool *pool = connection->pool;
    loop_timer_cancel(connection->timer);
    connection->attempted_us = pool_now_us(pool);
    connection->state = CONNECTION_CONNECTING;
    connection->timer =
        loop_timer_start(pool->loop, CONNECT_LIMIT_US, on_connect_limit, connection);
    /* What comes after dbname's connection string wins over it; fallbacks do not. */
    const char *keywords[] = {"fallback_application_name", "dbname", "client_encoding", NULL};
    const char *values[] = {"dialplane", pool->connection_string, "UTF8", NULL};
    connection->conn = PQconnectStartParams(keywords, values, 1);
    if (!connection->conn) {
        connection_lost(connection, "out of memory");
        return;
    }
    if (PQstatus(connection->conn) == CONNECTION_BAD) {
        connection_lost(connection, PQerrorMessage(connection->conn));
        return;
    }
    PQsetNoticeReceiver(connection->conn, on_notice, NULL);
    connect_wait_for(connection, EV_WRITE);
}
