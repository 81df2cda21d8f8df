/* multipart: a streaming reader of multipart/form-data (RFC 7578, RFC 2046 §5.1). Bytes in, parts
 * out; holds one part's headers and never its content. Pure: no I/O, no allocation. */
#ifndef GATEWAY_ROUTE_MULTIPART_H
#define GATEWAY_ROUTE_MULTIPART_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_HEADER_BYTES 4096
#define MULTIPART_PARTS_MAX 64

/* Valid during the callback. */
struct multipart_part {
    struct str name;
    struct str file_name;    /* {NULL, 0} when there is none */
    struct str content_type; /* {NULL, 0} when there is none */
};

/* A callback that returns false ends the reading; it keeps its reason itself. */
struct multipart_handler {
    bool (*on_part)(void *context, const struct multipart_part *part);
    bool (*on_data)(void *context, struct str data);
    bool (*on_part_end)(void *context);
};

struct multipart {
    const struct multipart_handler *handler;
    void *context;
    char delimiter[76]; /* CR LF "--" boundary */
    size_t delimiter_length;
    size_t matched; /* bytes of the delimiter seen at the end of what came so far */
    size_t assumed; /* of those: a line end that is not part of the content */
    enum {
        MULTIPART_PREAMBLE,
        MULTIPART_AFTER_DELIMITER,
        MULTIPART_DASH,
        MULTIPART_PADDING,
        MULTIPART_LINE_FEED,
        MULTIPART_HEADERS,
        MULTIPART_CONTENT,
        MULTIPART_EPILOGUE,
        MULTIPART_STOPPED,
    } state;
    char headers[MULTIPART_HEADER_BYTES];
    size_t header_length;
    unsigned parts;
};

/* boundary: the parameter of the Content-Type, 1..70 of the characters that RFC 2046 allows. False
 * otherwise. */
bool multipart_init(struct multipart *multipart, struct str boundary,
                    const struct multipart_handler *handler, void *context);
/* False: malformed (err set), or a callback said so (err untouched). */
bool multipart_feed(struct multipart *multipart, struct str data, struct err *err);
/* After the last byte: false (err set) when the closing delimiter has not come. */
bool multipart_end(struct multipart *multipart, struct err *err);

#endif
