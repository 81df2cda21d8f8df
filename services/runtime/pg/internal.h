/* What the files of pg share; nobody else includes it.
 *
 * The words: a `unit` is one statement that somebody waits for. A `batch` is what is in flight on a
 * connection: its `steps` are the results that the server owes, in order. A `connection` belongs to
 * one of three kinds and is reused for the life of the pool. */
#ifndef DIALPLANE_PG_INTERNAL_H
#define DIALPLANE_PG_INTERNAL_H

#include "app/app.h"
#include "pg/pg.h"

#include <event2/event.h>
#include <event2/event_struct.h>

/* libpq's postgres_ext.h has a typedef pg_int64, which is an accessor of ours. */
#define pg_int64 libpq_int64
#include <libpq-fe.h>
#undef pg_int64

/* ---- units (unit.c) ---- */

enum unit_kind { UNIT_READ, UNIT_WRITE, UNIT_SESSION, UNIT_COPY_BEGIN, UNIT_COPY_END };

struct unit {
    struct unit *next;
    enum unit_kind kind;
    struct pg_owner owner;
    const struct pg_statement *statement; /* NULL for an end without a beginning */
    size_t slot;                          /* the statement's number in the pool */
    pg_callback *callback;
    void *context;
    struct pg_pool *pool; /* NULL: refused before it got there */
    int64_t asked_us;     /* 0: refused at once */
    int64_t sent_us;      /* 0: never */
    int64_t queued_us;
    bool isolated;  /* goes out in a batch of its own: a neighbour failed, or its plan was stale */
    bool lost_once; /* its connection was lost under it */
    bool replanned; /* sent again because the server had forgotten or outgrown its plan */
    PGresult *result;    /* held until the Sync has been answered: only then it is committed */
    bool commit_failed;  /* the error came with the Sync, not with the statement */
    struct err *refusal; /* for unit_refuse_later() */
    int count;           /* parameters; the values live in the caller's arena */
    const char **values;
    int *lengths;
    int *formats;
};

struct connection;

struct unit_queue {
    struct unit *first;
    struct unit *last;
    size_t count;
};

void unit_queue_push(struct unit_queue *queue, struct unit *unit);
void unit_queue_push_front(struct unit_queue *queue, struct unit *unit);
struct unit *unit_queue_pop(struct unit_queue *queue);
/* Takes out `unit`, which follows `before` (NULL: is the first). */
void unit_queue_remove(struct unit_queue *queue, struct unit *before, struct unit *unit);
/* All of `from`, in order, to the front or the end of `queue`. */
void unit_queue_prepend(struct unit_queue *queue, struct unit_queue *from);
void unit_queue_append(struct unit_queue *queue, struct unit_queue *from);

/* Never NULL: without memory the promise of a callback cannot be kept, and the process ends. */
struct unit *unit_new(enum unit_kind kind, const struct pg_owner *owner,
                      const struct pg_statement *statement, const struct pg_params *params,
                      pg_callback *callback, void *context);
/* True, with err, when nobody waits for it any more: the owner is gone or its deadline has passed.
 */
bool unit_is_over(const struct unit *unit, int64_t now_us, struct err *err);
bool owner_is_over(const struct pg_owner *owner, int64_t now_us, struct err *err);
/* Each calls back and frees the unit. finish_result takes a success or an error of the server; the
 * result stays the caller's. */
void unit_finish_result(struct unit *unit, const PGresult *result);
void unit_finish_error(struct unit *unit, const struct err *err);
/* Fails it at the end of the turn, for calls that may not call back themselves. */
void unit_refuse_later(struct loop *loop, struct unit *unit, const struct err *err);
void *xcalloc(size_t count, size_t size);

/* ---- figures and spans (account.c) ---- */

/* The unit goes out: how long it has waited. */
void account_sent(struct unit *unit);
/* The unit is about to be answered; result NULL: without a word of the server. */
void account_finished(const struct unit *unit, const PGresult *result);
void account_batch(struct pg_pool *pool, const struct connection *connection);

/* ---- statements (statements.c) ---- */

/* Every statement the pool has seen gets a number, by which connections remember what they have
 * prepared. */
