/* locate: where in a JSON text a field is, for errors that name its path. */
#ifndef CLI_LOCATE_H
#define CLI_LOCATE_H

#include "base/str.h"

struct place {
    size_t start, end;     /* of the value, in bytes */
    unsigned line, column; /* of its start, from 1; columns are characters */
    bool found;            /* false: the deepest part of the path that there is */
};

/* The value that `path` names in `text`: "config.flow.states[2].id", "retry_policy["busy"]"; "" is
 * the whole. Keys match in snake_case and in lowerCamelCase. Where the path ends too early (a field
 * that is missing, a bare string in place of an object), the place is that of what is there. The
 * text should be well-formed; any other gives some place in it. Linear in the text. */
struct place json_locate(struct str text, const char *path);

#endif
