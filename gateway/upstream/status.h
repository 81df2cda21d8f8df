/* status: what a gRPC service says about a failure (grpc-message, grpc-status-details-bin) as a
 * struct err. Pure. */
#ifndef GATEWAY_UPSTREAM_STATUS_H
#define GATEWAY_UPSTREAM_STATUS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* message: as it came, percent-encoded (changed in place). details: base64 of google.rpc.Status;
 * understood in it are BadRequest, ErrorInfo and RetryInfo. arena may be NULL: then without
 * violations. */
void status_read(unsigned grpc_status, char *message, size_t message_length,
                 struct str details_base64, uint32_t retry_after_seconds, struct arena *arena,
                 struct err *ret_status);
/* Standard alphabet, padding optional. Bytes written, or -1. */
long base64_decode(struct str text, void *out, size_t out_size);
/* google.rpc.Status serialized. */
void status_read_details(struct str status, struct arena *arena, struct err *ret_status);

#endif
