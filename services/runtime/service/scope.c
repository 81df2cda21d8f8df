/* The company that statements ask for. In a file of its own, so that a test can do without it and
 * see that row-level security alone keeps the companies apart. */
#include "service/handler.h"

const char *service_scope(const struct rpc_call *call)
{
    return rpc_call_principal(call)->company_id;
}
