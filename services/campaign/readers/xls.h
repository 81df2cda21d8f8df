/* xls: the rows of one sheet of an .xls workbook (BIFF), from its spooled file.
 *
 * libfreexl holds the whole sheet in memory and was not made for files from strangers, so it runs
 * in a process of its own (dialplane-xls, beside this program): with nothing in its environment,
 * little memory, little time and no way to write a file. What goes wrong there is an answer here.
 * Blocking, for a tenth of a second at a time. */
#ifndef DIALPLANE_CAMPAIGN_READERS_XLS_H
#define DIALPLANE_CAMPAIGN_READERS_XLS_H

#include "readers/sheet_row.h"
#include "readers/spool.h"

struct xls;
/* Starts the process. Errors INTERNAL, RESOURCE_EXHAUSTED. */
struct xls *xls_open(const struct spool *spool, const struct sheet_options *options,
                     struct err *err);
/* Ends the process if need be. */
void xls_free(struct xls *xls);
/* Of the sheet that is read; NULL: not known yet. */
const char *xls_sheet_name(const struct xls *xls);
/* Goes on: LIST_PAUSED, LIST_ENDED or LIST_FAILED. */
enum list_result xls_read(struct xls *xls, struct err *err);

#endif
