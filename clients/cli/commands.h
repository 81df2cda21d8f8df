/* commands: the table from which everything follows: parsing, help, completion, the man page. A
 * command is an RPC, what of its request is positional, and how its answer looks to a person; the
 * flags are the rest of the request's fields, read from the descriptors. Only what a descriptor
 * cannot say is written here. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "schema/schema.h"

#include <stdbool.h>
#include <stddef.h>

struct cli;
struct invocation;

/* What an identifier names: companies, skillbases and campaigns may also be given by slug or name.
 */
enum resource { RESOURCE_NONE, RESOURCE_COMPANY, RESOURCE_SKILLBASE, RESOURCE_CAMPAIGN };

struct positional {
    const char *title; /* "CAMPAIGN" */
    const char *field; /* of the request; NULL: for the command's own code */
    enum resource resource;
    const char *help;  /* NULL: the field's comment */
    bool optional;     /* only the last may be */
    const char *words; /* "bash zsh fish": what it can be; NULL: anything */
};

/* How a value is shown in a table. */
enum cell { CELL_TEXT, CELL_TIME, CELL_COUNT, CELL_STATUS, CELL_MONEY, CELL_SECONDS };

struct column {
    const char *title;
    const char *path; /* in a row, dotted */
    enum cell cell;
    bool may_shrink;
    unsigned drop; /* as in struct table_column */
};

/* A flag that is no field of the request. */
struct own_flag {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* "FILE"; NULL: a switch */
    const char *help;
    bool repeats;
};

struct command {
    const char *group; /* NULL: at the top */
    const char *name;
    const char *method;  /* "CampaignService/StartCampaign"; NULL: no RPC of its own */
    const char *summary; /* NULL: the first line of the RPC's comment */
    const char *more;    /* NULL: the rest of that comment */
    struct positional positionals[3];
    const char *rows; /* the repeated field that is a table; NULL: the answer is one record */
    const struct column *columns;
    const struct own_flag *own_flags;
    const char *confirm;  /* asked before it is done: "Delete the company and …" */
    const char *deadline; /* when --timeout is not given; NULL: "30s" */
    bool no_field_flags;  /* the request's fields are the command's own business */
    int (*run)(struct cli *cli, const struct invocation *invocation); /* NULL: call and show */
};

struct command_group {
    const char *name, *plural; /* either is understood */
    const char *summary;
};

extern const struct command_group command_groups[];
extern const size_t command_group_count;
extern const struct command commands[];
extern const size_t command_count;

/* By either name; NULL when there is none. */
const struct command_group *command_find_group(const char *name);
/* group NULL: at the top. */
const struct command *command_find(const struct command_group *group, const char *name);
/* NULL for commands without an RPC. */
const struct schema_method *command_method(const struct schema *schema,
                                           const struct command *command);
/* The field of the request that is the resource to create or change (`campaign`); NULL: none. */
const struct schema_field *command_resource(const struct schema_method *method);
/* One line; the line's end is not in it. */
struct str command_summary(const struct schema *schema, const struct command *command);
/* What follows it; may be empty. */
struct str command_more(const struct schema *schema, const struct command *command);

/* Commands with code of their own; each gives the exit status. */
int run_upload(struct cli *cli, const struct invocation *invocation);
int run_watch_campaign(struct cli *cli, const struct invocation *invocation);
int run_watch_call(struct cli *cli, const struct invocation *invocation);
int run_validate(struct cli *cli, const struct invocation *invocation);
int run_rpc(struct cli *cli, const struct invocation *invocation);
int run_config_show(struct cli *cli, const struct invocation *invocation);
int run_config_set(struct cli *cli, const struct invocation *invocation);
int run_config_unset(struct cli *cli, const struct invocation *invocation);
int run_config_use(struct cli *cli, const struct invocation *invocation);
int run_config_path(struct cli *cli, const struct invocation *invocation);
int run_completion(struct cli *cli, const struct invocation *invocation);
int run_man(struct cli *cli, const struct invocation *invocation);
int run_help(struct cli *cli, const struct invocation *invocation);
int run_version(struct cli *cli, const struct invocation *invocation);

#endif
