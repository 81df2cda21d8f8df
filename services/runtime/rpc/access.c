/* Who is asking, and whether the method is for them: the one place where roles are enforced. Which
 * rows they then see is the statements' matter: see param_scope(), and behind it PostgreSQL's
 * row-level security, which goes by the identity that is made here and nowhere else. */
#include "rpc/internal.h"

#include <grpc/support/alloc.h>
#include <string.h>

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

/* "ipv4:10.0.0.1:5000", "ipv6:%5B::1%5D:5000" → the address; "unix" for a socket of this machine.
 */
static const char *peer_address(struct rpc_call *call)
{
    char *peer = grpc_call_get_peer(call->core);
    const char *from = NULL, *to = NULL;

    if (peer && !strncmp(peer, "ipv4:", 5)) {
        from = peer + 5;
        to = strrchr(from, ':');
    } else if (peer && !strncmp(peer, "ipv6:", 5)) {
        from = strpbrk(peer + 5, "B["); /* of %5B, or as it is */
        from = from ? from + 1 : NULL;
        to = from ? from + strspn(from, "0123456789abcdefABCDEF:.") : NULL;
    }
    const char *address = from && to && to > from
                              ? arena_strndup(call->arena, from, (size_t)(to - from))
                          : peer && !strncmp(peer, "unix:", 5) ? "unix"
                                                               : NULL;
    gpr_free(peer);
    return address;
}

static void identify(struct rpc_call *call)
{
    const struct principal *principal = &call->principal;

    call->owner.identity = (struct pg_identity){
        .authority = principal->company_id ? PG_AS_COMPANY : PG_AS_SERVICE,
        .company_id = principal->company_id,
        .actor = principal->subject,
        .address = call->client_address ? call->client_address : peer_address(call),
        .request_id = call->request_id,
    };
}

static bool is_allowed(struct rpc_call *call, struct err *err)
{
    const struct schema_method *method = call->method->schema;
    char needed[80], given[80];

    call->principal = everybody;
    if (call->server->options.secure &&
        !rpc_secure_allows(call->server->options.secure, call->core))
        return err_set(err, ERR_PERMISSION_DENIED, "PEER_NOT_ALLOWED",
                       "your certificate names nobody who may call here (--tls-peers)");
    if (!call->server->options.auth && call->authentication_required)
        return err_set(err, ERR_UNAVAILABLE, "AUTHENTICATION_OFF",
                       "this service asks nobody who they are (--auth off), the gateway in front "
                       "of it was started with --auth token: they must agree");
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

bool rpc_access_allow(struct rpc_call *call, struct err *err)
{
    if (!is_allowed(call, err))
        return false;
    identify(call);
    return true;
}
