/* target: the request target (RFC 9112 §3.2) taken apart, and what may stand in an authority. */
#ifndef GATEWAY_HTTP_TARGET_H
#define GATEWAY_HTTP_TARGET_H

#include "base/str.h"

#include <stdbool.h>

struct target {
    struct str path;      /* up to '?'; "/" when an absolute form has none */
    struct str query;     /* after '?' */
    struct str authority; /* of an absolute form */
    bool asterisk;
};

/* NULL, or what is wrong with it. */
const char *target_parse(struct str text, struct target *ret_target);
/* host[:port] as in Host and :authority: not empty, nothing that could be read as something else.
 */
bool target_authority_is_valid(struct str text);

#endif
