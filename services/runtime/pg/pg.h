/* pg: PostgreSQL through non-blocking libpq in pipeline mode. One pool per process, on the loop's
 * thread. Reads share batches on a few connections; every write is a transaction of its own on a
 * wider set; a session is a whole connection for COPY and interactive transactions. A lost
 * connection is made again with backoff and jitter; meanwhile work waits, bounded in number and
 * time, and then fails with UNAVAILABLE (retry_after set). */
#ifndef DIALPLANE_PG_PG_H
#define DIALPLANE_PG_PG_H

#include "app/app.h"
#include "app/trace.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_pool;

/* One SQL statement, from one .sql file, embedded by CMake's dialplane_add_sql():
 * `sql_get_skillbase` for sql/get_skillbase.sql. Prepared on a connection at its first use there.
 */
struct pg_statement {
    const char *name; /* unique in the process, at most 62 bytes */
    const char *text; /* both live as long as the pool */
};

struct pg_options {
    const char *connection_string; /* libpq URL or key=value list; never logged with its password */
    const char *roles;             /* prefix of the roles that statements run as, see
                                    * enum pg_authority; NULL: as the login role, whoever asks */
    unsigned read_connections;     /* 0: 2 */
    unsigned write_connections;    /* 0: 8 */
    unsigned session_connections;  /* 0: 4: most sessions at once */
    unsigned batch_limit;          /* 0: 64 statements in one pipeline batch */
    unsigned queue_limit;          /* 0: 4096 units waiting; more are refused RESOURCE_EXHAUSTED */
    int64_t queue_wait_us;         /* 0: 5 s: longest wait for a connection, then UNAVAILABLE */
    int64_t statement_timeout_us;  /* 0: 30 s: for work without a deadline, and the most anyway */
};

/* Opens lazily: the pool exists at once and connects in the background. */
struct pg_pool *pg_pool_new(struct loop *loop, const struct pg_options *options);
/* Ends every connection; units still waiting or under way get CANCELLED before this returns.
 * Allowed inside a callback; sessions must still be closed. The memory goes at the end of the
 * loop's turn, or in loop_free(). */
void pg_pool_free(struct pg_pool *pool);
/* True while at least one connection of each kind is up. */
bool pg_pool_is_ready(const struct pg_pool *pool);

/* Figures for /metrics; counters since start. */
#define PG_BATCH_BUCKETS 8
struct pg_pool_stats {
    unsigned connections_up, connections_wanted, units_waiting, units_running, sessions_used;
    uint64_t statements, batches, errors, reconnects;
    uint64_t batch_sizes[PG_BATCH_BUCKETS]; /* statements in a batch: 1, 2, 4 … 64, more */
    struct durations wait;                  /* from being asked for to being sent */
    struct durations run;                   /* from being sent to the answer */
};
void pg_pool_stats(const struct pg_pool *pool, struct pg_pool_stats *ret_stats);
/* The same of each statement that has been used so far, at most `limit`; gives their number. */
struct pg_statement_stats {
    const char *name;
    uint64_t count, errors, total_us; /* from being asked for to the answer */
};
size_t pg_pool_statements(const struct pg_pool *pool, struct pg_statement_stats *out, size_t limit);

/* Parameters of one statement, in order $1, $2, …; all are sent as text, so the SQL casts where
 * PostgreSQL cannot infer
 * ($2::timestamptz, $3::jsonb, $4::text[]). Values are copied into the arena, which must live until
 * the callback; the struct itself may go at once. Zero-initialise, then set arena. */
#define PG_PARAMETER_LIMIT 64
struct pg_params {
    struct arena *arena;
    int count;
    const char *values[PG_PARAMETER_LIMIT]; /* NULL: SQL NULL */
    int lengths[PG_PARAMETER_LIMIT];
    int formats[PG_PARAMETER_LIMIT]; /* 0 text, 1 binary (bytea only) */
    bool failed;  /* too many, or the arena is exhausted: the statement is refused INTERNAL */
    bool has_nul; /* a text with U+0000, which PostgreSQL cannot store: refused INVALID_ARGUMENT */
};
void pg_param_text(struct pg_params *params, const char *text); /* NULL: SQL NULL */
void pg_param_str(struct pg_params *params, struct str text);
void pg_param_int64(struct pg_params *params, int64_t value);
void pg_param_double(struct pg_params *params, double value);
void pg_param_bool(struct pg_params *params, bool value);
void pg_param_time_us(struct pg_params *params, int64_t us); /* for ::timestamptz */
void pg_param_uuid(struct pg_params *params, const struct uuid *uuid);
void pg_param_bytes(struct pg_params *params, struct str bytes);
void pg_param_null(struct pg_params *params);
/* PostgreSQL array literals for ::text[], ::bigint[] …; a NULL element is SQL NULL. */
void pg_param_text_array(struct pg_params *params, const char *const *items, size_t count);
void pg_param_int64_array(struct pg_params *params, const int64_t *items, size_t count);

