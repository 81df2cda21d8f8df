/* update: which fields an update request changes (AIP-134: a resource and an update_mask). */
#ifndef DIALPLANE_RPC_UPDATE_H
#define DIALPLANE_RPC_UPDATE_H

#include "google/protobuf/field_mask.pb-c.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* True when the mask names `field_name`; with no mask or an empty one, when the field has a value
 * in `resource` (an optional one is set, a message is there, a string or list is not empty, a
 * number is not 0). A field that is named but has no value is to be cleared. The field must exist
 * in the resource's descriptor: a name that does not aborts, for it is a mistake of ours. */
bool rpc_update_changes(const Google__Protobuf__FieldMask *mask, const ProtobufCMessage *resource,
                        const char *field_name);
/* True when the field has a value, in the sense above. */
bool rpc_field_has_value(const ProtobufCMessage *message, const char *field_name);

#endif
