/* docs: /openapi.json, and the pages that show it: Swagger UI at /docs, ReDoc at /redoc, both
 * served from here. */
#ifndef GATEWAY_PAGES_DOCS_H
#define GATEWAY_PAGES_DOCS_H

#include "base/err.h"
#include "gateway/pages/pages.h"
#include "schema/schema.h"

/* Before the first request. False with err when the document cannot be made. */
bool docs_add(struct pages *pages, const struct schema *schema, struct err *err);

#endif
