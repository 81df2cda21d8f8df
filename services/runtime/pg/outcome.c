/* SQLSTATE → err. What the caller may see is a code and a plain sentence; what went wrong in SQL
 * goes to the log, once, without parameters.
 *
 * Part of the game, and therefore not logged as errors: integrity violations (class 23: the handler
 * turns the constraint into a sentence), our own functions' refusals (class DP), timeouts that a
 * deadline asked for, and conflicts that a retry settles. */
#include "pg/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);
    return text ? text : "";
}

const char *result_sqlstate(const PGresult *result)
{
    return field(result, PG_DIAG_SQLSTATE);
}

bool result_is_error(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN:
        return false;
    default:
        return true;
    }
}

bool result_is_fatal(const PGresult *result)
{
    const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

bool result_is_stale_plan(const PGresult *result)
{
    const char *state = result_sqlstate(result);
    if (strcmp(state, "26000") == 0) /* DISCARD ALL or DEALLOCATE by somebody in between */
        return true;
    /* "cached plan must not change result type", after a migration; the message is localised. */
    return strcmp(state, "0A000") == 0 &&
           strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0;
}

/* Reasons are words such as STALE_FENCE; a HINT of that form is one. */
static const char *reason_from_hint(const char *hint)
{
    size_t length = strspn(hint, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return length && !hint[length] && length < sizeof(((struct err *)0)->reason) ? hint : NULL;
}

/* Class 22 messages quote the value that would not fit a type; that may be personal data. */
static void log_sql_error(enum log_level level, const struct unit *unit, const PGresult *result)
{
    if (!log_is_enabled(level))
        return;
    const char *state = result_sqlstate(result);
    char message[400];
    snprintf(message, sizeof(message), "%s", field(result, PG_DIAG_MESSAGE_PRIMARY));
    if (strncmp(state, "22", 2) == 0)
        message[strcspn(message, "\"")] = '\0';
    log_event(level, "sql_error",
              log_text("statement", unit->statement ? unit->statement->name : NULL),
              log_text("sqlstate", state), log_text("message", message));
}

static bool is_one_of(const char *state, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(state, *list) == 0)
            return true;
    return false;
}

/* Fills err; gives the level at which it is logged. */
static enum log_level classify(const struct unit *unit, const PGresult *result, struct err *err)
{
    static const char *const retryable[] = {"40001", "40P01", "55P03", NULL};
    static const char *const bad_text[] = {"22P05", "22021", NULL};
    const char *state = result_sqlstate(result);

    if (!*state || result_is_fatal(result) || strncmp(state, "53", 2) == 0 ||
        strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0) {
        err_set_lost(err, unit->commit_failed && (!*state || result_is_fatal(result)));
        return LOG_LEVEL_WARN;
    }
    if (strncmp(state, "DP", 2) == 0) {
        err_set(err, ERR_FAILED_PRECONDITION, reason_from_hint(field(result, PG_DIAG_MESSAGE_HINT)),
                "%s", field(result, PG_DIAG_MESSAGE_PRIMARY));
        return LOG_LEVEL_DEBUG;
    }
    if (strncmp(state, "23", 2) == 0) {
        err_set(err, ERR_INTERNAL, NULL, "internal error");
        return LOG_LEVEL_DEBUG;
    }
    if (strcmp(state, "57014") == 0) {
        err_set(err, ERR_DEADLINE_EXCEEDED, NULL, "the database took too long");
        return LOG_LEVEL_INFO;
    }
    if (is_one_of(state, retryable)) {
        err_set(err, ERR_ABORTED, "RETRY", "the change collided with another one, try again");
        return LOG_LEVEL_INFO;
    }
    if (is_one_of(state, bad_text)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "a text contains a character that cannot be stored, such as U+0000");
        return LOG_LEVEL_DEBUG;
    }
    /* A server that became a standby. On read connections it is a pg_read() that writes: our
     * mistake. */
    if (strcmp(state, "25006") == 0 && unit->kind != UNIT_READ) {
        err_set_unreachable(err);
        return LOG_LEVEL_WARN;
    }
    err_set(err, ERR_INTERNAL, NULL, "internal error");
    return LOG_LEVEL_ERROR;
}

void outcome_from_error(const struct unit *unit, const PGresult *result,
                        struct pg_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof(*ret_outcome));
    log_sql_error(classify(unit, result, &ret_outcome->err), unit, result);
    snprintf(ret_outcome->sqlstate, sizeof(ret_outcome->sqlstate), "%s", result_sqlstate(result));
    snprintf(ret_outcome->constraint, sizeof(ret_outcome->constraint), "%s",
             field(result, PG_DIAG_CONSTRAINT_NAME));
    snprintf(ret_outcome->hint, sizeof(ret_outcome->hint), "%s",
             field(result, PG_DIAG_MESSAGE_HINT));
}
