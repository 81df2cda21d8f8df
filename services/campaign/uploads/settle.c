#include "uploads/settle.h"

#include "campaign_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a temporary table, in one statement: 16 MB, some 100,000 rows. */
#define PAGES_AT_ONCE 2048
#define DUPLICATES_LISTED 100
#define ARENA_BYTES ((size_t)1024 * 1024)

struct settle {
    struct settle_job job;
    const struct settle_handler *handler;
    void *context;
    struct pg_session *session;
    struct arena *arena;   /* of parameters that are few */
    struct arena *stretch; /* of a statement that comes again and again */
    int64_t next_page, pages, duplicate_pages;
    struct settle_result result;
    struct violations violations;
};

static const char *const on_duplicate_words[] = {
    [DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_SKIP] = "skip",
    [DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_UPDATE] = "update",
    [DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_ERROR] = "error",
};

const char *on_duplicate_word(Dialplane__V1__OnDuplicate on_duplicate)
{
    const char *word =
        (unsigned)on_duplicate < sizeof(on_duplicate_words) / sizeof(on_duplicate_words[0])
            ? on_duplicate_words[on_duplicate]
            : NULL;

    return word ? word : on_duplicate_words[DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_SKIP];
}

void err_set_ended(struct err *err)
{
    err_set(err, ERR_FAILED_PRECONDITION, "CAMPAIGN_ENDED",
            "the campaign is cancelled and takes no more contacts");
}

void err_set_no_campaign(struct err *err, const char *campaign_id)
{
    err_set(err, ERR_NOT_FOUND, NULL, "campaign %s does not exist", campaign_id);
}

static void settle_free(struct settle *settle)
{
    arena_free(settle->stretch);
    arena_free(settle->arena);
    free(settle);
}

static void fail(struct settle *settle, const struct err *err)
{
    settle->handler->on_failed(settle->context, err);
    settle_free(settle);
}

/* Every callback begins with this: true when there is nothing more to do. */
static bool has_failed(struct settle *settle, const struct pg_outcome *outcome)
{
    if (outcome->result)
        return false;
    fail(settle, &outcome->err);
    return true;
}

static void on_opened(void *context, const struct pg_outcome *outcome);
static void on_sorted(void *context, const struct pg_outcome *outcome);
static void on_inserted(void *context, const struct pg_outcome *outcome);
static void on_updated(void *context, const struct pg_outcome *outcome);
static void on_closed(void *context, const struct pg_outcome *outcome);
static void on_committed(void *context, const struct pg_outcome *outcome);
static void on_listed(void *context, const struct pg_outcome *outcome);
static void on_refused(void *context, const struct pg_outcome *outcome);
static void on_refusal_committed(void *context, const struct pg_outcome *outcome);

struct settle *settle_start(const struct settle_job *job, const struct settle_handler *handler,
                            void *context)
{
    struct settle *settle = calloc(1, sizeof(*settle));

    if (!settle)
        return NULL;
    settle->arena = arena_new(ARENA_BYTES);
    if (!settle->arena) {
        free(settle);
        return NULL;
    }
    settle->job = *job;
    settle->handler = handler;
    settle->context = context;
    settle->session = intake_session(job->intake);
    struct pg_params params = {.arena = settle->arena};

    pg_param_text(&params, job->company_scope);
    pg_param_text(&params, job->campaign_id);
    pg_session_query(settle->session, &sql_open_upload, &params, on_opened, settle);
    return settle;
}

static void on_opened(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_DETAIL };
    struct settle *settle = context;
    struct pg_params params = {.arena = settle->arena};
    struct err err = {0};

    if (has_failed(settle, outcome))
        return;
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "not_found")) {
        err_set_no_campaign(&err, settle->job.campaign_id);
        fail(settle, &err);
    } else if (str_equal_cstr(verdict, "bad_zone")) {
        struct str zone = pg_str(outcome->result, 0, COLUMN_DETAIL);

        err_set(&err, ERR_INVALID_ARGUMENT, NULL,
                "the database does not know the time zone \"%.*s\"", (int)zone.length, zone.data);
        fail(settle, &err);
    } else {
        pg_param_text(&params, settle->job.campaign_id);
        pg_param_text(&params, on_duplicate_word(settle->job.on_duplicate));
        pg_session_query(settle->session, &sql_sort_upload, &params, on_sorted, settle);
    }
}

