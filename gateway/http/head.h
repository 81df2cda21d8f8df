/* head: the header block of one request while it is read: bytes copied once into a block of the
 * exchange, names in lower case. */
#ifndef GATEWAY_HTTP_HEAD_H
#define GATEWAY_HTTP_HEAD_H

#include "gateway/http/exchange.h"

#define HEAD_INLINE_BYTES 3072
#define HEAD_INLINE_FIELDS 32

struct head {
    struct str target;
    struct str method, authority; /* HTTP/2: from its pseudo-headers */
    struct str protocol;          /* of an extended CONNECT */
    struct header *fields;
    unsigned field_count, field_capacity;
    char *bytes;
    size_t length, capacity;
    bool name_open, value_open; /* the last field's name, value may still grow */
    struct header inline_fields[HEAD_INLINE_FIELDS];
    char inline_bytes[HEAD_INLINE_BYTES];
};

void head_init(struct head *head);
void head_done(struct head *head);

/* Pieces, in the order read. False: no memory. */
bool head_add_target(struct head *head, const char *data, size_t length);
bool head_add_name(struct head *head, const char *data, size_t length);
void head_end_name(struct head *head);
bool head_add_value(struct head *head, const char *data, size_t length);
/* The last value is whole: white space around it is cut off. */
void head_end(struct head *head);
/* One of the texts above, whole. */
bool head_set_text(struct head *head, struct str *text, const char *data, size_t length);
/* A whole field; the name in lower case already. */
bool head_add_field(struct head *head, struct str name, struct str value);

/* The first of that name (lower case), or NULL. */
const struct header *head_find(const struct head *head, struct str name);
/* How many fields of that name there are. */
unsigned head_count(const struct head *head, struct str name);
/* Is `token` (lower case) in the comma-separated list of any field of that name? Case is ignored.
 */
bool head_has_token(const struct head *head, struct str name, struct str token);

#endif