struct statements {
    const struct pg_statement **items;
    unsigned char
        *slow; /* by number: how many quick runs in a row it takes to be trusted again; 0: it is */
    struct pg_statement_stats *stats; /* by number */
    size_t count, capacity;
    uint32_t *buckets; /* number + 1; open addressing, a power of two */
    size_t bucket_count;
};
/* False, with err, when another statement of that name has another text. */
bool statements_find(struct statements *statements, const struct pg_statement *statement,
                     size_t *ret_slot, struct err *err);
void statements_done(struct statements *statements);
/* Learns which statements take long, from a batch of reads that has ended. */
void statements_learn(struct statements *statements, const struct connection *connection,
                      int64_t took_us);
static inline bool statement_is_slow(const struct statements *statements, size_t slot)
{
    return statements->slow[slot] != 0;
}

/* ---- outcomes (outcome.c) ---- */

/* Turns an error of the server into an outcome, and logs it unless it is part of the game. */
void outcome_from_error(const struct unit *unit, const PGresult *result,
                        struct pg_outcome *ret_outcome);
const char *result_sqlstate(const PGresult *result); /* "" when there is none */
bool result_is_error(const PGresult *result);
/* The server no longer has, or can no longer use, the prepared statement: a new connection can. */
bool result_is_stale_plan(const PGresult *result);
bool result_is_fatal(const PGresult *result);

/* What accessors read. */
struct pg_result {
    const PGresult *result;
    const char *statement;
};

/* ---- connections (connection.c: life; pipeline.c: batches) ---- */

enum connection_kind { CONNECTION_READ, CONNECTION_WRITE, CONNECTION_SESSION, CONNECTION_KINDS };

/*   CLOSED ──▶ CONNECTING ──▶ SETTING_UP ──▶ IDLE ⇄ BUSY
 *                  ▲  │            │          │  ⇅    │
 *                  │  ▼            ▼          ▼ COPY  ▼
 *                 BACKOFF ◀──────────── lost ──────────
 * Only session connections are ever CLOSED again (nobody wants one), and only they reach COPY. */
enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_BACKOFF,
    CONNECTION_CONNECTING,
    CONNECTION_SETTING_UP,
    CONNECTION_IDLE,
    CONNECTION_BUSY,
    CONNECTION_COPY,
};

enum step_kind {
    STEP_INTERNAL, /* our own housekeeping; its failure discards the connection */
    STEP_TIMEOUT,
    STEP_IDENTITY, /* who asks; its failure is that of its unit, or discards the connection */
    STEP_PREPARE,
    STEP_QUERY,
    STEP_SYNC,
};

struct step {
    enum step_kind kind;
    bool answered;               /* its result has come; the NULL after it ends the step */
    struct unit *unit;           /* NULL once it has been answered */
    size_t slot;                 /* of the statement */
    enum pg_authority authority; /* STEP_PREPARE: for which it is */
};

enum prepared_state { PREPARED_NO, PREPARED_SENT, PREPARED_YES };

/* Whom the server takes the connection for. */
struct taken_identity {
    bool is_known;    /* false: what follows need not be true */
    bool is_detailed; /* actor, address and request id are set: they suit one request only */
    enum pg_authority authority;
    char company_id[UUID_TEXT_SIZE];
};

struct connection {
    struct pg_pool *pool;
    enum connection_kind kind;
    enum connection_state state;
    PGconn *conn;
    struct event readable, writable;
    bool has_events;
    struct loop_timer *timer; /* of BACKOFF, or the limit of CONNECTING */
    unsigned failures;        /* connection attempts in a row that came to nothing */
    int64_t attempted_us;
    int64_t began_us;    /* the batch */
    int64_t progress_us; /* when the server was last heard of, for the watchdog */

    unsigned char *prepared; /* enum prepared_state by slot × authority */
    size_t prepared_count;   /* slots */
    uint32_t timeout_ms;     /* the session's statement_timeout; 0: not known */
    struct taken_identity identity;
    bool in_transaction; /* an explicit one, when the last batch ended */
    bool stale;          /* to be replaced when the batch has ended */

    struct step *steps;
    unsigned step_count, step_at, step_capacity;
    unsigned empty_results;    /* NULLs in a row where none is owed: a guard against spinning */
    unsigned generation;       /* grows when the PGconn goes: callers notice that theirs is gone */
    bool runs_slow;            /* the batch is one slow read */
    bool sent;                 /* the batch's last Sync may have reached the server */
    struct unit *held;         /* a write's or session's unit, until the Sync */
    struct unit_queue aborted; /* reads that a failing neighbour took down */

    struct pg_session *session; /* who has it, for session connections */
};

