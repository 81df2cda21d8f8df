/* EraseContact: open (the record) → erase, some calls at a time → look through the rejected rows of
 * the company's uploads, a batch at a time → close → reply. Each step is a transaction that leaves
 * nothing half-done, and the record says how far it is: what is broken off anywhere goes on with
 * the same request. Both services' tables lie in one database, and a person is in both: one of the
 * two has to do it, and this one owns what is looked up by number. */
#include "campaign.h"
#include "campaign_sql.h"
#include "contact_vault.h"
#include "domain/call_list.h"
#include "handlers/handlers.h"
#include "phone.h"

#include "base/mask.h"
#include "json/json.h"

#include "dialplane/v1/privacy.pb-c.h"

#include <string.h>

#define CALLS_AT_ONCE 500
#define BATCH_ARENA_BYTES ((size_t)4 * 1024 * 1024)

typedef Dialplane__V1__EraseContactRequest request_message;

struct erasing {
    struct rpc_call *call;
    struct campaign_service *service;
    const request_message *request;
    char phone[PHONE_TEXT_SIZE];
    unsigned char hash[VAULT_HASH_BYTES];
    const char *key_id; /* NULL: the database's secret */
    char id[UUID_TEXT_SIZE];
    struct uuid upload; /* up to which rejected rows have been looked through */
    int64_t upload_row;
    struct arena *batch; /* of the statement that is under way */
};

static void on_secret(void *context, const struct pg_outcome *outcome);
static void on_opened(void *context, const struct pg_outcome *outcome);
static void on_erased(void *context, const struct pg_outcome *outcome);
static void on_listed(void *context, const struct pg_outcome *outcome);
static void on_cleared(void *context, const struct pg_outcome *outcome);
static void on_closed(void *context, const struct pg_outcome *outcome);

static void end_batch(struct erasing *erasing)
{
    arena_free(erasing->batch);
    erasing->batch = NULL;
}

static void fail(struct erasing *erasing, const struct err *err)
{
    end_batch(erasing);
    rpc_fail(erasing->call, err);
}

static void fail_unknown(struct erasing *erasing)
{
    end_batch(erasing);
    fail_not_found(erasing->call, "company", erasing->request->company_id);
}

/* Every callback begins with this: true when there is nothing more to do. */
static bool has_failed(struct erasing *erasing, const struct pg_outcome *outcome)
{
    if (outcome->result)
        return false;
    fail(erasing, &outcome->err);
    return true;
}

/* Parameters of the next statement; those before it have gone. False: the call has failed. */
static bool begin_batch(struct erasing *erasing, struct pg_params *params)
{
    end_batch(erasing);
    *params = (struct pg_params){.arena = arena_new(BATCH_ARENA_BYTES)};
    erasing->batch = params->arena;
    if (!params->arena)
        fail_memory(erasing->call);
    return params->arena;
}

static void query(struct erasing *erasing, const struct pg_statement *statement,
                  const struct pg_params *params, pg_callback *callback)
{
    pg_write(erasing->service->pool, rpc_call_owner(erasing->call), statement, params, callback,
             erasing);
}

/* ---- The record ---- */

static void open_record(struct erasing *erasing)
{
    const request_message *request = erasing->request;
    struct uuid id = uuid_v7(loop_clock(erasing->service->loop), &erasing->service->entropy);
    struct pg_params params;

    if (!begin_batch(erasing, &params))
        return;
    param_scope(&params, erasing->call);
    pg_param_text(&params, request->company_id);
    pg_param_uuid(&params, &id);
    pg_param_bytes(&params, (struct str){(const char *)erasing->hash, sizeof(erasing->hash)});
    pg_param_text(&params, erasing->key_id);
    pg_param_text(&params,
                  request->_reference_case && *request->reference ? request->reference : NULL);
    pg_param_text(&params, rpc_call_principal(erasing->call)->subject);
    query(erasing, &sql_open_erasure, &params, on_opened);
}

