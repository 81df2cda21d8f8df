#include "handlers/handlers.h"
#include "suppression_rows.h"

void get_suppression(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetSuppressionRequest *request = request_;

    reply_suppression(call, request->company_id, request->id);
}
