#include "uploads/how.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

typedef Dialplane__V1__UploadCallListRequest request_message;

struct fingerprint {
    XXH3_state_t *state;
};

void how_read(const request_message *request, const struct campaign_service *service,
              const char *region, struct how *ret_how)
{
    struct upload_options *options = &ret_how->options;

    *options = (struct upload_options){
        .kind = UPLOAD_CONTACTS,
        .row_limit = service->upload_row_limit,
        .error_rows = service->upload_errors_kept,
        .region = region,
        .charset = request->_charset_case && *request->charset ? request->charset : NULL,
        .sheet = request->_sheet_case && *request->sheet ? request->sheet : NULL,
        .is_gzip = request->_content_encoding_case && !strcmp(request->content_encoding, "gzip"),
        .mappings = ret_how->mappings,
        .vault = service->vault,
    };
    for (size_t i = 0; i < request->n_column && i < HOW_MAPPINGS_MOST; i++)
        ret_how->mappings[options->mapping_count++] =
            (struct column_mapping){request->column[i]->key, request->column[i]->value};
}

static int by_key(const void *a, const void *b)
{
    typedef Dialplane__V1__UploadCallListRequest__ColumnEntry entry;

    return strcmp((*(entry *const *)a)->key, (*(entry *const *)b)->key);
}

struct str how_pack(const request_message *request, struct arena *arena)
{
    request_message settings = *request;

    /* A map has no order: the same one must give the same bytes. */
    if (settings.n_column > 1)
        qsort(settings.column, settings.n_column, sizeof(settings.column[0]), by_key);

    settings.campaign_id = (char *)"";
    settings._file_name_case = 0;
    settings._content_type_case = 0;
    settings._idempotency_key_case = 0;
    settings.respond_async = false;
    settings.chunk = (ProtobufCBinaryData){0};
    settings.base.n_unknown_fields = 0;
    return rpc_pack(&settings.base, arena);
}

request_message *how_unpack(struct str settings, struct arena *arena)
{
    return (request_message *)rpc_unpack(&dialplane__v1__upload_call_list_request__descriptor,
                                         settings, arena);
}

struct fingerprint *fingerprint_new(struct str settings)
{
    struct fingerprint *fingerprint = calloc(1, sizeof(*fingerprint));

    if (!fingerprint)
        return NULL;
    fingerprint->state = XXH3_createState();
    if (!fingerprint->state) {
        free(fingerprint);
        return NULL;
    }
    XXH3_128bits_reset(fingerprint->state);
    uint64_t length = settings.length; /* so that settings and file cannot run into each other */

    XXH3_128bits_update(fingerprint->state, &length, sizeof(length));
    fingerprint_add(fingerprint, settings);
    return fingerprint;
}

void fingerprint_free(struct fingerprint *fingerprint)
{
    if (!fingerprint)
        return;
    XXH3_freeState(fingerprint->state);
    free(fingerprint);
}

void fingerprint_add(struct fingerprint *fingerprint, struct str bytes)
{
    if (bytes.length)
        XXH3_128bits_update(fingerprint->state, bytes.data, bytes.length);
}

void fingerprint_format(const struct fingerprint *fingerprint, char out[FINGERPRINT_SIZE])
{
    XXH128_hash_t hash = XXH3_128bits_digest(fingerprint->state);

    snprintf(out, FINGERPRINT_SIZE, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
}