/* Parameters of a statement that comes once for each stretch; false: it has failed. */
static bool begin_stretch(struct settle *settle, struct pg_params *params)
{
    struct err err = {0};

    *params = (struct pg_params){.arena = arena_new(4096)};
    settle->stretch = params->arena;
    if (params->arena)
        return true;
    err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    fail(settle, &err);
    return false;
}

static void end_stretch(struct settle *settle)
{
    arena_free(settle->stretch);
    settle->stretch = NULL;
}

static void insert_more(struct settle *settle)
{
    struct pg_params params;

    if (!begin_stretch(settle, &params))
        return;
    pg_param_text(&params, settle->job.campaign_id);
    pg_param_text(&params, settle->job.upload_id);
    pg_param_int64(&params, settle->next_page);
    settle->next_page += PAGES_AT_ONCE;
    pg_param_int64(&params, settle->next_page);
    pg_session_query(settle->session, &sql_insert_upload_rows, &params, on_inserted, settle);
}

static void update_more(struct settle *settle)
{
    struct pg_params params;

    if (!begin_stretch(settle, &params))
        return;
    pg_param_int64(&params, settle->next_page);
    settle->next_page += PAGES_AT_ONCE;
    pg_param_int64(&params, settle->next_page);
    pg_session_query(settle->session, &sql_update_upload_rows, &params, on_updated, settle);
}

/* What the worker knows of the file. */
static void param_found(struct pg_params *params, const struct upload_work *work)
{
    pg_param_text(params, reader_format_name(reader_format(work->reader)));
    pg_param_text(params, reader_charset(work->reader));
    pg_param_text(params, reader_sheet(work->reader));
}

static void close_it(struct settle *settle)
{
    const struct upload_work *work = intake_work(settle->job.intake);
    struct pg_params params = {.arena = settle->arena};
    const char *const *columns;
    size_t column_count = call_list_columns(work->list, &columns);

    pg_param_text(&params, settle->job.campaign_id);
    pg_param_text(&params, settle->job.upload_id);
    pg_param_int64(&params, settle->job.attempt);
    pg_param_int64(&params, settle->job.service->upload_errors_kept);
    pg_param_int64(&params, settle->job.bytes);
    pg_param_int64(&params, call_list_total(work->list));
    pg_param_int64(&params, settle->result.created);
    pg_param_int64(&params, settle->result.updated);
    pg_param_int64(&params, settle->result.duplicates);
    pg_param_int64(&params, call_list_error_count(work->list));
    param_found(&params, work);
    pg_param_text_array(&params, columns, column_count);
    pg_param_text(&params, settle->job.fingerprint);
    pg_session_query(settle->session, &sql_close_upload, &params, on_closed, settle);
}

/* What comes after the stretches that are done. */
static void go_on(struct settle *settle)
{
    if (settle->next_page < settle->pages) {
        insert_more(settle);
        return;
    }
    if (settle->job.on_duplicate == DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_UPDATE &&
        settle->duplicate_pages) {
        settle->next_page = 0;
        update_more(settle);
        return;
    }
    close_it(settle);
}

static void on_sorted(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_IN_FILE, COLUMN_IN_CAMPAIGN, COLUMN_PAGES, COLUMN_DUPLICATE_PAGES };
    struct settle *settle = context;
    struct pg_params params = {.arena = settle->arena};

    if (has_failed(settle, outcome))
        return;
    settle->result.duplicates = pg_int64(outcome->result, 0, COLUMN_IN_FILE) +
                                pg_int64(outcome->result, 0, COLUMN_IN_CAMPAIGN);
    settle->pages = pg_int64(outcome->result, 0, COLUMN_PAGES);
    settle->duplicate_pages = pg_int64(outcome->result, 0, COLUMN_DUPLICATE_PAGES);
    if (settle->job.on_duplicate != DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_ERROR ||
        !settle->result.duplicates) {
        go_on(settle);
        return;
    }
    pg_param_int64(&params, DUPLICATES_LISTED);
    pg_session_query(settle->session, &sql_list_upload_duplicates, &params, on_listed, settle);
}

static void on_inserted(void *context, const struct pg_outcome *outcome)
{
    struct settle *settle = context;
    struct err err = {0};

    end_stretch(settle);
    /* The campaign was deleted while its tasks went in. */
    if (!outcome->result && !strcmp(outcome->sqlstate, "23503")) {
        err_set_no_campaign(&err, settle->job.campaign_id);
        fail(settle, &err);
        return;
    }
    if (has_failed(settle, outcome))
        return;
    settle->result.created += pg_int64(outcome->result, 0, 0);
    settle->job.figures->created = settle->result.created;
    go_on(settle);
}

