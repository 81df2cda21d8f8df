/* ole: enough of a compound file ([MS-CFB]) and of the BIFF records in it ([MS-XLS]) to know what
 * it is and which of its sheets are hidden, which libfreexl does not say. */
#ifndef DIALPLANE_CAMPAIGN_READERS_OLE_H
#define DIALPLANE_CAMPAIGN_READERS_OLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OLE_SHEETS_MOST 256

enum ole_kind {
    OLE_UNKNOWN, /* broken, or of a kind that is not known */
    OLE_WORKBOOK,
    OLE_ENCRYPTED, /* an .xlsx with a password */
    OLE_WORD,
    OLE_POWERPOINT,
};

struct ole_facts {
    enum ole_kind kind;
    size_t sheet_count; /* 0: not known */
    bool is_visible[OLE_SHEETS_MOST];
};

/* Never fails: what cannot be read stays unknown. The bytes are those of the whole file. */
void ole_look(const unsigned char *data, size_t size, struct ole_facts *ret_facts);

#endif
