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
    bool is_key = call->principal.key_prefix;
    struct err err = {0};

    call->deadline_timer = NULL;
    err_set(&err, ERR_UNAUTHENTICATED, is_key ? "KEY_EXPIRED" : "TOKEN_EXPIRED",
            "the %s has expired while the stream was under way: come back with a new one",
            is_key ? "API key" : "token");
    rpc_call_abort(call, &err);
}

static void on_gone(struct auth_hold *hold, const struct err *err)
{
    rpc_call_abort(RPC_CONTAINER(hold, struct rpc_call, hold), err);
}

/* False: short of memory. */
static bool end_with_credentials(struct rpc_call *call)
{
    const struct clock *clock = loop_clock(call->server->loop);
    int64_t left = call->principal.expires_us - clock->wall_us(clock);

    if (!(call->method->server_streaming || call->method->client_streaming))
        return true;
    if (call->principal.expires_us && !call->deadline_timer)
        call->deadline_timer =
            loop_timer_start(call->server->loop, left > 0 ? left : 1, on_expired, call);
    call->hold.on_gone = on_gone;
    return auth_hold_begin(call->server->options.auth, &call->principal, &call->hold);
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

/* Who it is, is known: as whom the statements run, and whether the method is for them. */
static bool has_role(struct rpc_call *call, struct err *err)
{
    const struct schema_method *method = call->method->schema;
    const struct principal *principal = &call->principal;
    char needed[80], given[80];

    call->principal = call->check.principal;
    identify(call);
    if (principal->roles & method->roles)
        return end_with_credentials(call) || err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                                                     "the server is out of memory");
    auth_roles_text(method->roles, needed, sizeof(needed));
    auth_roles_text(principal->roles, given, sizeof(given));
    return err_set(err, ERR_PERMISSION_DENIED, "ROLE_NOT_ALLOWED",
                   "this is for %s; your %s says %s", needed,
                   principal->key_prefix ? "API key" : "token", given);
}

static void on_checked(struct auth_check *check, const struct err *denied)
{
    struct rpc_call *call = RPC_CONTAINER(check, struct rpc_call, check);
    struct err err = {0};

    if (!denied && !call->cancelled && !has_role(call, &err))
        denied = &err;
    rpc_call_admit(call, denied);
}

enum auth_verdict rpc_access_check(struct rpc_call *call, struct err *err)
{
    const struct rpc_method *method = call->method;
    struct auth *auth = call->server->options.auth;
    enum auth_verdict verdict;

    call->principal = everybody;
    if (call->server->options.secure &&
        !rpc_secure_allows(call->server->options.secure, call->core)) {
        err_set(err, ERR_PERMISSION_DENIED, "PEER_NOT_ALLOWED",
                "your certificate names nobody who may call here (--tls-peers)");
        return AUTH_REFUSED;
    }
    if (!auth && call->authentication_required) {
        err_set(err, ERR_UNAVAILABLE, "AUTHENTICATION_OFF",
                "this service asks nobody who they are (--auth off), the gateway in front "
                "of it was started with --auth token: they must agree");
        return AUTH_REFUSED;
    }
    if (!auth || method->built_in) {
        identify(call);
        return AUTH_GOOD;
    }
    call->check.arena = call->arena;
    call->check.takes_tickets =
        method->server_streaming && !method->client_streaming && !method->schema->download_type;
    call->check.done = on_checked;
    if (call->has_two_authorizations) {
        err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED", "there are two authorizations");
        return AUTH_REFUSED;
    }
    verdict = auth_begin(auth, call->authorization, &call->check, err);
    return verdict == AUTH_GOOD && !has_role(call, err) ? AUTH_REFUSED : verdict;
}
