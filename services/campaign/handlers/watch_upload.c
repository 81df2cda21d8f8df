/* WatchUpload: the record, read twice a second and sent when it has changed, until the upload has
 * ended. A poll, because what changes it may run in another service; one each for all who watch the
 * same upload through a gateway. */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/rows.h"

#include <stdlib.h>

#define PERIOD_US (TIME_US_PER_SECOND / 2)
#define ARENA_BYTES ((size_t)64 * 1024)

struct watch {
    struct rpc_call *call;
    struct campaign_service *service;
    char *campaign_id, *id; /* in the call's arena */
    struct loop_timer *timer;
    struct arena *arena; /* of the read under way; NULL: none is */
    int64_t sent_us;     /* updated_at of what was sent last */
    bool is_sending, has_ended, is_gone;
};

static void on_read(void *context, const struct pg_outcome *outcome);

static void watch_free(struct watch *watch)
{
    loop_timer_cancel(watch->timer);
    arena_free(watch->arena);
    free(watch);
}

static void fail(struct watch *watch, const struct err *err)
{
    rpc_fail(watch->call, err);
    watch_free(watch);
}

static void fail_gone(struct watch *watch)
{
    struct err err = {0};

    err_set(&err, ERR_CANCELLED, NULL, "the client went away");
    fail(watch, &err);
}

static void look(void *context)
{
    struct watch *watch = context;
    struct pg_params params = {0};

    if (watch->arena || watch->is_sending)
        return;
    params.arena = watch->arena = arena_new(ARENA_BYTES);
    if (!params.arena)
        return; /* the next tick tries again */
    param_scope(&params, watch->call);
    pg_param_text(&params, watch->campaign_id);
    pg_param_text(&params, watch->id);
    pg_read(watch->service->pool, rpc_call_owner(watch->call), &sql_get_upload, &params, on_read,
            watch);
}

static bool has_ended(Dialplane__V1__UploadState state)
{
    return state == DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_COMPLETED ||
           state == DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_FAILED ||
           state == DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_UNDONE;
}

static void send_row(struct watch *watch, const struct pg_result *row)
{
    int64_t updated_us = pg_time_us(row, 0, UPLOAD_UPDATED_AT);
    Dialplane__V1__Upload *upload;
    struct str wire = {0};
    struct err err = {0};

    upload = upload_from_row(watch->arena, row, 0);
    if (upload)
        wire = rpc_pack(&upload->base, watch->arena);
    if (!wire.data) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        fail(watch, &err);
        return;
    }
    watch->sent_us = updated_us;
    watch->has_ended = has_ended(upload->state);
    watch->is_sending = rpc_stream_send(watch->call, wire);
    arena_free(watch->arena);
    watch->arena = NULL;
}

static void on_read(void *context, const struct pg_outcome *outcome)
{
    struct watch *watch = context;
    struct err err = {0};

    if (watch->is_gone) {
        fail_gone(watch);
    } else if (!outcome->result) {
        fail(watch, &outcome->err);
    } else if (pg_rows(outcome->result) == 0) {
        err_set(&err, ERR_NOT_FOUND, NULL, "upload %s does not exist", watch->id);
        fail(watch, &err);
    } else if (watch->sent_us == pg_time_us(outcome->result, 0, UPLOAD_UPDATED_AT)) {
        arena_free(watch->arena);
        watch->arena = NULL;
    } else {
        send_row(watch, outcome->result);
    }
}

static void on_writable(void *context)
{
    struct watch *watch = context;

    watch->is_sending = false;
    if (!watch->has_ended)
        return;
    rpc_stream_end(watch->call);
    watch_free(watch);
}

static void on_cancel(void *context)
{
    struct watch *watch = context;

    if (watch->arena)
        watch->is_gone = true; /* the read asks for the call until its callback */
    else
        fail_gone(watch);
}

void watch_upload(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__WatchUploadRequest *request = request_;
    struct watch *watch = calloc(1, sizeof(*watch));

    if (!watch) {
        fail_memory(call);
        return;
    }
    watch->call = call;
    watch->service = rpc_call_context(call);
    watch->campaign_id = request->campaign_id;
    watch->id = request->id;
    watch->timer = loop_timer_repeat(watch->service->loop, PERIOD_US, look, watch);
    rpc_stream_on_writable(call, on_writable, watch);
    rpc_call_on_cancel(call, on_cancel, watch);
    look(watch);
}