void connection_init(struct connection *connection, struct pg_pool *pool,
                     enum connection_kind kind);
void connection_done(struct connection *connection);
void connection_start(struct connection *connection);
/* Broken or given up: closes it, settles what was in flight, and arranges for another. */
void connection_lost(struct connection *connection, const char *why);
/* Replaces a healthy connection (stale plans, a demoted server). */
void connection_replace(struct connection *connection);
/* Sends what libpq has buffered; false when the connection was lost by it. */
bool connection_flush(struct connection *connection);
static inline bool connection_is_up(const struct connection *connection)
{
    return connection->state >= CONNECTION_IDLE;
}
void connection_on_up(struct connection *connection);

/* Building a batch: begin, add, send. An add or send that fails returns false and the caller calls
 * connection_lost(). */
void batch_begin(struct connection *connection);
bool batch_add_internal(struct connection *connection, const char *sql, int count,
                        const char *const *values);
/* statement_timeout, committed by a Sync of its own, so that a failing neighbour does not take it
 * back. */
bool batch_add_timeout(struct connection *connection, uint32_t timeout_ms);
/* Makes the following statements those of `identity`, up to the next one: an earlier failure in the
 * batch, or its own, keeps them from running at all. unit: the one that its failure belongs to;
 * NULL discards the connection. */
bool batch_add_identity(struct connection *connection, const struct pg_identity *identity,
                        struct unit *unit);
/* The unit, after its identity where the server has another one. */
bool batch_add_unit(struct connection *connection, struct unit *unit);
bool batch_send(struct connection *connection);
/* Reads the results that have come; may end the batch, lose the connection, or call back. */
void batch_read(struct connection *connection);
/* The batch's units that nobody has answered, in order, and its held one. */
void batch_take_unanswered(struct connection *connection, struct unit_queue *ret_units);

/* ---- who asks (identity.c) ---- */

/* The server has been told already. */
bool identity_is_taken(const struct connection *connection, const struct pg_identity *identity);
void identity_note(struct connection *connection, const struct pg_identity *identity);
/* The room that a copy of its strings takes, and the copy; with_details: also of those that only
 * one request has. */
size_t identity_size(const struct pg_identity *identity, bool with_details);
void identity_copy(struct pg_identity *to, const struct pg_identity *from, bool with_details,
                   char *room);
/* False, with err, when nobody has said whose work it is. */
bool identity_check(const struct pg_identity *identity, const char *statement, struct err *err);
/* The statement that tells the server, from what it has been told before. */
#define IDENTITY_PARAMETERS 5
struct identity_switch {
    const struct pg_statement *statement;
    size_t slot;
    int count;
    const char *values[IDENTITY_PARAMETERS];
};
void identity_switch(const struct connection *connection, const struct pg_identity *identity,
                     struct identity_switch *ret_switch);
/* Whether it is one of those statements, which are nobody's units. */
bool identity_is_slot(const struct pg_pool *pool, size_t slot);
/* The role of an authority; "none": the login role. */
const char *identity_role(const struct pg_pool *pool, enum pg_authority authority);
/* roles: as in struct pg_options. */
void identity_prepare(struct pg_pool *pool, const char *roles);
/* The name under which a statement is prepared for an authority: the server plans anew what another
 * role has planned, so each role has a plan of its own. */
#define IDENTITY_NAME_SIZE 64
const char *identity_statement_name(const char *statement, enum pg_authority authority,
                                    char out[IDENTITY_NAME_SIZE]);

/* Which statement_timeout serves work that has `needed_ms` left, quantised so that it rarely
 * changes. */
bool timeout_suits(uint32_t current_ms, uint32_t needed_ms);
uint32_t timeout_quantise(uint32_t needed_ms, uint32_t limit_ms);

/* ---- the pool (pool.c, dispatch.c) ---- */

struct kind_state {
    unsigned first, count; /* its connections in the pool's array */
    unsigned up;
    unsigned turn;         /* where the next search for an idle one starts */
    int64_t down_since_us; /* 0: at least one is up */
};

struct pg_pool {
    struct loop *loop;
    char *connection_string;
    unsigned batch_limit, queue_limit;
    int64_t queue_wait_us;
    uint32_t statement_timeout_ms;
    struct entropy entropy;

    struct connection *connections;
    unsigned connection_count;
    struct kind_state kinds[CONNECTION_KINDS];

