/* schemas: what the fuzz targets read and write: a message of the contract, and one with every kind
 * of field. */
#ifndef DIALPLANE_FUZZ_JSON_SCHEMAS_H
#define DIALPLANE_FUZZ_JSON_SCHEMAS_H

#include "json/json.h"

#define FUZZ_SUBJECTS 2
struct fuzz_subject {
    const struct schema *schema;
    const struct schema_message *message;
};
/* Loaded on first use; they live as long as the process. */
const struct fuzz_subject *fuzz_subjects(void);
/* Prints, and stops the process when that fails or the text is not UTF-8. */
void fuzz_must_print(const struct fuzz_subject *subject, struct str wire, enum json_print_mode mode,
                     struct buf *out);

#endif
