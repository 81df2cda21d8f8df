/* media: Content-Type and Accept (RFC 9110 §8.3, §12.5.1). Pure. */
#ifndef GATEWAY_POLICY_MEDIA_H
#define GATEWAY_POLICY_MEDIA_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct media_type {
    struct str type;       /* "multipart/form-data": without parameters, as sent */
    struct str parameters; /* what follows the first ';' */
};

/* False when it is not type "/" subtype with well-formed tokens. */
bool media_type_parse(struct str header, struct media_type *ret_media);
/* The type alone, in any case. */
bool media_type_is(const struct media_type *media, const char *type);
/* A parameter's value, its quotes and backslashes taken off; written to out (NUL-terminated). False
 * when there is none or it does not fit. */
bool media_type_parameter(const struct media_type *media, const char *name, char *out,
                          size_t out_size);
/* application/json or application/<x>+json, with charset absent or utf-8. */
bool media_type_is_json(const struct media_type *media);

/* How much `accept` wants type ("application/json"), 0..1000; the most specific range decides. An
 * absent or empty header wants everything. */
unsigned accept_quality(struct str accept, const char *type);
/* Index of the type that is wanted most (the earlier of equals); -1 when none is acceptable. */
int accept_choose(struct str accept, const char *const *types, size_t count);

#endif
