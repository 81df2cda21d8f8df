/* arguments: the command line against the table of commands: which command, its positionals, its
 * flags. Pure. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "base/arena.h"
#include "base/err.h"
#include "commands.h"

struct flag {
    const char *name;    /* "company"; of a field with "-" for "_" */
    const char *synonym; /* "company-id", or NULL */
    char letter;         /* 0: none */
    const char *value;   /* what it takes, for people: "N", "TEXT" …; NULL: a switch */
    const char *help;
    bool repeats;
    /* A field of the request (or of the resource in it); NULL: the command's own or global. */
    const struct schema_field *field;
    bool in_resource;
    bool is_bool; /* --NAME, --NAME=false, --no-NAME */
    enum resource resource;
};

struct flags {
    const struct flag *items;
    size_t count;
};

/* Flags of every command. */
extern const struct flags global_flags;
/* Those of one command: its own, then the request's fields that are not positional. Lives in the
 * arena; false: no memory. */
bool flags_of(const struct schema *schema, const struct command *command, struct arena *arena,
              struct flags *ret_flags);

#define GIVEN_MAX 256
#define POSITIONALS_MAX 3

struct given {
    const struct flag *flag;
    const char *value; /* of a switch "true" or "false" */
};

/* What was typed. */
struct invocation {
    const struct command *command;     /* NULL: none was named */
    const struct command_group *group; /* NULL: none */
    const char *positionals[POSITIONALS_MAX];
    size_t positional_count;
    struct given given[GIVEN_MAX]; /* global ones too, in order */
    size_t given_count;
    struct flags flags;
    bool wants_help, wants_version;
};

/* False, err INVALID_ARGUMENT: says what is wrong, and what was probably meant. With --help or
 * --version missing arguments are no error. What is in *ret_invocation is valid either way, as far
 * as it was read. */
bool arguments_parse(const struct schema *schema, int argc, char *const *argv, struct arena *arena,
                     struct invocation *ret_invocation, struct err *err);

/* The value of a flag by its name, the last one given; NULL when it was not. */
const char *invocation_value(const struct invocation *invocation, const char *name);
bool invocation_has(const struct invocation *invocation, const char *name);
/* The flag that was given for a field of the request or, with in_resource, of its resource. */
const struct flag *invocation_field_flag(const struct invocation *invocation,
                                         const struct schema_field *field, bool in_resource);

#endif
