#include "uploads/intake.h"

#include "campaign_sql.h"

#include <stdlib.h>

struct intake {
    struct upload_work work; /* first member: the worker's answer names it */
    struct campaign_service *service;
    struct pg_session *session;
    const struct intake_handler *handler;
    void *context;
    bool is_busy;    /* something is under way, and its callback will come */
    bool is_closing; /* nobody wants to hear of it */
    bool has_piece;  /* before the COPY has begun */
    bool is_copying;
};

static void intake_free(struct intake *intake)
{
    pg_session_close(intake->session);
    upload_work_close(&intake->work);
    free(intake);
}

/* Every callback begins with this: true when there is nothing more to do. */
static bool is_over(struct intake *intake, const struct err *err)
{
    intake->is_busy = false;
    if (intake->is_closing)
        intake_free(intake);
    else if (err && err_is_set(err))
        intake->handler->on_failed(intake->context, err);
    else
        return false;
    return true;
}

/* ---- Begin ---- */

static void on_session(void *context, struct pg_session *session, const struct err *err);
static void on_begun(void *context, const struct pg_outcome *outcome);
static void on_table(void *context, const struct pg_outcome *outcome);
static void on_copying(void *context, const struct pg_outcome *outcome);
static void on_worked(struct upload_work *work);
static void on_drained(void *context);
static void on_copied(void *context, const struct pg_outcome *outcome);

struct intake *intake_open(struct campaign_service *service, const struct upload_options *options,
                           const struct pg_owner *asker, const struct intake_handler *handler,
                           void *context, struct arena *arena, struct err *err)
{
    const struct clock *clock = loop_clock(service->loop);
    struct intake *intake = calloc(1, sizeof(*intake));

    if (!intake) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    if (!upload_work_open(service->workers, options, arena, &intake->work, err)) {
        free(intake);
        return NULL;
    }
    intake->work.done = on_worked;
    intake->service = service;
    intake->handler = handler;
    intake->context = context;
    intake->is_busy = true;
    /* A COPY lasts as long as its data come: without a deadline it would have that of a statement.
     */
    struct pg_owner owner = {.deadline_us = clock->monotonic_us(clock) + service->upload_time_us,
                             .trace = asker->trace,
                             .identity = asker->identity};
    if (asker->deadline_us)
        owner.deadline_us = asker->deadline_us;

    pg_session_open(service->pool, &owner, on_session, intake);
    return intake;
}

void intake_close(struct intake *intake)
{
    if (!intake)
        return;
    intake->is_closing = true;
    if (!intake->is_busy)
        intake_free(intake);
}

static void on_session(void *context, struct pg_session *session, const struct err *err)
{
    struct intake *intake = context;

    intake->session = session;
    if (is_over(intake, err))
        return;
    intake->is_busy = true;
    pg_session_query(session, &sql_begin_transaction, NULL, on_begun, intake);
}

static void on_begun(void *context, const struct pg_outcome *outcome)
{
    struct intake *intake = context;

    if (is_over(intake, &outcome->err))
        return;
    intake->is_busy = true;
    pg_session_query(intake->session, &sql_stage_upload, NULL, on_table, intake);
}

static void on_table(void *context, const struct pg_outcome *outcome)
{
    struct intake *intake = context;

    if (is_over(intake, &outcome->err))
        return;
    intake->is_busy = true;
    pg_session_copy_begin(intake->session, &sql_copy_upload, on_copying, intake);
}

/* ---- Pieces ---- */

static void work(struct intake *intake)
{
    intake->is_busy = true;
    upload_work_do(&intake->work);
}

static void on_copying(void *context, const struct pg_outcome *outcome)
{
    struct intake *intake = context;

    if (is_over(intake, &outcome->err))
        return;
    intake->is_copying = true;
    if (intake->has_piece || intake->work.is_end)
        work(intake);
    else
        intake->handler->on_ready(intake->context);
}

bool intake_put(struct intake *intake, struct str piece)
{
    buf_reset(&intake->work.in);
    buf_put_str(&intake->work.in, piece);
    if (intake->work.in.failed)
        return false;
    intake->has_piece = true;
    if (intake->is_copying)
        work(intake);
    return true;
}

void intake_end(struct intake *intake)
{
    intake->work.is_end = true;
    if (!intake->is_copying)
        return;
    buf_reset(&intake->work.in);
    work(intake);
}

static void on_worked(struct upload_work *done)
{
    struct intake *intake = (struct intake *)done;

    if (is_over(intake, &done->err))
        return;
    intake->is_busy = true;
    bool is_drained = pg_session_copy_put(intake->session, buf_str(&done->out), on_drained, intake);

    buf_reset(&done->out);
    if (is_drained)
        on_drained(intake);
}

static void on_drained(void *context)
{
    struct intake *intake = context;

    if (is_over(intake, NULL))
        return;
    if (intake->work.has_more) {
        work(intake);
    } else if (intake->work.is_end) {
        intake->is_busy = true;
        pg_session_copy_end(intake->session, on_copied, intake);
    } else {
        intake->handler->on_ready(intake->context);
    }
}

static void on_copied(void *context, const struct pg_outcome *outcome)
{
    struct intake *intake = context;

    if (is_over(intake, &outcome->err))
        return;
    intake->handler->on_staged(intake->context);
}

const struct upload_work *intake_work(const struct intake *intake)
{
    return &intake->work;
}

struct pg_session *intake_session(struct intake *intake)
{
    return intake->session;
}
