/* Migrations: blocking, before the loop runs. Several processes may start at once: an advisory lock
 * lets one of them migrate, and the others find everything done. Checksums are computed by the
 * server (sha256 of the text). */
#include "pg/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Any number will do, as long as nobody else locks it: "dialplane" in ASCII, cut to 8 bytes. */
#define ADVISORY_LOCK "7235419174398877806"
#define RETRY_US 250000
/* A long migration by another process is waited for, but not for ever. */
#define LOCK_TIMEOUT "15min"

struct migrator {
    PGconn *conn;
    const struct pg_migration *migrations;
    size_t count;
    struct err *err;
    bool only_check;
};

static void sleep_us(int64_t us)
{
    struct timespec time = {us / TIME_US_PER_SECOND, us % TIME_US_PER_SECOND * 1000};
    nanosleep(&time, NULL);
}

static void on_migration_notice(void *context, const PGresult *result)
{
    (void)context;
    log_event(LOG_LEVEL_DEBUG, "database_notice",
              log_text("message", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
}

/* libpq ends its messages with a line break. */
static void trim(char *text)
{
    size_t length = strlen(text);
    while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = '\0';
}

static PGconn *connect_within(const char *connection_string, int64_t wait_us, struct err *err)
{
    const struct clock *clock = clock_system();
    int64_t end_us = clock->monotonic_us(clock) + wait_us;
    for (bool told = false;; told = true) {
        const char *keywords[] = {"fallback_application_name", "dbname", "client_encoding",
                                  "connect_timeout", NULL};
        const char *values[] = {"dialplane-migrate", connection_string, "UTF8", "5", NULL};
        PGconn *conn = PQconnectdbParams(keywords, values, 1);
        if (conn && PQstatus(conn) == CONNECTION_OK) {
            PQsetNoticeReceiver(conn, on_migration_notice, NULL);
            return conn;
        }
        char why[300];
        snprintf(why, sizeof(why), "%s", conn ? PQerrorMessage(conn) : "out of memory");
        trim(why);
        PQfinish(conn);
        if (clock->monotonic_us(clock) + RETRY_US > end_us) {
            err_set(err, ERR_UNAVAILABLE, NULL, "the database is not reachable: %s", why);
            return NULL;
        }
        if (!told)
            log_event(LOG_LEVEL_WARN, "waiting_for_database", log_text("message", why));
        sleep_us(RETRY_US);
    }
}

/* Takes the result. */
static bool check(struct migrator *migrator, PGresult *result, const char *what)
{
    bool good = result && !result_is_error(result);
    if (!good) {
        const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
        char text[480];
        snprintf(text, sizeof(text), "%s", message ? message : PQerrorMessage(migrator->conn));
        trim(text);
        err_set(migrator->err,
                PQstatus(migrator->conn) == CONNECTION_OK ? ERR_INTERNAL : ERR_UNAVAILABLE, NULL,
                "%s: %s", what, text);
    }
    PQclear(result);
    return good;
}

static bool execute(struct migrator *migrator, const char *sql, const char *what)
{
    return check(migrator, PQexec(migrator->conn, sql), what);
}

static char *checksum(struct migrator *migrator, const char *text)
{
    const char *values[] = {text};
    PGresult *result =
        PQexecParams(migrator->conn, "SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", 1,
                     NULL, values, NULL, NULL, 0);
    char *sum = NULL;
    if (result && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
        sum = strdup(PQgetvalue(result, 0, 0));
        PQclear(result);
        if (!sum)
            err_set(migrator->err, ERR_INTERNAL, NULL, "out of memory");
        return sum;
    }
    check(migrator, result, "computing a migration's checksum");
    return NULL;
}

/* What the database says was applied must be what we know: not newer, not different. Marks what is
 * done. */
static bool compare_applied(struct migrator *migrator, char *const *sums, bool *ret_done)
{
    PGresult *result =
        PQexec(migrator->conn, "SELECT number, name, checksum FROM dialplane_migration ORDER BY 1");
    if (!result || PQresultStatus(result) != PGRES_TUPLES_OK)
        return check(migrator, result, "reading dialplane_migration");
    bool good = true;
    for (int row = 0; row < PQntuples(result) && good; row++) {
        int64_t number = 0;
        str_parse_int64(str_from(PQgetvalue(result, row, 0)), &number);
        size_t at = 0;
        while (at < migrator->count && migrator->migrations[at].number != number)
            at++;
        if (at == migrator->count)
            good = err_set(migrator->err, ERR_FAILED_PRECONDITION, "SCHEMA_TOO_NEW",
                           "the database has migration %s, which this version does not know:"
                           " start a newer version",
                           PQgetvalue(result, row, 1));
        else if (strcmp(PQgetvalue(result, row, 2), sums[at]) != 0)
            good = err_set(migrator->err, ERR_FAILED_PRECONDITION, "MIGRATION_CHANGED",
                           "migration %s was applied with another text: a migration must not be"
                           " changed, add a new one",
                           migrator->migrations[at].name);
        else
            ret_done[at] = true;
    }
    PQclear(result);
    return good;
}

static bool apply(struct migrator *migrator, const struct pg_migration *migration, const char *sum)
{
    const struct clock *clock = clock_system();
    int64_t start_us = clock->monotonic_us(clock);
    char what[120];
    snprintf(what, sizeof(what), "migration %s failed", migration->name);
    if (!execute(migrator, "BEGIN", what) || !execute(migrator, migration->text, what))
        goto roll_back;
    if (PQtransactionStatus(migrator->conn) != PQTRANS_INTRANS) {
        err_set(migrator->err, ERR_INTERNAL, NULL,
                "%s: it ends the transaction that it is applied in", what);
        goto roll_back;
    }
    char number[16];
    snprintf(number, sizeof(number), "%d", migration->number);
    const char *values[] = {number, migration->name, sum};
    if (!check(migrator,
               PQexecParams(migrator->conn,
                            "INSERT INTO dialplane_migration (number, name, checksum)"
                            " VALUES ($1::int, $2, $3)",
                            3, NULL, values, NULL, NULL, 0),
               what) ||
        !execute(migrator, "COMMIT", what))
        goto roll_back;
    log_event(LOG_LEVEL_INFO, "migration_applied", log_int("number", migration->number),
              log_text("name", migration->name),
              log_int("duration_us", clock->monotonic_us(clock) - start_us));
    return true;

roll_back:
    PQclear(PQexec(migrator->conn, "ROLLBACK"));
    return false;
}

static bool migrate_locked(struct migrator *migrator)
{
    if (!execute(migrator,
                 "CREATE TABLE IF NOT EXISTS dialplane_migration ("
                 "number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
                 "applied_at timestamptz NOT NULL DEFAULT now())",
                 "creating dialplane_migration"))
        return false;
    char **sums = xcalloc(migrator->count + 1, sizeof(*sums));
    bool *done = xcalloc(migrator->count + 1, sizeof(*done));
    bool good = true;
    for (size_t i = 0; i < migrator->count && good; i++) {
        sums[i] = checksum(migrator, migrator->migrations[i].text);
        good = sums[i] != NULL;
    }
    good = good && compare_applied(migrator, sums, done);
    for (size_t i = 0; i < migrator->count && good; i++) {
        if (!done[i] && migrator->only_check)
            good = err_set(migrator->err, ERR_FAILED_PRECONDITION, "SCHEMA_TOO_OLD",
                           "the database lacks migration %s: start a service with --migrate-only",
                           migrator->migrations[i].name);
        else if (!done[i])
            good = apply(migrator, &migrator->migrations[i], sums[i]);
    }
    for (size_t i = 0; i < migrator->count; i++)
        free(sums[i]);
    free(sums);
    free(done);
    return good;
}

/* What migrations may ask for by current_setting(). */
static bool set_roles(struct migrator *migrator, const char *roles)
{
    const char *values[] = {roles};
    return !roles ||
           check(migrator,
                 PQexecParams(migrator->conn, "SELECT set_config('dialplane.roles', $1, false)", 1,
                              NULL, values, NULL, NULL, 0),
                 "preparing to migrate");
}

static bool migrate(const char *connection_string, const char *roles,
                    const struct pg_migration *migrations, size_t count, int64_t wait_us,
                    bool only_check, struct err *err)
{
    struct migrator migrator = {NULL, migrations, count, err, only_check};
    migrator.conn = connect_within(connection_string, wait_us, err);
    if (!migrator.conn)
        return false;
    /* Migrations build indexes and rewrite tables: no statement timeout of the role may cut them.
     */
    bool good = execute(&migrator,
                        "SET client_min_messages = warning; SET statement_timeout = 0;"
                        " SET lock_timeout = '" LOCK_TIMEOUT "'; SET TimeZone = 'UTC'",
                        "preparing to migrate") &&
                set_roles(&migrator, roles) &&
                execute(&migrator, "SELECT pg_advisory_lock(" ADVISORY_LOCK ")",
                        "waiting for another process that migrates") &&
                migrate_locked(&migrator);
    PQfinish(migrator.conn); /* gives the lock back */
    return good;
}

bool pg_migrate(const char *connection_string, const char *roles,
                const struct pg_migration *migrations, size_t count, int64_t wait_us,
                struct err *err)
{
    return migrate(connection_string, roles, migrations, count, wait_us, false, err);
}

bool pg_migrate_check(const char *connection_string, const struct pg_migration *migrations,
                      size_t count, int64_t wait_us, struct err *err)
{
    return migrate(connection_string, NULL, migrations, count, wait_us, true, err);
}