static void on_updated(void *context, const struct pg_outcome *outcome)
{
    struct settle *settle = context;

    end_stretch(settle);
    if (has_failed(settle, outcome))
        return;
    settle->result.updated += pg_int64(outcome->result, 0, 0);
    if (settle->next_page < settle->duplicate_pages)
        update_more(settle);
    else
        close_it(settle);
}

static void err_set_verdict(struct err *err, struct str verdict, const struct settle *settle)
{
    if (str_equal_cstr(verdict, "not_found"))
        err_set_no_campaign(err, settle->job.campaign_id);
    else if (str_equal_cstr(verdict, "ended"))
        err_set_ended(err);
    else
        err_set(err, ERR_ABORTED, "UPLOAD_LOST",
                "the upload took too long to report and has been given up: send it again");
}

static void on_closed(void *context, const struct pg_outcome *outcome)
{
    struct settle *settle = context;
    struct err err = {0};

    if (has_failed(settle, outcome))
        return;
    struct str verdict = pg_str(outcome->result, 0, 0);

    if (str_equal_cstr(verdict, "ok")) {
        pg_session_query(settle->session, &sql_commit_transaction, NULL, on_committed, settle);
        return;
    }
    err_set_verdict(&err, verdict, settle);
    fail(settle, &err);
}

static void on_committed(void *context, const struct pg_outcome *outcome)
{
    struct settle *settle = context;

    if (has_failed(settle, outcome))
        return;
    settle->handler->on_settled(settle->context, &settle->result);
    settle_free(settle);
}

/* ---- on_duplicate=error ---- */

static void err_set_duplicates(struct err *err, const struct settle *settle)
{
    err_set(err, ERR_ALREADY_EXISTS, "DUPLICATE_ROWS",
            "%lld rows have phone numbers that occur before, in the file or in the campaign",
            (long long)settle->result.duplicates);
    err->violations = &settle->violations;
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_ROW_NUMBER, COLUMN_REASON };
    struct settle *settle = context;
    const struct upload_work *work = intake_work(settle->job.intake);
    struct pg_params params = {.arena = settle->arena};
    struct err err = {0};

    if (has_failed(settle, outcome))
        return;
    violations_init(&settle->violations, settle->arena, DUPLICATES_LISTED);
    for (int i = 0; i < pg_rows(outcome->result); i++) {
        struct str reason = pg_str(outcome->result, i, COLUMN_REASON);
        char row[40];

        snprintf(row, sizeof(row), "row %lld",
                 (long long)pg_int64(outcome->result, i, COLUMN_ROW_NUMBER));
        violations_add(&settle->violations, row, "%.*s", (int)reason.length, reason.data);
    }
    settle->violations.count = (size_t)settle->result.duplicates; /* "and N more" */
    err_set_duplicates(&err, settle);
    pg_param_text(&params, settle->job.upload_id);
    pg_param_int64(&params, settle->job.attempt);
    pg_param_int64(&params, settle->job.service->upload_errors_kept);
    pg_param_int64(&params, settle->job.bytes);
    pg_param_int64(&params, call_list_total(work->list));
    pg_param_int64(&params, call_list_error_count(work->list));
    param_found(&params, work);
    pg_param_text(&params, err.message);
    pg_session_query(settle->session, &sql_refuse_upload, &params, on_refused, settle);
}

static void on_refused(void *context, const struct pg_outcome *outcome)
{
    struct settle *settle = context;
    struct err err = {0};

    if (has_failed(settle, outcome))
        return;
    struct str verdict = pg_str(outcome->result, 0, 0);

    if (str_equal_cstr(verdict, "ok")) {
        pg_session_query(settle->session, &sql_commit_transaction, NULL, on_refusal_committed,
                         settle);
        return;
    }
    err_set_verdict(&err, verdict, settle);
    fail(settle, &err);
}

static void on_refusal_committed(void *context, const struct pg_outcome *outcome)
{
    struct settle *settle = context;
    struct err err = {0};

    if (has_failed(settle, outcome))
        return;
    err_set_duplicates(&err, settle);
    fail(settle, &err);
}
