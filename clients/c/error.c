/* What went wrong, from the status of a call and the details in its trailing metadata. */
#include "internal.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

const char *dialplane_code_name(int code)
{
    if (code < 0 || (size_t)code >= sizeof(code_names) / sizeof(*code_names))
        return "UNKNOWN";
    return code_names[code];
}

bool dialplane_is_transient(const struct dialplane_error *error)
{
    return error->code == GRPC_STATUS_UNAVAILABLE ||
           error->code == GRPC_STATUS_RESOURCE_EXHAUSTED || error->code == GRPC_STATUS_ABORTED;
}

bool dialplane_error_next_field(const struct dialplane_error *error, size_t *position,
                                const char **ret_field, const char **ret_message)
{
    if (error->code == 0 || *position >= error->fields_size)
        return false;
    *ret_field = error->fields + *position;
    *ret_message = *ret_field + strlen(*ret_field) + 1;
    *position = (size_t)(*ret_message - error->fields) + strlen(*ret_message) + 1;
    return true;
}

/* Two texts with their NULs, or nothing. Services send at most 8 KB of metadata, in which the same
 * texts take more room: what is left out here was not sent by ours. */
static void add_field(struct dialplane_error *error, const char *field, const char *message)
{
    size_t field_size = strlen(field) + 1, message_size = strlen(message) + 1;
    if (field_size + message_size > sizeof(error->fields) - error->fields_size)
        return;
    memcpy(error->fields + error->fields_size, field, field_size);
    memcpy(error->fields + error->fields_size + field_size, message, message_size);
    error->fields_size += field_size + message_size;
    error->field_count++;
}

static void read_bad_request(const Google__Protobuf__Any *any, struct dialplane_error *error)
{
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, any->value.len, any->value.data);
    if (!bad)
        return;
    for (size_t i = 0; i < bad->n_field_violations; i++)
        add_field(error, bad->field_violations[i]->field, bad->field_violations[i]->description);
    google__rpc__bad_request__free_unpacked(bad, NULL);
}

static void read_error_info(const Google__Protobuf__Any *any, struct dialplane_error *error)
{
    Google__Rpc__ErrorInfo *info =
        google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
    if (!info)
        return;
    snprintf(error->reason, sizeof(error->reason), "%s", info->reason);
    google__rpc__error_info__free_unpacked(info, NULL);
}

static void read_retry_info(const Google__Protobuf__Any *any, struct dialplane_error *error)
{
    Google__Rpc__RetryInfo *retry =
        google__rpc__retry_info__unpack(NULL, any->value.len, any->value.data);
    if (!retry)
        return;
    if (retry->retry_delay && retry->retry_delay->seconds >= 0 &&
        retry->retry_delay->seconds <= 86400)
        error->retry_after_ms =
            (unsigned)(retry->retry_delay->seconds * 1000 + retry->retry_delay->nanos / 1000000);
    google__rpc__retry_info__free_unpacked(retry, NULL);
}

/* Reads the parts of google.rpc.Status that programs act on. */
static void read_details(grpc_slice bytes, struct dialplane_error *error)
{
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, GRPC_SLICE_LENGTH(bytes), GRPC_SLICE_START_PTR(bytes));
    if (!status)
        return;
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        if (strstr(any->type_url, "google.rpc.ErrorInfo"))
            read_error_info(any, error);
        else if (strstr(any->type_url, "google.rpc.RetryInfo"))
            read_retry_info(any, error);
        else if (strstr(any->type_url, "google.rpc.BadRequest"))
            read_bad_request(any, error);
    }
    google__rpc__status__free_unpacked(status, NULL);
}

void error_set(struct dialplane_error *error, int code, const char *message)
{
    if (!error)
        return;
    memset(error, 0, sizeof(*error));
    error->code = code;
    snprintf(error->message, sizeof(error->message), "%s", message);
}

void error_set_from_status(struct dialplane_error *error, grpc_status_code code, grpc_slice details,
                           const grpc_metadata_array *trailing)
{
    if (!error)
        return;
    memset(error, 0, sizeof(*error));
    error->code = (int)code;
    size_t length = GRPC_SLICE_LENGTH(details);
    const uint8_t *text = GRPC_SLICE_START_PTR(details);
    if (length >= sizeof(error->message)) {
        length = sizeof(error->message) - 1;
        while (length > 0 && (text[length] & 0xC0) == 0x80)
            length--;
    }
    memcpy(error->message, text, length);
    for (size_t i = 0; i < trailing->count; i++)
        if (grpc_slice_str_cmp(trailing->metadata[i].key, "grpc-status-details-bin") == 0)
            read_details(trailing->metadata[i].value, error);
}
