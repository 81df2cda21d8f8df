/* Personal data leaves a service masked for those who may not see it: here, for every answer and
 * every message of a stream, by what the .proto says of its fields. Handlers know nothing of it,
 * except those whose answer is a file: see rpc_call_masks_phones(). */
#include "rpc/internal.h"

#define MASKED_LIMIT ((size_t)64 << 20)

bool rpc_call_masks_phones(const struct rpc_call *call)
{
    return !auth_sees_phones(&call->principal);
}

bool rpc_personal_needs_mask(const struct rpc_call *call)
{
    return call->method->schema && call->method->schema->output->carries_personal &&
           rpc_call_masks_phones(call);
}

bool rpc_personal_mask(const struct rpc_call *call, struct str wire, struct buf *ret_masked,
                       struct err *err)
{
    buf_init(ret_masked, MASKED_LIMIT);
    if (schema_mask(call->method->schema->output, wire, ret_masked))
        return true;
    buf_done(ret_masked);
    /* Rather nothing than what must not be seen. */
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the answer does not fit the memory in which phone numbers are masked");
}
