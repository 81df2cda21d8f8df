/* xlsx: the rows of one sheet of an .xlsx workbook, from its spooled file; memory does not depend
 * on its size. Blocking. */
#ifndef DIALPLANE_CAMPAIGN_READERS_XLSX_H
#define DIALPLANE_CAMPAIGN_READERS_XLSX_H

#include "readers/sheet_row.h"
#include "readers/spool.h"

struct xlsx;
/* Finds the sheet. The options' texts live as long. Errors as reader_read(). */
struct xlsx *xlsx_open(const struct spool *spool, const struct sheet_options *options,
                       struct err *err);
void xlsx_free(struct xlsx *xlsx);
/* Of the sheet that is read. */
const char *xlsx_sheet_name(const struct xlsx *xlsx);
/* Goes on: LIST_PAUSED, LIST_ENDED or LIST_FAILED. */
enum list_result xlsx_read(struct xlsx *xlsx, struct err *err);

#endif
