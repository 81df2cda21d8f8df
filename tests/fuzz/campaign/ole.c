/* Compound files: nothing is read beyond the bytes, and what is said of them stays within bounds.
 */
#include "readers/ole.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ole_facts facts;
    unsigned char *copy = malloc(size ? size : 1);

    memcpy(copy, data, size);
    ole_look(copy, size, &facts);
    if (facts.sheet_count > OLE_SHEETS_MOST)
        abort();
    free(copy);
    return 0;
}