    struct unit_queue reads, writes;
    struct pg_session *first_waiting, *last_waiting;
    unsigned sessions_waiting;
    struct statements statements;
    size_t identity_slot, company_slot; /* of the statements of identity.c */
    char roles[PG_AUTHORITIES][64];     /* their names; empty: the login role */

    struct unit **batch; /* room for batch_limit units, while a batch is put together */
    bool dispatch_is_due;
    bool closing;
    struct loop_timer *sweep;
    int64_t sweep_due_us;

    bool reported_down;
    int64_t reported_us, lost_logged_us;
    uint64_t count_statements, count_batches, count_errors, count_reconnects;
    uint64_t batch_sizes[PG_BATCH_BUCKETS];
    struct durations wait, run;
};

int64_t pool_now_us(const struct pg_pool *pool);
/* Dispatches once at the end of this turn. */
void pool_schedule(struct pg_pool *pool);
void pool_dispatch(struct pg_pool *pool);
/* Makes the sweep run at the latest in after_us. */
void pool_arm_sweep(struct pg_pool *pool, int64_t after_us);
/* The state of a kind's reachability changed. */
void pool_note_up(struct pg_pool *pool, enum connection_kind kind);
void pool_note_down(struct pg_pool *pool, enum connection_kind kind);
void pool_note_unreachable(struct pg_pool *pool, const char *why);
/* Back to its queue, at the front, with a new wait. */
void pool_requeue(struct pg_pool *pool, struct unit_queue *units);
/* Numbers the statement and checks the parameters; false, with err, when the unit must be refused.
 */
bool pool_accepts(struct pg_pool *pool, struct unit *unit, const struct pg_params *params,
                  struct err *err);
/* Tries at once, when nothing of that kind is up and somebody waits: at most twice a second. */
void pool_hurry(struct pg_pool *pool, enum connection_kind kind, int64_t now_us);
/* The longest a unit of that kind waits: shorter when the server has been away for long. */
int64_t pool_patience_us(const struct pg_pool *pool, enum connection_kind kind, int64_t now_us);
#define SWEEP_WAITING_US INT64_C(50000)
#define SWEEP_RUNNING_US TIME_US_PER_SECOND
uint32_t pool_needed_ms(const struct pg_pool *pool, const struct pg_owner *owner);
void err_set_lost(struct err *err, bool commit_unknown);
void err_set_unreachable(struct err *err);
void err_set_busy(struct err *err);

/* ---- sessions (session.c, copy.c) ---- */

enum copy_state { COPY_NONE, COPY_STARTING, COPY_OPEN, COPY_ENDING };

struct pg_session {
    struct pg_session *next; /* among those that wait for a connection */
    struct pg_pool *pool;    /* NULL once the pool is gone */
    struct loop *loop;
    struct connection *connection; /* NULL while waiting, and once lost */
    struct pg_owner owner;
    pg_session_callback *callback; /* NULL once called */
    void *context;
    int64_t queued_us;
    struct err refusal;      /* of the opening */
    bool has_identity;       /* its connection has been told whose it is */
    char *identity_room;     /* the strings of the owner's identity */
    struct unit_queue units; /* what it has asked for and has not been sent */
    enum copy_state copy;
    const struct pg_statement *copy_statement;
    struct unit *copy_unit; /* whose answer COPY_STARTING or COPY_ENDING waits for */
    PGresult *copy_result;
    size_t copy_unsent_bytes;
    bool copy_failed;
    void (*on_drained)(void *context);
    void *drained_context;
};

/* Hands idle session connections to those that wait, and sends what sessions have asked for. */
void sessions_dispatch(struct pg_pool *pool);
/* Fails waiting sessions whose owner or patience is gone */
void sessions_sweep(struct pg_pool *pool, int64_t now_us);
void sessions_cancel_waiting(struct pg_pool *pool);
/* The session's connection is gone; its units have been taken. May call on_drained, so that a
 * producer comes to its end. */
void session_on_lost(struct pg_session *session);
/* COPY: starts it; reads answers; goes on when output has drained. copy_start() takes the unit, and
 * loses the connection on failure. */
void copy_start(struct pg_session *session, struct unit *unit);
void copy_read(struct connection *connection);
void copy_on_flushed(struct connection *connection);
/* How long the server may be silent now, or 0: forever. */
int64_t copy_silence_limit_us(const struct connection *connection);

#endif
