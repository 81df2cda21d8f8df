/* Who asks: the server is told in settings of the session, which row-level security and the
 * triggers of the audit log read.
 *
 * They are set for the session and not for the transaction, so that a connection that serves the
 * same company, or work of our own, again and again says it once. What makes that safe:
 *   - a statement goes out behind its identity in the same transaction (everything up to a Sync),
 *     or the server has committed that identity before;
 *   - a failure anywhere in a batch rolls the settings back, so the connection then counts as
 *     unknown, and the next batch says it again;
 *   - a session (an interactive transaction) is told outside of its transactions, alone.
 * So no statement runs as somebody else: it runs as whom it belongs to, or not at all. */
#include "pg/internal.h"

#include "base/log.h"

#include <stdio.h>

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

const struct pg_owner pg_service = {.identity = {.authority = PG_AS_SERVICE}};
const struct pg_owner pg_schema_owner = {.identity = {.authority = PG_AS_OWNER}};

static const struct pg_statement identity_statement = {
    "dialplane_identity", "SELECT set_config('dialplane.company', $1, false),"
                          " set_config('dialplane.actor', $2, false),"
                          " set_config('dialplane.address', $3, false),"
                          " set_config('dialplane.request_id', $4, false),"
                          " set_config('role', $5, false)"};

/* From one company to another, which is all that most reads need. */
static const struct pg_statement company_statement = {
    "dialplane_company", "SELECT set_config('dialplane.company', $1, false)"};

void identity_prepare(struct pg_pool *pool, const char *roles)
{
    statements_find(&pool->statements, &identity_statement, &pool->identity_slot, NULL);
    statements_find(&pool->statements, &company_statement, &pool->company_slot, NULL);
    if (!roles)
        return;
    snprintf(pool->roles[PG_AS_COMPANY], sizeof(pool->roles[0]), "%s_company", roles);
    snprintf(pool->roles[PG_AS_SERVICE], sizeof(pool->roles[0]), "%s_service", roles);
}

bool identity_is_slot(const struct pg_pool *pool, size_t slot)
{
    return slot == pool->identity_slot || slot == pool->company_slot;
}

const char *identity_role(const struct pg_pool *pool, enum pg_authority authority)
{
    return *pool->roles[authority] ? pool->roles[authority] : "none";
}

const char *identity_statement_name(const char *statement, enum pg_authority authority,
                                    char out[IDENTITY_NAME_SIZE])
{
    static const char marks[PG_AUTHORITIES] = {0, 0, '*', '!'};
    if (!marks[authority])
        return statement;
    snprintf(out, IDENTITY_NAME_SIZE, "%s%c", statement, marks[authority]);
    return out;
}

bool pg_may_share(const struct pg_owner *one, const struct pg_owner *other)
{
    const struct pg_identity *a = &one->identity, *b = &other->identity;
    return a->authority == b->authority &&
           (a->authority != PG_AS_COMPANY ||
            strcmp(or_empty(a->company_id), or_empty(b->company_id)) == 0);
}

struct pg_identity pg_shared_identity(const struct pg_owner *one)
{
    return (struct pg_identity){.authority = one->identity.authority,
                                .company_id = one->identity.company_id};
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

size_t identity_size(const struct pg_identity *identity, bool with_details)
{
    size_t size = text_size(identity->company_id);
    if (with_details)
        size += text_size(identity->actor) + text_size(identity->address) +
                text_size(identity->request_id);
    return size;
}

static const char *copy_text(const char *text, char **room)
{
    size_t size = text_size(text);
    if (!size)
        return NULL;
    const char *copy = memcpy(*room, text, size);
    *room += size;
    return copy;
}

void identity_copy(struct pg_identity *to, const struct pg_identity *from, bool with_details,
                   char *room)
{
    *to = (struct pg_identity){.authority = from->authority};
    to->company_id = copy_text(from->company_id, &room);
    if (!with_details)
        return;
    to->actor = copy_text(from->actor, &room);
    to->address = copy_text(from->address, &room);
    to->request_id = copy_text(from->request_id, &room);
}

static bool is_detailed(const struct pg_identity *identity)
{
    return identity->actor || identity->address || identity->request_id;
}

bool identity_is_taken(const struct connection *connection, const struct pg_identity *identity)
{
    const struct taken_identity *taken = &connection->identity;
    return taken->is_known && !taken->is_detailed && !is_detailed(identity) &&
           taken->authority == identity->authority &&
           (identity->authority != PG_AS_COMPANY ||
            strcmp(taken->company_id, identity->company_id) == 0);
}

void identity_switch(const struct connection *connection, const struct pg_identity *identity,
                     struct identity_switch *ret_switch)
{
    const struct pg_pool *pool = connection->pool;
    const struct taken_identity *taken = &connection->identity;
    *ret_switch = (struct identity_switch){
        .statement = &identity_statement,
        .slot = pool->identity_slot,
        .count = IDENTITY_PARAMETERS,
        .values = {identity->authority == PG_AS_COMPANY ? or_empty(identity->company_id) : "",
                   or_empty(identity->actor), or_empty(identity->address),
                   or_empty(identity->request_id), identity_role(pool, identity->authority)},
    };
    if (!taken->is_known || taken->is_detailed || is_detailed(identity) ||
        taken->authority != identity->authority)
        return;
    ret_switch->statement = &company_statement;
    ret_switch->slot = pool->company_slot;
    ret_switch->count = 1;
}

void identity_note(struct connection *connection, const struct pg_identity *identity)
{
    struct taken_identity *taken = &connection->identity;
    const char *company_id = or_empty(identity->company_id);
    /* What is no UUID is not remembered, and therefore said every time. */
    taken->is_known = strlen(company_id) < sizeof(taken->company_id);
    taken->is_detailed = is_detailed(identity);
    taken->authority = identity->authority;
    if (taken->is_known)
        memcpy(taken->company_id, company_id, strlen(company_id) + 1);
}

bool identity_check(const struct pg_identity *identity, const char *statement, struct err *err)
{
    if (identity->authority == PG_AS_SERVICE || identity->authority == PG_AS_OWNER ||
        (identity->authority == PG_AS_COMPANY && identity->company_id && *identity->company_id))
        return true;
    log_event(LOG_LEVEL_ERROR, "sql_of_nobody", log_text("statement", statement));
    return err_set(err, ERR_INTERNAL, NULL, "internal error");
}
