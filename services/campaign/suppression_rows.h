/* suppression_rows: rows of suppressions as messages. */
#ifndef DIALPLANE_CAMPAIGN_SUPPRESSION_ROWS_H
#define DIALPLANE_CAMPAIGN_SUPPRESSION_ROWS_H

#include "campaign.h"

enum suppression_column {
    SUPPRESSION_ID,
    SUPPRESSION_COMPANY_ID,
    SUPPRESSION_PATTERN,
    SUPPRESSION_IS_PREFIX,
    SUPPRESSION_REASON,
    SUPPRESSION_SOURCE,
    SUPPRESSION_CALL_ID,
    SUPPRESSION_CREATED_AT,
    SUPPRESSION_COLUMNS, /* first column after them */
};

/* In the arena; NULL when that is exhausted. */
Dialplane__V1__Suppression *suppression_from_row(struct arena *arena,
                                                 const struct pg_result *result, int row);
/* The word of the database; NULL for none. */
const char *suppression_source_word(Dialplane__V1__SuppressionSource source);
/* Reads it and sends it as the answer. `company_id` and `id` must live as long as the call. */
void reply_suppression(struct rpc_call *call, const char *company_id, const char *id);
/* "+" and 1 to 14 digits, not beginning with 0. */
bool is_phone_prefix(struct str text);

#endif