void erase_contact(struct rpc_call *call, const void *request_)
{
    const request_message *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct erasing *erasing = ARENA_NEW(rpc_call_arena(call), struct erasing);
    struct pg_params params;

    if (!erasing) {
        fail_memory(call);
        return;
    }
    erasing->call = call;
    erasing->service = service;
    erasing->request = request;
    if (phone_normalise(request->phone_number, strlen(request->phone_number),
                        service->default_region, erasing->phone) != PHONE_RESULT_OK) {
        fail_field(call, "phone_number", "is not a phone number with country code");
        return;
    }
    if (request->_reference_case &&
        mask_text_has_phone(str_from(request->reference), str_from(erasing->phone))) {
        fail_field(call, "reference", "must not repeat the number: it is kept");
        return;
    }
    if (vault_hash(service->vault, str_from(erasing->phone), erasing->hash, &erasing->key_id))
        open_record(erasing);
    else if (begin_batch(erasing, &params)) {
        param_scope(&params, call);
        pg_param_text(&params, request->company_id);
        query(erasing, &sql_get_erasure_secret, &params, on_secret);
    }
}

static void on_secret(void *context, const struct pg_outcome *outcome)
{
    struct erasing *erasing = context;
    struct err err = {0};

    if (has_failed(erasing, outcome))
        return;
    struct str secret = pg_str(outcome->result, 0, 0);

    if (!secret.length) {
        fail_unknown(erasing);
        return;
    }
    if (secret.length == VAULT_HASH_BYTES &&
        vault_hash_with((const unsigned char *)secret.data, str_from(erasing->phone),
                        erasing->hash)) {
        open_record(erasing);
        return;
    }
    err_set(&err, ERR_INTERNAL, NULL, "the number cannot be hashed");
    fail(erasing, &err);
}

/* ---- What is found by the number ---- */

static void erase_some(struct erasing *erasing)
{
    const request_message *request = erasing->request;
    struct pg_params params;

    if (!begin_batch(erasing, &params))
        return;
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, erasing->id);
    pg_param_text(&params, erasing->phone);
    pg_param_bool(&params, !request->_keep_suppression_case || request->keep_suppression);
    pg_param_int64(&params, CALLS_AT_ONCE);
    query(erasing, &sql_erase_contact, &params, on_erased);
}

static void on_opened(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_ERASURE, COLUMN_UPLOAD, COLUMN_UPLOAD_ROW };
    struct erasing *erasing = context;

    if (has_failed(erasing, outcome))
        return;
    if (!str_equal_cstr(pg_str(outcome->result, 0, COLUMN_VERDICT), "ok")) {
        fail_unknown(erasing);
        return;
    }
    struct uuid id = pg_uuid(outcome->result, 0, COLUMN_ERASURE);

    uuid_format(&id, erasing->id);
    erasing->upload = pg_uuid(outcome->result, 0, COLUMN_UPLOAD);
    erasing->upload_row = pg_int64(outcome->result, 0, COLUMN_UPLOAD_ROW);
    erase_some(erasing);
}

/* ---- Rejected rows ---- */

static void list_errors(struct erasing *erasing)
{
    struct pg_params params;

    if (!begin_batch(erasing, &params))
        return;
    pg_param_text(&params, erasing->request->company_id);
    pg_param_uuid(&params, &erasing->upload);
    pg_param_int64(&params, erasing->upload_row);
    pg_read(erasing->service->pool, rpc_call_owner(erasing->call), &sql_list_erasable_errors,
            &params, on_listed, erasing);
}

static void on_erased(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_OTHER };
    struct erasing *erasing = context;
    struct err err = {0};

    if (has_failed(erasing, outcome))
        return;
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "more")) {
        erase_some(erasing);
    } else if (str_equal_cstr(verdict, "ok")) {
        list_errors(erasing);
    } else {
        struct uuid other = pg_uuid(outcome->result, 0, COLUMN_OTHER);
        char id[UUID_TEXT_SIZE];

        uuid_format(&other, id);
        err_set(&err, ERR_FAILED_PRECONDITION, "CALL_UNDER_WAY",
                "call %s to this number is under way: try again when it has ended", id);
        fail(erasing, &err);
    }
}

