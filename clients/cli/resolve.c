/* What people call a company, a skillbase or a campaign: its id, the beginning of it, its slug or
 * its name. There is no search in the API, so lists are walked, up to a bound. */
#include "base/uuid.h"
#include "base/wire.h"
#include "cli.h"

#include <stdio.h>
#include <string.h>

#define PAGES_MAX 20
#define PAGE_ROWS 1000
#define CANDIDATES_MAX 5
#define LEAST_PREFIX 8 /* of an id: shorter ones are more likely to be names */

static const struct kind {
    const char *word, *list, *get;
} kinds[] = {
    [RESOURCE_COMPANY] = {"company", "/dialplane.v1.CompanyService/ListCompanies",
                          "dialplane company list"},
    [RESOURCE_SKILLBASE] = {"skillbase", "/dialplane.v1.SkillbaseService/ListSkillbases",
                            "dialplane skillbase list"},
    [RESOURCE_CAMPAIGN] = {"campaign", "/dialplane.v1.CampaignService/ListCampaigns",
                           "dialplane campaign list"},
};

/* How well a row fits; the best rank that occurs decides. */
enum rank { RANK_NONE, RANK_PREFIX, RANK_NAME, RANK_SLUG };

struct search {
    struct cli *cli;
    struct str wanted;
    const struct schema_message *row;
    enum rank best;
    size_t count; /* rows of the best rank */
    const char *ids[CANDIDATES_MAX], *names[CANDIDATES_MAX];
};

/* The text of a string field; empty when there is none. */
static struct str find_text(const struct schema_message *message, const char *name, struct str wire)
{
    const struct schema_field *field = schema_find_field(message, str_from(name));
    struct wire_reader reader;
    struct str text = {"", 0};
    wire_reader_init(&reader, wire);
    while (field && wire_reader_next(&reader))
        if (reader.number == field->number && reader.type == 2)
            text = reader.bytes;
    return text;
}

static void consider(struct search *search, struct str row)
{
    struct str id = find_text(search->row, "id", row);
    struct str name = find_text(search->row, "name", row);
    enum rank rank = RANK_NONE;
    if (str_equal(find_text(search->row, "slug", row), search->wanted))
        rank = RANK_SLUG;
    else if (str_equal(name, search->wanted))
        rank = RANK_NAME;
    else if (search->wanted.length >= LEAST_PREFIX && str_starts_with(id, search->wanted))
        rank = RANK_PREFIX;
    if (rank == RANK_NONE || rank < search->best)
        return;
    if (rank > search->best)
        search->count = 0;
    search->best = rank;
    if (search->count < CANDIDATES_MAX) {
        search->ids[search->count] = arena_strndup(search->cli->arena, id.data, id.length);
        search->names[search->count] = arena_strndup(search->cli->arena, name.data, name.length);
    }
    search->count++;
}

static bool walk(struct search *search, const struct schema_method *method, const char *company_id,
                 struct failure *failure)
{
    const struct schema_field *items = schema_find_field(method->output, STR_LITERAL("items"));
    const struct schema_field *limit = schema_find_field(method->input, STR_LITERAL("limit"));
    const struct schema_field *token = schema_find_field(method->input, STR_LITERAL("page_token"));
    const struct schema_field *company =
        schema_find_field(method->input, STR_LITERAL("company_id"));
    struct str next = {"", 0}, answer;
    search->row = items->message;
    for (int page = 0; page < PAGES_MAX; page++) {
        struct buf request;
        struct wire_reader reader;
        buf_init(&request, 8192);
        wire_put_tag(&request, limit->number, 0);
        wire_put_varint(&request, PAGE_ROWS);
        if (next.length)
            wire_put_bytes(&request, token->number, next);
        if (company && company_id)
            wire_put_bytes(&request, company->number, str_from(company_id));
        bool ok =
            session_call(search->cli, method, buf_str(&request), DIALPLANE_CALL, &answer, failure);
        buf_done(&request);
        if (!ok)
            return false;
        wire_reader_init(&reader, answer);
        while (wire_reader_next(&reader))
            if (reader.number == items->number && reader.type == 2)
                consider(search, reader.bytes);
        next = find_text(method->output, "next_page_token", answer);
        if (!next.length)
            break;
    }
    return true;
}

static bool ambiguous(const struct search *search, const struct kind *kind, struct failure *failure)
{
    char list[300] = "";
    size_t length = 0;
    for (size_t i = 0; i < search->count && i < CANDIDATES_MAX && length < sizeof(list); i++)
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", i ? ", " : "",
                                   search->ids[i]);
    return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                   "\"%.*s\" is %zu of them (%s of %s …): give the id", (int)search->wanted.length,
                   search->wanted.data, search->count, kind->word, list);
}

bool resolve_id(struct cli *cli, enum resource resource, const char *text, const char **ret_id,
                struct failure *failure)
{
    const struct kind *kind = &kinds[resource];
    const struct schema_method *method = schema_find_method(cli->schema, str_from(kind->list));
    const char *slash = resource == RESOURCE_SKILLBASE ? strchr(text, '/') : NULL;
    const char *company_id = NULL;
    struct uuid uuid;
    struct search search = {.cli = cli, .wanted = str_from(text)};
    if (uuid_parse(search.wanted, &uuid)) {
        *ret_id = text;
        return true;
    }
    if (slash) {
        const char *company = arena_strndup(cli->arena, text, (size_t)(slash - text));
        if (!company || !resolve_id(cli, RESOURCE_COMPANY, company, &company_id, failure))
            return false;
        search.wanted = str_from(slash + 1);
    }
    if (!search.wanted.length || search.wanted.length > 255)
        return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                       "a %s is named by its id, slug or name", kind->word);
    if (!walk(&search, method, company_id, failure))
        return false;
    if (search.count > 1)
        return ambiguous(&search, kind, failure);
    if (search.count == 0)
        return err_set(&failure->err, ERR_NOT_FOUND, NULL,
                       "no %s has the id, slug or name \"%.100s\" (see: %s)", kind->word, text,
                       kind->get);
    *ret_id = search.ids[0];
    return *ret_id || err_set(&failure->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}
