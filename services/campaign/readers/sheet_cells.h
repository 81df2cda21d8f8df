/* sheet_cells: the part of a workbook that holds one sheet's cells, tag by tag, into rows. */
#ifndef DIALPLANE_CAMPAIGN_READERS_SHEET_CELLS_H
#define DIALPLANE_CAMPAIGN_READERS_SHEET_CELLS_H

#include "domain/list_row.h"
#include "readers/shared_strings.h"
#include "readers/workbook.h"
#include "readers/xml.h"

struct sheet_cells_options {
    const struct workbook *workbook; /* its styles and date system */
    struct shared_strings *strings;  /* NULL: none */
    list_on_row *on_row;
    void *context;
    int64_t text_limit; /* bytes of all cells: one string may stand in a million of them */
};

struct sheet_cells;
/* NULL when memory is short. */
struct sheet_cells *sheet_cells_new(const struct sheet_cells_options *options);
void sheet_cells_free(struct sheet_cells *cells);
/* Its context is the cells. A row that asks for a pause pauses the parser. */
extern const struct xml_handlers sheet_cells_handlers;
/* Before anything is fed. */
void sheet_cells_set_xml(struct sheet_cells *cells, struct xml *xml);

#endif
