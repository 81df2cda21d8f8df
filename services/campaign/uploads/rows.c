#include "uploads/rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const state_words[] = {
    [DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_RECEIVING] = "receiving",
    [DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_QUEUED] = "queued",
    [DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_PROCESSING] = "processing",
    [DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_COMPLETED] = "completed",
    [DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_FAILED] = "failed",
    [DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_UNDONE] = "undone",
};

Dialplane__V1__UploadState upload_state_from_word(struct str word)
{
    for (unsigned i = 1; i < COUNT(state_words); i++)
        if (str_equal_cstr(word, state_words[i]))
            return (Dialplane__V1__UploadState)i;
    return DIALPLANE__V1__UPLOAD_STATE__UPLOAD_STATE_UNSPECIFIED;
}

const char *upload_state_word(Dialplane__V1__UploadState state)
{
    return (unsigned)state < COUNT(state_words) ? state_words[state] : NULL;
}

static Dialplane__V1__OnDuplicate on_duplicate_from_word(struct str word)
{
    if (str_equal_cstr(word, "update"))
        return DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_UPDATE;
    if (str_equal_cstr(word, "error"))
        return DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_ERROR;
    return DIALPLANE__V1__ON_DUPLICATE__ON_DUPLICATE_SKIP;
}

static void read_texts(struct arena *arena, const struct pg_result *result, int row,
                       Dialplane__V1__Upload *upload)
{
    if (!pg_is_null(result, row, UPLOAD_FILE_NAME)) {
        upload->_file_name_case = DIALPLANE__V1__UPLOAD___FILE_NAME_FILE_NAME;
        upload->file_name = pg_text(result, row, UPLOAD_FILE_NAME, arena);
    }
    if (!pg_is_null(result, row, UPLOAD_FORMAT)) {
        upload->_format_case = DIALPLANE__V1__UPLOAD___FORMAT_FORMAT;
        upload->format = pg_text(result, row, UPLOAD_FORMAT, arena);
    }
    if (!pg_is_null(result, row, UPLOAD_CHARSET)) {
        upload->_charset_case = DIALPLANE__V1__UPLOAD___CHARSET_CHARSET;
        upload->charset = pg_text(result, row, UPLOAD_CHARSET, arena);
    }
    if (!pg_is_null(result, row, UPLOAD_SHEET)) {
        upload->_sheet_case = DIALPLANE__V1__UPLOAD___SHEET_SHEET;
        upload->sheet = pg_text(result, row, UPLOAD_SHEET, arena);
    }
    if (!pg_is_null(result, row, UPLOAD_FAILURE)) {
        upload->_failure_case = DIALPLANE__V1__UPLOAD___FAILURE_FAILURE;
        upload->failure = pg_text(result, row, UPLOAD_FAILURE, arena);
    }
}

Dialplane__V1__Upload *upload_from_row(struct arena *arena, const struct pg_result *result, int row)
{
    Dialplane__V1__Upload *upload = ARENA_NEW(arena, Dialplane__V1__Upload);

    if (!upload)
        return NULL;
    dialplane__v1__upload__init(upload);
    upload->id = pg_text(result, row, UPLOAD_ID, arena);
    upload->campaign_id = pg_text(result, row, UPLOAD_CAMPAIGN_ID, arena);
    upload->state = upload_state_from_word(pg_str(result, row, UPLOAD_STATE));
    upload->on_duplicate = on_duplicate_from_word(pg_str(result, row, UPLOAD_ON_DUPLICATE));
    upload->bytes = pg_int64(result, row, UPLOAD_BYTES);
    upload->total = pg_int64(result, row, UPLOAD_TOTAL);
    upload->created = pg_int64(result, row, UPLOAD_CREATED);
    upload->updated = pg_int64(result, row, UPLOAD_UPDATED);
    upload->duplicates = pg_int64(result, row, UPLOAD_DUPLICATES);
    upload->error_count = pg_int64(result, row, UPLOAD_ERROR_COUNT);
    upload->errors_kept = pg_int64(result, row, UPLOAD_ERRORS_KEPT);
    upload->rows_per_second = pg_double(result, row, UPLOAD_ROWS_PER_SECOND);
    upload->bytes_per_second = pg_double(result, row, UPLOAD_BYTES_PER_SECOND);
    upload->created_at = timestamp_from_column(arena, result, row, UPLOAD_CREATED_AT);
    upload->updated_at = timestamp_from_column(arena, result, row, UPLOAD_UPDATED_AT);
    upload->finished_at = timestamp_from_column(arena, result, row, UPLOAD_FINISHED_AT);
    read_texts(arena, result, row, upload);
    return arena_is_exhausted(arena) ? NULL : upload;
}