/* Rows of one result; valid only during the callback. Results come in binary; an accessor of the
 * wrong type for the column is a programming error and aborts with a log line naming statement and
 * column. */
struct pg_result;
int pg_rows(const struct pg_result *result);
/* Rows that an INSERT/UPDATE/DELETE touched. */
int64_t pg_rows_affected(const struct pg_result *result);
bool pg_is_null(const struct pg_result *result, int row, int column);
int64_t pg_int64(const struct pg_result *result, int row, int column); /* int2, int4, int8 */
double pg_double(const struct pg_result *result, int row, int column); /* float4, float8 */
bool pg_bool(const struct pg_result *result, int row, int column);
int64_t pg_time_us(const struct pg_result *result, int row, int column); /* timestamptz */
struct str pg_str(const struct pg_result *result, int row,
                  int column); /* text, varchar, json, jsonb, bytea */
/* Of SQL NULL the accessors above give 0, false or an empty str. Enum types of the schema read as
 * text. */
struct uuid pg_uuid(const struct pg_result *result, int row, int column); /* all zero for NULL */
/* Copies into the arena, NUL-terminated; text types, uuid and date (as text). NULL for SQL NULL. */
char *pg_text(const struct pg_result *result, int row, int column, struct arena *arena);

/* Items of a one-dimensional text[] in turn; SQL NULL, as array or item, reads as empty. */
struct pg_array {
    const unsigned char *at;
    int left;
};
struct pg_array pg_text_array(const struct pg_result *result, int row, int column);
bool pg_array_next(struct pg_array *array, struct str *ret_item);

/* How a unit ended. err is set when it failed; then result is NULL. SQLSTATE and constraint are
 * kept apart for handlers that turn a constraint into a sentence. */
struct pg_outcome {
    const struct pg_result *result; /* of the last statement that returned rows or a count */
    /* UNAVAILABLE (lost, away, busy), DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED (queue
     * full), ABORTED "RETRY" (serialization, deadlock, lock), INVALID_ARGUMENT (a text that cannot
     * be stored), FAILED_PRECONDITION with the message of a RAISE whose SQLSTATE begins with DP
     * (and its HINT as reason, when that is one UPPER_SNAKE word), INTERNAL (any other SQL error;
     * logged once by pg, class 23 at debug only). */
    struct err err;
    char sqlstate[6];    /* "23505", or empty */
    char constraint[64]; /* name of the violated constraint, or empty */
    char hint[160];      /* HINT of a RAISE in our own functions, or empty */
};
typedef void pg_callback(void *context, const struct pg_outcome *outcome);

/* As whom a statement runs: the roles of migration 0019, behind which row-level security stands. */
enum pg_authority {
    PG_AS_NOBODY,  /* forgotten: refused INTERNAL, and logged */
    PG_AS_COMPANY, /* role <roles>_company: no row of another company is seen or changed */
    PG_AS_SERVICE, /* role <roles>_service: all rows, for who works across companies and for work of
                    * our own */
    PG_AS_OWNER,   /* the login role, which owns the schema: what makes and drops tables */
    PG_AUTHORITIES,
};

/* Who asks. The server is told before the statement, on the same connection, in these settings of
 * the session, which are empty where there is nothing to say:
 *   dialplane.company     the company to which the statement is confined
 *   dialplane.actor, dialplane.address, dialplane.request_id     of writes and sessions only
 * Triggers read them with current_setting('dialplane.actor', true). The strings are copied. */
