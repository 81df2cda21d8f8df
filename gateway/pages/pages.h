/* pages: what the gateway itself answers: static files (embedded at build time, or of a directory),
 * /healthz, /readyz, /metrics. */
#ifndef GATEWAY_PAGES_PAGES_H
#define GATEWAY_PAGES_PAGES_H

#include "base/err.h"
#include "gateway/call/request.h"

/* Made by embed.cmake, from pages/static and from pages/examples. */
struct embedded_file {
    const char *path; /* "/index.html" */
    const unsigned char *data;
    size_t size;
};
extern const struct embedded_file gateway_embedded_files[];
extern const size_t gateway_embedded_files_count;
extern const struct embedded_file gateway_examples[]; /* sorted by path */
extern const size_t gateway_examples_count;

/* directory: read whole at start instead of the embedded files (NULL: those). "{{version}}" in an
 * HTML file becomes the version. NULL with err when the directory cannot be read, or holds too much
 * (2,000 files, 64 MB). */
struct pages *pages_new(const char *directory, struct err *err);
void pages_free(struct pages *pages);
/* The content security policy (see safe_headers.h) of the pages that are added from here on. */
void pages_set_policy(struct pages *pages, const char *policy);
/* One more page, made by the program ("/openapi.json"), before the first request. The bytes are
 * copied. */
bool pages_add(struct pages *pages, const char *path, const char *content_type, struct str data);

/* Answers when the path is one of ours; false: it is not. */
bool pages_serve(struct request *request);

/* The parts of it. */
void health_serve(struct request *request); /* /healthz */
void ready_serve(
    struct request *request); /* /readyz: asks each backend's grpc.health.v1, at most 1 s */
void metrics_serve(struct request *request); /* /metrics: all threads' figures */

#endif
