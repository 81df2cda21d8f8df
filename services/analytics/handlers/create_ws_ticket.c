/* A ticket for one stream: what the caller is, under 256 random bits, for a minute. */
#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "auth/secret.h"
#include "service/credentials.h"

#include <openssl/crypto.h>
#include <strings.h>

#define TICKET_SECONDS 60

struct giving {
    struct rpc_call *call;
    const char *company_id; /* that was asked for; NULL: none */
    struct new_ticket ticket;
};

static void fail_no_company(const struct giving *giving)
{
    fail_field(giving->call, "company_id", "company %s does not exist", giving->company_id);
}

/* Whom the ticket stands for. Less than the maker at most: a company of another's is not there, and
 * what the maker sees by a role that the ticket has not is not made a grant of it. */
static bool choose(struct giving *giving, const char **ret_company_id, uint32_t *ret_roles)
{
    const struct principal *principal = rpc_call_principal(giving->call);
    const char *asked = giving->company_id;

    *ret_company_id = asked ? asked : principal->company_id;
    *ret_roles = asked ? UINT32_C(1) << SCHEMA_ROLE_VIEWER : principal->roles;
    return !asked || !principal->company_id || strcasecmp(asked, principal->company_id) == 0;
}

static void on_given(void *context, const struct pg_outcome *outcome);

void create_ws_ticket(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CreateWsTicketRequest *request = request_;
    const struct principal *principal = rpc_call_principal(call);
    struct analytics_service *service = rpc_call_context(call);
    struct giving *giving = ARENA_NEW(rpc_call_arena(call), struct giving);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    const char *words[ROLE_WORDS_MAX], *granted[GRANT_WORDS_MAX];
    const char *company_id;
    struct entropy entropy;
    uint32_t roles;

    if (!giving) {
        fail_memory(call);
        return;
    }
    giving->call = call;
    if (request->_company_id_case && *request->company_id)
        giving->company_id = request->company_id;
    if (!choose(giving, &company_id, &roles)) {
        fail_no_company(giving);
        return;
    }
    entropy_init_system(&entropy);
    ticket_make(&entropy, &giving->ticket);
    pg_param_bytes(&params, (struct str){(const char *)giving->ticket.hash, AUTH_HASH_SIZE});
    pg_param_text(&params, principal->subject);
    pg_param_text(&params, company_id);
    pg_param_text_array(&params, words, role_words(roles, words));
    if (principal->expires_us)
        pg_param_time_us(&params, principal->expires_us);
    else
        pg_param_null(&params);
    pg_param_text(&params, principal->key_prefix);
    pg_param_int64(&params, TICKET_SECONDS);
    pg_param_text_array(&params, granted, grant_words(principal->grants, granted));
    pg_write(service->pool, rpc_call_owner(call), &sql_create_ws_ticket, &params, on_given, giving);
}

static void on_given(void *context, const struct pg_outcome *outcome)
{
    struct giving *giving = context;
    struct arena *arena = rpc_call_arena(giving->call);
    Dialplane__V1__WsTicket answer = DIALPLANE__V1__WS_TICKET__INIT;

    if (!outcome->result) {
        rpc_fail(giving->call, &outcome->err);
    } else if (pg_rows(outcome->result) == 0 && giving->company_id) {
        fail_no_company(giving);
    } else if (pg_rows(outcome->result) == 0) {
        rpc_fail_code(giving->call, ERR_UNAUTHENTICATED, "CREDENTIALS_GONE",
                      "what you have shown has just been taken back");
    } else if (!(answer.expires_at = timestamp_from_column(arena, outcome->result, 0, 0))) {
        fail_memory(giving->call);
    } else {
        answer.ticket = giving->ticket.text;
        rpc_reply(giving->call, &answer.base);
    }
    OPENSSL_cleanse(giving->ticket.text, sizeof(giving->ticket.text));
}
