/* openapi: the OpenAPI 3.1 description of every REST call, made from the loaded .proto files:
 * comments, rules, status codes, streams. */
#ifndef GATEWAY_PAGES_OPENAPI_H
#define GATEWAY_PAGES_OPENAPI_H

#include "base/buf.h"
#include "schema/schema.h"

#include <stdbool.h>

/* Appends the document. Made once at start; false when out's limit is passed. */
bool openapi_write(const struct schema *schema, const char *version, struct buf *out);

#endif
