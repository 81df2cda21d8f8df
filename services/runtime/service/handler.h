/* handler: what handlers of every service share: parameters that statements begin with, pieces of
 * answers, and failures with their sentence. */
#ifndef DIALPLANE_SERVICE_HANDLER_H
#define DIALPLANE_SERVICE_HANDLER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "pg/pg.h"
#include "rpc/rpc.h"

#include "google/protobuf/timestamp.pb-c.h"

/* ---- Parameters ---- */

/* The company of who asks, NULL for who may see all: the scope of every statement. */
const char *service_scope(const struct rpc_call *call);
void param_scope(struct pg_params *params, const struct rpc_call *call);
/* The revision of if-match, NULL when the client sent none. */
void param_if_match(struct pg_params *params, const struct rpc_call *call);
/* `text` when it is to change, else NULL. */
void param_if(struct pg_params *params, bool changes, const char *text);
/* A Timestamp for ::timestamptz; NULL for none. Its range has been checked. */
void param_timestamp(struct pg_params *params, const Google__Protobuf__Timestamp *timestamp);
/* A message as the text of a jsonb parameter. False after the call has been failed. */
bool param_json(struct pg_params *params, struct rpc_call *call, const ProtobufCMessage *message);

/* ---- Pieces of answers, in the call's arena ---- */

int64_t timestamp_to_us(const Google__Protobuf__Timestamp *timestamp);
/* NULL: arena exhausted. */
Google__Protobuf__Timestamp *timestamp_from_us(struct arena *arena, int64_t us);
/* The column as a Timestamp; NULL for SQL NULL. */
Google__Protobuf__Timestamp *
timestamp_from_column(struct arena *arena, const struct pg_result *result, int row, int column);
/* Puts `wire`, a serialized message, into `message` as field `number` without making an object of
 * it: handed to protobuf-c as a field that it does not know, which it copies to its output without
 * looking. The member itself stays NULL. `most`: how many such fields this message gets in all,
 * said at the first. */
bool attach_wire(struct arena *arena, ProtobufCMessage *message, uint32_t number, unsigned most,
                 struct str wire, struct err *err);
/* Appends the serialized message that stored JSON of `type` says ("google.protobuf.Struct"). */
bool wire_from_json(struct rpc_call *call, const char *type, struct str json, struct buf *wire,
                    struct err *err);
/* The same as attach_wire() from stored JSON of a message of `type` ("google.protobuf.Struct"). */
bool attach_json(struct rpc_call *call, ProtobufCMessage *message, uint32_t number, unsigned most,
                 const char *type, struct str json, struct err *err);

/* ---- Failures: each ends the call ---- */

void fail_memory(struct rpc_call *call);
/* INVALID_ARGUMENT about one field, found only when the statement ran. */
void fail_field(struct rpc_call *call, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* NOT_FOUND: "skillbase <id> does not exist". */
void fail_not_found(struct rpc_call *call, const char *noun, const char *id);
/* FAILED_PRECONDITION ETAG_MISMATCH: "the skillbase has been changed since …". */
void fail_changed(struct rpc_call *call, const char *noun);

#endif