/* Whether the row holds the number, in whatever spelling. */
static bool holds(const struct erasing *erasing, const struct pg_result *rows, int row,
                  bool *ret_holds, struct err *err)
{
    enum { COLUMN_UPLOAD, COLUMN_ROW_NUMBER, COLUMN_REASON, COLUMN_CONTENT };
    struct uuid upload = pg_uuid(rows, row, COLUMN_UPLOAD);
    struct str phone = str_from(erasing->phone);
    struct vault_place place;
    struct buf content;

    buf_init(&content, 0);
    upload_content_place(&place, &upload, pg_int64(rows, row, COLUMN_ROW_NUMBER));
    bool ok = vault_open_text(erasing->service->vault, &place, pg_str(rows, row, COLUMN_CONTENT),
                              &content, err);

    *ret_holds = ok && (mask_text_has_phone(buf_str(&content), phone) ||
                        mask_text_has_phone(pg_str(rows, row, COLUMN_REASON), phone));
    buf_done(&content);
    return ok;
}

static void close_it(struct erasing *erasing)
{
    struct pg_params params;

    if (!begin_batch(erasing, &params))
        return;
    pg_param_text(&params, erasing->request->company_id);
    pg_param_text(&params, erasing->id);
    pg_param_text(&params, erasing->phone);
    query(erasing, &sql_close_erasure, &params, on_closed);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct erasing *erasing = context;
    const struct pg_result *rows = outcome->result;
    int64_t *numbers;
    const char **uploads;
    size_t found = 0;
    struct err err = {0};

    if (has_failed(erasing, outcome))
        return;
    int count = pg_rows(rows);

    if (count == 0) {
        close_it(erasing);
        return;
    }
    uploads = ARENA_ARRAY(erasing->batch, const char *, (size_t)count);
    numbers = ARENA_ARRAY(erasing->batch, int64_t, (size_t)count);
    for (int i = 0; i < count && uploads && numbers; i++) {
        bool is_theirs = false;

        if (!holds(erasing, rows, i, &is_theirs, &err)) {
            fail(erasing, &err);
            return;
        }
        if (!is_theirs)
            continue;
        uploads[found] = pg_text(rows, i, 0, erasing->batch);
        numbers[found++] = pg_int64(rows, i, 1);
    }
    erasing->upload = pg_uuid(rows, count - 1, 0);
    erasing->upload_row = pg_int64(rows, count - 1, 1);
    struct pg_params params = {.arena = erasing->batch};

    pg_param_text(&params, erasing->id);
    pg_param_text_array(&params, uploads, found);
    pg_param_int64_array(&params, numbers, found);
    pg_param_uuid(&params, &erasing->upload);
    pg_param_int64(&params, erasing->upload_row);
    query(erasing, &sql_erase_upload_errors, &params, on_cleared);
}

static void on_cleared(void *context, const struct pg_outcome *outcome)
{
    struct erasing *erasing = context;

    if (!has_failed(erasing, outcome))
        list_errors(erasing);
}

/* ---- The answer ---- */

static void on_closed(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_REMOVED, COLUMN_KEPT, COLUMN_UNDER_WAY, COLUMN_AT };
    struct erasing *erasing = context;
    struct rpc_call *call = erasing->call;
    Dialplane__V1__EraseContactResponse response;
    struct err err = {0};

    if (has_failed(erasing, outcome))
        return;
    dialplane__v1__erase_contact_response__init(&response);
    response.id = erasing->id;
    response.removed = (Dialplane__V1__ErasedData *)rpc_message_from_json(
        call, &dialplane__v1__erased_data__descriptor, pg_str(outcome->result, 0, COLUMN_REMOVED),
        &err);
    response.suppressions_kept = pg_int64(outcome->result, 0, COLUMN_KEPT);
    response.uploads_under_way = pg_int64(outcome->result, 0, COLUMN_UNDER_WAY);
    response.erased_at = timestamp_from_column(rpc_call_arena(call), outcome->result, 0, COLUMN_AT);
    end_batch(erasing);
    if (response.removed)
        rpc_reply(call, &response.base);
    else
        rpc_fail(call, &err);
}