struct pg_identity {
    enum pg_authority authority;
    const char *company_id; /* as text; of PG_AS_COMPANY */
    const char *actor;      /* the principal's subject; NULL: nobody, work of our own */
    const char *address;    /* where the client is; NULL: not known */
    const char *request_id; /* NULL: none */
};

/* Whose work it is. A unit whose owner says is_dead() is dropped while it waits (the callback gets
 * CANCELLED). */
struct pg_owner {
    int64_t deadline_us;                /* on the loop's monotonic clock; 0: none */
    bool (*is_dead)(const void *owner); /* may be NULL */
    const void *owner;
    struct trace_parent trace; /* the span that its statements stand below; zero: none */
    struct pg_identity identity;
};

/* Whether one statement may serve both: it would run as the same. */
bool pg_may_share(const struct pg_owner *one, const struct pg_owner *other);
/* As what a statement runs that serves several such owners: as none of them in particular. */
struct pg_identity pg_shared_identity(const struct pg_owner *one);

/* Work of our own, for every company, that nobody waits for, such as upkeep. Never for a caller's
 * request, which has rpc_call_owner(). */
extern const struct pg_owner pg_service;
/* Upkeep that makes or drops tables, which only their owner may. */
extern const struct pg_owner pg_schema_owner;

/* One SELECT, in a read-only session: a statement that writes or locks rows is refused by the
 * server (25006). Retried once by itself on another connection when its connection was lost or a
 * neighbour in the batch failed. The callback always comes, exactly once, never before this
 * returns. An owner of NULL is nobody. */
void pg_read(struct pg_pool *pool, const struct pg_owner *owner,
             const struct pg_statement *statement, const struct pg_params *params,
             pg_callback *callback, void *context);
/* One statement as a transaction of its own, acknowledged after commit. Never retried: a lost
 * connection gives UNAVAILABLE with reason COMMIT_UNKNOWN when it had been sent. */
void pg_write(struct pg_pool *pool, const struct pg_owner *owner,
              const struct pg_statement *statement, const struct pg_params *params,
              pg_callback *callback, void *context);

/* A connection for oneself: interactive transactions and COPY. Statements of a session run in
 * order, all as its owner; each callback may start the next. Whoever has it must close it; closing
 * inside an open transaction rolls back. */
struct pg_session;
typedef void pg_session_callback(void *context, struct pg_session *session, const struct err *err);
void pg_session_open(struct pg_pool *pool, const struct pg_owner *owner,
                     pg_session_callback *callback, void *context);
void pg_session_query(struct pg_session *session, const struct pg_statement *statement,
                      const struct pg_params *params, pg_callback *callback, void *context);
/* Its time limit is the owner's deadline, else statement_timeout_us. A row that the server refuses
 * shows in the end's callback. COPY … FROM STDIN: after the callback of pg_session_copy_begin, put
 * data (text format). pg_session_copy_put gives false when the connection's output is over 256 KB:
 * wait for on_drained before putting more. The end's callback has the row count. */
void pg_session_copy_begin(struct pg_session *session, const struct pg_statement *statement,
                           pg_callback *callback, void *context);
bool pg_session_copy_put(struct pg_session *session, struct str data,
                         void (*on_drained)(void *context), void *context);
void pg_session_copy_end(struct pg_session *session, pg_callback *callback, void *context);
void pg_session_close(struct pg_session *session);

/* Numbered migrations, embedded by CMake from services/migrations/NNNN_name.sql. Blocking, before
 * the loop runs: waits for the server up to wait_us, takes an advisory lock, applies what is
 * missing, each in its own transaction, and logs it. Refuses a schema that is newer than it knows
 * (FAILED_PRECONDITION) and a migration whose recorded checksum differs. */
struct pg_migration {
    int number;
    const char *name;
    const char *text;
};
extern const struct pg_migration dialplane_migrations[];
extern const size_t dialplane_migration_count;
/* roles: what pg_options.roles will be, for the migration that makes them; NULL: its default. */
bool pg_migrate(const char *connection_string, const char *roles,
                const struct pg_migration *migrations, size_t count, int64_t wait_us,
                struct err *err);
/* Applies nothing: refuses a schema that is newer, different, or that lacks a migration. */
bool pg_migrate_check(const char *connection_string, const struct pg_migration *migrations,
                      size_t count, int64_t wait_us, struct err *err);

#endif
