/* rows: uploads as messages; columns as the view upload_details has them. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_ROWS_H
#define DIALPLANE_CAMPAIGN_UPLOADS_ROWS_H

#include "campaign.h"
#include "domain/call_list.h"

enum upload_column {
    UPLOAD_ID,
    UPLOAD_CAMPAIGN_ID,
    UPLOAD_STATE,
    UPLOAD_FILE_NAME,
    UPLOAD_FORMAT,
    UPLOAD_CHARSET,
    UPLOAD_SHEET,
    UPLOAD_ON_DUPLICATE,
    UPLOAD_BYTES,
    UPLOAD_TOTAL,
    UPLOAD_CREATED,
    UPLOAD_UPDATED,
    UPLOAD_DUPLICATES,
    UPLOAD_ERROR_COUNT,
    UPLOAD_ERRORS_KEPT,
    UPLOAD_ROWS_PER_SECOND,
    UPLOAD_BYTES_PER_SECOND,
    UPLOAD_FAILURE,
    UPLOAD_CREATED_AT,
    UPLOAD_UPDATED_AT,
    UPLOAD_FINISHED_AT,
    UPLOAD_COLUMNS, /* first column after them */
};

/* NULL: arena exhausted. */
Dialplane__V1__Upload *upload_from_row(struct arena *arena, const struct pg_result *result,
                                       int row);

Dialplane__V1__UploadState upload_state_from_word(struct str word);
const char *upload_state_word(Dialplane__V1__UploadState state);

#endif
