/* free_form: a google.protobuf.Struct that a client sent must be writable as JSON before it can be
 * stored. Pure: no I/O. */
#ifndef DIALPLANE_SKILLBASE_FREE_FORM_H
#define DIALPLANE_SKILLBASE_FREE_FORM_H

#include "base/err.h"

#include "google/protobuf/struct.pb-c.h"

/* Adds a violation for each value that JSON cannot say: a NaN, an infinity, a Value of no kind.
 * Only gRPC clients can send those. NULL is fine. The depth was bounded before protobuf-c saw the
 * bytes (SCHEMA_DEPTH_LIMIT), so recursion is. */
void free_form_check(const Google__Protobuf__Struct *object, const char *path,
                     struct violations *violations);

#endif
