/* Who is asking, and whether the method is for them: the one place where roles are enforced. Which
 * rows they then see is the statements' matter: see param_scope(). */
#include "rpc/internal.h"

static const struct principal everybody = {
    .subject = "administrator",
    .is_platform = true,
    .roles = UINT32_C(1) << SCHEMA_ROLE_PLATFORM,
};

bool rpc_access_is_verified(const struct rpc_call *call)
{
    return call->principal.subject && call->principal.subject != everybody.subject;
}

/* What a caller watches ends with what it has shown; a unary call is too short to matter. */
static void on_expired(void *context)
{
    struct rpc_call *call = context;
    struct err err = {0};

    call->deadline_timer = NULL;
    err_set(&err, ERR_UNAUTHENTICATED, "TOKEN_EXPIRED",
            "the token has expired while the stream was under way: come back with a new one");
    rpc_call_abort(call, &err);
}

static void end_with_token(struct rpc_call *call)
{
    const struct clock *clock = loop_clock(call->server->loop);
    int64_t left = call->principal.expires_us - clock->wall_us(clock);

    if (!call->principal.expires_us || call->deadline_timer ||
        !(call->method->server_streaming || call->method->client_streaming))
        return;
    call->deadline_timer =
        loop_timer_start(call->server->loop, left > 0 ? left : 1, on_expired, call);
}

bool rpc_access_allow(struct rpc_call *call, struct err *err)
{
    const struct schema_method *method = call->method->schema;
    char needed[80], given[80];

    call->principal = everybody;
    if (!call->server->options.auth || call->method->built_in)
        return true;
    if (!auth_verify(call->server->options.auth, call->authorization, call->arena, &call->principal,
                     err))
        return false;
    if (call->principal.roles & method->roles) {
        end_with_token(call);
        return true;
    }
    auth_roles_text(method->roles, needed, sizeof(needed));
    auth_roles_text(call->principal.roles, given, sizeof(given));
    return err_set(err, ERR_PERMISSION_DENIED, "ROLE_NOT_ALLOWED",
                   "this is for %s; your token says %s", needed, given);
}
